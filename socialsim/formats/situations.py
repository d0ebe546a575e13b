"""The situations of ESConv: what a seeker wrote before the conversation began."""

from __future__ import annotations

from socialsim.formats.rows import Row, clean
from socialsim.schema import Post


def recognises(row: Row) -> bool:
    """Whether a record holds an ESConv situation (the official dialogue file's records do too)."""
    return row.has("situation", "emotion_type")


def post(row: Row) -> Post:
    """Read ``{situation, emotion_type, problem_type, …}``: the situation is the description.

    Raises:
        InputError: if the situation is missing or is not text.
    """
    problem = clean(row.optional("problem_type"))
    return Post(
        id=row.name("esconv"),
        source=row.path.name,
        description=clean(row.text("situation")),
        keywords=(problem,) if problem else (),
        emotion=clean(row.optional("emotion_type")) or None,
    )
