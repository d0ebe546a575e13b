"""What a page is made of: sections of tables, figures, notes and dialogues; a template turns them into HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from rich.table import Table
from rich.text import Text

from socialsim.report.figures.style import Picture
from socialsim.schema import Dialogue, Persona


@dataclass(frozen=True)
class Line:
    """A row of a table; ``style`` is strong, faint or nothing."""

    cells: tuple[str, ...]
    style: str = ""


@dataclass(frozen=True)
class Grid:
    """A table; its first column names the rows.

    Attributes:
        numbers: whether the other columns are numbers, which stand on the right.
    """

    kind: ClassVar = "grid"
    title: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    caption: str = ""
    numbers: bool = True


@dataclass(frozen=True)
class Drawn:
    """A figure with the numbers it shows.

    Attributes:
        name: of its files and on the page: letters, digits, hyphens.
        title: one line.
        about: what is to be seen, for those who do not see it.
        numbers: tables of what is drawn.
        caption: how to read it, and what it rests on.
    """

    kind: ClassVar = "figure"
    name: str
    title: str
    about: str
    picture: Picture
    numbers: tuple[Grid, ...]
    caption: str = ""


@dataclass(frozen=True)
class Note:
    """What has to be said; with a ``command``, what is not there and how to get it."""

    kind: ClassVar = "note"
    text: str
    command: str = ""


@dataclass(frozen=True)
class Sample:
    """A dialogue to read, with its persona where there is one."""

    kind: ClassVar = "sample"
    dialogue: Dialogue
    persona: Persona | None


Block = Grid | Drawn | Note | Sample


@dataclass(frozen=True)
class Section:
    """Blocks under a heading.

    Attributes:
        name: of the section on the page.
        lead: what is said before them.
        columns: whether they fill column after column, not row after row.
    """

    name: str
    title: str
    blocks: tuple[Block, ...]
    lead: str = ""
    columns: bool = False


def grid_of(table: Table) -> Grid:
    """A table of the terminal as one of the page: the same cells, so that both say the same."""
    columns = [[_plain(cell) for cell in column.cells] for column in table.columns]
    lines = [
        Line(cells, _style(str(row.style or "")))
        for row, cells in zip(table.rows, zip(*columns, strict=True), strict=True)
    ]
    heads = tuple(_plain(column.header) for column in table.columns)
    numbers = any(column.justify == "right" for column in table.columns[1:])
    return Grid(_plain(table.title or ""), heads, tuple(lines), _plain(table.caption or ""), numbers)


def slug(name: str, taken: frozenset[str] = frozenset()) -> str:
    """A name as part of a file name; one that is not ``taken``."""
    short = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "corpus"
    return next(found for found in (short, *(f"{short}-{n}" for n in range(2, 1000))) if found not in taken)


def _plain(cell: object) -> str:
    return cell.plain if isinstance(cell, Text) else Text.from_markup(str(cell), emoji=False).plain


def _style(style: str) -> str:
    return {"bold": "strong", "dim": "faint"}.get(style, "")
