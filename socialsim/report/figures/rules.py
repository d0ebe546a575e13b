"""The eight control rules: how well each corpus keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from metrics.verdicts import Rule
from socialsim.report.blocks import Drawn, Grid
from socialsim.report.figures.style import INK, SERIES, WIDTH, Sheet, points

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEFT: Final = 148.0
_RIGHT: Final = WIDTH - 44.0
_ROW: Final = 22.0


def rules_figure(means: Mapping[str, Mapping[Rule, float]], numbers: tuple[Grid, ...]) -> Drawn:
    """Mean score of each rule, a mark a corpus.

    Args:
        means: by corpus, then rule; a rule that was not checked is left out.
        numbers: where the means come from.
    """
    shown = list(means.items())[: len(SERIES)]

    def paint(figure: Figure) -> None:
        axes = points(figure)
        for number, rule in enumerate(Rule):
            _rule(axes, 12 + _ROW * number, rule, [of.get(rule) for _, of in shown])
        bottom = 12 + _ROW * len(Rule)
        for tick in (0.0, 0.5, 1.0):
            axes.text(_x(tick), bottom + 4, f"{tick:g}", ha="center", fontsize=9)
        for number, (name, _) in enumerate(shown):
            colour, marker = SERIES[number]
            axes.plot(_LEFT, bottom + 18 + 14 * number, color=colour, marker=marker, markersize=6)
            shown_name = "".join(sign if sign.isprintable() else "?" for sign in name[:36])  # SVG takes no others
            axes.text(_LEFT + 10, bottom + 18 + 14 * number, shown_name, va="center", fontsize=9)

    told = "; ".join(f"{rule} {value:.2f}" for rule, value in shown[0][1].items()) if shown else ""
    return Drawn(
        "control-rules",
        "The eight control rules: mean scores",
        f"Marks from 0 to 1 for each rule. {shown[0][0] if shown else ''}: {told}.",
        Sheet(12 + _ROW * len(Rule) + 22 + 14 * len(shown)).draw(paint),
        numbers,
        "1 keeps a rule, 0 breaks it. The figure at the right is that of the first corpus.",
    )


def _x(score: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * score


def _rule(axes: Any, y: float, rule: Rule, scores: list[float | None]) -> None:
    axes.text(_LEFT - 10, y, rule, ha="right", va="center", fontsize=9)
    axes.plot([_LEFT, _RIGHT], [y, y], color=INK, alpha=0.25, linewidth=0.8)
    for (colour, marker), score in reversed(list(zip(SERIES, scores, strict=False))):
        if score is not None:
            axes.plot(_x(score), y, color=colour, marker=marker, markersize=6)
    if scores and scores[0] is not None:
        axes.text(WIDTH - 4, y, f"{scores[0]:.2f}", ha="right", va="center", fontsize=9)
