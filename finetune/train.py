"""Train a LoRA student: transformers' Trainer on packed dialogues, resumed where it was killed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import SafetensorError
from torch.nn.functional import pad
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from finetune.base import Precision, best_precision, load_model, load_tokenizer, quiet
from finetune.chat import ChatFormat
from finetune.dataset import Counted, Lesson, from_row, stored, trees
from finetune.folder import CHECKPOINTS, TOKENS, clear, earlier_session, held, last_checkpoint, reached
from finetune.likelihood import likelihoods, perplexity
from finetune.packing import attention_window, pack, packs_alike, reply_loss
from finetune.record import FILE, DataRecord, TrainingRecord, versions, write_curve
from finetune.settings import TrainingSettings
from finetune.tree import TokenTree
from socialsim.errors import OutputError, UsageError
from socialsim.journal import write_atomically


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
    with held(task.out):
        before = earlier_session(task.out, task.record)
        if before and before.finished:
            return before
        with _disk_told(task.out), _memory_told(task.record.settings), quiet():
            return _Training(task, before).execute()


@contextmanager
def _disk_told(out: Path) -> Iterator[None]:
    """A disk that is full, or refuses, ends with what to do; torch and safetensors raise errors of their own for it."""
    try:
        yield
    except OSError as error:
        raise OutputError(_disk(out, error.strerror or str(error))) from error
    except (RuntimeError, SafetensorError) as error:
        words = ("PytorchStreamWriter", "inline_container", "iostream error")  # of torch's writer of files
        if not isinstance(error, SafetensorError) and not any(word in str(error) for word in words):
            raise
        raise OutputError(_disk(out, "a checkpoint could not be written, the disk may be full")) from error


def _disk(out: Path, reason: str) -> str:
    return f"{out}: {reason}; make room, then run the same command again: finished checkpoints are kept"


@contextmanager
def _memory_told(settings: TrainingSettings) -> Iterator[None]:
    """Out of memory ends with what to lower."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        words = ("allocate memory", "ALLOC_FAILED")  # of the CPU's allocator, and of CUDA's libraries
        full = isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(word in str(error) for word in words)
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
        self.measured = 0.0  # seconds spent on the held-out corpus
        self.precision = best_precision(self.settings.precision)
        self.rows: list[dict[str, Any]] = []
        self.tokenizer = load_tokenizer(self.settings.base)
        self.format = ChatFormat(self.tokenizer, task.record.plain)
        self.args = _arguments(self.settings, task.out, self.precision)

    def execute(self) -> TrainingRecord:
        task = self.task
        if self.first:
            task.record.write(task.out)
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
        self.test = self._held_out_trees() if self.first else []
        model = adapted_base(self.settings, self.precision)
        trainer = self._trainer(model, data)
        begin = last_checkpoint(task.out)
        self._restore(begin)
        if self.test and not begin:
            self._note(0, 0.0, held_out=self._held_out(model))
        self.measured = 0.0
        done = trainer.train(resume_from_checkpoint=str(begin) if begin else None)
        return self._finish(trainer, done.metrics["train_runtime"] - self.measured, done.global_step)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return bool(self.args.process_index == 0)

    def _tokens(self, lessons: Callable[[], Iterator[Lesson]], data: DataRecord) -> tuple[Any, Counted]:
        counted, folder = Counted(), self.task.out / TOKENS
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
            data_collator=_collated,
            compute_loss_func=_loss,
            callbacks=[_Watch(self)],
        )
        for unwanted in (PrinterCallback, ProgressCallback):
            trainer.remove_callback(unwanted)
        return trainer

    def note(self, state: Any, logs: dict[str, Any]) -> None:
        """Take a row of the curve."""
        if "loss" in logs:
            self._note(state.global_step, state.epoch, logs["loss"], logs.get("learning_rate"))

    def measure(self, state: Any, model: Any) -> None:
        """Measure the held-out corpus, once at a step."""
        if self.test and not any(row["step"] == state.global_step and row["held_out"] for row in self.rows):
            self._note(state.global_step, state.epoch, held_out=self._held_out(model))

    def _held_out(self, model: Any) -> float | None:
        started = time.monotonic()
        found = perplexity(likelihoods(model, self.test, self.settings.batch))
        self.measured += time.monotonic() - started
        return found

    def _held_out_trees(self) -> list[TokenTree]:
        if self.task.test is None or self.record.test is None:
            return []
        counted = Counted()
        found = list(trees(self.task.test(), self.format, self.settings.cutoff, counted))
        test = self.record.test.model_copy(update=vars(counted))
        self.record = self.record.model_copy(update={"test": test})
        return found

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
        if self.first:
            (self.task.out / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
            write_atomically(self.task.out / CHECKPOINTS / "curve.json", json.dumps(self.rows))

    def _restore(self, checkpoint: Path | None) -> None:
        """Take over the curve of earlier sessions, up to the checkpoint."""
        file = self.task.out / CHECKPOINTS / "curve.json"
        if checkpoint and file.is_file():
            self.rows = [row for row in json.loads(file.read_text()) if row["step"] <= reached(checkpoint)]

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
            for unwanted in ("training_args.bin", "README.md"):  # a pickle, and a form to fill in
                (out / unwanted).unlink(missing_ok=True)
            shutil.copymode(out / FILE, out / "adapter_model.safetensors")  # safetensors lets nobody else read it
            self.tokenizer.save_pretrained(str(out))
            write_curve(out, self.rows)
            self.record.write(out)
            clear(out)
        return self.record

    begun = 0


class _Watch(TrainerCallback):
    def __init__(self, training: _Training) -> None:
        self.training = training

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self.training.begun = state.global_step
        if state.global_step and float(state.epoch).is_integer():  # killed between an epoch and its measurement
            self.training.measure(state, model)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # A checkpoint does not keep what the next row of the curve would add up; the last steps have a row, too.
        control.should_log |= control.should_save or state.global_step >= state.max_steps
        if state.is_world_process_zero:
            losses = [row["loss"] for row in self.training.rows if row["loss"] is not None]
            self.training.task.on_step(Step(state.global_step, state.max_steps, losses[-1] if losses else None))

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        self.training.note(state, logs or {})

    def on_epoch_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self.training.measure(state, model)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        training = self.training
        if training.first:  # so that a killed session's time is counted, too
            spent = round(training.earlier + time.monotonic() - training.started, 1)
            training.record.model_copy(update={"seconds": spent}).write(training.task.out)


def _collated(rows: list[dict[str, list[int]]]) -> dict[str, Any]:
    """A step's inputs; Trainer takes the first label for one that is never predicted, and does not count it."""
    batch = pack([from_row(row) for row in rows])
    return batch | {"labels": pad(batch["labels"], (1, 0), value=-100)}


def _loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: int | torch.Tensor | None = None) -> torch.Tensor:
    return reply_loss(outputs, labels[:, 1:], num_items_in_batch)


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
        use_cpu=not torch.accelerator.is_available(),  # else a launcher's processes would not find one another
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
        UsageError: if it lacks a layer that is to be adapted, or its attention cannot be packed.
    """
    model = load_model(settings.base, precision, settings.four_bit)
    names = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    if missing := [name for name in settings.targets if name not in names]:
        raise UsageError(f"base {settings.base} has no layer {', '.join(missing)}; name its layers with --targets")
    if not packs_alike(model):
        raise UsageError(
            f"base {settings.base} is a {model.config.model_type}, which computes attention in a way of its own that "
            "cannot be packed; use another base"
        )
    window = attention_window(model.config)
    if window and window < settings.cutoff:
        raise UsageError(
            f"--cutoff {settings.cutoff}: base {settings.base} sees its last {window} tokens only; lower it to {window}"
        )
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


def device_name() -> str:
    """What a training runs on."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return f"CPU, {torch.get_num_threads()} threads"
