"""The card beside a compiled program: how it was made, and what it is worth."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError

from metrics.significance import Interval
from socialsim.compile.evaluate import Evaluation
from socialsim.errors import InputError
from socialsim.schema import Record, Usage


class Measured(Record):
    """A program's score on a set of examples.

    Attributes:
        score: mean composite, 0 to 1; None if nothing could be scored.
        answers: answers asked for.
        failures: answers that could not be used; they score 0.
        metric_errors: answers the metric could not score; they have no score.
        parts: mean of each part of the composite.
    """

    score: float | None
    answers: int
    failures: int = 0
    metric_errors: int = 0
    parts: dict[str, float] = Field(default_factory=dict)

    @classmethod
    def of(cls, evaluation: Evaluation) -> Measured:
        """The figures of an evaluation."""
        return cls(
            score=None if evaluation.score is None else round(evaluation.score, 4),
            answers=len(evaluation.outcomes),
            failures=evaluation.failures,
            metric_errors=len(evaluation.metric_errors),
            parts=evaluation.parts(),
        )


class Lift(Record):
    """Mean difference of two programs on the same examples, with its 95% interval; ``n`` counts examples."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    @classmethod
    def of(cls, interval: Interval) -> Lift:
        """From a paired bootstrap."""
        ends = [None if end is None else round(end, 4) for end in interval[:3]]
        return cls(value=ends[0], low=ends[1], high=ends[2], n=interval.n)

    @property
    def certain(self) -> bool:
        """Whether the interval excludes zero from below."""
        return self.low is not None and self.low > 0

    def __str__(self) -> str:
        if self.value is None or self.low is None or self.high is None:
            return "unknown"
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


class JudgeCard(Record):
    """The judge LM within a metric.

    Attributes:
        lm: its spec.
        calibrated: whether its judgements of the control rules were compared with people's; no labels
            for these rules exist so far, so that they were not.
        malformed: judgements given up; they are in no score.
    """

    lm: str
    calibrated: bool = False
    malformed: int = 0


class Card(Record):
    """How a program was compiled, and its scores before and after.

    Attributes:
        lms: role to LM spec.
        settings: what the optimiser was given.
        sizes: examples in each set.
        data: hash of each set.
        usage: calls, tokens, cost and seconds of the whole compile, its evaluations included.
        validation: the compiled program on the validation set; compiled programs are chosen by it.
        bare: the program without examples, on the held-out set.
        before: the program as an uncompiled run uses it (with authored examples), on the held-out set.
        after: the compiled program on the held-out set.
        lift: after against before; paired, whole scenarios resampled.
        lift_over_bare: after against bare.
        metric_errors: what the metric raised while optimising; an optimiser takes such an answer for a failed one.
        judge: the judge LM in the metric; None for deterministic checks, or people's ratings, only.
        default: whether runs with this LM use the program.
    """

    program: str
    optimizer: str
    lms: dict[str, str]
    settings: dict[str, int | float | str | None]
    versions: dict[str, str]
    data: dict[str, str]
    sizes: dict[str, int]
    usage: Usage
    validation: Measured
    bare: Measured
    before: Measured
    after: Measured
    lift: Lift
    lift_over_bare: Lift
    metric_errors: tuple[str, ...] = ()
    judge: JudgeCard | None = None
    default: bool = False
    state: str
    date: str


def read_card(path: Path) -> Card | None:
    """A card, None where there is none.

    Raises:
        InputError: if it is not one.
    """
    if not path.is_file():
        return None
    try:
        return Card.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise InputError(path, f"not a card of this version ({field}: {first['msg']}); move it away") from error
