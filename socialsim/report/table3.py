"""Tables 3 and 4 of the paper for models at hand, the published rows under a heading of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from rich import box
from rich.markup import escape
from rich.table import Table

from metrics.navg import COLUMNS, PUBLISHED, PUBLISHED_ABLATION, PublishedRow
from metrics.reply_table import Gain, ReplyTable, Row, better
from metrics.scored import ReplyMetric, Scored, Unavailable
from metrics.significance import Interval
from socialsim.schema import Node

_EXTRAS: Final = ("BERTScore", "perplexity", "replies", "failures", "words a reply")
GAIN_NOTE: Final = (
    "gain: mean difference a reply (B-1, B-2: of sentence BLEU; perplexity: of log-perplexity a token, better below "
    "0), paired bootstrap interval over dialogues; p: one-tailed unpaired t-test as in the paper, * p < 0.05; Distinct "
    "is of the whole set and has neither"
)
_ELSEWHERE: Final = "Llama-2-7b, another test set size, settings of the metrics not printed: compare order, not figures"
NODES_MARKED: Final = tuple((node.capitalize()[:2], node) for node in Node)


def table3(test: str, found: ReplyTable) -> Table:
    """The seven metrics and NAvg of each model."""
    caption = f"{_size(found)}; NAvg: mean ratio to {found.reference}; the reply alone is scored"
    table = _table(f"Table 3: {test}", caption, "", *COLUMNS, "NAvg")
    for name, row in found.rows.items():
        table.add_row(escape(name), *metric_cells(row))
    return table


def table4(found: ReplyTable, subsets: Mapping[str, Sequence[Node]]) -> Table:
    """The same by the nodes a student writes before its reply.

    Args:
        found: the test set.
        subsets: model to its nodes; other models are shown without marks.
    """
    nodes = ", ".join(f"{short} {node}" for short, node in NODES_MARKED)
    caption = f"{nodes}\n{_size(found)}; NAvg: mean ratio to {found.reference}"
    other = [name for name in found.rows if name not in subsets]
    heads = [short for short, _ in NODES_MARKED]
    table = _table(
        "Table 4: reasoning nodes before the reply", caption, *([""] if other else []), *heads, *COLUMNS, "NAvg"
    )
    for name, row in found.rows.items():
        marks = node_marks(subsets[name]) if name in subsets else [""] * len(Node)
        label = [escape("" if name in subsets else name)] if other else []
        table.add_row(*label, *marks, *metric_cells(row))
    return table


def extras_table(test: str, found: ReplyTable) -> Table:
    """What the paper's tables do not have."""
    caption = "perplexity: of the gold replies, by token; failures count as empty replies, which score 0"
    table = _table(f"Beside Table 3: {test}", caption, "", *_EXTRAS)
    for name, row in found.rows.items():
        score = row.scores[ReplyMetric.BERTSCORE]
        perplexity = "-" if isinstance(row.perplexity, Unavailable) else f"{row.perplexity:,.2f}"
        counts = (f"{row.replies:,}", f"{row.failures:,}", f"{row.words:.1f}")
        table.add_row(escape(name), _cell(score), perplexity, *counts)
    return table


def gains_tables(test: str, found: ReplyTable) -> Iterator[Table]:
    """Every other model against the reference."""
    for name, gain in found.gains.items():
        heads = ("metric", "reference", "model", "gain", "95% interval", "p")
        table = _table(f"{test}: {name} against {found.reference}", GAIN_NOTE, *heads)
        for cells in _gain_rows(found.rows[found.reference], found.rows[name], gain):
            table.add_row(*cells)
        yield table


def published_table3(test: str) -> Iterator[Table]:
    """The paper's rows: those of its test set of a like name, else of both."""
    alike = [name for name in PUBLISHED if name.partition("-")[0].lower() in test.lower()]
    for name in alike[-1:] if len(alike) == 1 else PUBLISHED:
        table = _table(f"Published Table 3: {name}", f"{_ELSEWHERE}\n* p < 0.05 there", "", *COLUMNS, "NAvg")
        for label, row in PUBLISHED[name].items():
            table.add_row(f"{label}{'*' if row.significant else ''}", *_published(row), style="dim")
        yield table


def published_table4() -> Table:
    """The paper's ablation; its NAvg is against a model trained on ESConv."""
    heads = [short for short, _ in NODES_MARKED]
    caption = f"SSConv-test; NAvg against ESConv°\n{_ELSEWHERE}"
    table = _table("Published Table 4", caption, *heads, *COLUMNS, "NAvg")
    for nodes, row in PUBLISHED_ABLATION.items():
        table.add_row(*node_marks(nodes), *_published(row), style="dim")
    return table


def lacking(tables: Iterable[ReplyTable]) -> list[str]:
    """Why cells are "-", and the command that fills them; each reason once."""
    found: dict[str, None] = {}
    for table in tables:
        for row in table.rows.values():
            for name, score in row.scores.items():
                if isinstance(score, Unavailable):
                    found[f"{name}: {score}"] = None
        gaps = {str(row.perplexity): None for row in table.rows.values() if isinstance(row.perplexity, Unavailable)}
        found |= gaps
        if any(row.navg is None for row in table.rows.values()):
            found["NAvg: needs all seven metrics, and none of the reference's may be 0"] = None
    return list(found)


def node_marks(nodes: Sequence[Node]) -> list[str]:
    """A tick or a cross for each of the four nodes."""
    return ["✓" if node in nodes else "✗" for node in Node]


def metric_cells(row: Row) -> list[str]:
    """The seven metrics and NAvg; "-" for what there is not."""
    return [*(_cell(row.scores[name]) for name in COLUMNS), "-" if row.navg is None else f"{row.navg:.3f}"]


def _size(found: ReplyTable) -> str:
    return f"{found.dialogues:,} dialogue{'s' * (found.dialogues != 1)}"


def _gain_rows(before: Row, after: Row, gain: Gain) -> Iterator[list[str]]:
    for metric, one in gain.metrics.items():
        p = "-" if one.test is None else _probability(one.test.p) + "*" * better(one)
        cells = [_cell(row.scores[metric]) for row in (before, after)]
        yield [metric, *cells, *_interval(one.gain, ".2f"), p]
    if gain.perplexity and isinstance(before.perplexity, float) and isinstance(after.perplexity, float):
        cells = [f"{before.perplexity:,.2f}", f"{after.perplexity:,.2f}"]
        yield ["perplexity", *cells, *_interval(gain.perplexity, ".3f"), "-"]


def _probability(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _interval(found: Interval, digits: str) -> list[str]:
    if found.value is None:
        return ["-", "-"]
    if found.low is None or found.high is None:
        return [f"{found.value:+{digits}}", "-"]
    return [f"{found.value:+{digits}}", f"{found.low:+{digits}} to {found.high:+{digits}}"]


def _cell(score: Scored | Unavailable) -> str:
    return f"{score.value:.2f}" if isinstance(score, Scored) else "-"


def _published(row: PublishedRow) -> list[str]:
    return [*(f"{row.scores[name]:.2f}" for name in COLUMNS), f"{row.navg:.3f}"]


def _table(title: str, caption: str, *columns: str) -> Table:
    table = Table(title=escape(title), caption=escape(caption), box=box.SIMPLE_HEAD)
    for name in columns:
        # Only a model's name may be folded: half a figure is none.
        table.add_column(escape(name), justify="right" if name else "left", no_wrap=bool(name), overflow="fold")
    return table
