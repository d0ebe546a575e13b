"""Strategy use, seeker realism and persona coverage as tables for the terminal, at most 100 columns wide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from metrics.coverage import Coverage, Curve, Embed, coverage
from metrics.flows import Flows, Transitions, flows, transitions
from metrics.realism import Measure, Realism, SeekerFacts, compare, realism
from metrics.significance import Interval
from metrics.strategy import (
    Bias,
    Divergence,
    StrategyUse,
    divergence,
    preference_bias,
    strategy_use,
)
from socialsim.schema import Dialogue, Persona, Speaker
from socialsim.taxonomy import Strategy

SHORT: Final = {
    Strategy.QUESTION: "Qu",
    Strategy.RESTATEMENT: "RP",
    Strategy.REFLECTION: "RF",
    Strategy.SELF_DISCLOSURE: "SD",
    Strategy.AFFIRMATION: "AR",
    Strategy.SUGGESTIONS: "PS",
    Strategy.INFORMATION: "SI",
    Strategy.OTHERS: "Ot",
}
_FLOWS: Final = 5
_SHARES: Final = (Measure.RESISTANCE, Measure.ELSEWHERE, Measure.AGREEABLENESS, Measure.RECOVERING, Measure.HALFWAY)
_LABELS: Final = {
    Measure.WORDS: "words a turn",
    Measure.VARIATION: "length CV within dialogues",
    Measure.BETWEEN: "length CV between dialogues",
    Measure.RESISTANCE: "pushes back after advice",
    Measure.ELSEWHERE: "pushes back elsewhere",
    Measure.AGREEABLENESS: "thanks or agrees",
    Measure.START: "valence: first quarter",
    Measure.END: "valence: last quarter",
    Measure.CHANGE: "valence: end less start",
    Measure.RECOVERING: "ends better than it starts",
    Measure.MONOTONY: "steady rise (Kendall's tau)",
    Measure.HALFWAY: "halfway up after",
}


class Corpus(NamedTuple):
    """A corpus under the name it is shown by."""

    name: str
    dialogues: Sequence[Dialogue]


class Seekers(NamedTuple):
    """The seekers of a corpus, measured once, under its name."""

    name: str
    facts: Sequence[SeekerFacts]


def strategy_tables(corpus: Corpus, against: Corpus | None = None) -> Iterator[RenderableType]:
    """Figures 4 and 5, the preference bias, and how far the use lies from that of another corpus."""
    use = strategy_use(corpus.dialogues)
    if not use.named:
        yield Text(f"{corpus.name}: names no strategy")
        return
    yield use_table(corpus.name, use)
    other = strategy_use(against.dialogues) if against else None
    if against and other and other.named:
        yield use_table(against.name, other)
        yield divergence_table(f"{corpus.name} and {against.name}", divergence(corpus.dialogues, against.dialogues))
    elif against:
        yield Text(f"{against.name}: names no strategy")
    yield bias_table({one.name: preference_bias(one.dialogues) for one in (corpus, against) if one})
    yield transitions_table(corpus.name, transitions(corpus.dialogues))
    for collapse in (False, True):
        yield flows_table(corpus.name, flows(corpus.dialogues, collapse=collapse))


def use_table(name: str, use: StrategyUse) -> Table:
    """Proportion of each strategy in each quarter of the dialogues (Figure 4)."""
    caption = f"{use.dialogues:,} dialogues; {use.named:,} supporter turns with a strategy, {use.unnamed:,} without"
    table = _table(f"{name}: strategies by quarter", "all", "1st", "2nd", "3rd", "4th", caption=caption)
    columns = [use.shares(), *(use.shares(stage) for stage in range(len(use.by_stage)))]
    for strategy in Strategy:
        table.add_row(strategy, *(_percent(shares[strategy] if shares else None) for shares in columns))
    uses = [sum(use.counts.values()), *(sum(stage.values()) for stage in use.by_stage)]
    table.add_row("uses", *(f"{count:,}" for count in uses), style="dim")
    return table


def divergence_table(name: str, found: Divergence) -> Table:
    """Jensen-Shannon divergence overall and by quarter, beside what chance would give."""
    caption = "Jensen-Shannon divergence, base 2: 0 alike, 1 nothing in common"
    table = _table(f"{name}: how far apart", "all", "1st", "2nd", "3rd", "4th", caption=caption)
    table.add_row("divergence", *map(_three, (found.overall, *found.by_stage)))
    table.add_row(
        "95% of splits by chance are below", *map(_three, (found.chance, *found.chance_by_stage)), style="dim"
    )
    return table


def bias_table(columns: Mapping[str, Bias]) -> Table:
    """How far corpora lean on few strategies."""
    table = _table("Preference for some strategies", *columns)
    biases = list(columns.values())
    table.add_row("unevenness (0 even, 1 one strategy alone)", *(_three(bias.unevenness) for bias in biases))
    table.add_row("commonest strategy", *(SHORT[bias.commonest] if bias.commonest else "-" for bias in biases))
    table.add_row("its share", *(_percent(bias.commonest_share) for bias in biases))
    table.add_row("share of a dialogue's own commonest", *(_percent(bias.own_share) for bias in biases))
    table.add_row("longest run of one strategy, mean", *(_two(bias.longest_run) for bias in biases))
    table.add_row("longest run of all", *(f"{bias.max_run}" for bias in biases))
    table.add_row("dialogues with a suggestion", *(f"{bias.suggesting:,}/{bias.dialogues:,}" for bias in biases))
    table.add_row("first suggestion at (0 to 1)", *(_two(bias.first_suggestion) for bias in biases))
    table.add_row("in the first quarter", *(_percent(bias.early) for bias in biases))
    return table


def transitions_table(name: str, found: Transitions) -> Table:
    """What follows each strategy, in per cent of the row (Figure 5)."""
    caption = f"{found.n:,} pairs of consecutive supporter turns, first strategy of each; % of the row"
    table = _table(f"{name}: which strategy follows which", *SHORT.values(), "n", caption=caption)
    for before in Strategy:
        shares = found.shares(before)
        cells = [f"{shares[after]:.0%}" if shares else "-" for after in Strategy]
        table.add_row(f"{before} ({SHORT[before]})", *cells, f"{sum(found.counts[before].values()):,}")
    return table


def flows_table(name: str, found: Flows) -> Table:
    """The commonest flows among the five commonest strategies (Figure 5)."""
    among = ", ".join(SHORT[strategy] for strategy in found.among)
    what = "steps, a repeated strategy as one," if found.collapsed else "consecutive supporter turns"
    caption = f"{found.n:,} flows of five {what} among {among}"
    table = _table(f"{name}: commonest flows, repeats {'as one' if found.collapsed else 'kept'}", "flows", "share")
    table.caption = caption
    rows = [("", flow) for flow in found.commonest[:_FLOWS]]
    if found.published is not None:
        rows.append((" (commonest in the paper)", found.published))
    for mark, flow in rows:
        steps = " → ".join(SHORT[step] for step in flow.steps)
        table.add_row(steps + mark, f"{flow.times:,}", _percent(flow.share), style="dim" if mark else None)
    return table


def realism_tables(seekers: Seekers, against: Seekers | None = None) -> Iterator[RenderableType]:
    """The seeker's measures with 95% intervals, and the valence by tenth of the dialogue."""
    shown = {one.name: realism(one.facts) for one in (seekers, against) if one}
    difference = compare(seekers.facts, against.facts) if against else None
    yield realism_table(shown, difference)
    yield trajectory_table(shown)


