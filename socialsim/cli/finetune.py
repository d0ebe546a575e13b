"""Commands that distil: finetune, merge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter
from cyclopts.validators import Number

from socialsim.cli.split import TRAINING

if TYPE_CHECKING:
    from rich.console import Console

    from finetune.record import TrainingRecord
    from finetune.train import Step

Positive = Annotated[int | None, Parameter(validator=Number(gte=1))]


@Parameter(name="*")
@dataclass(frozen=True)
class SettingOptions:
    """What differs from the preset."""

    base: str | None = None
    """Base model: a hub id, a folder, PATH.gguf, or embedded (SmolLM2-135M)."""
    epochs: float | None = None
    """Passes over the corpus."""
    learning_rate: Annotated[float | None, Parameter(name=("--learning-rate", "--lr"))] = None
    """Highest learning rate."""
    rank: Positive = None
    """LoRA rank."""
    alpha: float | None = None
    """LoRA alpha."""
    targets: tuple[str, ...] | None = None
    """Layers to adapt, such as q_proj v_proj."""
    batch: Positive = None
    """Dialogues a step on each device."""
    accumulation: Positive = None
    """Steps whose gradients are added up."""
    cutoff: Positive = None
    """Tokens a reply may have with all of its history."""
    precision: str | None = None
    """auto, float32, bfloat16 or float16."""
    four_bit: Annotated[bool | None, Parameter(negative=())] = None
    """Load the base in 4 bits (CUDA, bitsandbytes)."""
    checkpointing: Annotated[bool | None, Parameter(negative=())] = None
    """Recompute activations: slower, far less memory."""
    seed: int | None = None
    """Of initial weights, order and dropout."""


SETTINGS_DEFAULT = SettingOptions()


def register(app: cyclopts.App) -> None:
    """Add the commands."""
    for command in (finetune, perplexity, merge):
        app.command(command, group=TRAINING)


def finetune(
    *corpus: str,
    variant: str = "response",
    preset: str = "paper",
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    test: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    history: str = "replies",
    roles: Annotated[tuple[str, ...], Parameter(negative=())] = ("seeker", "supporter", "persona"),
    plain: Annotated[bool, Parameter(negative=())] = False,
    bench: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    settings: SettingOptions = SETTINGS_DEFAULT,
) -> None:
    """Train a LoRA student on a corpus; a killed training goes on where it was when the command is run again.

    Example: **socialsim finetune esconv/train.jsonl --test esconv/test.jsonl --preset cpu --out students/esconv**

    Several GPUs: **accelerate launch -m socialsim finetune …**

    Parameters
    ----------
    corpus
        Corpus files, run folders, or demonstrations (also demonstrations:train).
    variant
        response: the reply; reasoning: all four nodes first; strategy; any list of nodes (situation,strategy); or
        program: the programs' own prompts, so that the student plays any role (needs personas).
    preset
        paper (Llama-2-7b, the paper's settings), small (1.7B, one GPU), cpu (the embedded model).
    out
        Folder of the student: adapter, tokenizer, training.json, loss.csv, loss.png.
    test
        Held-out corpus; its perplexity is measured before, after each epoch and at the end.
    history
        replies: earlier replies in a prompt are shown without their reasoning; reasoning: with it.
    roles
        For program: which programs' prompts.
    plain
        Use the plain format although the base has a chat template.
    bench
        Train nothing; measure the speed on so many dialogues, against two plain loops. The base random:llama-2-7b is
        that architecture with random weights.
    """
    from rich.console import Console

    from finetune.base import needs
    from finetune.settings import preset as preset_of
    from socialsim.errors import UsageError

    if not corpus:
        raise UsageError("finetune: name a corpus, such as a run folder, train.jsonl or demonstrations")
    chosen = preset_of(preset, **{field.name: getattr(settings, field.name) for field in fields(settings)})
    needs("datasets", "accelerate", "matplotlib")
    if out is None and not bench:
        raise UsageError("finetune: name the student's folder with --out")
    from finetune.folder import is_first
    from socialsim.finetuning import Wish, prepare

    record, lessons, held_out = prepare(Wish(corpus, test, variant, history, roles, plain, chosen))
    console = Console(highlight=False, quiet=not is_first())
    if bench:
        from socialsim.report.speed import speed_table, training_speeds

        console.print(speed_table(*training_speeds(record, lessons(), bench)))
    elif out:
        with _stoppable(console, out):
            from finetune.train import Task, train

            with _shown(console) as on_step:
                done = train(Task(record, lessons, out, held_out, on_step))
        _report(console, done, out)


@contextmanager
def _stoppable(console: Console, out: Path) -> Iterator[None]:
    """Ctrl-C ends with how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        console.print(f"\nStopped. Run the same command again to go on in {out}.", soft_wrap=True)
        raise SystemExit(130) from None


@contextmanager
def _shown(console: Console) -> Iterator[Callable[[Step], None]]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    if not console.is_terminal:
        yield lambda step: _line(console, step)
        return
    columns = (
        TextColumn("[bold]steps"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("ETA"), TimeRemainingColumn(), TextColumn("[dim]{task.description}"),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("loading", total=None)

        def update(step: Step) -> None:
            loss = "" if step.loss is None else f"loss {step.loss:.3f}"
            progress.update(task, completed=step.step, total=step.steps, description=loss)

        yield update


def _line(console: Console, step: Step) -> None:
    tenth = max(1, step.steps // 10)
    if step.step % tenth == 0 or step.step == step.steps:
        loss = "" if step.loss is None else f" · loss {step.loss:.3f}"
        console.print(f"steps: {step.step}/{step.steps}{loss}", soft_wrap=True)


def _report(console: Console, record: TrainingRecord, out: Path) -> None:
    data = record.data
    left_out = f", {data.too_long:,} longer than the cutoff left out" if data.too_long else ""
    console.print(
        f"{data.dialogues:,} dialogues, {data.replies:,} replies{left_out}; {data.tokens:,} tokens an epoch "
        f"({data.one_by_one:,} one reply at a time)",
        soft_wrap=True,
    )
    speed = f", {record.replies_per_second:,.0f} reply tokens/s" if record.replies_per_second else ""
    console.print(f"{record.steps:,} steps in {record.seconds:,.0f} s on {record.device} ({record.precision}){speed}")
    if record.held_out:
        console.print(f"held-out perplexity {' → '.join(f'{value:.2f}' for value in record.held_out)}")
    console.print(f"student: {out}    use it: --supporter-lm student:{out}", soft_wrap=True)


def perplexity(student: Path, /, *corpus: str) -> None:
    """How well a student predicts the replies of a corpus it was not trained on, and how well its base does.

    Example: **socialsim perplexity students/esconv esconv/test.jsonl**

    Parameters
    ----------
    student
        Folder of the student.
    corpus
        Corpus files, run folders, or demonstrations (also demonstrations:held_out).
    """
    from rich.console import Console

    from finetune.base import needs
    from socialsim.errors import UsageError

    if not corpus:
        raise UsageError("perplexity: name a held-out corpus after the student's folder")
    needs()
    from finetune.gain import measure
    from finetune.merge import finished
    from socialsim.finetuning import lessons_for
    from socialsim.report.gain import gain_table

    record = finished(student)
    Console(highlight=False).print(gain_table(measure(student, record, lessons_for(record, corpus))))


def merge(
    student: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    gguf: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Write a student as a full model, its adapter merged into the base; or its adapter for llama.cpp.

    Parameters
    ----------
    student
        Folder of the student.
    out
        Folder to write to (with --gguf: file). Default: STUDENT/merged, STUDENT/adapter.gguf.
    gguf
        Write the adapter alone, as a GGUF; use it as **llamacpp:BASE.gguf+ADAPTER.gguf**.
    """
    from finetune.base import needs

    needs()
    from finetune.merge import export_adapter, merge_student

    if gguf:
        print(f"adapter: {export_adapter(student, out or student / 'adapter.gguf')}")
    else:
        print(f"merged model: {merge_student(student, out or student / 'merged')}")
