"""What travels with the package: bundled scenarios, demonstrations, compiled programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from socialsim.errors import InputError
from socialsim.schema import Demonstration, Record


class Splits(Record):
    """Which demonstrations an optimiser learns from, chooses by and is measured on: dialogue ids.

    Stratified by topic. A scenario has one demonstration, so the sets are disjoint by scenario.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    held_out: tuple[str, ...]


def _folder(name: str) -> Path:
    packaged = Path(__file__).parent / f"_{name}"  # in a wheel
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / name  # in a checkout


def bundled_scenarios() -> Path:
    """The scenarios written for this project (JSONL)."""
    return _folder("data") / "scenarios.jsonl"


def compiled_folder() -> Path:
    """The compiled programs that ship with the project."""
    return _folder("compiled")


def embedded_adapter() -> Path | None:
    """The LoRA adapter that ships for the embedded model, where the package holds one."""
    path = compiled_folder() / "adapters" / "embedded.gguf"
    return path if path.is_file() else None


def demonstrations() -> Iterator[Demonstration]:
    """The authored demonstrations, in order of their file names.

    Raises:
        InputError: if a file is not a demonstration.
    """
    for path in sorted((_folder("data") / "demonstrations").glob("*.json")):
        try:
            yield Demonstration.model_validate_json(path.read_bytes())
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InputError(path, f"not a demonstration: {f'{where}: ' if where else ''}{first['msg']}") from error


def read_splits(path: Path | None = None) -> Splits:
    """The fixed split of the demonstrations.

    Args:
        path: another split file; None for the project's own.

    Raises:
        InputError: if it is not one, or a set is empty or shares an id with another.
    """
    file = path or _folder("data") / "splits.json"
    try:
        splits = Splits.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(file, f"not a split file: {str(error).splitlines()[0]}") from error
    names = [*splits.train, *splits.validation, *splits.held_out]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(file, f"in two sets, or twice in one: {', '.join(twice)}")
    if empty := [name for name in Splits.model_fields if not getattr(splits, name)]:
        raise InputError(file, f"the set {empty[0]} is empty; give it a demonstration")
    return splits


def training_demonstrations() -> list[Demonstration]:
    """The demonstrations that may stand in a prompt: those of the training set, so that held-out ones stay unseen."""
    train = set(read_splits().train)
    return [demo for demo in demonstrations() if demo.dialogue.id in train]
