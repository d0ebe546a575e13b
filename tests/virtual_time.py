"""Time that passes at once: an event loop whose sleeps take no time, for tests of minutes of waiting."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualTime:
    """Seconds since the start; what a loop would wait for is added at once."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The clock."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """In place of ``time.sleep``."""
        self.now += max(seconds, 0.0)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end in this time.

        Raises:
            AssertionError: if all wait for something that never comes.
        """
        with asyncio.Runner(loop_factory=lambda: _Loop(self)) as runner:
            return runner.run(work)


class _Selector(selectors.DefaultSelector):
    def __init__(self, clock: VirtualTime) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "all wait for ever"
        self._clock.sleep(timeout)
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualTime) -> None:
        self._virtual = clock
        super().__init__(_Selector(clock))

    def time(self) -> float:
        return self._virtual.now
