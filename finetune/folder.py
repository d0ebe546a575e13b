"""A student's folder while it is trained: whose it is, where a training goes on, what of it may be thrown away."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from finetune.format import Variant
from finetune.record import FILE, DataRecord, TrainingRecord, read_record
from socialsim.errors import OutputError
from socialsim.journal import RunLock
from socialsim.schema import Record

CHECKPOINTS: Final = "checkpoints"
TOKENS: Final = "tokens"
_LOCK: Final = ".lock"


def is_first() -> bool:
    """Whether this is the process that writes and speaks, of those a launcher started."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def held(out: Path) -> Iterator[None]:
    """Keep a second command out of a folder.

    Raises:
        OutputError: if it holds something else, another process trains there, or it cannot be written.
    """
    if not is_first():
        yield
        return
    if out.is_dir() and not (out / FILE).exists() and any(file.name != _LOCK for file in out.iterdir()):
        raise OutputError(f"{out} is not empty and holds no training; name another --out")
    with RunLock(out):
        yield
        if (record := read_record(out)) and record.finished:
            (out / _LOCK).unlink(missing_ok=True)  # nothing is written here any more


def earlier_session(out: Path, record: TrainingRecord) -> TrainingRecord | None:
    """The record of an earlier session on the folder; one that came to nothing is forgotten.

    Raises:
        OutputError: if the folder holds a training of other settings or data.
    """
    before = read_record(out)
    if before is None or not is_first():  # the first process decides; if it refuses, the launcher ends all of them
        return before
    if not before.finished and last_checkpoint(out) is None:
        _forget(out)
        return None
    if differs := _difference(before, record):
        raise OutputError(f"{out} was trained with other {differs}; name another --out")
    return before


def last_checkpoint(out: Path) -> Path | None:
    """The newest checkpoint that was written to its end; its state is written last."""
    found = sorted((out / CHECKPOINTS).glob("checkpoint-*"), key=reached, reverse=True)
    return next((path for path in found if _whole(path)), None)


def reached(checkpoint: Path) -> int:
    """The step a checkpoint was written after."""
    return int(checkpoint.name.rpartition("-")[2])


def clear(out: Path) -> None:
    """Throw away what only a training needs."""
    for folder in (CHECKPOINTS, TOKENS):
        shutil.rmtree(out / folder, ignore_errors=True)


def _forget(out: Path) -> None:
    clear(out)
    (out / FILE).unlink()


def _whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / "trainer_state.json").read_text())
    except (OSError, ValueError):
        return False
    return all((checkpoint / name).is_file() for name in ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt"))


def _difference(before: TrainingRecord, now: TrainingRecord) -> str:
    """What of a training is not as it was, with both values; "" if all is."""
    for name in ("settings", "variant", "roles", "plain", "data", "test"):
        old, new = getattr(before, name), getattr(now, name)
        if _key(old) != _key(new):
            return f"{name} ({_both(old, new)})"
    return ""


def _key(part: Any) -> Any:
    return part.sha256 if isinstance(part, DataRecord) else part


def _both(old: Any, new: Any) -> str:
    if isinstance(old, Variant) and isinstance(new, Variant) and old.name != new.name:
        return f"{old.name}, now {new.name}"
    if isinstance(old, DataRecord) and isinstance(new, DataRecord):
        return f"{old.source}, now {new.source}" if old.source != new.source else f"the contents of {new.source}"
    if type(old) is not type(new) or not isinstance(old, Record):
        return f"{_named(old)}, now {_named(new)}"
    name = next(name for name in type(old).model_fields if getattr(old, name) != getattr(new, name))
    return f"{name} {_named(getattr(old, name))}, now {_named(getattr(new, name))}"


def _named(value: Any) -> str:
    """As a user would write it."""
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    if value is None:
        return "none"
    return str(getattr(value, "source", None) or getattr(value, "name", None) or value)
