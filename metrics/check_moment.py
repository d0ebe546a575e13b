"""Where a turn stands when it is checked, and how the marks of one rule become a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import lru_cache
from math import prod

from metrics.check_words import VAGUE_STEMS, content, content_once
from metrics.verdicts import CheckVerdict, Rule
from socialsim.history import History, history_of
from socialsim.identity import Same
from socialsim.lazy import lazy
from socialsim.schema import Node, Persona, Speaker, Turn
from socialsim.text import joined, kept_with_dialogue, may_recur, spoken


@dataclass(frozen=True)
class Moment:
    """What a check may look at beside the turn.

    Attributes:
        history: the turns before it.
        persona: the seeker's persona, None where there is none.
        nodes: the reasoning nodes that were asked for; none: those the turn has are checked.
        copied_from: word runs of the examples in the prompt (see `socialsim.validation.copy_runs`).
    """

    history: tuple[Turn, ...]
    persona: Persona | None = None
    nodes: tuple[Node, ...] = ()
    copied_from: frozenset[tuple[str, ...]] = frozenset()

    def known_to(self, persona: Persona) -> Moment:
        """The same moment for somebody who has read the persona."""
        if persona is self.persona:
            return self
        made = Moment(self.history, persona, self.nodes, self.copied_from)
        made.__dict__["before"] = self.before  # worked out already
        return made

    @lazy
    def before(self) -> History:
        """What was said and thought."""
        return history_of(self.history)

    @property
    def texts(self) -> tuple[str, ...]:
        """The earlier utterances, without their closing emoji."""
        return self.before.texts

    def said_by(self, speaker: Speaker) -> tuple[str, ...]:
        """Those of one speaker."""
        return self.before.said_by(speaker)

    def may_repeat(self, text: str) -> bool:
        """Whether a run of five words of a text may have been said; seldom, and quickly told."""
        return may_recur(spoken(text), self.before.spoken, 5)

    @property
    def number(self) -> int:
        """1-based number of the utterance that is checked."""
        return len(self.history) + 1

    @property
    def vocabulary(self) -> Set[str]:
        """The content of everything said so far."""
        return joined(content, self.texts)


@lru_cache(maxsize=512)
def _kept(rule: Rule, turn: int | None) -> CheckVerdict:
    """The verdict of most turns."""
    return CheckVerdict(rule=rule, score=1.0, turn=turn)


class Marks:
    """What lowers one rule's score for one turn or dialogue; each mark is a factor from 0 to 1."""

    __slots__ = ("_factors", "_told", "rule", "turn")

    def __init__(self, rule: Rule, turn: int | None = None) -> None:
        self.rule = rule
        self.turn = turn
        self._factors: list[float] = []
        self._told: list[tuple[float, str]] = []

    def mark(self, score: float, feedback: str) -> None:
        """Multiply the score by a factor and say why; one of 1 or more changes nothing."""
        if score < 1:
            self._factors.append(max(score, 0.0))
            self.note(score, feedback)

    def note(self, score: float, feedback: str) -> None:
        """Say why a part that is scored elsewhere has this score."""
        if feedback:
            self._told.append((score, feedback))

    def score(self, share: float = 1.0) -> float:
        """The product of all factors and ``share``."""
        if share == 1 and not self._factors:
            return 1.0
        return round(min(max(share * prod(self._factors), 0.0), 1.0), 4)

    def feedback(self) -> str:
        """At most two reasons, the gravest first."""
        if not self._told:
            return ""
        told = dict.fromkeys(text for _, text in sorted(self._told, key=lambda item: item[0]))
        return "; ".join(list(told)[:2])

    def verdict(self, share: float = 1.0) -> CheckVerdict:
        """Score and feedback."""
        score = self.score(share)
        if score == 1 and not self._told:
            return _kept(self.rule, self.turn)
        return CheckVerdict(rule=self.rule, score=score, feedback=self.feedback(), turn=self.turn)


def persona_texts(persona: Persona) -> Iterator[str]:
    """What a persona tells of its life, without its traits and its feelings."""
    yield from (persona.question, persona.description, persona.attempts, persona.goals, persona.occupation)
    optional = (persona.situation, persona.event_time, persona.event_location, persona.event_participants)
    yield from (text for text in optional if text)


def persona_content(persona: Persona) -> frozenset[str]:
    """The content of a persona's life, age included."""
    return _life(Same((persona,)))[0]


def persona_definite(persona: Persona) -> frozenset[str]:
    """The persons, places, times, numbers, acts and things of a persona's life."""
    return _life(Same((persona,)))[1]


def persona_spoken(persona: Persona) -> str:
    """The words of a persona's life, age included (see `socialsim.text.spoken`)."""
    return _life(Same((persona,)))[2]


@kept_with_dialogue
def _life(whose: Same[Persona]) -> tuple[frozenset[str], frozenset[str], str]:
    (persona,) = whose.items
    texts, age = tuple(persona_texts(persona)), str(persona.age)
    told = frozenset().union(*map(content_once, texts))
    return told | {age}, told - VAGUE_STEMS, spoken(*texts, age)


def blend(scores: list[float]) -> float:
    """Half the mean, half the least: one broken part is seen, and every part counts. 1 where there is none."""
    return (sum(scores) / len(scores) + min(scores)) / 2 if scores else 1.0
