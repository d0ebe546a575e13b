"""Exact and near copies among many texts, each compared with those kept before it."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from math import ceil
from typing import Final
from zlib import crc32

_HITS: Final = 8  # shared indexed shingles from which two texts are compared in full; more is faster and larger
_TOKEN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3400-\u9fff\uf900-\ufaff]+")


class Deduplicator:
    """Finds exact and near copies among the descriptions it was given.

    Two texts are copies where the Jaccard similarity of their 5-shingles (words; Chinese: characters) reaches the
    threshold. Only a prefix of each text's shingles, in hash order, is indexed: two sets that similar share at least
    `_HITS` of these (prefix filtering), so nothing is missed and little is compared. Hashes are the same in every
    process.

    Args:
        threshold: similarity from which two texts are copies, above 0 and at most 1.
    """

    def __init__(self, threshold: float = 0.6) -> None:
        self._threshold = threshold
        self._ids: list[str] = []
        self._shingles: list[tuple[int, ...]] = []
        self._exact: dict[str, int] = {}
        self._index: dict[int, list[int]] = {}

    def add(self, post_id: str, text: str) -> str | None:
        """The id of the first kept text that this one copies; otherwise keep this one and return None."""
        tokens = _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())
        normalised, shingles = " ".join(tokens), _shingle_hashes(tokens)
        prefix = shingles[: len(shingles) - self._shared_least(shingles) + self._hits(shingles)]
        known = self._exact.get(normalised)
        if known is None:
            known = self._nearest(shingles, prefix)
        if known is not None:
            return self._ids[known]
        self._exact[normalised] = number = len(self._ids)
        self._ids.append(post_id)
        self._shingles.append(shingles)
        for shingle in prefix:
            self._index.setdefault(shingle, []).append(number)
        return None

    def _shared_least(self, shingles: tuple[int, ...]) -> int:
        return ceil(self._threshold * len(shingles) - 1e-9)  # 0.6 * 35 is a hair above 21 for a float

    def _hits(self, shingles: tuple[int, ...]) -> int:
        return min(_HITS, self._shared_least(shingles))

    def _nearest(self, shingles: tuple[int, ...], prefix: tuple[int, ...]) -> int | None:
        postings = (self._index[shingle] for shingle in prefix if shingle in self._index)
        hits, own, needed = (Counter(chain.from_iterable(postings)), set(shingles), self._hits(shingles))
        for number, count in sorted(hits.items()):
            other = self._shingles[number]
            if count < min(needed, self._hits(other)) or len(other) * self._threshold > len(own):
                continue
            shared = len(own.intersection(other))
            if shared >= self._threshold * (len(own) + len(other) - shared):
                return number
        return None


def _shingle_hashes(tokens: Sequence[str], size: int = 5) -> tuple[int, ...]:
    """The distinct shingles of a text as hashes, in ascending order."""
    runs = (" ".join(tokens[start : start + size]) for start in range(len(tokens) - size + 1))
    return tuple(sorted({crc32(run.encode()) for run in runs}))
