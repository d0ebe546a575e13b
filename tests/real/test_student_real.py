"""The embedded model as an untrained student on real dialogues."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from finetune.decoding import Sampling
from finetune.likelihood import perplexity
from finetune.student import Student, load_student
from socialsim.formats.dialogues import merge_consecutive, read_dialogues
from socialsim.schema import Dialogue, Speaker

DATA = Path(os.environ.get("SOCIALSIM_SHARED", Path(__file__).parents[3] / "shared")) / "data"

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.skipif(
        not DATA.is_dir(), reason=f"no real data in {DATA}; set SOCIALSIM_SHARED to the folder that holds data/"
    ),
]


@pytest.fixture(scope="module")
def student() -> Student:
    return load_student("embedded")


@pytest.fixture(scope="module")
def dialogue() -> Dialogue:
    """A conversation of ESConv of at least twelve exchanges, the seeker first."""
    for one in map(merge_consecutive, read_dialogues(DATA / "esconv_dev.json")):
        turns = one.turns[one.turns[0].speaker is Speaker.SUPPORTER :]
        if len(turns) >= 24:
            return one.model_copy(update={"turns": turns[:24]})
    raise AssertionError("ESConv has long conversations")


def test_gold_replies_are_far_likelier_than_chance(student: Student, dialogue: Dialogue) -> None:
    found = perplexity(student.likelihoods([dialogue]))
    assert found is not None
    assert 5 < found < 500  # chance: 49,152


def test_a_dialogue_is_read_once(student: Student, dialogue: Dialogue, capsys: pytest.CaptureFixture[str]) -> None:
    started = time.monotonic()
    replies = [
        student.submit_reply(dialogue.turns[:index], Sampling(max_tokens=8)).result()
        for index in range(1, len(dialogue.turns), 2)
    ]
    seconds, read = time.monotonic() - started, sum(one.prompt for one in replies)
    share = sum(one.cached for one in replies) / read
    with capsys.disabled():
        print(f"\n12 prompts of {read} tokens, {share:.0%} from the cache, {seconds:.1f} s")
    assert share > 0.6


def test_requests_side_by_side_write_faster_than_one(
    student: Student, dialogue: Dialogue, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = []
    for count in (1, 4):
        prompts = [dialogue.turns[: 1 + 2 * index] for index in range(count)]
        [student.submit_reply(one, Sampling(max_tokens=1)).result() for one in prompts]  # read beforehand
        started = time.monotonic()
        queued = [student.submit_reply(one, Sampling(temperature=0.8, max_tokens=24, seed=1)) for one in prompts]
        rates.append(sum(one.result().tokens for one in queued) / (time.monotonic() - started))
    with capsys.disabled():
        print(f"\n{rates[0]:.1f} tokens/s alone, {rates[1]:.1f} four at once")
    assert rates[1] > rates[0]
