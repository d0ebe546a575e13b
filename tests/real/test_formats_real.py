"""The readers on real corpora, counted against the published numbers."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from socialsim.formats import ssconv
from socialsim.formats.dialogues import merge_consecutive, read_dialogues, trim_to_exchanges
from socialsim.formats.posts import read_posts
from socialsim.journal import write_atomically
from socialsim.schema import Speaker
from socialsim.taxonomy import Strategy

DATA = Path(os.environ.get("SOCIALSIM_SHARED", Path(__file__).parents[3] / "shared")) / "data"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no real data in {DATA}; set SOCIALSIM_SHARED to the folder that holds data/"
)


def test_esconv_dev_has_the_published_counts() -> None:
    dialogues = list(read_dialogues(DATA / "esconv_dev.json"))
    assert len(dialogues) == 211
    assert round(sum(len(dialogue.turns) for dialogue in dialogues) / 211, 1) == 30.0
    choices = [choice for dialogue in dialogues for turn in dialogue.turns for choice in turn.strategies]
    assert all(choice.stage is None for choice in choices)
    assert Counter(choice.strategy for choice in choices) == {
        Strategy.QUESTION: 662,
        Strategy.OTHERS: 539,
        Strategy.AFFIRMATION: 494,
        Strategy.SUGGESTIONS: 477,
        Strategy.SELF_DISCLOSURE: 283,
        Strategy.REFLECTION: 251,
        Strategy.INFORMATION: 201,
        Strategy.RESTATEMENT: 177,
    }


def test_esconv_dev_merges_into_alternating_exchanges() -> None:
    for dialogue in read_dialogues(DATA / "esconv_dev.json"):
        trimmed = trim_to_exchanges(merge_consecutive(dialogue))
        assert trimmed is not None
        speakers = [turn.speaker for turn in trimmed.turns]
        assert speakers == [Speaker.SEEKER, Speaker.SUPPORTER] * (len(speakers) // 2)


def test_esconv_survives_the_release_format(tmp_path: Path) -> None:
    dialogues = list(read_dialogues(DATA / "esconv_dev.json"))
    write_atomically(tmp_path / "release.json", ssconv.dialogues_text(dialogues))
    back = list(read_dialogues(tmp_path / "release.json"))
    assert [dialogue.turns for dialogue in back] == [dialogue.turns for dialogue in dialogues]


def test_rejected_esconv_dialogues_are_read_whole() -> None:
    dialogues = list(read_dialogues(DATA / "failed_esconv.json"))
    assert len(dialogues) == 98
    assert sum(len(dialogue.turns) for dialogue in dialogues) == 2625
    supporter = [turn for d in dialogues for turn in d.turns if turn.speaker is Speaker.SUPPORTER]
    assert len(supporter) == 1183 == sum(len(turn.strategies) for turn in supporter)


@pytest.mark.parametrize(
    ("name", "count"), [("psyqa_examples.json", 50), ("esconv_situations.jsonl", 164), ("failed_esconv.json", 98)]
)
def test_posts_are_all_read(name: str, count: int) -> None:
    posts = list(read_posts(DATA / name))
    assert len(posts) == len({post.id for post in posts}) == count
    assert all(post.description and post.keywords and post.source == name for post in posts)


def test_psyqa_ids_are_those_of_the_data() -> None:
    records = json.loads((DATA / "psyqa_examples.json").read_text("utf-8"))
    assert [post.id for post in read_posts(DATA / "psyqa_examples.json")] == [
        f"psyqa-{r['questionID']}" for r in records
    ]
