"""Reply metrics on real ESConv dialogues: the gold replies against themselves and against each other."""

from __future__ import annotations

import os
import random
from functools import cache
from pathlib import Path

import pytest

from metrics.replies import MetricSources, ReplyMetric, ReplyPair, Scored, compare, missing, reply_scores
from socialsim.formats import read_dialogues
from socialsim.schema import Speaker

DATA = Path(os.environ.get("SOCIALSIM_SHARED", Path(__file__).parents[3] / "shared")) / "data"

real = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no real data in {DATA}; set SOCIALSIM_SHARED to the folder that holds data/"
)


@cache
def gold() -> tuple[tuple[str, str], ...]:
    """Dialogue and text of every supporter turn, for a third of the dialogues."""
    return tuple(
        (dialogue.id, turn.text)
        for dialogue in list(read_dialogues(DATA / "esconv_dev.json"))[::3]
        for turn in dialogue.turns
        if turn.speaker is Speaker.SUPPORTER
    )


@cache
def vectors(folder: Path) -> Path:
    """Random vectors of the words that occur: equal words are alike, others are not."""
    from metrics.scored import clean, tokens

    rng = random.Random(0)
    words = sorted({word for _, text in gold() for word in tokens(clean(text))})
    path = folder / "random.txt"
    path.write_text("".join(f"{word} {' '.join(f'{rng.gauss(0, 1):.4f}' for _ in range(20))}\n" for word in words))
    return path


@real
def test_gold_beats_shuffled_gold_on_every_metric(tmp_path: Path) -> None:
    pytest.importorskip("sacrebleu", reason="needs socialsim[eval]")
    sources = MetricSources(vectors=vectors(tmp_path), encoder="no/such", layers=1)
    groups = [group for group, _ in gold()]
    texts = [text for _, text in gold()]
    shuffled = random.Random(1).sample(texts, len(texts))
    same = reply_scores([ReplyPair(*row, row[1]) for row in gold()], sources)
    other = reply_scores([ReplyPair(g, r, t) for g, r, t in zip(groups, shuffled, texts, strict=True)], sources)
    lacking = missing(sources)
    for name in (ReplyMetric.BLEU1, ReplyMetric.BLEU2, ReplyMetric.ROUGE_L, ReplyMetric.METEOR, ReplyMetric.EXTREMA):
        if name in lacking:
            continue
        high, low = same[name], other[name]
        assert isinstance(high, Scored)
        assert isinstance(low, Scored)
        assert high.value > 98
        assert 0 < low.value < 60
        found = compare(low, high, groups)
        assert found is not None
        assert found.gain.excludes_zero
        assert found.test is not None
        assert found.test.p < 0.001
    # Distinct reads the set of replies, whatever they answer.
    for name in (ReplyMetric.DISTINCT1, ReplyMetric.DISTINCT2):
        assert same[name] == other[name]
    distinct = same[ReplyMetric.DISTINCT1], same[ReplyMetric.DISTINCT2]
    assert all(isinstance(score, Scored) for score in distinct)
    assert 3 < distinct[0][0] < 25  # type: ignore[operator]
    assert 20 < distinct[1][0] < 70  # type: ignore[operator]
