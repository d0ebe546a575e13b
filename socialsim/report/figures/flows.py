"""In what order strategies follow each other (Figure 5): the commonest flows, and what follows what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from metrics.flows import Flow, Flows, Transitions
from socialsim.report.analysis import SHORT, flows_table, transitions_table
from socialsim.report.blocks import Drawn, grid_of
from socialsim.report.figures.strategies import legend, part
from socialsim.report.figures.style import BLUE, INK, LOOKS, WIDTH, Sheet, points
from socialsim.taxonomy import Strategy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HEIGHT: Final = 200.0  # of the flows together
_NODE: Final = 26.0  # width of a step's box
_CELL: Final = 33.0
_LEFT: Final = 44.0  # of the cells


class Band(NamedTuple):
    """Where a flow runs in one column: its strategy, and its upper and lower edge (0 to 1)."""

    strategy: Strategy
    top: float
    bottom: float


def bands(flows: Sequence[Flow]) -> list[list[Band]]:
    """The columns of a flow diagram, shape (steps, flows).

    In each column the flows of one strategy lie together, in the order of `Strategy`; together they fill it.
    """
    whole = sum(flow.times for flow in flows)
    columns = []
    for step in range(len(flows[0].steps) if flows else 0):
        order = sorted(range(len(flows)), key=lambda i: (list(Strategy).index(flows[i].steps[step]), i))
        column, top = [Band(Strategy.OTHERS, 0.0, 0.0)] * len(flows), 0.0
        for i in order:
            bottom = top + flows[i].times / whole
            column[i], top = Band(flows[i].steps[step], top, bottom), bottom
        columns.append(column)
    return columns


def flows_figure(name: str, key: str, found: Flows, collapsed: Flows) -> Drawn:
    """Figure 5 of a corpus with flows: the ten commonest, as bands.

    Args:
        name: the corpus as shown.
        key: the corpus in file names.
        found: flows with repeats kept, at least one.
        collapsed: with repeats as one step, for the numbers.
    """
    columns = bands(found.commonest)
    steps = " → ".join(found.commonest[0].steps)

    def paint(figure: Figure) -> None:
        axes = points(figure)
        _ribbons(axes, columns)
        for number, column in enumerate(columns):
            for strategy, top, bottom in _boxes(column):
                part(
                    axes, strategy, _x(number, len(columns)), _y(top), _NODE, _y(bottom) - _y(top), bottom - top > 0.05
                )
            axes.text(_x(number, len(columns)) + _NODE / 2, _HEIGHT + 34, f"{number + 1}", ha="center", fontsize=9)
        axes.text(WIDTH / 2, _HEIGHT + 48, "step", ha="center", fontsize=9)
        legend(axes, _HEIGHT + 62)

    shown = sum(flow.share for flow in found.commonest)
    return Drawn(
        f"figure5-flows-{key}",
        f"Figure 5, {name}: the commonest flows of five strategies",
        f"Bands through five steps, as wide as a flow is common. The commonest is {steps} "
        f"({found.commonest[0].share:.1%} of {found.n:,}).",
        Sheet(_HEIGHT + 130).draw(paint),
        (grid_of(flows_table(name, found)), grid_of(flows_table(name, collapsed))),
        f"The {len(found.commonest)} commonest flows, {shown:.0%} of all {found.n:,} among the five commonest "
        "strategies; first strategy of each of five supporter turns in a row.",
    )


def _x(step: int, steps: int) -> float:
    return 6.0 + (WIDTH - 12 - _NODE) * step / max(1, steps - 1)


def _y(share: float) -> float:
    return 16.0 + _HEIGHT * share


def _boxes(column: Sequence[Band]) -> Iterator[Band]:
    """The bands of each strategy of a column as one."""
    for strategy in dict.fromkeys(band.strategy for band in column):
        own = [band for band in column if band.strategy is strategy]
        yield Band(strategy, min(band.top for band in own), max(band.bottom for band in own))


def _ribbons(axes: Any, columns: Sequence[Sequence[Band]]) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    for step, (here, there) in enumerate(pairwise(columns)):
        left, right = _x(step, len(columns)) + _NODE, _x(step + 1, len(columns))
        middle = (left + right) / 2
        for (strategy, top, bottom), (_, top2, bottom2) in zip(here, there, strict=True):
            y, low, y2, low2 = map(_y, (top, bottom, top2, bottom2))
            upper = [(left, y), (middle, y), (middle, y2), (right, y2)]
            lower = [(right, low2), (middle, low2), (middle, low), (left, low), (left, y)]
            colour = LOOKS[strategy].colour
            axes.add_patch(
                PathPatch(Path([*upper, *lower], codes), facecolor=colour, alpha=0.5, edgecolor=INK, linewidth=0.4)
            )


def transitions_figure(name: str, key: str, found: Transitions) -> Drawn:
    """Figure 5 as a matrix: what follows each strategy, in per cent of its row."""

    def paint(figure: Figure) -> None:
        axes = points(figure)
        axes.text(_LEFT + 4 * _CELL, 12, "followed by", ha="center", fontsize=9)
        axes.text(_LEFT + 8 * _CELL + 6, 28, "n", fontsize=9)
        for column, strategy in enumerate(Strategy):
            axes.text(_LEFT + _CELL * (column + 0.5), 28, SHORT[strategy], ha="center", weight="bold")
        for row, before in enumerate(Strategy):
            _row(axes, 34 + 24.0 * row, before, found)

    common = max(((found.counts[one][two], one, two) for one in Strategy for two in Strategy), key=lambda item: item[0])
    return Drawn(
        f"figure5-transitions-{key}",
        f"Figure 5, {name}: which strategy follows which",
        f"A matrix of eight strategies. The commonest step: {common[1]} to {common[2]} ({common[0]:,} of {found.n:,}).",
        Sheet(34 + 24.0 * len(Strategy) + 6).draw(paint),
        (grid_of(transitions_table(name, found)),),
        "Per cent of the row; letters as above.",
    )


def _row(axes: Any, top: float, before: Strategy, found: Transitions) -> None:
    from matplotlib.patches import Rectangle

    axes.text(_LEFT - 8, top + 12, SHORT[before], ha="right", va="center", weight="bold")
    shares = found.shares(before)
    for column, after in enumerate(Strategy):
        share, left = shares[after] if shares else 0.0, _LEFT + _CELL * column
        axes.add_patch(Rectangle((left + 1, top + 1), _CELL - 2, 22, facecolor=BLUE, alpha=0.06 + 0.5 * share))
        shown = f"{100 * share:.0f}" if shares else "-"
        centred = {"ha": "center", "va": "center", "fontsize": 9.0}
        axes.text(left + _CELL / 2, top + 12, shown, **centred)
    axes.text(_LEFT + 8 * _CELL + 6, top + 12, f"{sum(found.counts[before].values()):,}", va="center", fontsize=9)
