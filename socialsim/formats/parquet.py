"""The records of a Parquet table, as the Hugging Face hub hands data sets out."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from socialsim.errors import InputError, UsageError
from socialsim.formats.rows import Row


def read_parquet_rows(path: Path) -> Iterator[Row]:
    """Read the rows of a table, a batch in memory at a time. Null cells are no keys.

    Raises:
        InputError: at once if the file cannot be opened as Parquet or has no rows; while reading if it is damaged.
        UsageError: if pyarrow is not installed.
    """
    try:
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError as error:
        raise UsageError(f"{path}: pyarrow is not installed; run: pip install 'socialsim[train]'") from error
    try:
        table = parquet.ParquetFile(path)
    except FileNotFoundError as error:
        raise InputError(path, "no such file; check the path") from error
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
        raise InputError(path, f"not a Parquet table ({_first_line(error)}); check the file") from error
    if not table.metadata.num_rows:
        raise InputError(path, "holds no records; name a table with at least one")
    return _rows(path, table)


def _rows(path: Path, table: Any) -> Iterator[Row]:
    number = 0
    try:
        for batch in table.iter_batches(batch_size=1000):
            for value in batch.to_pylist():
                number += 1
                yield Row(path, _filled(value), number)
    except (OSError, ValueError) as error:
        raise InputError(path, f"damaged after record {number} ({_first_line(error)}); get it again") from error


def _filled(value: object) -> object:
    """Without nulls: in a table every entry has the keys of all entries."""
    if isinstance(value, dict):
        return {key: _filled(part) for key, part in value.items() if part is not None}
    return [_filled(part) for part in value] if isinstance(value, list) else value


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
