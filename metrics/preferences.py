"""Wins, losses and ties out of verdicts in both orders (paper: Table 5), mean scores (Table 6), and the judge's bias.

A model wins an aspect of a pair only where both orders name it. Different winners make a tie that is counted as
inconsistent; a winner in one order and a tie in the other make a tie that is counted as half agreed. Where either
order gave no usable verdict there is no outcome. Intervals are bootstrapped over personas.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from metrics.arena import ArenaVerdict
from metrics.significance import Interval, paired_bootstrap
from signatures.arena import Aspect, Preferred


class Outcome(StrEnum):
    """What an aspect of a pair came to, as the pair's first model sees it."""

    WIN = "win"
    LOSS = "loss"
    TIE = "tie"


class Agreement(StrEnum):
    """How the two orders go together."""

    BOTH = "both"
    HALF = "half"
    NONE = "none"


class Meeting(NamedTuple):
    """Both orders of one persona, aspect and sample of a pair, put together."""

    persona_id: str
    aspect: Aspect
    sample: int
    outcome: Outcome
    agreement: Agreement


class Rates(NamedTuple):
    """A row of Table 5: shares of the meetings, 0 to 1."""

    win: Interval
    loss: Interval
    tie: Interval


class Trust(NamedTuple):
    """How far a judge's verdicts on a pair can be trusted.

    Attributes:
        verdicts: comparisons asked for, one an order.
        errors: those given up as malformed; they count for no outcome.
        first: share of the verdicts with a preference that prefer the first place (0.5: no bias).
        inconsistent: share of the meetings whose orders name different winners; they count as ties.
        half: share of the meetings with a winner in one order and a tie in the other; they count as ties.
    """

    verdicts: int
    errors: int
    first: Interval
    inconsistent: Interval
    half: Interval


def meetings(verdicts: Iterable[ArenaVerdict], one: str, other: str) -> list[Meeting]:
    """The meetings of a pair in a fixed order, whatever the order of the verdicts."""
    found = {(v.persona_id, v.aspect, v.sample, v.first): v for v in verdicts if {v.first, v.second} == {one, other}}
    made = []
    for (persona, aspect, sample, first), there in sorted(found.items()):
        back = found.get((persona, aspect, sample, other))
        if first == one and there.answer and back and back.answer:
            outcome, agreement = together(there.winner, back.winner, one)
            made.append(Meeting(persona, aspect, sample, outcome, agreement))
    return made


def together(there: str | None, back: str | None, one: str) -> tuple[Outcome, Agreement]:
    """The outcome of two orders.

    Args:
        there: winner in one order, None for a tie.
        back: winner in the other.
        one: the model whose win it is.
    """
    if there == back:
        won = Outcome.TIE if there is None else Outcome.WIN if there == one else Outcome.LOSS
        return won, Agreement.BOTH
    return Outcome.TIE, Agreement.HALF if None in (there, back) else Agreement.NONE


def rates(made: Sequence[Meeting]) -> Rates:
    """Shares of wins, losses and ties with their 95% intervals."""
    return Rates(*(_share([(m.persona_id, m.outcome is wanted) for m in made]) for wanted in Outcome))


def lead(made: Sequence[Meeting]) -> Interval:
    """Share of wins less share of losses, with its interval: what says whether one is better."""
    values = {Outcome.WIN: 1.0, Outcome.LOSS: -1.0, Outcome.TIE: 0.0}
    return _mean([(m.persona_id, values[m.outcome]) for m in made])


def trust(verdicts: Iterable[ArenaVerdict], one: str, other: str) -> Trust:
    """How far the verdicts on a pair can be trusted."""
    given = sorted((v for v in verdicts if {v.first, v.second} == {one, other}), key=lambda v: v.id)
    made = meetings(given, one, other)
    decided = [(v.persona_id, v.answer.preferred) for v in given if v.answer and v.answer.preferred != Preferred.TIE]
    return Trust(
        verdicts=len(given),
        errors=sum(v.answer is None for v in given),
        first=_share([(persona, place is Preferred.FIRST) for persona, place in decided]),
        inconsistent=_share([(m.persona_id, m.agreement is Agreement.NONE) for m in made]),
        half=_share([(m.persona_id, m.agreement is Agreement.HALF) for m in made]),
    )


def mean_score(verdicts: Iterable[ArenaVerdict], model: str, aspect: Aspect) -> Interval:
    """A cell of Table 6: a model's mean score, 0 to 3, over every usable verdict on it."""
    given = sorted((v for v in verdicts if v.aspect is aspect and model in (v.first, v.second)), key=lambda v: v.id)
    scores = [
        (v.persona_id, v.answer.first_score if v.first == model else v.answer.second_score) for v in given if v.answer
    ]
    return _mean([(persona, float(score)) for persona, score in scores])


def _share(items: Sequence[tuple[str, bool]]) -> Interval:
    return _mean([(persona, float(value)) for persona, value in items])


def _mean(items: Sequence[tuple[str, float]]) -> Interval:
    """The mean over all items; whole personas are drawn, since what is said of one persona hangs together."""
    groups, values = [persona for persona, _ in items], [value for _, value in items]
    return paired_bootstrap([0.0] * len(values), values, groups)
