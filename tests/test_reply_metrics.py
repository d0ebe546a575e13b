"""The reply metrics as a whole: NAvg as printed, what is missing, and comparisons of two models."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from metrics import wordnet
from metrics.replies import (
    COLUMNS,
    PUBLISHED,
    PUBLISHED_ABLATION,
    MetricSources,
    PublishedRow,
    ReplyMetric,
    ReplyPair,
    Scored,
    Unavailable,
    compare,
    missing,
    navg,
    reply_scores,
)
from metrics.significance import unpaired_t
from tests.tiny_wordnet import write_wordnet

eval_extra = pytest.mark.skipif(
    any(__import__("importlib.util").util.find_spec(name) is None for name in ("sacrebleu", "nltk", "rouge_score")),
    reason="needs socialsim[eval]",
)

ROWS = [
    *((PUBLISHED[test]["ESConv°"], row) for test, rows in PUBLISHED.items() for row in rows.values()),
    *((PUBLISHED["SSConv-test"]["ESConv°"], row) for row in PUBLISHED_ABLATION.values()),
]


@pytest.mark.parametrize(("reference", "row"), ROWS)
def test_navg_of_every_published_row_comes_out_as_printed(reference: PublishedRow, row: PublishedRow) -> None:
    found = navg(row.scores, reference.scores)
    assert found is not None
    assert round(found, 3) == row.navg


def test_the_published_tables_are_whole() -> None:
    assert [len(rows) for rows in PUBLISHED.values()] == [5, 5]
    assert len(PUBLISHED_ABLATION) == 6
    headline = [PUBLISHED[test][name].navg for test in PUBLISHED for name in ("SSConv°", "SSConv•")]
    assert headline == [1.338, 1.390, 1.002, 1.017]
    assert {name for rows in PUBLISHED.values() for name, row in rows.items() if row.significant} == {
        "SSConv°",
        "SSConv•",
    }


def test_navg_is_the_mean_of_seven_ratios_or_nothing() -> None:
    reference = dict.fromkeys(COLUMNS, 10.0)
    # Seven ratios: six of 1 and one of 8 give 2.
    row = reference | {ReplyMetric.DISTINCT2: 80.0}
    assert navg(row, reference) == 2.0
    assert navg(row | {ReplyMetric.BERTSCORE: 99.0}, reference) == 2.0
    for name in COLUMNS:
        assert navg({key: value for key, value in row.items() if key is not name}, reference) is None
        assert navg(row, {key: value for key, value in reference.items() if key is not name}) is None
        assert navg(row, reference | {name: 0.0}) is None


@eval_extra
def test_all_metrics_come_in_the_paper_s_order_and_what_is_missing_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nltk

    monkeypatch.setattr(nltk.data, "path", [])
    monkeypatch.setattr(wordnet, "DEBIAN", tmp_path / "none")
    found = reply_scores(
        [ReplyPair("d", "You’re  fine😊", "you're fine 😊")], MetricSources(encoder="no/such", layers=1)
    )
    assert tuple(found)[:7] == COLUMNS
    lacking = {name for name, score in found.items() if isinstance(score, Unavailable)}
    assert lacking == {ReplyMetric.METEOR, ReplyMetric.EXTREMA, ReplyMetric.BERTSCORE}
    for name in (ReplyMetric.BLEU1, ReplyMetric.BLEU2, ReplyMetric.ROUGE_L):
        score = found[name]
        assert isinstance(score, Scored)
        assert score.value == pytest.approx(100)  # the quote and the space before the emoji do not count
    assert missing(MetricSources(encoder="no/such", layers=1)) == {name: found[name] for name in lacking}


@eval_extra
def test_no_pairs_and_empty_gold_are_refused() -> None:
    with pytest.raises(ValueError, match="need pairs"):
        reply_scores([])
    with pytest.raises(ValueError, match="gold"):
        reply_scores([ReplyPair("d", "hello", " ")])


@eval_extra
def test_three_thousand_pairs_take_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import random

    import nltk

    monkeypatch.setattr(nltk.data, "path", [])
    monkeypatch.setattr(wordnet, "DEBIAN", write_wordnet(tmp_path / "wordnet"))
    rng = random.Random(0)
    vocabulary = [f"word{number}" for number in range(3000)]
    vectors = tmp_path / "v.txt"
    vectors.write_text("".join(f"{word} {' '.join(['0.12345'] * 50)}\n" for word in vocabulary))
    texts = [" ".join(rng.choices(vocabulary, k=20)) for _ in range(6000)]
    pairs = [ReplyPair(str(i // 10), f"i see {texts[i]}", f"{texts[-i]} i see") for i in range(3000)]
    started = time.monotonic()
    found = reply_scores(pairs, MetricSources(vectors=vectors, encoder="no/such", layers=1))
    assert time.monotonic() - started < 60  # about 4 s on two busy cores
    assert navg(_values(found), _values(found)) == pytest.approx(1)


def test_a_better_model_is_told_by_both_tests() -> None:
    groups = [f"d{number // 2}" for number in range(20)]
    first = Scored(50.0, tuple(float(number) for number in range(20)), "x")
    second = Scored(60.0, tuple(number + 30.0 for number in range(20)), "x")
    found = compare(first, second, groups)
    assert found is not None
    assert (found.gain.value, found.gain.low, found.gain.high, found.gain.n) == (30, 30, 30, 20)
    assert found.test is not None
    assert found.test.p < 1e-6
    back = compare(second, first, groups)
    assert back is not None
    assert back.test is not None
    assert back.test.p > 0.999


def test_pairs_undefined_on_a_side_are_left_out_on_both() -> None:
    first, second = Scored(1, (1.0, None, 3.0, 2.0), "x"), Scored(1, (2.0, 5.0, None, 4.0), "x")
    found = compare(first, second, ["a", "b", "c", "d"])
    assert found is not None
    assert (found.gain.value, found.gain.n) == (1.5, 2)


def test_what_cannot_be_compared_is_not() -> None:
    whole = Scored(3.0, None, "x")
    assert compare(whole, whole, ["a"]) is None
    with pytest.raises(ValueError, match="not comparable"):
        compare(Scored(1, (1.0,), "minilm"), Scored(1, (1.0,), "roberta"), ["a"])


def test_the_t_test_by_hand() -> None:
    # Means 2 and 4, variances 1 and 4, 3 items each: t = 2 / sqrt(1/3 + 4/3) = 1.549; Welch's degrees of freedom
    # (5/3)^2 / ((1/3)^2 / 2 + (4/3)^2 / 2) = 2.941. One-tailed p from the table of t for 2.941: 0.111.
    found = unpaired_t([1, 2, 3], [2, 4, 6])
    assert found is not None
    assert found.t == pytest.approx(2 / (5 / 3) ** 0.5)
    assert found.p == pytest.approx(_upper_tail(found.t, 25 / 9 / (1 / 18 + 16 / 18)), abs=1e-4)
    assert 0.10 < found.p < 0.12


def test_a_t_test_without_spread_or_items_is_undefined() -> None:
    assert unpaired_t([1], [2, 3]) is None
    assert unpaired_t([1, 1], [2, 2]) is None
    with pytest.raises(ValueError, match="finite"):
        unpaired_t([1, float("nan")], [1, 2])


def test_importing_the_metrics_loads_no_heavy_library() -> None:
    heavy = "numpy scipy torch transformers nltk sacrebleu gensim bert_score rouge_score dspy"
    code = f"import sys, metrics.replies; print([name for name in {heavy.split()} if name in sys.modules])"
    env = {name: value for name, value in os.environ.items() if not name.startswith("COV_")}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert ran.stdout.strip() == "[]"


def _values(found: dict[ReplyMetric, Scored | Unavailable]) -> dict[ReplyMetric, float]:
    return {name: score.value for name, score in found.items() if isinstance(score, Scored)}


def _upper_tail(t: float, freedom: float) -> float:
    """P(T > t) by adding up Student's density."""
    from math import exp, lgamma, pi

    scale = exp(lgamma((freedom + 1) / 2) - lgamma(freedom / 2)) / (freedom * pi) ** 0.5
    step = 1e-4
    middles = ((k + 0.5) * step for k in range(round(t / step)))
    return 0.5 - sum((1 + middle**2 / freedom) ** (-(freedom + 1) / 2) for middle in middles) * step * scale
