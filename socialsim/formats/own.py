"""Our own records as input: scenarios (or posts) read as posts again, and dialogues."""

from __future__ import annotations

from socialsim.formats.hub import dialogue_of
from socialsim.formats.rows import Row, clean
from socialsim.schema import Dialogue, Post, Scenario


def recognises_scenario(row: Row) -> bool:
    """Whether a record is a `Scenario` or a `Post` of ours, and not a table that resembles one."""
    known = row.has("id", "source", "description") and row.fields.keys() <= Scenario.model_fields.keys()
    return known and all(isinstance(row.fields.get(key, []), list) for key in ("subtopics", "keywords"))


def recognises_dialogue(row: Row) -> bool:
    """Whether a record is a `Dialogue` of ours."""
    return row.has("id", "turns")


def post(row: Row) -> Post:
    """Read a scenario as a post. Its id and its source stay; language and original are not used."""
    fields = {key: value for key, value in row.fields.items() if key not in ("language", "original")}
    found = Post.model_validate(fields)
    return found.model_copy(update={"question": clean(found.question), "description": clean(found.description)})


def dialogue(row: Row) -> Dialogue:
    """Read a dialogue as it was written, to JSON Lines or to a table with its persona beside it."""
    return dialogue_of(row.fields)
