"""The loss curve of a training, read back from a student's folder."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from finetune.folder import CHECKPOINTS
from socialsim.errors import InputError
from socialsim.schema import Record


class CurvePoint(Record):
    """A row of ``loss.csv``; what was not measured at a step is None.

    Attributes:
        loss: mean since the row before, nats a token.
        held_out: perplexity on the held-out corpus.
    """

    step: int
    epoch: float
    loss: float | None
    learning_rate: float | None
    held_out: float | None


def read_curve(folder: Path) -> list[CurvePoint]:
    """The curve of a finished training, or as far as a running one has noted it; empty where there is none.

    Raises:
        InputError: if the file cannot be read as one.
    """
    finished, noted = folder / "loss.csv", folder / CHECKPOINTS / "curve.json"
    try:
        if finished.is_file():
            return [_point(row) for row in csv.DictReader(finished.read_text(encoding="utf-8").splitlines())]
        return [_point(row) for row in json.loads(noted.read_bytes())] if noted.is_file() else []
    except (OSError, ValueError, TypeError, AttributeError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise InputError(finished if finished.is_file() else noted, f"not a loss curve ({reason})") from error


def _point(row: dict[str, Any]) -> CurvePoint:
    return CurvePoint.model_validate({name: None if value == "" else value for name, value in row.items()})
