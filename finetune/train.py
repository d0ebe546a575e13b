"""Train a LoRA student: transformers' Trainer on packed dialogues, resumed where it was killed."""

from __future__ import annotations

import json
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from finetune.base import Precision, best_precision, load_model, load_tokenizer
from finetune.chat import ChatFormat
from finetune.dataset import Counted, Lesson, from_row, stored, trees
from finetune.likelihood import likelihoods, perplexity
from finetune.packing import pack, reply_loss, use_packed_attention
from finetune.record import DataRecord, TrainingRecord, read_record, versions, write_curve
from finetune.settings import TrainingSettings
from socialsim.errors import OutputError, UsageError

CHECKPOINTS: Final = "checkpoints"
_DATA: Final = "tokens"


@dataclass(frozen=True)
class Step:
    """How far a training is; a progress display reads it.

    Attributes:
        step: optimiser steps done, of ``steps``.
        loss: last logged one, nats a token.
    """

    step: int
    steps: int
    loss: float | None


@dataclass(frozen=True)
class Task:
    """One training.

    Attributes:
        record: what is known beforehand: settings, variant, data.
        lessons: gives the corpus, as often as it is asked.
        test: gives the held-out corpus, if there is one.
        out: the student's folder.
        on_step: told after each optimiser step, in the first process only.
    """

    record: TrainingRecord
    lessons: Callable[[], Iterator[Lesson]]
    out: Path
    test: Callable[[], Iterator[Lesson]] | None = None
    on_step: Callable[[Step], None] = lambda _: None


def train(task: Task) -> TrainingRecord:
    """Train, or go on where an earlier session was killed; a finished student is left as it is.

    Several GPUs: start the same command through ``accelerate launch`` or ``torchrun``.

    Returns:
        The record, as written to the folder.

    Raises:
        SocialSimError: in one line, where the base, the corpus, the folder or the memory does not do.
    """
    before = _refuse_other(task)
    if before and before.finished:
        return before
    try:
        with _memory_told(task.record.settings), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries, about one another
            return _Training(task, before).execute()
    except OSError as error:
        raise OutputError(
            f"{task.out}: {error.strerror or error}; make room, then run again: checkpoints are kept"
        ) from error


def _refuse_other(task: Task) -> TrainingRecord | None:
    """The record of an earlier session on the folder.

    Raises:
        OutputError: if the folder holds something else, or a training of other settings or data.
    """
    before = read_record(task.out)
    if before is None:
        if task.out.is_dir() and any(task.out.iterdir()):
            raise OutputError(f"{task.out} is not empty and holds no training; name another --out")
        return None
    for name in ("settings", "variant", "roles", "plain", "data", "test"):
        old, new = getattr(before, name), getattr(task.record, name)
        if _key(old) != _key(new):
            raise OutputError(f"{task.out} was trained with other {name} ({_difference(old, new)}); name another --out")
    return before


def _key(part: Any) -> Any:
    return part.sha256 if isinstance(part, DataRecord) else part


def _difference(old: Any, new: Any) -> str:
    if isinstance(old, DataRecord) or isinstance(new, DataRecord) or old is None or new is None:
        return f"{getattr(old, 'source', old)}, now {getattr(new, 'source', new)}"
    if not hasattr(old, "model_fields"):
        return f"{old}, now {new}"
    name = next(name for name in type(old).model_fields if getattr(old, name) != getattr(new, name))
    return f"{name} {getattr(old, name)}, now {getattr(new, name)}"


