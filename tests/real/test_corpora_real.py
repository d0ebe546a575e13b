"""Corpora for training, on real ESConv dialogues."""

from __future__ import annotations

import os
from itertools import groupby
from pathlib import Path

import pytest

from finetune.corpora import default_test, read_corpus, require_nodes
from finetune.format import Variant
from finetune.splits import content_key, split
from socialsim.errors import InputError, UsageError
from socialsim.formats import read_dialogues
from socialsim.schema import Dialogue, Speaker, Turn

DATA = Path(os.environ.get("SOCIALSIM_SHARED", Path(__file__).parents[3] / "shared")) / "data"
ESCONV = DATA / "esconv_dev.json"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no real data in {DATA}; set SOCIALSIM_SHARED to the folder that holds data/"
)


def merged_by_hand(dialogue: Dialogue) -> list[list[Turn]]:
    """Runs of one speaker, from the seeker's first to the supporter's last."""
    runs = [list(run) for _, run in groupby(dialogue.turns, key=lambda turn: turn.speaker)]
    first = 0 if runs[0][0].speaker is Speaker.SEEKER else 1
    return runs[first : len(runs) if runs[-1][0].speaker is Speaker.SUPPORTER else -1]


def test_merging_loses_no_words_and_no_strategy() -> None:
    corpus, raw = read_corpus(ESCONV), list(read_dialogues(ESCONV))
    assert (len(corpus), corpus.left_out, len(raw)) == (211, 0, 211)
    for read, before in zip(corpus, raw, strict=True):
        runs = merged_by_hand(before)
        assert [turn.text for turn in read.turns] == [" ".join(turn.text for turn in run) for run in runs]
        chosen = [{choice for turn in run for choice in turn.strategies} for run in runs]
        assert [set(turn.strategies) for turn in read.turns] == chosen
        assert [len(turn.strategies) for turn in read.turns] == [len(each) for each in chosen]


def test_dialogues_are_exchanges() -> None:
    corpus = read_corpus(ESCONV)
    for dialogue in corpus:
        speakers = [turn.speaker for turn in dialogue.turns]
        assert speakers == [Speaker.SEEKER, Speaker.SUPPORTER] * (len(speakers) // 2)
    assert sum(len(dialogue.turns) // 2 for dialogue in corpus) == 2460


def test_esconv_dev_is_too_small_for_the_papers_200() -> None:
    with pytest.raises(UsageError, match="more than half of these 211"):
        default_test(ESCONV, 211)


def test_a_tenth_is_held_out() -> None:
    corpus = read_corpus(ESCONV)
    parts = split(corpus, 0.1, 0)
    assert (len(parts.train), len(parts.test)) == (190, 21)
    assert not {content_key(dialogue) for dialogue in parts.train} & {content_key(dialogue) for dialogue in parts.test}
    assert {dialogue.id for dialogue in split(corpus[::-1], 0.1, 0).test} == {dialogue.id for dialogue in parts.test}


def test_esconv_has_strategies_and_nothing_else() -> None:
    corpus = read_corpus(ESCONV)
    assert require_nodes(corpus, Variant.parse("strategy"), ESCONV).left_out == 0
    with pytest.raises(InputError, match=r"\(2,460 of 2,460 replies lack it\); .* use response or strategy$"):
        require_nodes(corpus, Variant.parse("reasoning"), ESCONV)


def test_rejected_dialogues_are_a_corpus_too() -> None:
    corpus = read_corpus(DATA / "failed_esconv.json")
    assert len(corpus) + corpus.left_out == 98
    assert corpus.left_out < 5
