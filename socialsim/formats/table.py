"""A table of one's own: JSON Lines or CSV with columns named by the user."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Final

from socialsim.formats.psyqa import split_keywords
from socialsim.formats.rows import Row, clean
from socialsim.schema import Post
from socialsim.taxonomy import parse_topic


@dataclass(frozen=True)
class Columns:
    """Which column holds what; None for what the table does not have.

    Args:
        question: column of the question or title.
        description: column of the description.
        id: column of the id, a number or text; an empty cell gets ``<stem>-<record number>``.
        topic: column of the topic, one of the paper's nine; an empty cell is no topic.
        keywords: column of the keywords, a comma-separated text or a JSON list of texts.
    """

    question: str | None = None
    description: str = "description"
    id: str | None = None
    topic: str | None = None
    keywords: str | None = None


DEFAULT_COLUMNS: Final = Columns()


def recognises(row: Row, columns: Columns) -> bool:
    """Whether a record has all the named columns."""
    return row.has(*filter(None, astuple(columns)))


def post(row: Row, columns: Columns) -> Post:
    """Read one row.

    Raises:
        InputError: if a named column is not there or a cell is not text.
        ValueError: if the topic is none of the paper's.
    """
    missing = [repr(column) for column in astuple(columns) if column is not None and column not in row.fields]
    if missing:
        there = ", ".join(row.fields) or "none"
        raise row.error(f"no column {', '.join(missing)}; columns there: {there}; say which column holds what")
    topic = _cell(row, columns.topic)
    return Post(
        id=row.name("table", row.fields[columns.id] if columns.id else None),
        source=row.path.name,
        question=_cell(row, columns.question),
        description=_cell(row, columns.description),
        topic=parse_topic(topic) if topic else None,
        keywords=_keywords(row, columns.keywords),
    )


def _cell(row: Row, column: str | None) -> str:
    return clean(row.optional(column)) if column else ""


def _keywords(row: Row, column: str | None) -> tuple[str, ...]:
    found = row.fields[column] if column else None
    if isinstance(found, list) and all(isinstance(word, str) for word in found):
        return tuple(word for word in map(clean, found) if word)
    return split_keywords(_cell(row, column))
