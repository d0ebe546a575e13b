"""AugESC (Zheng et al. 2023): dialogues completed by a language model, without strategies."""

from __future__ import annotations

from socialsim.formats.rows import Row
from socialsim.formats.speech import parse_speaker
from socialsim.schema import Dialogue, Turn


def recognises(row: Row) -> bool:
    """Whether a record is an AugESC dialogue: a list, or a row whose ``text`` is one."""
    return isinstance(row.value, list) or (row.has("text") and row.text("text").lstrip().startswith("["))


def dialogue(row: Row) -> Dialogue:
    """Read one dialogue: a list of ``["usr" | "sys", words]``. Empty utterances are skipped.

    Raises:
        InputError: if an entry is not a pair of texts.
        ValueError: if a speaker is unknown.
    """
    record = row if isinstance(row.value, list) else row.decoded("text")
    turns = (entry.read(_turn) for entry in record.items(None, "utterance"))
    return Dialogue(id=row.name("augesc"), turns=tuple(turn for turn in turns if turn))


def _turn(entry: Row) -> Turn | None:
    match entry.value:
        case [str(speaker), str(text)]:
            return Turn(speaker=parse_speaker(speaker), text=text) if text.strip() else None
        case _:
            raise entry.error('expected a pair ["usr" or "sys", words]; check the format')