@contextmanager
def _memory_told(settings: TrainingSettings) -> Iterator[None]:
    """Out of memory ends with what to lower."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        full = isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in str(error)
        if not full:
            raise
        ways = [f"--batch (now {settings.batch}; raise --accumulation as much)"] if settings.batch > 1 else []
        ways += [f"--cutoff (now {settings.cutoff})"]
        also = [] if settings.checkpointing else ["--checkpointing"]
        also += [] if settings.four_bit else ["--four-bit (CUDA)"]
        more = f", or add {' or '.join(also)}" if also else ""
        raise UsageError(f"out of memory: lower {' or '.join(ways)}{more}; the same command goes on") from error


class _Training:
    """One session of a training."""

    def __init__(self, task: Task, before: TrainingRecord | None) -> None:
        self.task, self.settings = task, task.record.settings
        self.started = time.monotonic()
        self.earlier = before.seconds if before else 0.0
        self.precision = best_precision(self.settings.precision)
        self.rows: list[dict[str, Any]] = []
        self.tokenizer = load_tokenizer(self.settings.base)
        self.format = ChatFormat(self.tokenizer, task.record.plain)
        self.args = _arguments(self.settings, task.out, self.precision)

    def execute(self) -> TrainingRecord:
        task = self.task
        with self.args.main_process_first(desc="tokens"):
            data, counted = self._tokens(task.lessons, task.record.data)
        self.record = task.record.model_copy(
            update={
                "data": task.record.data.model_copy(update=vars(counted)),
                "versions": versions(),
                "device": device_name(),
                "precision": self.precision,
            }
        )
        if self.first:
            self.record.write(task.out)
        self.test = list(trees(task.test(), self.format, self.settings.cutoff)) if task.test and self.first else []
        model = adapted_base(self.settings, self.precision)
        trainer = self._trainer(model, data)
        begin = _last_checkpoint(task.out / CHECKPOINTS)
        self._restore(begin)
        if self.test and not begin:
            self._note(0, 0.0, held_out=self._held_out(model))
        done = trainer.train(resume_from_checkpoint=str(begin) if begin else None)
        return self._finish(trainer, done.metrics["train_runtime"], done.global_step)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return bool(self.args.process_index == 0)

    def _tokens(self, lessons: Callable[[], Iterator[Lesson]], data: DataRecord) -> tuple[Any, Counted]:
        counted, folder = Counted(), self.task.out / _DATA
        made = stored(lambda: trees(lessons(), self.format, self.settings.cutoff, counted), folder, data.sha256[:32])
        counts = folder / "counts.json"
        if counted.dialogues:
            counts.write_text(json.dumps(vars(counted)))
        if not len(made):
            raise UsageError(f"{data.source}: no reply to learn in it")
        return made, Counted(**json.loads(counts.read_text()))

    def _trainer(self, model: PeftModel, data: Any) -> Trainer:
        trainer = Trainer(
            model=model,
            args=self.args,
            train_dataset=data,
            data_collator=lambda rows: pack([from_row(row) for row in rows]),
            compute_loss_func=reply_loss,
            callbacks=[_Watch(self)],
        )
        for unwanted in (PrinterCallback, ProgressCallback):
            trainer.remove_callback(unwanted)
        return trainer

    def note(self, state: Any, logs: dict[str, Any]) -> None:
        """Take a row of the curve."""
        if "loss" in logs:
            self._note(state.global_step, state.epoch, logs["loss"], logs.get("learning_rate"))

    def epoch_ended(self, state: Any, model: Any) -> None:
        """Measure the held-out corpus."""
        if self.test:
            self._note(state.global_step, state.epoch, held_out=self._held_out(model))

    def _held_out(self, model: Any) -> float | None:
        return perplexity(likelihoods(model, self.test, self.settings.batch))

    def _note(
        self,
        step: int,
        epoch: float,
        loss: float | None = None,
        rate: float | None = None,
        held_out: float | None = None,
    ) -> None:
        row = {"step": step, "epoch": round(epoch, 4), "loss": loss, "learning_rate": rate, "held_out": held_out}
        self.rows.append(row)
        (self.task.out / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        if self.first:
            (self.task.out / CHECKPOINTS / "curve.json").write_text(json.dumps(self.rows))

    def _restore(self, checkpoint: Path | None) -> None:
        """Take over the curve of earlier sessions, up to the checkpoint."""
        file = self.task.out / CHECKPOINTS / "curve.json"
        if checkpoint and file.is_file():
            reached = int(checkpoint.name.rpartition("-")[2])
            self.rows = [row for row in json.loads(file.read_text()) if row["step"] <= reached]

    def _finish(self, trainer: Trainer, seconds: float, steps: int) -> TrainingRecord:
        data, settings, out = self.record.data, self.settings, self.task.out
        trainer.save_model(str(out))
        losses = [row["loss"] for row in self.rows if row["loss"] is not None]
        session = steps - self.begun
        share = session / steps if steps else 0.0  # of the work this session did
        self.record = self.record.model_copy(
            update={
                "finished": True,
                "steps": steps,
                "seconds": round(self.earlier + time.monotonic() - self.started, 1),
                "tokens_per_second": round(data.tokens * settings.epochs * share / seconds, 1) if session else None,
                "replies_per_second": round(data.trained * settings.epochs * share / seconds, 1) if session else None,
                "loss": losses[-1] if losses else None,
                "held_out": tuple(row["held_out"] for row in self.rows if row["held_out"] is not None),
            }
        )
        if self.first:
            self.tokenizer.save_pretrained(str(out))
            write_curve(out, self.rows)
            self.record.write(out)
            for folder in (CHECKPOINTS, _DATA):
                shutil.rmtree(out / folder, ignore_errors=True)
        return self.record

    begun = 0


class _Watch(TrainerCallback):
    def __init__(self, training: _Training) -> None:
        self.training = training

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.training.begun = state.global_step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            losses = [row["loss"] for row in self.training.rows if row["loss"] is not None]
            self.training.task.on_step(Step(state.global_step, state.max_steps, losses[-1] if losses else None))

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        self.training.note(state, logs or {})

    def on_epoch_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self.training.epoch_ended(state, model)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        training = self.training
        if training.first:  # so that a killed session's time is counted, too
            spent = round(training.earlier + time.monotonic() - training.started, 1)
            training.record.model_copy(update={"seconds": spent}).write(training.task.out)


def _arguments(settings: TrainingSettings, out: Path, precision: str) -> TrainingArguments:
    args = TrainingArguments(
        output_dir=str(out / CHECKPOINTS),
        per_device_train_batch_size=settings.batch,
        gradient_accumulation_steps=settings.accumulation,
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,  # below 1: a share of all steps
        optim="adamw_torch",
        weight_decay=0.0,
        logging_steps=settings.logging,
        save_steps=0.05,
        save_total_limit=2,
        seed=settings.seed,
        fp16=precision == "float16" and torch.cuda.is_available(),
        gradient_checkpointing=settings.checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if settings.checkpointing else None,
        ddp_find_unused_parameters=False,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        disable_tqdm=True,
        report_to=[],
    )
    # Without a launcher transformers would spread a row over all GPUs; a packed row cannot be cut.
    if args.parallel_mode.name == "NOT_DISTRIBUTED":
        args._n_gpu = min(1, args.n_gpu)
    return args


def adapted_base(settings: TrainingSettings, precision: Precision) -> PeftModel:
    """The base with a fresh adapter, packed attention on.

    Raises:
        LMSpecError: if the base cannot be loaded.
        UsageError: if it lacks a layer that is to be adapted.
    """
    model = load_model(settings.base, precision, settings.four_bit)
    names = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    if missing := [name for name in settings.targets if name not in names]:
        raise UsageError(f"base {settings.base} has no layer {', '.join(missing)}; name its layers with --targets")
    use_packed_attention(model)
    if settings.checkpointing:
        model.enable_input_require_grads()
    torch.manual_seed(settings.seed)
    lora = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.targets),
        task_type="CAUSAL_LM",
    )
    model.name_or_path = settings.base  # what the adapter's own files will name
    return get_peft_model(model, lora)


def _last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end; Trainer writes its state last."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    return next((path for path in found if _whole(path)), None)


def _whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / "trainer_state.json").read_text())
    except (OSError, ValueError):
        return False
    return (checkpoint / "adapter_model.safetensors").is_file() and (checkpoint / "optimizer.pt").is_file()


def device_name() -> str:
    """What a training runs on."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return f"CPU, {torch.get_num_threads()} threads"
