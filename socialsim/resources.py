"""What travels with the package: bundled scenarios, demonstrations, compiled programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from socialsim.errors import InputError
from socialsim.schema import Demonstration


def _folder(name: str) -> Path:
    packaged = Path(__file__).parent / f"_{name}"  # in a wheel
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / name  # in a checkout


def bundled_scenarios() -> Path:
    """The scenarios written for this project (JSONL)."""
    return _folder("data") / "scenarios.jsonl"


def compiled_folder() -> Path:
    """The compiled programs that ship with the project."""
    return _folder("compiled")


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
