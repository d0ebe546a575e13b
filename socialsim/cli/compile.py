"""Commands that optimise programs: compile, portability."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter
from cyclopts.validators import Number

from socialsim.cli.options import CompileLMOptions
from socialsim.errors import UsageError

if TYPE_CHECKING:
    from metrics.composite import Weights
    from socialsim.compile.optimizers import Effort
    from socialsim.compile.task import Task

LM_DEFAULT = CompileLMOptions()
Some = Annotated[int, Parameter(validator=Number(gte=1))]


@Parameter(name="*")
@dataclass(frozen=True)
class EffortOptions:
    """How much is tried and measured."""

    demos: Annotated[int, Parameter(validator=Number(gte=0, lte=16))] = 2
    """Examples in the compiled prompt at most."""
    labeled: Annotated[int | None, Parameter(validator=Number(gte=0, lte=16))] = None
    """Authored examples among them at most; 0 leaves only the LM's own good answers. Default: as many as --demos."""
    candidates: Some = 6
    """Programs to try (gepa, prune: calls, in rounds over the validation set)."""
    threshold: Annotated[float, Parameter(validator=Number(gte=0, lte=1))] = 0.8
    """Score from which an LM's own answer may become an example."""
    per_dialogue: Some = 4
    """Examples each dialogue gives."""
    validation: Annotated[int | None, Parameter(validator=Number(gte=1))] = None
    """Validation examples an optimiser chooses by, drawn by seed. Default: all."""
    samples: Some = 1
    """Answers to each held-out example."""
    scenarios: Annotated[int | None, Parameter(validator=Number(gte=1))] = None
    """Scenarios of each set used at most, for a quick try. Default: all."""
    concurrency: Annotated[int | None, Parameter(validator=Number(gte=1, lte=512))] = None
    """Calls in flight. Default: 2 in process, 16 elsewhere."""
    seed: int = 0
    """Of every random choice."""

    def resolve(self, concurrency: int) -> Effort:
        """What an optimiser is given."""
        from socialsim.compile.optimizers import Effort

        return Effort(
            demos=self.demos,
            labeled=self.demos if self.labeled is None else self.labeled,
            candidates=self.candidates,
            threshold=self.threshold,
            validation=self.validation,
            concurrency=concurrency,
            seed=self.seed,
        )


@Parameter(name="*")
@dataclass(frozen=True)
class LabelOptions:
    """People's ratings, for a judge."""

    labels: Path | None = None
    """Ratings to compile a judge against; as for `socialsim calibrate`."""
    corpus: Path | None = None
    """Run folder or corpus file with the rated dialogues. Default: those in the label file."""
    scale: str | None = None
    """Lowest and highest rating, such as 1-5."""
    mapping: Annotated[tuple[str, ...], Parameter(name="--map", negative=())] = ()
    """What a label stands for, such as empathy=understanding."""


EFFORT_DEFAULT, LABELS_DEFAULT = EffortOptions(), LabelOptions()


def register(app: cyclopts.App) -> None:
    """Add the commands."""
    group = cyclopts.Group("Optimise programs", sort_key=4)
    for command in (compile, portability):
        app.command(command, group=group)


