"""Endpoints for tests of patience, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from dspy.utils.exceptions import LMError, LMRateLimitError, LMServerError, LMTimeoutError, LMTransportError

from socialsim.engines.patience import Patience
from tests.virtual_time import VirtualTime


def refusal(retry_after: float | None = None) -> LMError:
    return LMRateLimitError(message="slow down", model="m", status=429, retry_after=retry_after)


def failure(status: int = 500) -> LMError:
    return LMServerError(message="failed", model="m", status=status)


def gone() -> LMError:
    return LMTransportError(message="connection refused", model="m")


def hung() -> LMError:
    return LMTimeoutError(message="no answer", model="m")


@dataclass
class Endpoint:
    """What happens to requests, told in order: an error, or None for an answer; then answers only."""

    clock: VirtualTime
    script: Iterator[LMError | None] = field(default_factory=lambda: iter(()))
    latency: float = 1.0
    sent: list[float] = field(default_factory=list)
    open: int = 0

    async def __call__(self) -> str:
        self.sent.append(self.clock())
        ends, self.open = next(self.script, None), self.open + 1
        try:
            await asyncio.sleep(self.latency)
        finally:
            self.open -= 1
        if ends:
            raise ends
        return "answer"


@dataclass
class Crowded:
    """One that refuses some at random, and all beyond what it works on at once.

    Attributes:
        latency: seconds an answer takes, a fifth more or less; a refusal comes after 5 ms.
        dropped: share refused whatever their number, by the time.
        room: requests worked on at once, by the time.
        retry_after: seconds named with a refusal.
    """

    clock: VirtualTime
    latency: float
    dropped: Callable[[float], float] = lambda _: 0.0
    room: Callable[[float], float] = lambda _: float("inf")
    retry_after: float | None = None
    open: int = 0
    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    random: random.Random = field(default_factory=lambda: random.Random(1))

    async def __call__(self) -> str:
        now = self.clock()
        if self.random.random() < self.dropped(now) or self.open >= self.room(now):
            self.refused.append(now)
            await asyncio.sleep(0.005)
            raise refusal(self.retry_after)
        self.open += 1
        try:
            await asyncio.sleep(self.latency * self.random.uniform(0.8, 1.2))
        finally:
            self.open -= 1
        self.answered.append(now)
        return "answer"

    def kept_busy(self, patience: Patience, count: int, seconds: float) -> None:
        """``count`` who ask again and again, for some time."""

        async def asks() -> None:
            while True:
                await patience.ask(self)

        async def work() -> None:
            tasks = [asyncio.create_task(asks()) for _ in range(count)]
            await asyncio.sleep(seconds)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.clock.run(work())

    def speed(self, since: float = 0.0) -> float:
        """Answers a second."""
        return sum(at >= since for at in self.answered) / (self.clock() - since)

    def share_refused(self, since: float = 0.0) -> float:
        """Of all requests."""
        refused, answered = (sum(at >= since for at in times) for times in (self.refused, self.answered))
        return refused / (refused + answered)


def patient(clock: VirtualTime, **options: Any) -> Patience:
    return Patience(clock=clock, _random=random.Random(1), **options)


def heard(clock: VirtualTime, **options: Any) -> Patience:
    """One whose endpoint has answered before."""
    patience = patient(clock, **options)
    clock.run(patience.ask(Endpoint(clock, latency=0.1)))
    return patience


async def asking(patience: Patience, attempt: Callable[[], Awaitable[str]], times: int) -> None:
    for _ in range(times):
        await patience.ask(attempt)


async def together(patience: Patience, endpoint: Endpoint, count: int, until: float | None = None) -> None:
    """``count`` requests at once; those not ended ``until`` then are given up."""
    tasks = [asyncio.create_task(patience.ask(endpoint)) for _ in range(count)]
    await asyncio.wait(tasks, timeout=until)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def asking_at_once(patience: Patience, attempt: Callable[[], Awaitable[str]], count: int, times: int) -> None:
    await asyncio.gather(*(asking(patience, attempt, times) for _ in range(count)))
