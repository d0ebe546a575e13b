"""Words, sentences and closing emoji."""

from __future__ import annotations

import pytest

from socialsim.taxonomy import EMOJIS
from socialsim.text import Closed, count_words, is_chinese, ngrams, sentences, split_emoji, with_emoji, words


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
