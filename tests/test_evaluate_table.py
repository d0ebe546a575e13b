"""Rows of Table 3: scored on the reply alone, compared with the reference, legible at 80 columns."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from metrics.navg import COLUMNS, PUBLISHED_ABLATION
from metrics.reply_table import ModelReplies, Nats, ReplyTable, reply_table
from metrics.scored import MetricSources, ReplyMetric, ReplyPair, Scored, Unavailable
from metrics.wordnet import find_wordnet
from socialsim.ablating import SUBSETS
from socialsim.report.evaluation_files import table_csv, table_json
from socialsim.report.table3 import (
    extras_table,
    gains_tables,
    lacking,
    published_table3,
    published_table4,
    table3,
    table4,
)

for needed in ("sacrebleu", "rouge_score", "gensim", "scipy"):
    pytest.importorskip(needed, reason="needs socialsim[eval]")

NONE = Unavailable("perplexity: not known", "name a student")
GOLDS = {"d1": ("the cat sat here", "all will be well"), "d2": ("say more of it", "the sun is up"), "d3": ("good bye",)}
LONG = "a-model-of-quite-a-long-name"


def replies(said: str | None, nats: Mapping[str, Nats] | Unavailable = NONE) -> ModelReplies:
    """The gold replies with their last word as given; None: to the letter."""
    golds = [(group, gold) for group, ones in GOLDS.items() for gold in ones]
    answers = [gold if said is None else f"{gold.rsplit(' ', 1)[0]} {said}" for _, gold in golds]
    pairs = [ReplyPair(group, answer, gold) for (group, gold), answer in zip(golds, answers, strict=True)]
    return ModelReplies(pairs, 0, nats)


def likely(scale: float) -> dict[str, Nats]:
    return {"d1": Nats(scale * 10, 10), "d2": Nats(scale * 22, 20), "d3": Nats(scale * 4, 5)}


@pytest.fixture
def vectors(tmp_path: Path) -> MetricSources:
    words = sorted({word for ones in GOLDS.values() for gold in ones for word in gold.split()})
    path = tmp_path / "glove.txt"
    path.write_text("".join(f"{word} {index}.5 {-index} {index % 3}.1\n" for index, word in enumerate(words, 1)))
    return MetricSources(vectors=path)


@pytest.fixture
def table(vectors: MetricSources) -> ReplyTable:
    models = {"base": replies("zzz", likely(3)), LONG: replies(None, likely(1)), "prompted": replies("zzz")}
    return reply_table(models, "base", vectors)


def text(*tables: object) -> str:
    console = Console(width=80, record=True, file=StringIO())
    for one in tables:
        console.print(one)
    return console.export_text()


def test_the_better_model_is_better_by_intervals_and_test(table: ReplyTable) -> None:
    gain = table.gains[LONG]
    bleu = gain.metrics[ReplyMetric.BLEU1]
    assert bleu.gain.excludes_zero
    assert bleu.test is not None
    assert bleu.test.p < 0.05
    assert set(table.gains) == {LONG, "prompted"}
    same = table.gains["prompted"].metrics[ReplyMetric.ROUGE_L]
    assert (same.gain.value, same.gain.low, same.gain.high) == (0, 0, 0)


def test_perplexity_weighs_tokens_and_needs_the_same_ones(table: ReplyTable) -> None:
    # base: 3 * (10 + 22 + 4) nats over 35 tokens; the other a third of them.
    base = table.rows["base"].perplexity
    assert isinstance(base, float)
    assert base == pytest.approx(math.exp(108 / 35))
    found = table.gains[LONG].perplexity
    assert found is not None
    assert found.value == pytest.approx(-72 / 35)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= -72 / 35 <= found.high < 0
    other = {name: one._replace(tokens=one.tokens + 1) for name, one in likely(1).items()}
    again = reply_table({"base": replies("x", likely(3)), "other": replies("x", other)}, "base", MetricSources())
    assert again.gains["other"].perplexity is None


def test_navg_is_there_with_all_seven_and_the_order_of_models_means_nothing(vectors: MetricSources) -> None:
    if isinstance(find_wordnet(), Unavailable):
        pytest.skip("needs WordNet for METEOR")
    models = {"a": replies("zzz"), "b": replies(None)}
    one = reply_table(models, "a", vectors)
    other = reply_table(dict(reversed(models.items())), "a", vectors)
    assert dict(one.rows) == dict(other.rows)
    assert one.gains == other.gains
    assert one.rows["a"].navg == pytest.approx(1.0)
    assert (one.rows["b"].navg or 0) > 1


def test_what_is_unavailable_is_a_dash_with_the_command_below() -> None:
    found = reply_table({"a": replies("zzz"), "b": replies(None)}, "a", MetricSources())
    assert isinstance(found.rows["a"].scores[ReplyMetric.EXTREMA], Unavailable)
    assert found.rows["a"].navg is None
    row = next(line for line in text(table3("t", found)).splitlines() if line.split()[:1] == ["a"]).split()
    assert row[1 + COLUMNS.index(ReplyMetric.EXTREMA)] == "-"
    assert row[-1] == "-"
    lines = lacking([found, found])
    assert len(lines) == len(set(lines))
    assert any("Extrema" in line and "--vectors" in line for line in lines)
    assert any("perplexity" in line and "name a student" in line for line in lines)
    assert any(line.startswith("NAvg") for line in lines)


def test_every_figure_is_whole_at_80_columns(table: ReplyTable) -> None:
    shown = text(table3("t", table), extras_table("t", table), *gains_tables("t", table), *published_table3("t"))
    assert all(len(line) <= 80 for line in shown.splitlines())
    for row in table.rows.values():
        for score in row.scores.values():
            assert not isinstance(score, Scored) or f"{score.value:.2f}" in shown
    assert "".join(LONG.split()) in "".join(shown.split())
    assert {"1.338", "1.390", "1.002", "1.017"} <= set(shown.split())


def test_a_test_set_of_the_papers_name_gets_its_published_rows_only() -> None:
    assert [str(one.title) for one in published_table3("esconv")] == ["Published Table 3: ESConv-test"]
    assert [str(one.title) for one in published_table3("my-SSConv")] == ["Published Table 3: SSConv-test"]
    assert len(list(published_table3("mine"))) == 2


def test_table_4_marks_the_nodes() -> None:
    models = {name: replies("zzz") for name in SUBSETS} | {"esconv": replies("yyy")}
    found = reply_table(models, "esconv", MetricSources())
    shown = text(table4(found, SUBSETS))
    marks = [[cell for cell in line.split() if cell in "✓✗"] for line in shown.splitlines()]
    assert [row for row in marks if row] == [
        ["✓" if name in nodes else "✗" for name in ("situation", "thought", "action", "strategy")]
        for nodes in PUBLISHED_ABLATION
    ]
    assert "esconv" in shown
    assert all(len(line) <= 80 for line in (shown + text(published_table4())).splitlines())


def test_the_files_hold_every_figure(table: ReplyTable) -> None:
    found = json.loads(table_json({"models": {}}, {"t": table}))["tests"]["t"]
    scores = found["models"][LONG]["metrics"]
    assert scores["B-1"]["value"] == table.rows[LONG].values[ReplyMetric.BLEU1]
    assert scores["B-1"]["detail"]
    assert found["models"]["prompted"]["perplexity"] == {"unavailable": NONE.reason, "get": NONE.command}
    assert found["against_reference"][LONG]["B-1"]["star"] is True
    rows = list(csv.DictReader(table_csv({"t": table}).splitlines()))
    assert [row["model"] for row in rows] == ["base", LONG, "prompted"]
    assert float(rows[1]["B-1"]) == table.rows[LONG].values[ReplyMetric.BLEU1]
    assert rows[2]["perplexity"] == ""
