"""PsyQA (Sun et al. 2021): Chinese questions with a description and keywords."""

from __future__ import annotations

import re

from socialsim.formats.rows import Row, clean
from socialsim.schema import Post

_COMMA = re.compile(r"[,，、;；]")


def split_keywords(text: str) -> tuple[str, ...]:
    """Keywords separated by Western or Chinese commas or semicolons, without empty ones."""
    return tuple(part for part in map(clean, _COMMA.split(text)) if part)


def recognises(row: Row) -> bool:
    """Whether a record is one of PsyQA."""
    return row.has("question", "questionID")


def post(row: Row) -> Post:
    """Read ``{question, description, keywords, questionID}``; other keys (answers) are not used.

    Raises:
        InputError: if the question or the description is missing or is not text.
    """
    return Post(
        id=row.name("psyqa", row.fields.get("questionID")),
        source=row.path.name,
        question=clean(row.text("question")),
        description=clean(row.text("description")),
        keywords=split_keywords(row.optional("keywords")),
    )
