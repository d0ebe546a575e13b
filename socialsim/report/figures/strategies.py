"""Which strategies are used when (Figure 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from metrics.strategy import STAGES, StrategyUse
from socialsim.report.analysis import SHORT, use_table
from socialsim.report.blocks import Drawn, grid_of
from socialsim.report.figures.style import EDGE, INK, LOOKS, WIDTH, Sheet, points
from socialsim.taxonomy import Strategy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEFT: Final = 50.0
_RIGHT: Final = WIDTH - 6.0
_NAMED: Final = 0.06  # a part from this share on has room for its letters
_ROWS: Final = ("1st", "2nd", "3rd", "4th", "all")
_AXIS: Final = 190.0  # points from the top


def strategy_figure(name: str, key: str, use: StrategyUse) -> Drawn:
    """Figure 4 of a corpus that names strategies.

    Args:
        name: the corpus as shown.
        key: the corpus in file names.
        use: its counts.
    """

    def paint(figure: Figure) -> None:
        axes = points(figure)
        for row, label in enumerate(_ROWS):
            stage = row if row < STAGES else None
            _bar(axes, label, 6.0 + 36 * row + (6 if stage is None else 0), use.shares(stage) or {})
        _scale(axes)
        legend(axes, _AXIS + 30)

    return Drawn(
        f"figure4-{key}",
        f"Figure 4, {name}: strategies over the conversation",
        f"Stacked bars: the share of each of eight strategies in each quarter of the conversation. {_told(use)}",
        Sheet(_AXIS + 98).draw(paint),
        (grid_of(use_table(name, use)),),
        f"{use.dialogues:,} dialogues; {use.named:,} supporter turns with a strategy. "
        "The k-th of N utterances lies at k/N; quarters of that.",
    )


def _told(use: StrategyUse) -> str:
    parts = []
    for stage, label in enumerate(_ROWS[:STAGES]):
        if shares := use.shares(stage):
            most = max(shares, key=lambda strategy: shares[strategy])
            parts.append(f"{label} quarter: mostly {most} ({shares[most]:.0%})")
    return "; ".join(parts) + "."


def _bar(axes: Any, label: str, top: float, shares: dict[Strategy, float]) -> None:
    axes.text(_LEFT - 6, top + 14, label, ha="right", va="center", fontsize=9.5)
    left, width = _LEFT, _RIGHT - _LEFT
    for strategy, share in shares.items():
        if share:
            part(axes, strategy, left, top, width * share, 28, named=share >= _NAMED)
        left += width * share
    if not shares:
        axes.text(_LEFT + 2, top + 14, "no strategy named", va="center", fontsize=9)


def part(axes: Any, strategy: Strategy, left: float, top: float, width: float, height: float, named: bool) -> None:
    """A box in a strategy's colour and hatch, with its letters where they have room."""
    from matplotlib.patches import Rectangle

    look = LOOKS[strategy]
    box = Rectangle((left, top), width, height, facecolor=look.colour, edgecolor=EDGE, linewidth=0.5, hatch=look.hatch)
    axes.add_patch(box)
    if named:
        ground = {"facecolor": look.colour, "edgecolor": "none", "pad": 1.2}
        middle = (left + width / 2, top + height / 2)
        centred = {"ha": "center", "va": "center", "fontsize": 9.0}
        axes.text(*middle, SHORT[strategy], color=look.letters, bbox=ground, **centred)


def _scale(axes: Any) -> None:
    axes.plot([_LEFT, _RIGHT], [_AXIS + 2, _AXIS + 2], color=INK, linewidth=0.6)
    for tick in range(0, 101, 25):
        x = _LEFT + (_RIGHT - _LEFT) * tick / 100
        axes.plot([x, x], [_AXIS + 2, _AXIS + 5], color=INK, linewidth=0.6)
        axes.text(x, _AXIS + 15, f"{tick}%", ha="right" if tick == 100 else "center", fontsize=9)


def legend(axes: Any, top: float) -> None:
    """The strategies with their letters, in two columns of four."""
    for number, strategy in enumerate(Strategy):
        column, row = divmod(number, 4)
        left, y = 6.0 + 186 * column, top + 16 * row
        part(axes, strategy, left, y, 18, 11, named=False)
        axes.text(left + 24, y + 5.5, f"{SHORT[strategy]}  {strategy}", va="center", fontsize=8.5)
