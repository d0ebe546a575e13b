"""Length limits that reach the decoder: patterns on the fields of answer models.

A pattern lives in the JSON schema only. An LM whose decoder honours it cannot write a field
name, a second line or a thirty-first word; for the others the same limits are checked after
the answer, with a reason an LM can act on.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

# One word of English prose, foreign names included: letters, with little punctuation around them. So
# there is no mark-up, no placeholder, no emoji (the closing one is a field of its own), and no run of
# dots, in which a very small model would otherwise spend minutes.
_LETTERS = "[A-Za-z0-9À-ɏḀ-ỿ'’]{1,18}"
_STOP = "(?:[.,;:!?…%]|[.]{3}|[!?]{2})"
_WORD = rf"""(?:[“"($€£]{{0,2}}{_LETTERS}(?:[./:–—-]{_LETTERS}|,[0-9]{{1,3}}){{0,3}}[)"”]?{_STOP}?[)"”]?|[–—&-])"""


def prose(description: str, most: int, least: int = 1, start: str = "", end: str = "[.!?]") -> Any:
    """A pydantic field for one line of ``least`` to ``most`` words.

    Args:
        description: what the field holds; the prompt shows it.
        most: words at most.
        least: words at least.
        start: a fixed first word, if any.
        end: pattern of the last character.
    """
    head = rf"{start} {_WORD}" if start else _WORD
    used = 2 if start else 1
    pattern = rf"^{head}( {_WORD}){{{max(least - used, 0)},{most - used}}}{end}$"
    return Field(description=description, json_schema_extra={"pattern": pattern})
