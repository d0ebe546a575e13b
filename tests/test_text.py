"""Words, sentences and closing emoji."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialsim.taxonomy import EMOJIS
from socialsim.text import (
    Closed,
    count_words,
    is_chinese,
    joined,
    kept_with_dialogue,
    ngrams,
    one_dialogue,
    sentences,
    split_emoji,
    with_emoji,
    words,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I'm HERE, really.", ["i'm", "here", "really"]),
        ("I’m here", ["i'm", "here"]),
        ("a twenty-seven-year-old", ["a", "twenty-seven-year-old"]),
        ("café naïve Ærø", ["café", "naïve", "ærø"]),
        ("so... 🙂 – no_way", ["so", "no", "way"]),
        ("", []),
    ],
)
def test_words_leave_out_punctuation_and_emoji(text: str, expected: list[str]) -> None:
    assert words(text) == tuple(expected)


def test_chinese_is_counted_by_characters() -> None:
    assert count_words("我很难过，OK?") == 5


@pytest.mark.parametrize(("text", "chinese"), [("我很难过", True), ("I said 好 once to her", False), ("", False)])
def test_a_text_is_chinese_from_a_fifth_of_its_characters(text: str, chinese: bool) -> None:
    assert is_chinese(text) is chinese


def test_sentences_end_at_closing_marks_and_leave_out_the_emoji() -> None:
    assert sentences("Why? I don't know… Mr. 5.5 said so! 😔") == ("Why?", "I don't know…", "Mr.", "5.5 said so!")


def test_ngrams_of_a_short_text_are_none() -> None:
    assert ngrams(("a", "b"), 3) == set()
    assert ngrams(("a", "b", "a", "b"), 2) == {("a", "b"), ("b", "a")}


@pytest.mark.parametrize("emoji", EMOJIS)
def test_a_closing_emoji_is_split_off_and_put_back(emoji: str) -> None:
    assert split_emoji(with_emoji("Well then.", emoji)) == Closed("Well then.", emoji)


@pytest.mark.parametrize("text", ["No emoji here.", "🙂 in front", "a 🙂 between"])
def test_only_a_closing_emoji_is_split_off(text: str) -> None:
    assert split_emoji(text) == Closed(text, None)


def test_without_an_emoji_a_text_stays_as_it_is() -> None:
    assert with_emoji("Well.", None) == "Well."


lines = st.lists(st.text("abc d", max_size=6), max_size=8)


@given(lines, lines, st.lists(st.integers(0, 8), max_size=12))
def test_what_texts_hold_together_is_the_same_however_a_dialogue_grows(
    one: list[str], other: list[str], lengths: list[int]
) -> None:
    with one_dialogue():
        for length in [*range(9), *lengths]:  # it grows, and is looked at again from an earlier turn
            for texts in (tuple(one[:length]), tuple(other[:length])):
                assert joined(words, texts) == {word for text in texts for word in words(text)}
    assert joined(words, tuple(one)) == {word for text in one for word in words(text)}


def test_within_a_dialogue_each_text_is_looked_into_once() -> None:
    seen = []

    def letters(text: str) -> frozenset[str]:
        seen.append(text)
        return frozenset(text)

    with one_dialogue():
        for length in range(1, 4):
            assert joined(letters, ("ab", "bc", "cd")[:length]) == frozenset("abcd"[: length + 1])
    assert seen == ["ab", "bc", "cd"]


def test_a_nested_dialogue_remembers_with_the_outer_one() -> None:
    made = []

    @kept_with_dialogue
    def doubled(text: str) -> str:
        made.append(text)
        return 2 * text

    with one_dialogue():
        assert doubled("a") == "aa"
        with one_dialogue():
            assert doubled("a") == "aa"
        assert made == ["a"]
    with one_dialogue():
        assert doubled("a") == "aa"
    assert made == ["a", "a"]
    assert doubled("a") == doubled("a") == "aa"  # outside of one, a cache remembers
    assert made == ["a", "a", "a"]
