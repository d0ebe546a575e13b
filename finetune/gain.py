"""How much better a student predicts replies than its base does, dialogue by dialogue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel

from finetune.base import load_model, load_tokenizer, quiet
from finetune.chat import ChatFormat
from finetune.dataset import Lesson, trees
from finetune.likelihood import Likelihood, likelihoods
from finetune.packing import use_packed_attention
from finetune.record import TrainingRecord


@dataclass(frozen=True)
class Gain:
    """Likelihoods of the same lessons, in order.

    Attributes:
        ids: of the lessons.
        base: under the base alone.
        student: under base and adapter.
    """

    ids: tuple[str, ...]
    base: tuple[Likelihood, ...]
    student: tuple[Likelihood, ...]


def measure(folder: Path, record: TrainingRecord, lessons: Iterable[Lesson]) -> Gain:
    """Measure both on lessons; the adapter is switched off and on, all else stays.

    Raises:
        UsageError: if a lesson does not fit the cutoff the student was trained with.
    """
    given = list(lessons)
    format = ChatFormat(load_tokenizer(record.settings.base), record.plain)
    made = list(trees(given, format, record.settings.cutoff))
    model = load_model(record.settings.base, record.settings.precision)
    if torch.cuda.is_available():
        model = model.to("cuda")  # type: ignore[arg-type]
    use_packed_attention(model)
    student = PeftModel.from_pretrained(model, str(folder))
    with quiet():
        after = likelihoods(student, made)
        with student.disable_adapter():
            before = likelihoods(student, made)
    return Gain(tuple(one.id for one in given), tuple(before), tuple(after))
