"""Table 2 of the paper: the quality of a corpus beside the published human ratings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from rich.markup import escape
from rich.table import Table

from metrics.rubric import Cell, Dimension, RubricVerdict

Row = Mapping[Dimension, Cell]

# Published in Table 2: means of human ratings, 0 to 3, in the order of `Dimension`.
PUBLISHED: Final[dict[str, tuple[float, float, float, float, float, float]]] = {
    "SSConv*": (2.76, 2.86, 2.79, 3.00, 2.75, 2.57),
    "SSConv, strategy only*": (2.64, 2.51, 2.60, 3.00, 2.60, 2.47),
    "ESConv*": (2.48, 2.49, 2.16, 2.89, 2.17, 2.25),
    "ExTES*": (2.73, 2.68, 2.50, 2.96, 2.63, 2.55),
    "AugESC*": (2.04, 1.58, 1.46, 2.83, 2.02, 1.82),
}
_SHORT: Final = dict(zip(Dimension, ("Inf.", "Und.", "Hlp.", "Saf.", "Spe.", "Hlk."), strict=True))
_PUBLISHED_NOTE: Final = "* published ratings by people (30 dialogues, 3 raters each), not by this judge"


def table2(rows: Mapping[str, Row], judge: str, note: str, k: int = 1) -> Table:
    """Render corpora above the published rows.

    Args:
        rows: name of a corpus to its row (see `metrics.rubric.table_row`).
        judge: spec of the LM that judged.
        note: what is known of its calibration (see `metrics.rubric.calibration_note`).
        k: samples of each judgement.
    """
    caption = "means, ± standard deviations; what is missing or malformed (errors) is in no mean"
    table = _frame(f"Table 2: quality, 0 to 3. Judge {judge}, {note}", f"{caption}\n{_PUBLISHED_NOTE}")
    for name, row in rows.items():
        _add(table, name, row, k)
    table.add_section()
    _add_published(table)
    return table


def published_table2() -> Table:
    """The published rows alone, for a corpus that nobody judged."""
    table = _frame("Table 2: quality, 0 to 3", _PUBLISHED_NOTE)
    _add_published(table)
    return table


def _frame(title: str, caption: str) -> Table:
    table = Table(title=escape(title), caption=caption)
    table.add_column("", overflow="fold", min_width=22)
    for short in _SHORT.values():
        table.add_column(short, justify="right")
    return table


def _add_published(table: Table) -> None:
    for name, values in PUBLISHED.items():
        table.add_row(name, *(f"{value:.2f}" for value in values), style="dim")


def _add(table: Table, name: str, row: Row, k: int) -> None:
    cells = [row[dimension] for dimension in Dimension]
    table.add_section()
    table.add_row(escape(name), *(_number(cell.mean) for cell in cells), style="bold")
    table.add_row("  ± between dialogues", *(_number(cell.spread) for cell in cells))
    if k > 1:
        table.add_row(f"  ± between {k} samples", *(_number(cell.sample_spread) for cell in cells))
    for label in ("dialogues", "scored", "missing", "errors"):
        table.add_row(f"  {label}", *(f"{getattr(cell, label):,}" for cell in cells))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def common_errors(verdicts: Iterable[RubricVerdict], most: int = 3) -> list[tuple[str, int]]:
    """The commonest last reasons for which judgements were given up, and how often."""
    reasons = Counter(error.reasons[-1] for verdict in verdicts for error in verdict.errors)
    return reasons.most_common(most)
