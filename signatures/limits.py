"""Length limits that reach the decoder: patterns on the fields of answer models.

A pattern lives in the JSON schema only. An LM whose decoder honours it cannot write a field
name, a second line or a thirty-first word; for the others the same limits are checked after
the answer, with a reason an LM can act on.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

# One word of English prose: no white space, no mark-up or bracket of a placeholder, no emoji (the
# closing one is a field of its own), no endless run of letters.
_WORD = r"""[A-Za-z0-9À-ɏ'’“”".,;:!?()&%$€£/–—-]{1,20}"""


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
