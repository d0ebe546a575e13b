"""Dialogues from any of the corpora we read, and the two steps that make them comparable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from itertools import chain, groupby
from pathlib import Path

from socialsim.formats import augesc, esconv, extes, own, ssconv
from socialsim.formats.files import read_rows
from socialsim.formats.reasoning import reasoning_text
from socialsim.formats.rows import Row, unique_ids
from socialsim.schema import Dialogue, Reasoning, Speaker, Turn


class DialogueFormat(StrEnum):
    """The formats dialogues are read from."""

    SOCIALSIM = "socialsim"
    SSCONV = "ssconv"
    ESCONV = "esconv"
    EXTES = "extes"
    AUGESC = "augesc"


def read_dialogues(path: Path, format: DialogueFormat | None = None) -> Iterator[Dialogue]:
    """Read dialogues as they are: nothing is merged or trimmed, empty utterances are skipped.

    Without a format it is detected from the first record: ``turns`` means our own, ``Dialogue``
    SSConv, ``dialog`` ESConv, a list under ``content`` ExTES; a ``text`` that holds a JSON
    object is an ESConv row of the hub, one that holds a JSON list (or a record that is a list)
    AugESC. Every format may come as a JSON list, as JSON Lines or as CSV (see `read_rows`).

    Ids are those of the data (``ssconv-17``; our own stay), else ``<stem>-<record number>``; a
    repeated id gets a suffix.

    Args:
        path: the file.
        format: its format, or None to detect it.

    Raises:
        InputError: at once if the file cannot be opened, is empty or is not recognised; while
            reading if a record is not what it should be, or has no utterance.
    """
    rows = read_rows(path)
    first = next(rows)
    parse = _parser(format or _detect(first))
    return unique_ids(row.read(parse) for row in chain([first], rows))


def merge_consecutive(dialogue: Dialogue) -> Dialogue:
    """Join consecutive utterances of one speaker by a space.

    Strategies are kept in order, each once; so are flags and the texts of the reasoning.
    """
    groups = groupby(dialogue.turns, key=lambda turn: turn.speaker)
    turns = tuple(_merge_turns(tuple(group)) for _, group in groups)
    return dialogue.model_copy(update={"turns": turns})


def trim_to_exchanges(dialogue: Dialogue) -> Dialogue | None:
    """Drop what the supporter says before the seeker and the seeker after the supporter.

    Returns:
        A dialogue that starts with the seeker and ends with the supporter; None if there is none.
    """
    speakers = [turn.speaker for turn in dialogue.turns]
    if Speaker.SEEKER not in speakers:
        return None
    start = speakers.index(Speaker.SEEKER)
    end = len(speakers) - speakers[::-1].index(Speaker.SUPPORTER) if Speaker.SUPPORTER in speakers else 0
    return dialogue.model_copy(update={"turns": dialogue.turns[start:end]}) if start < end else None


def _parser(format: DialogueFormat) -> Callable[[Row], Dialogue]:
    match format:
        case DialogueFormat.SOCIALSIM:
            return own.dialogue
        case DialogueFormat.SSCONV:
            return ssconv.dialogue
        case DialogueFormat.ESCONV:
            return esconv.dialogue
        case DialogueFormat.EXTES:
            return extes.dialogue
        case DialogueFormat.AUGESC:
            return augesc.dialogue


def _detect(row: Row) -> DialogueFormat:
    if own.recognises_dialogue(row):
        return DialogueFormat.SOCIALSIM
    if ssconv.recognises_dialogue(row):
        return DialogueFormat.SSCONV
    if esconv.recognises(row):
        return DialogueFormat.ESCONV
    if extes.recognises(row):
        return DialogueFormat.EXTES
    if augesc.recognises(row):
        return DialogueFormat.AUGESC
    there = ", ".join(row.fields) or "nothing"
    raise row.error(f"no dialogue format has the keys {there}; name the format")


def _merge_turns(turns: Sequence[Turn]) -> Turn:
    if len(turns) == 1:
        return turns[0]
    return Turn(
        speaker=turns[0].speaker,
        text=" ".join(turn.text for turn in turns),
        reasoning=_merge_reasoning([turn.reasoning for turn in turns if turn.reasoning]),
        flags=tuple(flag for turn in turns for flag in turn.flags),
    )


def _merge_reasoning(chains: Sequence[Reasoning]) -> Reasoning | None:
    if not chains:
        return None
    imported = any(part.raw is not None for part in chains)
    return Reasoning(
        situation=_join(part.situation for part in chains),
        thought=_join(part.thought for part in chains),
        action=_join(part.action for part in chains),
        strategies=tuple(dict.fromkeys(choice for part in chains for choice in part.strategies)),
        purpose=_join(part.purpose for part in chains),
        raw=" ".join(map(reasoning_text, chains)) if imported else None,
    )


def _join(texts: Iterator[str | None]) -> str | None:
    return " ".join(filter(None, texts)) or None
