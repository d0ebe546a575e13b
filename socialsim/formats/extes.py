"""ExTES (Zheng et al. 2024): one-pass dialogues with 16 strategies of their own."""

from __future__ import annotations

from socialsim.formats.reasoning import strategy_only
from socialsim.formats.rows import Row
from socialsim.schema import Dialogue, Reasoning, Speaker, Turn


def recognises(row: Row) -> bool:
    """Whether a record is an ExTES dialogue."""
    return row.has("content") and isinstance(row.fields["content"], list)


def dialogue(row: Row) -> Dialogue:
    """Read one dialogue: ``content`` of ``{"User"}`` and ``{"AI", "AI Strategy"}`` entries.

    Its strategies are not the paper's eight: only names that are the same are kept ("Others",
    "Share Information"). Empty utterances are skipped.

    Raises:
        InputError: if an entry has neither speaker, or both.
    """
    entries = row.items("content", "utterance")
    turns = tuple(_turn(entry) for entry in entries if _words(entry).strip())
    return Dialogue(id=row.name("extes"), turns=turns)


def _words(entry: Row) -> str:
    return entry.text(entry.one_of("User", "AI"))


def _turn(entry: Row) -> Turn:
    if entry.has("User"):
        return Turn(speaker=Speaker.SEEKER, text=_words(entry))
    return Turn(speaker=Speaker.SUPPORTER, text=_words(entry), reasoning=_reasoning(entry.optional("AI Strategy")))


def _reasoning(name: str) -> Reasoning | None:
    try:
        return strategy_only(name)
    except ValueError:
        return None
