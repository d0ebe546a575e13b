"""The authored demonstrations beside a real corpus."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice, pairwise
from pathlib import Path

import pytest

from socialsim.formats.dialogues import read_dialogues
from socialsim.resources import demonstrations
from socialsim.schema import Dialogue
from socialsim.text import words

DATA = Path(os.environ.get("SOCIALSIM_SHARED", Path(__file__).parents[3] / "shared")) / "data"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no real data in {DATA}; set SOCIALSIM_SHARED to the folder that holds data/"
)


def utterances(dialogues: Iterable[Dialogue], limit: int | None = None) -> list[list[str]]:
    """The words of each utterance in order, cut after so many words altogether."""
    said, left = [], limit
    for text in (turn.text for dialogue in dialogues for turn in dialogue.turns):
        tokens = list(islice(words(text), left))
        said.append(tokens)
        if left is not None:
            left -= len(tokens)
            if not left:
                break
    return said


def distinct_2(said: list[list[str]]) -> float:
    pairs = [pair for tokens in said for pair in pairwise(tokens)]
    return len(set(pairs)) / len(pairs)


def test_words_repeat_less_than_in_as_much_of_esconv() -> None:
    # Distinct-2 falls with length, so that only texts of one length compare.
    own = utterances(demo.dialogue for demo in demonstrations())
    size = sum(map(len, own))
    real = utterances(read_dialogues(DATA / "esconv_dev.json"), limit=size)
    assert sum(map(len, real)) == size
    assert distinct_2(own) > distinct_2(real)
