"""How much of an answer is its own: a small model copies the examples in its prompt.

The measure is graded, so that an optimiser is drawn away from examples that are copied in part.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from socialsim.text import ngrams, words

RUN = 4  # words; shorter runs are everyday English, longer ones miss a copy with a word changed


@lru_cache(maxsize=4096)
def runs(text: str) -> frozenset[tuple[str, ...]]:
    """The runs of `RUN` words of a text."""
    return frozenset(ngrams(words(text), RUN))


def pool_runs(texts: Iterable[str]) -> frozenset[tuple[str, ...]]:
    """The runs of everything that may stand in a prompt as an example."""
    return frozenset(run for text in texts for run in runs(text))


def copied_share(texts: Iterable[str], pool: frozenset[tuple[str, ...]], own: Iterable[str] = ()) -> float:
    """Share of an answer's runs that stand in an example.

    Args:
        texts: the parts of the answer.
        pool: runs of the examples (`pool_runs`).
        own: what the answer may quote: its inputs.

    Returns:
        0 (nothing) to 1 (everything); 0 for an answer shorter than a run.
    """
    answer = [run for text in texts for run in runs(text)]
    allowed = frozenset(run for text in own for run in runs(text))
    copied = [run for run in answer if run in pool and run not in allowed]
    return len(copied) / len(answer) if answer else 0.0
