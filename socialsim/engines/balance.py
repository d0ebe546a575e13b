"""Which of several equal servers takes a prompt."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_REMEMBERED: Final = 8  # prompts a server is known by


class Balancer:
    """Sends a prompt to the server whose cache holds its beginning, else to the least busy one.

    Args:
        servers: how many there are.
    """

    def __init__(self, servers: int) -> None:
        self._busy = [0] * servers
        self._seen: list[deque[str]] = [deque(maxlen=_REMEMBERED) for _ in range(servers)]
        self._lock = threading.Lock()

    @contextmanager
    def seat(self, prompt: str) -> Iterator[int]:
        """Hold a place at a server while a prompt is answered; yields the server's index.

        Args:
            prompt: the part of the request that tells dialogues apart.
        """
        with self._lock:
            index = self._choose(prompt)
            self._busy[index] += 1
            self._seen[index].append(prompt)
        try:
            yield index
        finally:
            with self._lock:
                self._busy[index] -= 1

    def _choose(self, prompt: str) -> int:
        shared = [max((_common(prompt, one) for one in seen), default=0) for seen in self._seen]
        best = max(range(len(shared)), key=shared.__getitem__)
        # A dialogue's next prompt repeats most of its last one; another dialogue's only a heading.
        if shared[best] > len(prompt) / 2:
            return best
        return min(range(len(self._busy)), key=lambda index: (self._busy[index], len(self._seen[index])))


def _common(one: str, other: str) -> int:
    same = (index for index, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(same, min(len(one), len(other)))
