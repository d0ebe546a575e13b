"""Figures with axes: persona coverage by position (Figure 6), and a training's loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from metrics.coverage import Coverage, Curve
from socialsim.report.analysis import curves_table
from socialsim.report.blocks import Drawn, Grid, Line, grid_of
from socialsim.report.figures.style import BLUE, INK, ORANGE, Sheet
from socialsim.schema import Speaker

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from finetune.curve import CurvePoint

_LOOKS: Final = {Speaker.SEEKER: (BLUE, "o"), Speaker.SUPPORTER: (ORANGE, "s")}


def coverage_figure(
    name: str, key: str, part: str, what: str, curves: Mapping[Speaker, Curve], found: Coverage, of: str = ""
) -> Drawn:
    """Figure 6a or 6b of a corpus with personas.

    Args:
        name: the corpus as shown.
        key: the corpus in file names.
        part: "6a" or "6b".
        what: the measure.
        curves: the measure by speaker.
        found: what the curves rest on.
        of: which of how many dialogues, where not all were measured.
    """

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.12, 0.30, 0.85, 0.66))
        for speaker, curve in curves.items():
            _curve(axes, speaker, curve)
        axes.set(xlabel="position in the dialogue, k/N", ylabel=what, xlim=(0, 1))
        _quiet(axes)
        axes.legend(
            ncols=2, loc="upper center", bbox_to_anchor=(0.46, -0.24), frameon=False, fontsize=9, handlelength=3.2
        )

    told = "; ".join(f"{speaker}: {_level(curve)}" for speaker, curve in curves.items())
    return Drawn(
        f"figure{part}-{key}",
        f"Figure {part}, {name}: {what} by position",
        f"Lines over the conversation, for the seeker and the supporter, with the own persona and with others. {told}.",
        Sheet(250).draw(paint),
        (grid_of(curves_table(f"{name}: {what}", curves, found)),),
        f"{found.dialogues:,} dialogues{of}. The control is the mean of {found.others} personas drawn by chance.",
    )


def _level(curve: Curve) -> str:
    own, other = curve.overall.own, curve.overall.other
    return (
        f"{own:.2f} with the own persona, {other:.2f} with others" if own is not None and other is not None else "none"
    )


def _curve(axes: Any, speaker: Speaker, curve: Curve) -> None:
    colour, marker = _LOOKS[speaker]
    places = [(number + 0.5) / len(curve.bins) for number in range(len(curve.bins))]
    plain = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1.4}
    for whose, dashed in (("own", False), ("other", True)):
        levels = [getattr(level, whose) for level in curve.bins]
        there = [(place, value) for place, value in zip(places, levels, strict=True) if value is not None]
        look = plain | ({"linestyle": (0, (4, 2)), "markerfacecolor": "none"} if dashed else {})
        label = f"{speaker}, {'others (control)' if dashed else 'own persona'}"
        axes.plot(*zip(*there, strict=True), label=label, **look) if there else None


def loss_figure(name: str, key: str, curve: Sequence[CurvePoint]) -> Drawn:
    """The loss of a training by step, and the held-out perplexity where there is one."""
    losses = [(row.step, row.loss) for row in curve if row.loss is not None]
    held_out = [(row.step, row.held_out) for row in curve if row.held_out is not None]

    def paint(figure: Figure) -> None:
        parts = [
            one
            for one in ((losses, "loss, nats a token", BLUE, "o"), (held_out, "held-out perplexity", ORANGE, "s"))
            if one[0]
        ]
        for number, (values, label, colour, marker) in enumerate(parts):
            share = 1 / len(parts)
            axes = figure.add_axes((0.14, 1 - share * (number + 1) + 0.14, 0.82, share - 0.18))
            axes.plot(*zip(*values, strict=True), color=colour, marker=marker, markersize=3.5, linewidth=1.3)
            axes.set(xlabel="optimiser step", ylabel=label)
            _quiet(axes)

    first, last = (losses[0][1], losses[-1][1]) if losses else (0.0, 0.0)
    columns = ("step", "epoch", "loss", "learning rate", "held-out perplexity")
    rows = [Line(tuple(map(_cell, (row.step, row.epoch, row.loss, row.learning_rate, row.held_out)))) for row in curve]
    told = f"from {first:.3f} to {last:.3f}" if losses else "not noted"
    return Drawn(
        f"loss-{key}",
        f"{name}: loss by step",
        f"Lines over {len(losses)} noted steps: training loss {told} nats a token.",
        Sheet(200 * ((bool(losses) + bool(held_out)) or 1)).draw(paint),
        (Grid(f"{name}: loss", columns, tuple(rows)),),
    )


def _cell(value: float | int | None) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _quiet(axes: Any) -> None:
    axes.grid(axis="y", color=INK, alpha=0.15, linewidth=0.6)
    axes.tick_params(length=3, width=0.6)
    axes.locator_params(axis="y", nbins=6)
