"""What is written down of a training: settings, data, versions, figures; and its loss curve."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from finetune.format import Variant
from finetune.settings import TrainingSettings
from socialsim import journal
from socialsim.journal import write_atomically
from socialsim.schema import Record, Role

FILE: Final = "training.json"
_PACKAGES: Final = ("torch", "transformers", "peft", "datasets", "accelerate")


class DataRecord(Record):
    """The data of a training.

    Attributes:
        source: as the user named it.
        sha256: of what was read (see `digest`).
        dialogues: those trained.
        replies: samples trained an epoch; ``too_long`` ones were left out.
        tokens: tokens computed an epoch; ``one_by_one`` is what one sample a reply would have computed.
        trained: tokens predicted an epoch.
    """

    source: str
    sha256: str
    dialogues: int = 0
    replies: int = 0
    too_long: int = 0
    tokens: int = 0
    trained: int = 0
    one_by_one: int = 0


class TrainingRecord(Record):
    """training.json.

    Attributes:
        variant: what a reply holds; None where whole prompts of the programs were trained.
        roles: the programs whose prompts were trained.
        plain: whether the plain format was used although the base has a chat template.
        finished: False while a training runs, or when it was killed.
        steps: optimiser steps.
        seconds: wall time of all sessions.
        tokens_per_second: computed tokens; ``replies_per_second`` counts the trained ones.
        loss: mean of the last row of the curve, nats a token.
        held_out: perplexity on the held-out corpus before and after, where one was given.
    """

    settings: TrainingSettings
    variant: Variant | None
    roles: tuple[Role, ...] = ()
    plain: bool = False
    data: DataRecord
    test: DataRecord | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    device: str = ""
    precision: str = ""
    finished: bool = False
    steps: int = 0
    seconds: float = 0.0
    tokens_per_second: float | None = None
    replies_per_second: float | None = None
    loss: float | None = None
    held_out: tuple[float, ...] = ()

    def write(self, folder: Path) -> None:
        """Write it into a student's folder."""
        write_atomically(folder / FILE, self.model_dump_json(indent=2) + "\n")


def read_record(folder: Path) -> TrainingRecord | None:
    """The record of a student's folder, None where there is none.

    Raises:
        InputError: if it is not one.
    """
    return journal.read_record(folder / FILE, TrainingRecord, "a training record")


def digest(texts: Iterable[str]) -> str:
    """SHA-256 over texts and their borders, hexadecimal."""
    found = hashlib.sha256()
    for text in texts:
        found.update(text.encode() + b"\0")
    return found.hexdigest()


def versions() -> dict[str, str]:
    """Versions of what takes part in a training."""
    from importlib.metadata import version

    return {name: version(name) for name in _PACKAGES}


def write_curve(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """The loss curve as loss.csv and loss.png.

    Args:
        folder: where to.
        rows: step, epoch, loss, learning_rate, held_out (perplexity or None).
    """
    if not rows:
        return
    from io import StringIO

    text = StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(folder / "loss.csv", text.getvalue())
    _draw(folder / "loss.png", rows)


def _draw(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    trained = [(row["step"], row["loss"]) for row in rows if row["loss"] is not None]
    axes.plot(*zip(*trained, strict=True), color="#0072B2", label="training loss") if trained else None
    held_out = [(row["step"], row["held_out"]) for row in rows if row["held_out"] is not None]
    axes.set(xlabel="optimiser step", ylabel="loss, nats a token")
    axes.spines[["top", "right"]].set_visible(False)
    lines = list(axes.lines)
    if held_out:
        right = axes.twinx()
        lines += right.plot(
            *zip(*held_out, strict=True), color="#D55E00", marker="o", ls="--", label="held-out perplexity"
        )
        right.set_ylabel("perplexity")
        right.spines[["top"]].set_visible(False)
    axes.legend(handles=lines, frameon=False)
    figure.savefig(file, dpi=120)