def compile(
    program: str,
    /,
    *,
    optimizer: str = "bootstrap",
    out: Annotated[Path, Parameter(name=("--out", "-o"))] = Path("compiled"),
    max_cost: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    weights: Path | None = None,
    effort: EffortOptions = EFFORT_DEFAULT,
    labels: LabelOptions = LABELS_DEFAULT,
    lms: CompileLMOptions = LM_DEFAULT,
) -> None:
    """Optimise one leaf program for an LM, and measure it on held-out scenarios before and after.

    Writes **OUT/PROGRAM/LM.OPTIMIZER.json** and its card. If it beats the uncompiled program on held-out scenarios (95%
    interval above zero), it becomes **OUT/PROGRAM/LM.json**, which `socialsim run` picks up. A killed compile goes on
    where it was: run the same command again.

    Parameters
    ----------
    program
        persona, seeker, supporter, onepass or judge.
    optimizer
        labeled, bootstrap, mipro, gepa, simba; or prune, GEPA for LMs too small to write instructions: it leaves out
        parts of them; or nearest (persona), which shows each post the authored examples most like it.
    out
        Folder of compiled programs.
    max_cost
        USD to spend at most.
    weights
        JSON file with other weights of the composite metric.
    """
    from socialsim.cli.compiling import execute
    from socialsim.compile.optimizers import Optimizer
    from socialsim.compile.session import CompileConfig
    from socialsim.lms import usual_shots

    if optimizer not in list(Optimizer):
        raise UsageError(f"--optimizer {optimizer}: use {', '.join(Optimizer)}")
    specs = lms.resolve()
    composite = _weights(weights)
    task = make_task(program, effort, composite, labels, judged=lms.judge_lm is not None)
    local = specs[task.role].in_process
    concurrency = effort.concurrency or (2 if local else 16)
    config = CompileConfig(
        optimizer=Optimizer(optimizer),
        lms=specs,
        out=out,
        effort=effort.resolve(concurrency),
        weights=composite,
        samples=effort.samples,
        shots=usual_shots([specs[task.role]]),
        max_cost=max_cost,
    )
    execute(task, config)


def make_task(
    program: str, effort: EffortOptions, weights: Weights, labels: LabelOptions, judged: bool = False
) -> Task:
    """The program to compile, with its examples.

    Raises:
        UsageError: if it is unknown, or is a judge without labels.
    """
    from socialsim.compile.demonstrated import Sets
    from socialsim.compile.judging import RuleJudge
    from socialsim.compile.tasks import DEMONSTRATED, JUDGE, NAMES

    if program not in NAMES:
        raise UsageError(f"program {program}: use {', '.join(NAMES)}")
    if program != JUDGE:
        judge = RuleJudge() if judged and program != "persona" else None
        return DEMONSTRATED[program](Sets.read(effort.scenarios), effort.per_dialogue, weights, judge)
    if labels.labels is None:
        raise UsageError("a judge is compiled against people's ratings; name them with --labels")
    return _judge_task(labels, effort.scenarios)


def _judge_task(options: LabelOptions, most: int | None) -> Task:
    from socialsim.calibrating import corpus_dialogues
    from socialsim.compile.judged import JudgeTask
    from socialsim.labels import Scale, labelled_items, parse_mapping, read_labels

    assert options.labels is not None
    scale = Scale.parse(options.scale) if options.scale else None
    labels = read_labels(options.labels, scale, parse_mapping(options.mapping)).first(most)
    return JudgeTask(labelled_items(labels, corpus_dialogues(options.corpus) if options.corpus else None))


def _weights(path: Path | None) -> Weights:
    from pydantic import ValidationError

    from metrics.composite import DEFAULT_WEIGHTS, Weights
    from socialsim.errors import InputError

    if path is None:
        return DEFAULT_WEIGHTS
    try:
        return Weights.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(path, f"not weights ({str(error).splitlines()[0]})") from error


def portability(
    program: str,
    /,
    *,
    lms: str = "embedded",
    state: Path | None = None,
    effort: EffortOptions = EFFORT_DEFAULT,
    labels: LabelOptions = LABELS_DEFAULT,
) -> None:
    """Score one compiled program on several LMs: is it tied to the one it was compiled for?

    Parameters
    ----------
    program
        persona, seeker, supporter, onepass or judge.
    lms
        LM specs, comma-separated.
    state
        The compiled program. Default: the one a run would use for the first LM.
    """
    from metrics.composite import DEFAULT_WEIGHTS
    from socialsim.cli.compiling import show_portability

    specs = [spec.strip() for spec in lms.split(",") if spec.strip()]
    if not specs:
        raise UsageError("--lms is empty; name LM specs, comma-separated")
    show_portability(make_task(program, effort, DEFAULT_WEIGHTS, labels), specs, state, effort.concurrency)
