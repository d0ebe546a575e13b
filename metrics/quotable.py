"""What may be quoted of a text: its sentences, so that a decoder bound to them cannot invent words."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from metrics.quotes import occurs
from socialsim.text import count_words, sentences, split_emoji

_LEAST_WORDS: Final = 3  # a shorter sentence decides nothing
_LONGEST: Final = 300  # characters of a quote
# What providers take as one list in a strict schema.
_MOST: Final = 250
_MOST_CHARACTERS: Final = 12_000


def quotable_sentences(texts: Iterable[str]) -> tuple[str, ...]:
    """The sentences of some texts, each once; () where they are more than a strict JSON schema may list.

    A strict schema may list 250 texts and 12,000 characters in all. What is too much for it is quoted freely.
    """
    found = tuple(dict.fromkeys(quote for text in texts for quote in quotes_of(text)))
    fits = len(found) <= _MOST and sum(map(len, found)) <= _MOST_CHARACTERS
    return found if fits else ()


@lru_cache(maxsize=4096)
def quotes_of(text: str) -> tuple[str, ...]:
    """The sentences of at least three words of one text, else the whole text; each occurs in it word for word.

    A closing emoji is left out, and of what is longer than 300 characters the rest.
    """
    flat = " ".join(text.split())
    found = [part for part in sentences(flat) if count_words(part) >= _LEAST_WORDS] or [split_emoji(flat).text]
    return tuple(dict.fromkeys(quote for quote in map(_cut, found) if occurs(quote, text)))


def _cut(sentence: str) -> str:
    if len(sentence) <= _LONGEST:
        return sentence
    start = sentence[:_LONGEST]
    return start.rpartition(" ")[0] or start
