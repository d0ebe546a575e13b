"""Duplicates: the index finds what comparing all pairs would find, and fast."""

from __future__ import annotations

import random
import time

import pytest

from socialsim.duplicates import Deduplicator
from tests.test_screening import STORY


def test_different_stories_are_no_duplicates() -> None:
    seen = Deduplicator()
    assert seen.add("a", STORY) is None
    assert seen.add("b", STORY[: len(STORY) // 2]) is None  # half of it is another, shorter story
    assert seen.add("c", "hi") is None
    assert seen.add("d", "Hi!") == "c"


def _texts(count: int, length: int, seed: int) -> list[str]:
    """Random texts, a fifth of them an earlier one with words changed."""
    rng = random.Random(seed)
    words = [f"w{number}" for number in range(3000)]
    texts: list[list[str]] = []
    for _ in range(count):
        if texts and rng.random() < 0.2:
            text = list(rng.choice(texts))
            for _ in range(rng.randint(0, length // 8)):
                text[rng.randrange(length)] = rng.choice(words)
        else:
            text = rng.choices(words, k=length)
        texts.append(text)
    return [" ".join(text) for text in texts]


def _brute_force(texts: list[str], threshold: float) -> list[int | None]:
    kept: dict[int, set[tuple[str, ...]]] = {}
    found: list[int | None] = []
    for number, text in enumerate(texts):
        words = text.split()
        own = {tuple(words[at : at + 5]) for at in range(len(words) - 4)}
        same = (other for other, its in kept.items() if len(own & its) >= threshold * len(own | its))
        found.append(next(same, None))
        if found[-1] is None:
            kept[number] = own
    return found


@pytest.mark.parametrize(("threshold", "length"), [(0.6, 80), (0.6, 9), (0.4, 40), (0.9, 60)])
def test_the_index_misses_nothing(threshold: float, length: int) -> None:
    texts = _texts(300, length, seed=length)
    seen = Deduplicator(threshold)
    found = [seen.add(str(number), text) for number, text in enumerate(texts)]
    expected = _brute_force(texts, threshold)
    assert found == [None if other is None else str(other) for other in expected]
    assert any(found)


def test_deduplication_is_fast() -> None:
    texts = _texts(4000, 150, seed=1)
    seen, begin = Deduplicator(), time.process_time()
    for number, text in enumerate(texts):
        seen.add(str(number), text)
    assert time.process_time() - begin < 10  # about 0.6 s; 20,000 of these take 4 s
