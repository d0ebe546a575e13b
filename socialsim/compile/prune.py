"""Shorter instructions for LMs that are too small to follow long ones, or to write better ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

_UNIT = re.compile(r"(?<=[.!?])\s+(?=\S)|\n+")


class Pruner:
    """An instruction proposer for `dspy.GEPA` that leaves out a run of sentences.

    Args:
        seed: of the choice; the same instructions proposed from again give another cut.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._proposed = 0

    def __call__(
        self,
        candidate: Mapping[str, str],
        reflective_dataset: Mapping[str, Sequence[Mapping[str, Any]]],
        components_to_update: Sequence[str],
    ) -> dict[str, str]:
        """Propose new instructions for each component; what went wrong is not looked at."""
        return {name: self._shorter(candidate[name]) for name in components_to_update}

    def _shorter(self, text: str) -> str:
        units = [unit.strip() for unit in _UNIT.split(text) if unit.strip()]
        if len(units) < 2:
            return text
        self._proposed += 1
        random = Random(f"{self._seed}:{self._proposed}:{text}")
        length = random.randint(1, max(1, len(units) // 3))
        # The first sentence says who the LM is: without it the rest has no subject.
        start = random.randint(1, len(units) - length)
        return "\n".join(units[:start] + units[start + length :])
