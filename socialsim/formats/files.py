"""The records of a JSON list, a JSON Lines file or a CSV table.

The only code of the package that opens an input file, Parquet tables aside (`parquet`). Every problem of a
file becomes an `InputError` of one line that names the file, the line where one is known, and what to do.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

from socialsim.errors import InputError
from socialsim.formats.parquet import read_parquet_rows
from socialsim.formats.rows import Row

_BOM = b"\xef\xbb\xbf"
_JSON_CONTROL = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f]")  # invalid inside a JSON string; newlines stay
_JSON_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson"})
_MAX_CELL = 2**31 - 1  # characters; the csv module's own limit is 128 KiB


def read_rows(path: Path) -> Iterator[Row]:
    """Read the records of a JSON list, JSON Lines, CSV or Parquet file.

    The suffixes .json, .jsonl, .ndjson, .csv and .parquet decide between them; for any other, a
    file that begins with ``[`` or ``{`` is JSON. JSON Lines and CSV are streamed, a JSON list is
    loaded whole. Blank lines are no records.

    Raises:
        InputError: at once for a file that is missing, a folder, empty or binary; while reading
            for invalid JSON or CSV, or a list or table without records.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return read_parquet_rows(path)
    first = _first_character(path)
    if suffix in _JSON_SUFFIXES or (suffix != ".csv" and first in "[{"):
        return _list_rows(path) if first == "[" else _line_rows(path)
    return _csv_rows(path)


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                yield _decode(path, raw.removeprefix(_BOM) if number == 1 else raw, number)
    except FileNotFoundError as exc:
        raise InputError(path, "no such file; check the path") from exc
    except IsADirectoryError as exc:
        raise InputError(path, "is a folder; name a file in it") from exc
    except OSError as exc:
        raise InputError(path, f"cannot be read ({exc.strerror}); check the path and its permissions") from exc


def _decode(path: Path, raw: bytes, number: int) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise InputError(path, "not UTF-8 text; save it as UTF-8, or name a text file", number) from exc
    if "\0" in text:
        raise InputError(path, "a binary file (it holds NUL bytes); name a UTF-8 text file", number)
    return text


def _first_character(path: Path) -> str:
    for line in _lines(path):
        if line.strip():
            return line.lstrip()[0]
    raise InputError(path, "is empty; name a file with records")


def _loads(path: Path, text: str, line: int | None = None) -> object:
    try:
        return json.loads(_JSON_CONTROL.sub(" ", text))
    except json.JSONDecodeError as exc:
        hint = "write one JSON object a line" if line else "correct it, or write one JSON object a line"
        raise InputError(path, f"invalid JSON ({exc.msg}, column {exc.colno}); {hint}", line or exc.lineno) from exc
    except (ValueError, RecursionError) as exc:  # a number of thousands of digits, or nesting without end
        raise InputError(path, f"invalid JSON ({exc}); correct it", line) from exc


def _list_rows(path: Path) -> Iterator[Row]:
    text = "".join(_lines(path))
    if _first_line_is_complete(text):
        yield from _line_rows(path)
        return
    values = _loads(path, text)
    if not values or not isinstance(values, list):
        raise InputError(path, "holds no records; name a list with at least one")
    for number, value in enumerate(values, 1):
        yield Row(path, value, number)


def _first_line_is_complete(text: str) -> bool:
    # A list a line (AugESC as published) begins with "[" as a JSON list does.
    first, _, rest = text.strip().partition("\n")
    try:
        return bool(rest) and isinstance(json.loads(first), list)
    except (ValueError, RecursionError):
        return False


def _line_rows(path: Path) -> Iterator[Row]:
    filled = ((line, text) for line, text in enumerate(_lines(path), 1) if text.strip())
    for number, (line, text) in enumerate(filled, 1):
        yield Row(path, _loads(path, text, line), number, line)


def _csv_rows(path: Path) -> Iterator[Row]:
    cells = _csv_cells(path)
    _, header = next(cells)
    names = [name.strip() for name in header]
    if len(set(names)) != len(names):
        raise InputError(path, f"a column is named twice in {', '.join(names)}; rename one", 1)
    number = 0
    for number, (line, values) in enumerate(cells, 1):
        if len(values) != len(names):
            message = f"{len(values)} cells in a table of {len(names)} columns; quote cells that hold commas"
            raise InputError(path, message, line)
        yield Row(path, dict(zip(names, values, strict=True)), number, line)
    if not number:
        raise InputError(path, f"a header without rows ({', '.join(names)}); name a table with at least one")


def _csv_cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(_MAX_CELL)
    reader = csv.reader(_lines(path), strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as exc:
        raise InputError(path, f"invalid CSV ({exc}); quote cells that hold quotes or newlines", line) from exc