def realism_table(columns: Mapping[str, Realism], difference: Mapping[Measure, Interval] | None = None) -> Table:
    """Each measure of each corpus; ``difference``, of the first less the second, is marked where it is no chance."""
    sizes = "; ".join(f"{name}: {one.dialogues:,} dialogues, {one.turns:,} turns" for name, one in columns.items())
    caption = f"{sizes}; mean [95% interval]" + ("; * the interval excludes 0" if difference else "")
    table = _table("Seeker realism", *columns, *(["difference"] if difference else []), caption=caption)
    for measure, label in _LABELS.items():
        cells = [_interval(measure, one.figures[measure]) for one in columns.values()]
        if difference:
            star = "*" if difference[measure].excludes_zero else " "
            cells.append(_interval(measure, difference[measure]) + star)
        table.add_row(label, *cells)
    return table


def trajectory_table(columns: Mapping[str, Realism]) -> Table:
    """Mean valence of the seeker's turns by tenth of the dialogue."""
    table = _table("Seeker's valence by tenth of the dialogue (-1 to 1)", *columns)
    for tenth, values in enumerate(zip(*(one.trajectory for one in columns.values()), strict=True), 1):
        table.add_row(f"{tenth} of 10", *(_signed(value) for value, _ in values))
    return table


def coverage_tables(
    corpus: Corpus, personas: Mapping[str, Persona], embed: Embed | None = None
) -> Iterator[RenderableType]:
    """Figures 6a and 6b: likeness to the own and to other personas, by position."""
    found = coverage(corpus.dialogues, personas, embed=embed)
    yield curves_table(f"{corpus.name}: word overlap with the persona", found.overlap, found)
    if found.similarity is not None:
        yield curves_table(f"{corpus.name}: similarity of embeddings to the persona", found.similarity, found)


def curves_table(title: str, curves: Mapping[Speaker, Curve], found: Coverage) -> Table:
    """One row a twelfth of the dialogue, one column a speaker and persona: legible at 80 columns."""
    caption = f"{found.dialogues:,} dialogues by position; other: mean of {found.others} personas by chance"
    if found.without_persona:
        caption += f"; {found.without_persona:,} without a persona left out"
    table = _table(title, *(f"{speaker}, {whose}" for speaker in curves for whose in ("own", "other")), caption=caption)
    size = len(next(iter(curves.values())).bins)
    names = ["all", *(f"{number} of {size}" for number in range(1, size + 1))]
    for name, *levels in zip(names, *([curve.overall, *curve.bins] for curve in curves.values()), strict=True):
        table.add_row(name, *(_two(value) for level in levels for value in (level.own, level.other)))
    table.add_row("own higher in", *(cell for curve in curves.values() for cell in (_whole(curve.higher), "")))
    return table


def _table(title: str, *columns: str, caption: str | None = None) -> Table:
    table = Table("", title=escape(title), caption=escape(caption) if caption else None)
    for name in columns:
        table.add_column(escape(name), justify="right")
    return table


def _interval(measure: Measure, found: Interval) -> str:
    if found.value is None:
        return "-"
    shown = _whole if measure in _SHARES else _one if measure is Measure.WORDS else _two
    ends = f" [{shown(found.low)}, {shown(found.high)}]" if found.low is not None else ""
    return escape(shown(found.value) + ends)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{round(value, 2) + 0.0:.0%}"  # + 0.0: no "-0%"


def _one(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _three(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"
