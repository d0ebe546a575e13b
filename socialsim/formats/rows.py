"""One record of an input file, knowing where it stands.

Every problem with a record becomes an `InputError` of one line that names the file, the line or
the record, and what to do.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from socialsim.errors import InputError
from socialsim.schema import Dialogue, Persona, Post

T = TypeVar("T")
R = TypeVar("R", Post, Dialogue, Persona)

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_MAX_MESSAGE = 600  # characters


def clean(text: str) -> str:
    """A text without control characters (each a space; tab and newline stay) and outer blanks."""
    return _CONTROL.sub(" ", text.replace("\r\n", "\n")).strip()


@dataclass(frozen=True)
class Row:
    """One record, or a part of one, and where it was found.

    Args:
        path: the file.
        value: the decoded JSON value, or column name to cell for a CSV row.
        number: 1-based number of the record in the file.
        line: 1-based line, None for a record of a JSON list.
        part: which part of the record this is, e.g. "utterance 3"; empty for the whole.
    """

    path: Path
    value: object
    number: int
    line: int | None = None
    part: str = ""

    def error(self, message: str) -> InputError:
        """An error of one line that names this record."""
        record = "" if self.line else f"record {self.number}"
        where = ", ".join(filter(None, (record, self.part)))
        return InputError(self.path, textwrap.shorten(f"{where}: {message}".lstrip(": "), _MAX_MESSAGE), self.line)

    def read(self, parse: Callable[[Row], T]) -> T:
        """Apply a parser; a value it refuses becomes an `InputError` that names this record."""
        try:
            return parse(self)
        except ValidationError as exc:
            first = exc.errors(include_url=False, include_context=False)[0]
            field = ".".join(str(step) for step in first["loc"])
            raise self.error(f"{field}: {first['msg']}; correct the record".lstrip(": ")) from exc
        except ValueError as exc:
            raise self.error(f"{exc}; correct the record") from exc

    @property
    def fields(self) -> Mapping[str, object]:
        """The record as a mapping.

        Raises:
            InputError: if it is not a JSON object.
        """
        if isinstance(self.value, dict):
            return self.value
        raise self.error(f"expected a JSON object, found {type(self.value).__name__}; check the format")

    def has(self, *keys: str) -> bool:
        """Whether the record is an object with all of these keys."""
        return isinstance(self.value, dict) and self.value.keys() >= set(keys)

    def needed(self, key: str) -> object:
        """The value of a key.

        Raises:
            InputError: if the key is not there.
        """
        if key not in self.fields:
            raise self.error(f"has no {key!r}, only {', '.join(self.fields) or 'nothing'}; add it or check the format")
        return self.fields[key]

    def text(self, key: str) -> str:
        """The text of a needed key.

        Raises:
            InputError: if the key is not there or does not hold text.
        """
        value = self.needed(key)
        if isinstance(value, str):
            return value
        raise self.error(f"{key!r} must be text, not {type(value).__name__}; correct the record")

    def optional(self, key: str) -> str:
        """The text of a key; empty where it is absent or null."""
        return "" if self.fields.get(key) is None else self.text(key)

    def items(self, key: str | None, part: str) -> Iterator[Row]:
        """The entries of a list, under a key or the record itself, as parts of this record."""
        value = self.value if key is None else self.needed(key)
        if not isinstance(value, list):
            raise self.error(f"{key or 'the record'!r} must be a list, not {type(value).__name__}; check the format")
        for number, entry in enumerate(value, 1):
            yield replace(self, value=entry, part=f"{part} {number}")

    def one_of(self, *keys: str) -> str:
        """Which one of these keys is there.

        Raises:
            InputError: if none is, or several are.
        """
        found = [key for key in keys if key in self.fields]
        if len(found) == 1:
            return found[0]
        raise self.error(f"must have exactly one of {', '.join(keys)}, has {', '.join(self.fields) or 'nothing'}")

    def name(self, prefix: str, given: object = None) -> str:
        """An id: ``<prefix>-<given>``, or ``<stem>-<record number>`` where the data gives none."""
        if given is None or not str(given).strip():
            return f"{self.path.stem}-{self.number}"
        if isinstance(given, bool) or not isinstance(given, str | int):
            raise self.error(f"an id must be a number or text, not {type(given).__name__}; correct the record")
        return f"{prefix}-{clean(str(given))}"

    def decoded(self, key: str) -> Row:
        """This record with the JSON text under a key in its place."""
        try:
            return replace(self, value=json.loads(self.text(key)))
        except (ValueError, RecursionError) as exc:
            raise self.error(f"{key!r} is not valid JSON ({exc}); correct it") from exc


def unique_ids(records: Iterator[R]) -> Iterator[R]:
    """Give every repeated id the first free suffix ``-2``, ``-3``, …"""
    seen: set[str] = set()
    for record in records:
        name, count = record.id, 1
        while name in seen:
            count += 1
            name = f"{record.id}-{count}"
        seen.add(name)
        yield record if name == record.id else record.model_copy(update={"id": name})
