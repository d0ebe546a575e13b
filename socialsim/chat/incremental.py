"""What an answer holds so far, while it is being written: the fields of a JSON object before its end is there."""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple

_KEY: Final = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:\s*')
_STRING: Final = re.compile(r'"((?:[^"\\]|\\.)*)(")?', re.DOTALL)
_OTHER: Final = re.compile(r"\[[^\]]*\]?|[^,}\]]*")  # a list of texts, a number: shown by name alone
_SKIP: Final = re.compile(r"[\s,]*")
_BROKEN_END: Final = re.compile(r"(?:\\u[0-9a-fA-F]{0,3}|\\)$")
_LONE: Final = re.compile(r"[\ud800-\udfff]")


class Field(NamedTuple):
    """A field of an answer as far as it is there; ``text`` is empty for what is no string."""

    name: str
    text: str


def fields_so_far(written: str) -> list[Field]:
    """The fields of the outermost object of a text, in order, the last one maybe cut short.

    Prose or a code fence before the object is passed over; what is no object has no fields.
    """
    start = written.find("{")
    fields: list[Field] = []
    place = start + 1
    while start >= 0:
        skipped = _SKIP.match(written, place)
        key = _KEY.match(written, skipped.end() if skipped else place)
        if not key:
            break
        place = key.end()
        if text := _STRING.match(written, place):
            fields.append(Field(_decoded(key.group(1)), _decoded(text.group(1))))
            if not text.group(2):
                break
            place = text.end()
        else:
            fields.append(Field(_decoded(key.group(1)), ""))
            other = _OTHER.match(written, place)
            place = other.end() if other else place
    return fields


def _decoded(inner: str) -> str:
    """The text of a JSON string's inside; half an escape at its end is left out."""
    whole = inner if _even_backslashes(inner) and not _half_unicode(inner) else _BROKEN_END.sub("", inner)
    try:
        text: str = json.loads(f'"{whole}"', strict=False)
    except ValueError:
        text = whole
    return _LONE.sub("", text)  # half of a pair of surrogates


def _even_backslashes(inner: str) -> bool:
    return (len(inner) - len(inner.rstrip("\\"))) % 2 == 0


def _half_unicode(inner: str) -> bool:
    found = re.search(r"(\\+)u[0-9a-fA-F]{0,3}$", inner)
    return bool(found) and len(found.group(1)) % 2 == 1  # type: ignore[union-attr]
