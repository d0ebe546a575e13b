"""DSPy's optimisers, each with the few settings that matter here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any

import dspy

from socialsim.artifacts import NEAREST
from socialsim.compile.metric import Metric
from socialsim.compile.prune import Pruner
from socialsim.errors import UsageError

Examples = list[dspy.Example]


class Optimizer(StrEnum):
    """Names on the command line."""

    LABELED = "labeled"
    BOOTSTRAP = "bootstrap"
    MIPRO = "mipro"
    GEPA = "gepa"
    SIMBA = "simba"
    PRUNE = "prune"
    NEAREST = "nearest"


@dataclass(frozen=True)
class Effort:
    """How hard an optimiser tries.

    Attributes:
        demos: examples in a compiled prompt at most.
        labeled: authored ones among them at most.
        candidates: programs (bootstrap, MIPRO, SIMBA), or calls in rounds over the validation set (GEPA), to try.
        threshold: score from which an LM's own answer may become an example.
        validation: validation examples to choose by; None for all.
        concurrency: calls in flight.
        seed: of every random choice.
    """

    demos: int = 2
    labeled: int = 2
    candidates: int = 6
    threshold: float = 0.8
    validation: int | None = None
    concurrency: int = 2
    seed: int = 0


@dataclass(frozen=True)
class Workbench:
    """What an optimiser works with.

    Attributes:
        name: of the optimiser.
        metric: scores an answer.
        train: examples it may learn from.
        validation: examples it may choose by.
        reflection: LM that writes new instructions.
        folder: where GEPA keeps its state.
        answered: whether examples hold an answer and so may stand in a prompt as they are.
    """

    name: str
    metric: Metric
    train: Examples
    validation: Examples
    reflection: dspy.LM
    folder: Path
    effort: Effort
    answered: bool = True

    @property
    def chosen_by(self) -> Examples:
        """The validation examples it chooses by, drawn by seed.

        Every n-th would be the same turn of each dialogue, and a program that fails later on would win.
        """
        total = len(self.validation)
        most = min(self.effort.validation or total, total)
        drawn = Random(f"{self.effort.seed}:validation").sample(range(total), most)
        return [self.validation[index] for index in sorted(drawn)]

    @property
    def labeled_demos(self) -> int:
        """Examples that may stand in a prompt as they are."""
        return self.effort.labeled if self.answered else 0


def optimise(name: Optimizer, leaf: dspy.Module, bench: Workbench) -> dspy.Module:
    """Run an optimiser on a leaf; the result may share nothing with the leaf but its class.

    Raises:
        UsageError: if the optimiser cannot work with these examples or settings.
    """
    if name in (Optimizer.LABELED, Optimizer.BOOTSTRAP) and not bench.effort.demos:
        raise UsageError(f"--demos 0 leaves {name} nothing to choose; allow an example, or use gepa")
    compiled: dspy.Module = _OPTIMISERS[name](leaf, bench)
    return compiled


def _labeled(leaf: dspy.Module, bench: Workbench) -> Any:
    """Authored examples: the best of several draws, since an LM can take one badly and the next one well."""
    if not bench.answered:
        raise UsageError("--optimizer labeled: ratings are no answers to show; use bootstrap, mipro, gepa or simba")
    effort = bench.effort
    if effort.candidates == 1:
        return dspy.LabeledFewShot(k=effort.demos).compile(leaf, trainset=bench.train)
    evaluate = dspy.Evaluate(devset=bench.chosen_by, metric=bench.metric.score, num_threads=effort.concurrency)
    drawn = [_draw(leaf, bench, Random(f"{effort.seed}:{number}")) for number in range(effort.candidates)]
    return max(drawn, key=lambda program: evaluate(program).score)


def _draw(leaf: dspy.Module, bench: Workbench, random: Random) -> Any:
    examples = random.sample(bench.train, len(bench.train))
    size = random.randint(1, bench.effort.demos)
    return dspy.LabeledFewShot(k=size).compile(leaf, trainset=examples, sample=False)


def _nearest(leaf: dspy.Module, bench: Workbench) -> Any:
    """All authored examples in the state; each call shows those nearest to its post, as many as serve best."""
    if not hasattr(leaf, NEAREST):
        raise UsageError(
            "--optimizer nearest: for persona only; a dialogue's examples stay the same for the prompt cache"
        )
    evaluate = dspy.Evaluate(
        devset=bench.chosen_by, metric=bench.metric.score, num_threads=bench.effort.concurrency, display_progress=False
    )

    def with_nearest(count: int) -> dspy.Module:
        program = dspy.LabeledFewShot(k=len(bench.train)).compile(leaf, trainset=bench.train, sample=False)
        setattr(program, NEAREST, count)
        return program

    tried = [with_nearest(count) for count in range(1, max(bench.effort.demos, 1) + 1)]
    return max(tried, key=lambda program: evaluate(program).score)


def _bootstrap(leaf: dspy.Module, bench: Workbench) -> Any:
    effort = bench.effort
    optimizer = dspy.BootstrapFewShotWithRandomSearch(
        metric=bench.metric.score,
        max_bootstrapped_demos=effort.demos,
        max_labeled_demos=bench.labeled_demos,
        num_candidate_programs=effort.candidates,
        num_threads=effort.concurrency,
        metric_threshold=effort.threshold,  # without it even an answer worth nothing would become an example
    )
    return optimizer.compile(leaf, trainset=bench.train, valset=bench.chosen_by)


def _mipro(leaf: dspy.Module, bench: Workbench) -> Any:
    effort = bench.effort
    optimizer = dspy.MIPROv2(
        metric=bench.metric.score,
        prompt_model=bench.reflection,
        task_model=dspy.settings.lm,
        max_bootstrapped_demos=effort.demos,
        max_labeled_demos=bench.labeled_demos,
        auto=None,
        num_candidates=effort.candidates,
        num_threads=effort.concurrency,
        seed=effort.seed,
        metric_threshold=effort.threshold,
    )
    trials = 2 * effort.candidates
    size = max(2, len(bench.chosen_by) // 2)
    try:
        return optimizer.compile(
            leaf,
            trainset=bench.train,
            valset=bench.chosen_by,
            num_trials=trials,
            minibatch_size=size,
            minibatch_full_eval_steps=max(2, trials // 2),
            view_data_batch_size=3,
            # Reading our source code into a prompt helps no small model and overflows its context.
            program_aware_proposer=False,
        )
    except ImportError as error:
        raise UsageError("--optimizer mipro needs optuna; run: pip install 'socialsim[metrics]'") from error


def _gepa(leaf: dspy.Module, bench: Workbench) -> Any:
    return _evolve(leaf, bench, reflection_lm=bench.reflection)


def _prune(leaf: dspy.Module, bench: Workbench) -> Any:
    """GEPA for LMs too small to reflect: a proposal leaves out part of the instructions."""
    return _evolve(leaf, bench, instruction_proposer=Pruner(bench.effort.seed))


def _evolve(leaf: dspy.Module, bench: Workbench, **proposing: Any) -> Any:
    effort = bench.effort
    optimizer = dspy.GEPA(
        metric=bench.metric.feedback,
        max_metric_calls=effort.candidates * len(bench.chosen_by),
        num_threads=effort.concurrency,
        log_dir=str(bench.folder / bench.name),
        seed=effort.seed,
        **proposing,
    )
    return optimizer.compile(leaf, trainset=bench.train, valset=bench.chosen_by)


def _simba(leaf: dspy.Module, bench: Workbench) -> Any:
    effort = bench.effort
    optimizer = dspy.SIMBA(
        metric=bench.metric.score,
        bsize=min(8, len(bench.train)),
        num_candidates=min(4, effort.candidates),
        max_steps=max(1, effort.candidates // 2),
        max_demos=effort.demos,
        prompt_model=bench.reflection,
        num_threads=effort.concurrency,
    )
    return optimizer.compile(leaf, trainset=[*bench.train, *bench.chosen_by], seed=effort.seed)


_OPTIMISERS: dict[Optimizer, Callable[[dspy.Module, Workbench], Any]] = {
    Optimizer.LABELED: _labeled,
    Optimizer.BOOTSTRAP: _bootstrap,
    Optimizer.MIPRO: _mipro,
    Optimizer.GEPA: _gepa,
    Optimizer.SIMBA: _simba,
    Optimizer.PRUNE: _prune,
    Optimizer.NEAREST: _nearest,
}
