"""One compiled program on several LMs: a score that holds only for the LM it was compiled for is worth less."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dspy

from metrics.significance import Interval, paired_bootstrap
from socialsim.adapter import CompactAdapter
from socialsim.artifacts import load_state
from socialsim.ask import RoleError
from socialsim.compile.evaluate import Evaluation, evaluate
from socialsim.compile.task import Task
from socialsim.doctor import bind_lm
from socialsim.errors import LMError
from socialsim.lm_errors import explain_lm_error
from socialsim.lms import LMSpec
from socialsim.meter import Meter
from socialsim.prices import price
from socialsim.schema import Usage


@dataclass(frozen=True)
class Ported:
    """A program on one LM.

    Attributes:
        spec: the LM.
        score: mean held-out composite with its 95% interval, scenarios resampled.
        failures: answers that could not be used.
        answers: answers asked for.
        usage: calls, tokens, cost, seconds.
        error: why there is no score, if there is none.
    """

    spec: str
    score: Interval
    failures: int = 0
    answers: int = 0
    usage: Usage = field(default_factory=Usage)
    error: str = ""


def port(
    task: Task,
    specs: Sequence[LMSpec],
    state: Path | None,
    concurrency: int,
    on_done: Callable[[], None] = lambda: None,
) -> Iterator[Ported]:
    """Score a program on the held-out scenarios with each LM, one after the other.

    Args:
        task: the program and its examples.
        specs: the LMs.
        state: compiled state; None for the program without examples.
        concurrency: calls in flight.
        on_done: called after each answer.

    Raises:
        InputError: if the state is not one of this program.
    """
    leaf = task.leaf()
    if state is not None:
        load_state(leaf, state, task.name)
    for spec in specs:
        yield _on(spec, task, leaf, task.sets.held_out, concurrency, on_done)


def _on(
    spec: LMSpec,
    task: Task,
    leaf: dspy.Module,
    examples: list[dspy.Example],
    concurrency: int,
    on_done: Callable[[], None],
) -> Ported:
    try:
        lm = bind_lm(task.role, spec)
        meter, started = Meter({lm.model: price(spec)}), time.monotonic()
        with dspy.context(
            lm=lm, lms={task.role: lm}, adapter=CompactAdapter(), usage_tracker=meter, disable_history=True
        ):
            evaluation = asyncio.run(evaluate(leaf, task, examples, 1, concurrency, on_done))
    except RoleError as error:  # one LM that is down leaves the others' rows
        line = explain_lm_error(task.role, spec.text, error.error)
        return Ported(spec.text, Interval(None, None, None, 0), error=line)
    except LMError as error:
        return Ported(spec.text, Interval(None, None, None, 0), error=str(error))
    usage = meter.usage(time.monotonic() - started)
    return Ported(spec.text, _interval(evaluation), evaluation.failures, len(evaluation.outcomes), usage)


def _interval(evaluation: Evaluation) -> Interval:
    scored = [(outcome.scenario, outcome.scored.score) for outcome in evaluation.outcomes if outcome.scored]
    scores = [score for _, score in scored]
    return paired_bootstrap([0.0] * len(scores), scores, [scenario for scenario, _ in scored])
