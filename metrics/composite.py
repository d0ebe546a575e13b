"""What an optimiser climbs: many checks as one score, with what to change in words.

Weights are relative and stand in `Weights` alone; a part that was not checked (no persona, no
judge) is left out rather than counted as kept or broken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import mean
from typing import NamedTuple

from pydantic import Field

from metrics.verdicts import CheckVerdict, Rule
from socialsim.schema import Record

ORIGINALITY = "originality"
JUDGED = "judge"


class Weights(Record):
    """How much each part counts.

    Attributes:
        rules: weight of each control rule; one that is not named counts 1.
        originality: weight of words that are not an example's.
        judge: weight of what a judge LM says, where there is one.
    """

    rules: dict[Rule, float] = Field(default_factory=lambda: {Rule.REASONING: 2.0, Rule.MATCH: 2.0, Rule.FORMAT: 0.5})
    originality: float = Field(default=2.0, ge=0)
    judge: float = Field(default=2.0, ge=0)

    def of(self, part: str) -> float:
        """The weight of a part."""
        if part in (ORIGINALITY, JUDGED):
            return self.originality if part == ORIGINALITY else self.judge
        return self.rules.get(Rule(part), 1.0) if part in set(Rule) else 1.0


DEFAULT_WEIGHTS = Weights()


class Scored(NamedTuple):
    """A composite score.

    Attributes:
        score: 0 to 1.
        feedback: what to change; one line a failed part.
        parts: part to score.
    """

    score: float
    feedback: str
    parts: dict[str, float]


def combine(parts: Mapping[str, float], feedback: Iterable[str], weights: Weights = DEFAULT_WEIGHTS) -> Scored:
    """The weighted mean of the parts; 0 where there is none."""
    total = sum(weights.of(part) for part in parts)
    score = sum(weights.of(part) * value for part, value in parts.items()) / total if total else 0.0
    lines = [line for line in feedback if line]
    return Scored(score, "\n".join(dict.fromkeys(lines)) or "Nothing to change.", dict(parts))


def rule_parts(verdicts: Iterable[CheckVerdict]) -> dict[str, float]:
    """Mean score of each rule that was checked; a judge's verdicts are a part of their own."""
    scores: dict[str, list[float]] = defaultdict(list)
    for verdict in verdicts:
        scores[JUDGED if verdict.judged else str(verdict.rule)].append(verdict.score)
    return {part: mean(values) for part, values in scores.items()}


def rule_feedback(verdicts: Iterable[CheckVerdict]) -> list[str]:
    """What each broken rule asks to change."""
    return [f"{verdict.rule}: {verdict.feedback}" for verdict in verdicts if verdict.feedback and verdict.score < 1]
