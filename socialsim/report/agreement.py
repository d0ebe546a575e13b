"""A judge against people as a table: one row a dimension."""

from __future__ import annotations

from typing import Final

from rich import box
from rich.markup import escape
from rich.table import Table

from metrics.agreement import Agreement, CalibrationCard, Statistic

# At most 80 columns in all for a hundred dialogues.
_COLUMNS: Final = (
    *("n", "Spearman\n(95%)", "kappa", "exact", "with-\nin 1", "pairs", "bias", "alpha", "mal-\nform.", "miss-\ning"),
)
LEGEND: Final = """\
Spearman: with its bootstrap interval; kappa: quadratic-weighted; exact and
within 1: share of dialogues, in points of 0 to 3; pairs: share of pairs
ordered as people do, ties half, 0.50 is chance; bias: judge minus people;
alpha: Krippendorff's, ordinal, among the raters; malformed, missing:
verdicts left out; -: undefined."""


def agreement_table(card: CalibrationCard) -> Table:
    """Render a card's statistics."""
    title = f"Judge {card.judge} against people: {card.n:,} dialogues of {card.labels}"
    table = Table(title=escape(title), box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    table.title_justify = "left"
    table.add_column("")
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    for dimension, found in card.dimensions.items():
        table.add_row(dimension, *_cells(found))
    return table


def _cells(found: Agreement) -> tuple[str, ...]:
    shares = (found.kappa, found.exact, found.within_one, found.pairwise)
    counts = (f"{found.malformed:,}", f"{found.missing:,}")
    bias = "-" if found.bias.value is None else f"{found.bias.value:+.2f}"
    return (f"{found.n:,}", _interval(found.spearman), *map(_value, shares), bias, _value(found.alpha), *counts)


def _value(statistic: Statistic) -> str:
    return "-" if statistic.value is None else f"{statistic.value:.2f}"


def _interval(statistic: Statistic) -> str:
    if statistic.low is None:
        return _value(statistic)
    return f"{statistic.value:.2f}\n{statistic.low:.2f}, {statistic.high:.2f}"


def undefined(card: CalibrationCard) -> list[str]:
    """Why statistics are undefined, a line for each dimension and reason; alpha only where there should be one."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for dimension, found in card.dimensions.items():
        for name in ("spearman", "kappa", "exact", "within_one", "pairwise", "bias", "alpha"):
            statistic: Statistic = getattr(found, name)
            if statistic.value is None and (name != "alpha" or found.raters > 1):
                reasons.setdefault((dimension, statistic.reason), []).append(name.replace("_", " "))
    return [f"{dimension}: no {', '.join(names)}: {why}" for (dimension, why), names in reasons.items()]
