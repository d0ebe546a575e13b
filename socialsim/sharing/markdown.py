"""Markdown that shows a text as it is, whatever the text holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template
from typing import Final

_FOLDER: Final = Path(__file__).parent
_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~!$])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LINK = re.compile(r"(?i)(https?|ftp)://|www\.")


def plain(text: object) -> str:
    """A text on one line, in which nothing is markup, HTML or a link."""
    one_line = " ".join(str(text).split())
    safe = _SPECIAL.sub(r"\\\1", "".join(_ENTITIES.get(character, character) for character in one_line))
    return _LINK.sub(lambda found: found[0].replace(":", "&#58;").replace(".", "&#46;"), safe)


def code(text: object) -> str:
    """A name as code, on one line and fit for a table; a backtick would end it."""
    one_line = " ".join(str(text).split()).replace("`", "'").replace("|", "¦")
    return f"`{one_line}`" if one_line else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; its cells are Markdown. A column stands to the right if each of its cells begins with a digit."""
    body = list(rows)
    figures = [bool(body) and all(row[place][:1].isdigit() for row in body) for place in range(len(head))]
    lines = [head, ["---:" if right else "---" for right in figures], *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def section(title: str, body: str) -> str:
    """A part of a card, nothing where there is nothing to say."""
    return f"### {title}\n\n{body}\n" if body else ""


def fill(template: str, **parts: str) -> str:
    """A card from one of the templates beside this file.

    Raises:
        KeyError: if a part is missing.
    """
    text = (_FOLDER / template).read_text("utf-8")
    return re.sub(r"\n{3,}", "\n\n", Template(text).substitute(parts))
