"""The speed table of a training benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from rich.table import Table

from finetune.base import RANDOM, best_precision, load_tokenizer, quiet
from finetune.bench import Speed, benchmark
from finetune.chat import ChatFormat
from finetune.dataset import Lesson
from finetune.record import TrainingRecord
from finetune.train import adapted_base, device_name


def training_speeds(record: TrainingRecord, lessons: Iterator[Lesson], count: int) -> tuple[list[Speed], str]:
    """Measure the loops on the first dialogues of a corpus.

    Args:
        record: base, adapter, batch and format.
        lessons: the corpus.
        count: dialogues measured.

    Returns:
        The speeds, and what they were measured on.
    """
    settings = record.settings
    format, precision = ChatFormat(load_tokenizer(settings.base), record.plain), best_precision(settings.precision)
    chosen = [[format.sample(list(chat), reply) for chat, reply in one.replies] for one in islice(lessons, count)]
    weights = " (random weights)" if settings.base == RANDOM else ""
    about = f"{settings.base}{weights}, {len(chosen)} dialogues, {settings.batch} a step, {precision}, {device_name()}"
    with quiet():
        return benchmark(adapted_base(settings, precision), chosen, settings.batch), about


def speed_table(speeds: Sequence[Speed], about: str) -> Table:
    """The loops side by side; the ratio is to each plain loop."""
    table = Table("loop", title="Training speed, forward and backward", caption=about)
    gpu = any(speed.memory is not None for speed in speeds)
    for name in ("reply tokens/s", "tokens/s", "packed is", *(("of the peak", "GiB") if gpu else ())):
        table.add_column(name, justify="right")
    for speed in speeds:
        ratio = f"{speeds[0].replies / speed.replies:.2f} x" if speed is not speeds[0] else ""
        card = ("-" if speed.peak is None else f"{speed.peak:.0%}", f"{speed.memory:.1f}") if gpu else ()
        table.add_row(speed.name, f"{speed.replies:,.0f}", f"{speed.tokens:,.0f}", ratio, *card)
    return table
