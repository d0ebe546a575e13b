"""Perplexity before and after a training, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from finetune.gain import Gain
from finetune.likelihood import Likelihood, perplexity
from metrics.significance import Interval, paired_bootstrap


def gain_table(gain: Gain) -> Table:
    """A row for each kind of lesson (the program's role, where there is one) and one for all."""
    table = Table("replies", title="Perplexity of held-out replies", caption="interval: 95%, bootstrap over dialogues")
    for name in ("dialogues", "tokens", "base", "student", "nats a token, student - base"):
        table.add_column(name, justify="right")
    kinds = [name.rpartition("/")[2] if "/" in name else "" for name in gain.ids]
    for kind in dict.fromkeys(kinds) if len(set(kinds)) > 1 else ():
        _row(table, kind, gain, [index for index, one in enumerate(kinds) if one == kind])
    _row(table, "all", gain, range(len(kinds)))
    return table


def _row(table: Table, name: str, gain: Gain, chosen: Sequence[int]) -> None:
    base, student = [gain.base[i] for i in chosen], [gain.student[i] for i in chosen]
    groups = [gain.ids[i].rpartition("/")[0] or gain.ids[i] for i in chosen]
    change = paired_bootstrap([_mean(one) for one in base], [_mean(one) for one in student], groups)
    tokens = sum(one.tokens for one in base)
    table.add_row(name, f"{len(set(groups)):,}", f"{tokens:,}", _of(base), _of(student), interval_text(change))


def _mean(one: Likelihood) -> float:
    return one.nats / one.tokens


def _of(some: Sequence[Likelihood]) -> str:
    found = perplexity(some)
    return "-" if found is None else f"{found:.2f}"


def interval_text(change: Interval) -> str:
    """A change with its interval."""
    if change.low is None or change.high is None:
        return "-" if change.value is None else f"{change.value:+.3f}"
    return f"{change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"
