"""ESConv (Liu et al. 2021): the official file, and the rows of its copy on the Hugging Face hub."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from socialsim.formats.reasoning import strategy_only
from socialsim.formats.rows import Row
from socialsim.formats.speech import parse_speaker
from socialsim.schema import Dialogue, Reasoning, Speaker, Turn

# Names of an earlier annotation scheme, in the file of rejected dialogues.
_EARLIER_NAMES: Final[dict[str, str]] = {
    "Approval and Reassurance": "Affirmation and Reassurance",
    "Direct Guidance": "Providing Suggestions",
    "Restatement": "Restatement or Paraphrasing",
}


def recognises(row: Row) -> bool:
    """Whether a record is an ESConv dialogue or a hub row that holds one."""
    return row.has("dialog") or (row.has("text") and row.text("text").lstrip().startswith("{"))


def dialogue(row: Row) -> Dialogue:
    """Read one dialogue. Strategies have no stage; empty utterances are skipped.

    Official file: ``dialog`` of ``{speaker, annotation: {strategy}, content}``. Hub: the same as
    JSON in ``text``, or a line of its own, with ``{speaker, strategy, text}``.

    Raises:
        InputError: if a key is missing.
        ValueError: if a speaker or a strategy is unknown.
    """
    record = row if row.has("dialog") else row.decoded("text")
    entries = record.items("dialog", "utterance")
    turns = tuple(entry.read(_turn) for entry in entries if _words(entry).strip())
    return Dialogue(id=row.name("esconv"), turns=turns)


def _words(entry: Row) -> str:
    return entry.text(entry.one_of("content", "text"))


def _turn(entry: Row) -> Turn:
    speaker = parse_speaker(entry.text("speaker"))
    reasoning = _reasoning(entry) if speaker is Speaker.SUPPORTER else None
    return Turn(speaker=speaker, text=_words(entry), reasoning=reasoning)


def _reasoning(entry: Row) -> Reasoning | None:
    annotated = replace(entry, value=entry.fields.get("annotation") or entry.value)
    name = annotated.optional("strategy").strip()
    return strategy_only(_EARLIER_NAMES.get(name, name))
