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
    from socialsim.compile.session import CompileConfig

LM_DEFAULT = CompileLMOptions()
Some = Annotated[int, Parameter(validator=Number(gte=1))]


@Parameter(name="*")
@dataclass(frozen=True)
class EffortOptions:
    """How much is tried and measured."""

    demos: Annotated[int, Parameter(validator=Number(gte=0, lte=16))] = 2
    """Examples in the compiled prompt at most."""
    candidates: Some = 6
    """Programs to try (gepa: rounds over the validation set)."""
    threshold: Annotated[float, Parameter(validator=Number(gte=0, lte=1))] = 0.8
    """Score from which an LM's own answer may become an example."""
    per_dialogue: Some = 4
    """Examples each dialogue gives."""
    samples: Some = 1
    """Answers to each held-out example."""
    scenarios: Annotated[int | None, Parameter(validator=Number(gte=1))] = None
    """Scenarios of each set used at most, for a quick try. Default: all."""
    concurrency: Annotated[int | None, Parameter(validator=Number(gte=1, lte=512))] = None
    """Calls in flight. Default: 2 in process, 16 elsewhere."""
    seed: int = 0
    """Of every random choice."""


EFFORT_DEFAULT = EffortOptions()


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
    lms: CompileLMOptions = LM_DEFAULT,
) -> None:
    """Optimise one leaf program for an LM, and measure it on held-out scenarios before and after.

    Writes **OUT/PROGRAM/LM.OPTIMIZER.json** and its card. If it beats the uncompiled program on held-out scenarios (95%
    interval above zero), it becomes **OUT/PROGRAM/LM.json**, which `socialsim run` picks up. A killed compile goes on
    where it was: run the same command again.

    Parameters
    ----------
    program
        persona, seeker, supporter or onepass.
    optimizer
        labeled, bootstrap, mipro, gepa or simba.
    out
        Folder of compiled programs.
    max_cost
        USD to spend at most.
    weights
        JSON file with other weights of the composite metric.
    """
    from socialsim.cli.compiling import execute

    execute(_config(program, optimizer, out, max_cost, weights, effort, lms))


def _config(
    program: str,
    optimizer: str,
    out: Path,
    max_cost: float | None,
    weights: Path | None,
    effort: EffortOptions,
    lms: CompileLMOptions,
) -> CompileConfig:
    from socialsim.compile.optimizers import Effort, Optimizer
    from socialsim.compile.session import CompileConfig
    from socialsim.compile.tasks import tasks

    if program not in tasks():
        raise UsageError(f"compile {program}: use {', '.join(tasks())}")
    if optimizer not in list(Optimizer):
        raise UsageError(f"--optimizer {optimizer}: use {', '.join(Optimizer)}")
    specs = lms.resolve()
    local = all(spec.in_process for spec in specs.values())
    concurrency = effort.concurrency or (2 if local else 16)
    return CompileConfig(
        program=program,
        optimizer=Optimizer(optimizer),
        lms=specs,
        out=out,
        effort=Effort(effort.demos, effort.candidates, effort.threshold, concurrency, effort.seed),
        weights=_weights(weights),
        per_dialogue=effort.per_dialogue,
        samples=effort.samples,
        shots=1 if local else 3,
        scenarios=effort.scenarios,
        judged=lms.judge_lm is not None,
        max_cost=max_cost,
    )


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
) -> None:
    """Score one compiled program on several LMs: is it tied to the one it was compiled for?

    Parameters
    ----------
    program
        persona, seeker, supporter or onepass.
    lms
        LM specs, comma-separated.
    state
        The compiled program. Default: the one a run would use for the first LM.
    """
    from socialsim.cli.compiling import show_portability

    specs = [spec.strip() for spec in lms.split(",") if spec.strip()]
    if not specs:
        raise UsageError("--lms is empty; name LM specs, comma-separated")
    show_portability(program, specs, state, effort)
