"""Score a leaf on examples: what `dspy.Evaluate` does, with failures told apart.

An answer that cannot be used scores 0, since it is worth nothing to a run. A metric that raises
says nothing about the answer: it is counted, shown, and no score.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

import dspy

from metrics.composite import Scored
from socialsim.ask import BadAnswer, ask
from socialsim.compile.task import Task


@dataclass(frozen=True)
class Outcome:
    """One scored answer.

    Attributes:
        item: which example.
        sample: which of its samples.
        scored: None where the metric raised.
        failed: whether the answer could not be used.
        error: why not, or what the metric raised.
    """

    item: str
    sample: int
    scored: Scored | None
    failed: bool = False
    error: str = ""

    @property
    def scenario(self) -> str:
        """The scenario the example comes from."""
        return self.item.partition("#")[0]


@dataclass(frozen=True)
class Evaluation:
    """The outcomes of a program on a set of examples, in their order."""

    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def score(self) -> float | None:
        """Mean score; None if nothing was scored."""
        scores = [outcome.scored.score for outcome in self.outcomes if outcome.scored]
        return mean(scores) if scores else None

    @property
    def failures(self) -> int:
        """Answers that could not be used."""
        return sum(outcome.failed for outcome in self.outcomes)

    @property
    def metric_errors(self) -> list[str]:
        """What the metric raised."""
        return [outcome.error for outcome in self.outcomes if outcome.scored is None]

    def parts(self) -> dict[str, float]:
        """Mean of each part, over the answers that have it."""
        found: dict[str, list[float]] = {}
        for outcome in self.outcomes:
            for part, value in (outcome.scored.parts if outcome.scored else {}).items():
                found.setdefault(part, []).append(value)
        return {part: round(mean(values), 4) for part, values in sorted(found.items())}


async def evaluate(
    leaf: dspy.Module,
    task: Task,
    examples: Sequence[dspy.Example],
    samples: int = 1,
    concurrency: int = 2,
    on_done: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Score a leaf on examples with the LM bound to the task's role.

    Args:
        leaf: the program.
        task: scores the answers.
        examples: of the task.
        samples: answers to each example, each drawn anew.
        concurrency: calls in flight.
        on_done: called after each answer.

    Raises:
        RoleError: if the LM does not answer.
    """
    seats = asyncio.Semaphore(concurrency)
    lm = dspy.settings.lms[task.role]

    async def one(example: dspy.Example, sample: int) -> Outcome:
        # A sample is a rollout of its own, so that a cache does not give the first answer again.
        async with seats:
            with dspy.context(lms={**dspy.settings.lms, task.role: lm.copy(rollout_id=sample + 1)}):
                outcome = await _outcome(leaf, task, example, sample)
        on_done()
        return outcome

    jobs = [asyncio.create_task(one(example, sample)) for sample in range(samples) for example in examples]
    try:
        return Evaluation(list(await asyncio.gather(*jobs)))
    finally:
        for job in jobs:
            job.cancel()


async def _outcome(leaf: dspy.Module, task: Task, example: dspy.Example, sample: int) -> Outcome:
    inputs: dict[str, Any] = example.inputs().toDict()
    shown = [dict(demo) for demo in leaf.predictors()[0].demos]
    try:
        answer = await ask(task.role, leaf, **inputs)
        return Outcome(example.item, sample, await asyncio.to_thread(task.score, example.item, inputs, answer, shown))
    except BadAnswer as error:
        return Outcome(example.item, sample, Scored(0.0, str(error), {}), failed=True, error=str(error))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        return Outcome(example.item, sample, None, error=f"{type(error).__name__}: {error}")
