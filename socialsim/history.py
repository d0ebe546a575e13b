"""What was said and thought before a turn: worked out once, and one turn at a time as a dialogue grows."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

from socialsim.render import NOTHING_SAID, transcript_line
from socialsim.schema import PROSE, Reasoning, Speaker, Turn
from socialsim.text import kept_of_dialogue, plain, spoken

_NOTHING_THOUGHT: Final[Mapping[str, tuple[str, ...]]] = dict.fromkeys(PROSE.values(), ())


def _lowered(said: str | None) -> tuple[str, ...]:
    return (said.lower(),) if said else ()


class History:
    """The turns before one.

    Attributes:
        turns: all of them.
        texts: their utterances, without closing emoji.
        lowered: the same in lower case.
        spoken: their words (see `socialsim.text.spoken`).
        thoughts: by the name of a field of `Reasoning`, what was thought there, in order and in lower case.
        transcript: the visible conversation (see `socialsim.render.transcript`).
        found: what was found out about the turn after it, for those who are asked twice.
    """

    __slots__ = ("_said", "found", "lowered", "spoken", "texts", "thoughts", "transcript", "turns")

    def __init__(self) -> None:
        self.turns: tuple[Turn, ...] = ()
        self.texts: tuple[str, ...] = ()
        self.lowered: tuple[str, ...] = ()
        self.spoken = ""
        self.thoughts: Mapping[str, tuple[str, ...]] = _NOTHING_THOUGHT
        self.transcript = NOTHING_SAID
        self.found: dict[Hashable, Any] = {}
        self._said: dict[Speaker, tuple[str, ...]] = dict.fromkeys(Speaker, ())

    def said_by(self, speaker: Speaker) -> tuple[str, ...]:
        """The utterances of one speaker."""
        return self._said[speaker]

    def not_said_by(self, speaker: Speaker) -> tuple[str, ...]:
        """Those of the other one."""
        return self._said[Speaker.SUPPORTER if speaker is Speaker.SEEKER else Speaker.SEEKER]

    def followed_by(self, turn: Turn) -> History:
        """The history of the turn after ``turn``."""
        made, text = History(), plain(turn.text)
        made.turns = (*self.turns, turn)
        made.texts = (*self.texts, text)
        made.lowered = (*self.lowered, text.lower())
        made.spoken = f"{self.spoken}|{spoken(text)}"
        made.thoughts = self._thoughts_with(turn.reasoning) if turn.reasoning is not None else self.thoughts
        line = transcript_line(turn)
        made.transcript = f"{self.transcript}\n{line}" if self.turns else line
        made._said = {**self._said, turn.speaker: (*self._said[turn.speaker], text)}
        return made

    def _thoughts_with(self, reasoning: Reasoning) -> Mapping[str, tuple[str, ...]]:
        return {name: (*before, *_lowered(getattr(reasoning, name))) for name, before in self.thoughts.items()}


def history_of(turns: Sequence[Turn]) -> History:
    """The history that some turns are; within `one_dialogue`, asked again for the same turns, the same object.

    The last two are kept: a turn is still checked when the next one has been asked for.
    """
    kept = kept_of_dialogue()
    known: tuple[History, ...] | None = kept.get(History)
    if known is None:
        known = kept[History] = (History(),)
    for one in known:
        if one.turns is turns:
            return one
    told = tuple(turns)
    last = next((one for one in known if one.turns == told[: len(one.turns)]), None) or History()
    if len(last.turns) == len(told):
        return last
    for turn in told[len(last.turns) :]:
        before, last = last, last.followed_by(turn)
    kept[History] = last, before
    return last
