"""Tables 5 and 6 of the paper beside the published human ratings, and how far a judge's verdicts can be trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Final

from rich import box
from rich.markup import escape
from rich.table import Table

from metrics.arena import ArenaVerdict
from metrics.preferences import lead, mean_score, meetings, rates, trust
from metrics.significance import Interval
from signatures.arena import Aspect
from socialsim.meter import add_up
from socialsim.schema import Dialogue, Rejection, Speaker, Usage

# Published in Table 5: sessions won, lost and tied of 72, in the order of `Aspect`.
PUBLISHED_5: Final[dict[tuple[str, str], tuple[tuple[int, int, int], ...]]] = {
    ("SSConv°", "ESConv°"): ((58, 3, 11), (61, 3, 8), (57, 3, 12), (60, 3, 9), (65, 2, 5)),
    ("SSConv°", "ExTES°"): ((27, 7, 38), (33, 13, 26), (27, 21, 24), (33, 18, 21), (37, 16, 19)),
}
# Published in Table 6: mean ratings, 0 to 3, in the order of `Aspect`.
PUBLISHED_6: Final[dict[str, tuple[float, ...]]] = {
    "SSConv°": (2.85, 2.65, 2.53, 2.62, 2.69),
    "ESConv°": (1.93, 1.50, 1.24, 1.35, 1.35),
    "ExTES°": (2.50, 2.26, 2.36, 2.36, 2.31),
}
_PEOPLE: Final = "* published: human ratings by 30 workers who talked to the models"
STAND_IN: Final = (
    "A simulated seeker and a judge LM stand in for the paper's 30 workers: these are no human ratings. Only "
    "the order of models, not the numbers, can be set beside the published ones."
)


def table5(models: Sequence[str], verdicts: Sequence[ArenaVerdict]) -> Table:
    """Wins, losses and ties of each pair in percent with 95% intervals, above the published sessions."""
    caption = "% of meetings [95% interval over personas]; a win needs both orders, all else is a tie"
    table = Table(title="Table 5: who is preferred", caption=f"{caption}\n{_PEOPLE}", box=box.SIMPLE_HEAD)
    for name in ("", "win", "loss", "tie", "win - loss", "n"):
        table.add_column(name, justify="right" if name else "left", no_wrap=bool(name), overflow="fold")
    for one, other in combinations(models, 2):
        _heading(table, escape(f"{one} vs. {other}"))
        for aspect in Aspect:
            made = [meeting for meeting in meetings(verdicts, one, other) if meeting.aspect is aspect]
            table.add_row(f" {aspect}", *map(_percent, (*rates(made), lead(made))), str(len(made)))
    for (one, other), rows in PUBLISHED_5.items():
        _heading(table, f"{one} vs. {other}*", "dim")
        for aspect, row in zip(Aspect, rows, strict=True):
            shares = [f"{count / sum(row):.0%}"[:-1] for count in row]
            ahead = f"{(row[0] - row[1]) / sum(row) * 100:+.0f}"
            table.add_row(f" {aspect}", *shares, ahead, str(sum(row)), style="dim")
    return table


def table6(models: Sequence[str], verdicts: Sequence[ArenaVerdict]) -> Table:
    """Mean scores of each model, 0 to 3, with 95% intervals, above the published ratings."""
    caption = "mean over both orders and all opponents [95% interval over personas]"
    table = Table(title="Table 6: scores, 0 to 3", caption=f"{caption}\n{_PEOPLE}", box=box.SIMPLE_HEAD)
    table.add_column("", overflow="fold")
    for aspect in Aspect:
        table.add_column(aspect[:7] + "." * (len(aspect) > 7), justify="right")
    for model in models:
        cells = [mean_score(verdicts, model, aspect) for aspect in Aspect]
        table.add_row(escape(model), *map(_score, cells))
    table.add_section()
    for name, values in PUBLISHED_6.items():
        table.add_row(f"{name}*", *(f"{value:.2f}" for value in values), style="dim")
    return table


def trust_table(models: Sequence[str], verdicts: Sequence[ArenaVerdict]) -> Table:
    """How often the judge contradicts itself, prefers a place, or gives no verdict that can be read."""
    caption = (
        "first place: share of the verdicts with a preference that prefer the dialogue shown first (50: no bias)\n"
        "inconsistent: the orders name different winners; half agreed: a winner in one, a tie in the other; both ties"
    )
    table = Table(title="How far to trust the judge", caption=caption, box=box.SIMPLE_HEAD)
    for name in ("", "verdicts", "errors", "first place", "inconsistent", "half agreed"):
        table.add_column(name, justify="right" if name else "left", overflow="fold")
    for one, other in combinations(models, 2):
        found = trust(verdicts, one, other)
        shares = map(_percent, (found.first, found.inconsistent, found.half))
        table.add_row(escape(f"{one} vs. {other}"), f"{found.verdicts:,}", f"{found.errors:,}", *shares)
    return table


def models_table(dialogues: Mapping[str, Sequence[Dialogue]], rejected: Mapping[str, Sequence[Rejection]]) -> Table:
    """What each model said, and what it took."""
    caption = "flagged: replies kept with a soft finding; calls and cost: the seeker's included"
    table = Table(title="Dialogues", caption=caption, box=box.SIMPLE_HEAD)
    for name in ("", "dialogues", "rejected", "flagged", "words a reply", "calls", "cost"):
        table.add_column(name, justify="right" if name else "left", overflow="fold")
    for model, made in dialogues.items():
        turns = [turn for one in made for turn in one.turns if turn.speaker is Speaker.SUPPORTER]
        flagged = f"{sum(bool(turn.flags) for turn in turns) / len(turns):.0%}" if turns else "-"
        words = f"{sum(len(turn.text.split()) for turn in turns) / len(turns):.1f}" if turns else "-"
        usage = spent(made, rejected.get(model, ()))
        counts = (f"{len(made):,}", f"{len(rejected.get(model, ())):,}", flagged, words)
        table.add_row(escape(model), *counts, f"{usage.calls:,}", cost(usage))
    return table


def spent(dialogues: Iterable[Dialogue], rejected: Iterable[Rejection]) -> Usage:
    """What dialogues took, rejected ones included."""
    usages = [made.provenance.usage for made in dialogues if made.provenance]
    return add_up([*usages, *(rejection.usage for rejection in rejected)])


def cost(usage: Usage) -> str:
    """A cost in USD, or that it is unknown."""
    return "unknown" if usage.cost is None else f"${usage.cost:.4f}"


def common_reasons(verdicts: Iterable[ArenaVerdict], rejected: Iterable[Rejection]) -> list[tuple[str, int]]:
    """The commonest reasons for which dialogues and verdicts were given up, and how often."""
    reasons = Counter(f"verdict: {verdict.reasons[-1]}" for verdict in verdicts if verdict.reasons)
    reasons.update(f"dialogue: {one.reason}: {one.detail}" for one in rejected)
    return reasons.most_common(3)


def _heading(table: Table, text: str, style: str = "") -> None:
    table.add_section()
    table.add_row(text, style=f"bold {style}")


def _percent(cell: Interval) -> str:
    if cell.value is None:
        return "-"
    ends = f" [{cell.low * 100:.0f},{cell.high * 100:.0f}]" if cell.low is not None and cell.high is not None else ""
    return f"{cell.value * 100:.0f}{ends}"


def _score(cell: Interval) -> str:
    if cell.value is None:
        return "-"
    ends = f"\n{cell.low:.2f}-{cell.high:.2f}" if cell.low is not None and cell.high is not None else ""
    return f"{cell.value:.2f}{ends}"
