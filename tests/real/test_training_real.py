"""What is trained on real ESConv dialogues, token by token; the embedded model's tokenizer, no weights."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import pytest

from finetune.chat import ChatFormat
from finetune.corpora import Corpus, read_corpus
from finetune.dataset import Counted, lesson, trees
from finetune.format import Variant
from tests import students

DATA = Path(os.environ.get("SOCIALSIM_SHARED", Path(__file__).parents[3] / "shared")) / "data"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no real data in {DATA}; set SOCIALSIM_SHARED to the folder that holds data/"
)
pytest.importorskip("transformers", reason="needs socialsim[train]")


@lru_cache(maxsize=1)
def esconv() -> Corpus:
    return read_corpus(DATA / "esconv_dev.json")


@pytest.mark.parametrize("plain", [False, True], ids=["template", "plain"])
def test_the_loss_covers_the_supporters_words_and_their_end_only(plain: bool) -> None:
    format = ChatFormat(students.tokenizer(), plain)
    decode, end = format.tokenizer.decode, str(format.tokenizer.eos_token)
    for dialogue in esconv()[:12]:
        supporters = [turn.text for turn in dialogue.turns[1::2]]
        for (chat, reply), said in zip(lesson(dialogue, Variant()).replies, supporters, strict=True):
            sample = format.sample(list(chat), reply)
            assert decode(list(sample.ids[sample.start :])) == f"{' ' if plain else ''}{said}{end}"
            assert decode(list(sample.ids[: sample.start])) == format.prompt(chat)
            assert list(sample.ids[: sample.start]) == format.prompt_ids(chat)


@pytest.mark.parametrize("plain", [False, True], ids=["template", "plain"])
def test_a_dialogue_costs_its_length_once(plain: bool) -> None:
    counted, format = Counted(), ChatFormat(students.tokenizer(), plain)
    made = list(trees((lesson(one, Variant()) for one in esconv()[:40]), format, 10_000, counted))
    assert all(len(tree.paths()) == 1 for tree in made)
    assert counted.too_long == 0
    assert counted.replies == sum(len(one.turns) // 2 for one in esconv()[:40])
    assert counted.one_by_one > 6 * counted.tokens


def test_a_strategy_is_a_branch_of_its_own() -> None:
    counted, format = Counted(), ChatFormat(students.tokenizer())
    made = list(trees((lesson(one, Variant.parse("strategy")) for one in esconv()[:20]), format, 10_000, counted))
    assert all(len(tree.paths()) > 1 for tree in made)
    assert counted.one_by_one > 4 * counted.tokens
