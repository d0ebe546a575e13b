"""What was said and thought before a turn: worked out once, and one turn at a time as a dialogue grows."""

from __future__ import annotations

from collections.abc import Sequence

from socialsim.render import NOTHING_SAID, transcript_line
from socialsim.schema import Reasoning, Speaker, Turn
from socialsim.text import kept_of_dialogue, plain


class History:
    """The turns before one; equal to itself alone, so that it can be the key of a cache.

    Attributes:
        turns: all of them.
        texts: their utterances, without closing emoji.
        reasoned: what was thought, in order.
        transcript: the visible conversation (see `socialsim.render.transcript`).
    """

    __slots__ = ("_said", "reasoned", "texts", "transcript", "turns")

    def __init__(self) -> None:
        self.turns: tuple[Turn, ...] = ()
        self.texts: tuple[str, ...] = ()
        self.reasoned: tuple[Reasoning, ...] = ()
        self.transcript = NOTHING_SAID
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
        made.reasoned = (*self.reasoned, turn.reasoning) if turn.reasoning is not None else self.reasoned
        line = transcript_line(turn)
        made.transcript = f"{self.transcript}\n{line}" if self.turns else line
        made._said = {**self._said, turn.speaker: (*self._said[turn.speaker], text)}
        return made


def history_of(turns: Sequence[Turn]) -> History:
    """The history that some turns are; within `one_dialogue`, asked again for the same turns, the same object.

    The last two are kept: a turn is still checked when the next one has been asked for.
    """
    told, kept = tuple(turns), kept_of_dialogue()
    known: tuple[History, ...] = kept.get(History, ())
    last = next((one for one in known if one.turns == told[: len(one.turns)]), None) or History()
    if len(last.turns) == len(told):
        return last
    for turn in told[len(last.turns) :]:
        before, last = last, last.followed_by(turn)
    kept[History] = last, before
    return last
