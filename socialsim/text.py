"""Words, sentences and closing emoji: the one place that decides what they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Set
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache, wraps
from typing import Any, NamedTuple, TypeVar

from socialsim.taxonomy import EMOJIS

_WORD = re.compile(r"[^\W_]++(?:['’.\-][^\W_]++)*+")
_ASCII_WORD = re.compile(r"[a-z0-9]++(?:['.\-][a-z0-9]++)*+")  # the same in lower-case ASCII text, in half the time
_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])\s+")
# Longest first, so that a heart with its variation selector is not cut in half.
_EMOJIS = tuple(sorted(EMOJIS, key=len, reverse=True))
_CJK = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
# The checks of a turn read its texts several times; what they want of earlier turns is `joined`.
_remembered = lru_cache(maxsize=2048)
_T = TypeVar("_T", bound=Hashable)
_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class Closed(NamedTuple):
    """An utterance and the emoji that closes it."""

    text: str
    emoji: str | None


@_remembered
def words(text: str) -> tuple[str, ...]:
    """The words of a text in lower case; punctuation and emoji are none."""
    lowered = text.lower().replace("’", "'")
    return tuple((_ASCII_WORD if lowered.isascii() else _WORD).findall(lowered))


@_remembered
def count_words(text: str) -> int:
    """Number of words; for Chinese, of characters (as the paper counts PsyQA)."""
    if text.isascii():
        return len(words(text))
    characters = len(_CJK.findall(text))
    return characters + len(words(_CJK.sub(" ", text)))


def is_chinese(text: str) -> bool:
    """Whether at least a fifth of the visible characters are Chinese."""
    visible = [character for character in text if not character.isspace()]
    return bool(visible) and len(_CJK.findall(text)) >= 0.2 * len(visible)


@_remembered
def sentences(text: str) -> tuple[str, ...]:
    """Sentences of a text without closing emoji."""
    return tuple(part.strip() for part in _SENTENCE_END.split(split_emoji(text).text) if part.strip())


def ngrams(tokens: tuple[str, ...], n: int) -> set[tuple[str, ...]]:
    """The distinct n-grams of some tokens."""
    return set(zip(*(tokens[i:] for i in range(n)), strict=False))


def spoken(*texts: str) -> str:
    """The words of some texts as one, each between blanks; hyphenated words and contractions in their parts."""
    told = "|".join([f" {' '.join(words(text))} " for text in texts])
    return told.replace("-", " ").replace("'", " ")


def may_recur(line: str, said: str, length: int) -> bool:
    """Whether a run of words may be in what was said; where it may not, none is.

    Args:
        line: a text as `spoken`.
        said: others as `spoken`.
        length: words of a run, three at least.
    """
    parts, block = line.split(), min(length - 1, 4)
    # Wherever a run stands, one of these blocks lies within it.
    for at in range(0, len(parts) - block + 1, length - block + 1):
        if f" {' '.join(parts[at : at + block])} " in said:
            return True
    return False


@_remembered
def split_emoji(text: str) -> Closed:
    """Split a closing emoji of ours from an utterance; None where it has none."""
    stripped = text.rstrip()
    if stripped.isascii() or not stripped.endswith(_EMOJIS):
        return Closed(text, None)
    emoji = next(filter(stripped.endswith, _EMOJIS))
    return Closed(stripped.removesuffix(emoji).rstrip(), emoji)


@lru_cache(maxsize=16384)  # of earlier turns, too: two strings are little to keep
def plain(text: str) -> str:
    """An utterance without its closing emoji."""
    return split_emoji(text).text.strip()


def with_emoji(text: str, emoji: str | None) -> str:
    """Close an utterance with an emoji."""
    return f"{text} {emoji}" if emoji else text


class _Growing:
    """What the first texts of a dialogue hold, some or all of them."""

    def __init__(self) -> None:
        self.texts: tuple[str, ...] = ()
        self.found: set[Any] = set()

    def add(self, of: Callable[[str], Iterable[Any]], texts: tuple[str, ...]) -> None:
        """Take the texts in that are new."""
        self.found.update(*map(of, texts[len(self.texts) :]))
        self.texts = texts


class _Memory:
    """What is remembered of one dialogue."""

    def __init__(self) -> None:
        self.growing: dict[tuple[Callable[[str], Any], str], list[_Growing]] = {}  # by the first of the texts
        self.made: dict[Hashable, Any] = {}


_dialogue: ContextVar[_Memory | None] = ContextVar("memory_of_a_dialogue", default=None)


@contextmanager
def one_dialogue() -> Iterator[None]:
    """While one dialogue is made or checked: what is found in it is remembered as long."""
    if _dialogue.get() is not None:
        yield
        return
    token = _dialogue.set(_Memory())
    try:
        yield
    finally:
        _dialogue.reset(token)


def joined(of: Callable[[str], Iterable[_T]], texts: tuple[str, ...]) -> Set[_T]:
    """What any of the texts holds, to be looked at and not kept: it grows with the dialogue.

    Within `one_dialogue`, texts that grow by one cost what the new one costs.

    Args:
        of: what a text holds; the same function each time.
        texts: some.
    """
    memory = _dialogue.get()
    if memory is None or not texts:
        return frozenset().union(*map(of, texts))
    growing = memory.growing.get((of, texts[0]))
    if growing is None:
        growing = memory.growing[of, texts[0]] = []
    for one in growing:
        if one.texts is texts or (len(one.texts) == len(texts) and one.texts == texts):
            return one.found
    for one in growing:
        if texts[: len(one.texts)] == one.texts:
            break
    else:
        one = _Growing()
        growing.append(one)
    one.add(of, texts)
    return one.found


def kept_of_dialogue() -> dict[Hashable, Any]:
    """What else is remembered within `one_dialogue`; nothing of it stays outside."""
    memory = _dialogue.get()
    return {} if memory is None else memory.made


def kept_with_dialogue(function: Callable[[_K], _V]) -> Callable[[_K], _V]:
    """A function of a persona, or of a part of one, that is worked out once a dialogue, however many are under way."""
    elsewhere = lru_cache(maxsize=1024)(function)

    @wraps(function)
    def recalled(key: _K) -> _V:
        memory = _dialogue.get()
        if memory is None:
            return elsewhere(key)
        found: _V | None = memory.made.get((function, key))
        if found is None:
            found = memory.made[function, key] = function(key)
        return found

    return recalled


class Guarded:
    """A pattern of many alternatives that is only tried where a text holds what one of them needs.

    Args:
        pattern: ignores case.
        needles: in lower case; whatever the pattern matches holds one of them.
    """

    def __init__(self, pattern: re.Pattern[str], *needles: str) -> None:
        self.pattern = pattern
        self._needles = needles

    def search(self, text: str) -> re.Match[str] | None:
        """The first match."""
        lowered = text.lower()
        for needle in self._needles:
            if needle in lowered:
                return self.pattern.search(text)
        return None

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """All matches."""
        return self.pattern.finditer(text) if self.search(text) else iter(())
