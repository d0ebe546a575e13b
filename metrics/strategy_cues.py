"""Cues by which a reply shows that it carries out its strategy.

A cue finds evidence; it cannot judge. Where words give no clear answer (praise in an image, a fact
told without "often") the score stays between `UNCLEAR` and 1, and an LM may judge. Clear
evidence against a strategy scores near 0. How often each cue fires is measured on real and on
authored dialogues (tests/real/test_checks_real.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from metrics.check_words import content, content_of, definite, shown
from metrics.cue_words import (
    ABOUT,
    COURTESY,
    EMPATHY,
    FEELINGS,
    FIRST_PERSON,
    FRAMES,
    GENERAL,
    LEAVING,
    MAY,
    NOT_SO,
    OWN_LIFE,
    PRAISE,
    RESTATES,
    SAYS_BACK,
    SCOLDS,
    STEP,
    WORDS_FOR_THE_SEEKER,
    WORDS_TO_SAY,
    YOU,
    YOU_DID,
)
from socialsim.taxonomy import Strategy
from socialsim.text import sentences, words

UNCLEAR: Final = 0.7  # no evidence for the strategy, none against it
MISSING: Final = 0.3  # what the strategy cannot do without is not there


class Cue(NamedTuple):
    """How well a reply shows a strategy: score 0 to 1, and what to change (empty at 1)."""

    score: float
    feedback: str = ""


class Said(NamedTuple):
    """What a cue may look at.

    Attributes:
        reply: the supporter's words.
        seeker: the seeker's utterances before it, in order.
    """

    reply: str
    seeker: tuple[str, ...]

    @property
    def last(self) -> str:
        """What the seeker just said."""
        return self.seeker[-1] if self.seeker else ""


def carries_out(strategy: Strategy, reply: str, seeker: Sequence[str]) -> Cue:
    """How well a reply shows a strategy.

    Args:
        strategy: what it is meant to do.
        reply: the supporter's words.
        seeker: the seeker's utterances before it, in order.

    Returns:
        A score from 0 to 1 (`UNCLEAR` where words cannot tell) and what to change.
    """
    return _CUES[strategy](Said(reply.replace("’", "'"), tuple(seeker)))


def fires(strategy: Strategy, reply: str, seeker: Sequence[str]) -> bool:
    """Whether a reply shows clear evidence of a strategy."""
    return carries_out(strategy, reply, seeker).score > UNCLEAR


def _question(said: Said) -> Cue:
    asked = [part for part in sentences(said.reply) if part.rstrip("\"'”’)").endswith("?") or "?" in part]
    if any(len(words(part)) >= 2 for part in asked):
        return Cue(1.0)
    if re.search(
        r"(?i)\b(?:tell me|say more|walk me through|describe|go on|let me hear|i'd like to hear)\b", said.reply
    ):
        return Cue(0.85, _ask(said))
    return (
        Cue(0.5, f"ask more than a tag: {_ask(said)}") if asked else Cue(0.0, f"the reply asks nothing: {_ask(said)}")
    )


def _ask(said: Said) -> str:
    named = shown(definite(said.last), said.last)
    return f"ask one open question about what the seeker said last ({named})" if named else "ask one open question"


def _restatement(said: Said) -> Cue:
    shared = len(content(said.reply) & content_of(said.seeker[-3:]))
    marked = bool(RESTATES.search(said.reply))
    if shared >= 2 or (marked and (shared or _taken_up(said))):
        return Cue(1.0)
    named = shown(definite(said.last), said.last)
    change = f"say back in other words what the seeker told ({named or 'the last utterances'})"
    if SAYS_BACK.search(said.reply) and YOU.search(said.reply):
        return Cue(0.85, change)
    if shared or marked or _taken_up(said) >= 2:
        return Cue(UNCLEAR, change)
    about = ABOUT.search(said.reply)
    return Cue(0.5 if about else 0.2, f"nothing the seeker said comes back: {change}")


def _taken_up(said: Said) -> int:
    """How many content words of all that the seeker said come back in the reply."""
    return len(content(said.reply) & content_of(said.seeker))


def _reflection(said: Said) -> Cue:
    if FEELINGS.search(said.reply):
        return Cue(1.0)
    change = "name what the seeker feels about it, in one word or image"
    if EMPATHY.search(said.reply):
        return Cue(0.8, change)
    return Cue(0.5 if YOU.search(said.reply) else MISSING, f"no feeling is named: {change}")


def _self_disclosure(said: Said) -> Cue:
    own = FRAMES.sub(" ", WORDS_FOR_THE_SEEKER.sub(" ", said.reply))
    told = len(FIRST_PERSON.findall(own))
    if told >= 2 or (told and OWN_LIFE.search(own)):
        return Cue(1.0)
    change = "tell in a sentence something like it from your own life (I once …, my …)"
    return Cue(UNCLEAR, change) if told or OWN_LIFE.search(own) else Cue(0.1, f"nothing of your own is told: {change}")


def _affirmation(said: Said) -> Cue:
    if scolds := SCOLDS.search(said.reply):
        return Cue(0.1, f"'{scolds.group(0)}' blames: point to a strength or an effort instead")
    stated = " ".join(part for part in sentences(said.reply) if not part.endswith("?"))
    change = "say which strength, effort or good reason you see in what the seeker did"
    if not words(stated):
        return Cue(MISSING, f"the reply only asks: {change}")
    found = PRAISE.search(stated) or NOT_SO.search(stated) or YOU_DID.search(stated)
    return Cue(1.0) if found else Cue(UNCLEAR, change)


def _suggestions(said: Said) -> Cue:
    if STEP.search(said.reply) or MAY.search(said.reply) or WORDS_TO_SAY.search(said.reply):
        return Cue(1.0)
    only_asks = all(part.endswith("?") for part in sentences(said.reply))
    return Cue(MISSING if only_asks else 0.5, "offer one step: what to do or say, when and to whom, as a choice")


def _information(said: Said) -> Cue:
    stated = " ".join(part for part in sentences(said.reply) if not part.endswith("?"))
    change = "give one fact, explanation or other way of looking at it (what often happens, why)"
    if len(words(stated)) < 4:
        return Cue(MISSING, f"the reply states nothing: {change}")
    return Cue(1.0) if GENERAL.search(stated) else Cue(UNCLEAR, change)


def _others(said: Said) -> Cue:
    edge = len(said.seeker) <= 1 or bool(LEAVING.search(said.last))
    if edge or COURTESY.search(said.reply):
        return Cue(1.0)
    return Cue(UNCLEAR, "greet, thank or take leave; for anything else choose the strategy it serves")


_CUES: Final[dict[Strategy, Callable[[Said], Cue]]] = {
    Strategy.QUESTION: _question,
    Strategy.RESTATEMENT: _restatement,
    Strategy.REFLECTION: _reflection,
    Strategy.SELF_DISCLOSURE: _self_disclosure,
    Strategy.AFFIRMATION: _affirmation,
    Strategy.SUGGESTIONS: _suggestions,
    Strategy.INFORMATION: _information,
    Strategy.OTHERS: _others,
}
