"""What an endpoint can take is learnt from what it says: retries with backoff, adaptive concurrency.

Additive increase, multiplicative decrease, as in TCP: a refusal for load lowers the number of requests that may
be under way, at most once for those that were under way together; each answer raises it a little. A
``Retry-After`` holds back new requests until then. A request waits for its own turn only: a slow one blocks nobody.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar

T = TypeVar("T")
_LEAST_WAIT: Final = 0.5  # seconds before the second try, at most
_MOST_WAIT: Final = 30.0
_BACK_OFF: Final = 0.7  # of the requests under way, when the endpoint refuses for load


@dataclass
class Patience:
    """How one endpoint is asked; shared by all who ask it.

    Attributes:
        retries: how often a request that failed is sent again at least; 0 for never.
        patience: seconds a request goes on being sent again to an endpoint that has answered before, should it
            refuse or be gone. One that never answered has a wrong address: it gets ``retries`` and no more.
        ceiling: requests under way at most.
        limit: those that may be under way now.
        retried: how often a request was sent again.
        under_way: requests sent and not answered.
    """

    retries: int = 5
    patience: float = 180.0
    ceiling: float = 4096.0
    limit: float = field(default=0.0)
    retried: int = 0
    under_way: int = 0
    _heard: bool = False
    _not_before: float = 0.0  # monotonic; no request is sent earlier
    _lowered: float = 0.0  # when the limit fell last
    _waiting: deque[asyncio.Future[None]] = field(default_factory=deque, repr=False)
    _random: random.Random = field(default_factory=random.Random, repr=False)

    def __post_init__(self) -> None:
        self.limit = self.limit or self.ceiling

    def __deepcopy__(self, _: object) -> Self:
        """A copied LM asks the same endpoint."""
        return self

    async def ask(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Send a request until it is answered.

        Raises:
            dspy.utils.exceptions.LMError: what it failed with last, where it may not or need not be sent again.
        """
        trial = _Trial(self)
        while True:
            async with self._turn():
                started = time.monotonic()
                try:
                    made = await attempt()
                except Exception as error:
                    wait = trial.wait_after(error, started)
                else:
                    self._answered()
                    return made
            await asyncio.sleep(wait)

    def ask_blocking(self, attempt: Callable[[], T]) -> T:
        """The same for a caller's thread, without a limit: as many requests are under way as there are threads."""
        trial = _Trial(self)
        while True:
            started = time.monotonic()
            try:
                made = attempt()
            except Exception as error:
                time.sleep(trial.wait_after(error, started))
            else:
                self._answered()
                return made

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """A place among the requests under way, first come first served."""
        if self._waiting or self.under_way >= int(self.limit):
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # it had its place already
                    self._leave()
                raise
        else:
            self.under_way += 1
        try:
            while (wait := self._not_before - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        self.under_way -= 1
        while self._waiting and self.under_way < max(int(self.limit), 1):
            turn = self._waiting.popleft()
            if not turn.done() and not turn.get_loop().is_closed():
                self.under_way += 1
                turn.set_result(None)

    def _answered(self) -> None:
        self._heard = True
        self.limit = min(self.limit + 1 / max(self.limit, 1.0), self.ceiling)

    def _refused(self, started: float, retry_after: float | None) -> None:
        """The endpoint is overloaded: fewer requests, and none before it says so."""
        self._heard, now = True, time.monotonic()
        if retry_after is not None:
            self._not_before = max(self._not_before, now + min(retry_after, self.patience))
        if started > self._lowered:  # sent after the last fall: news
            self.limit = max(1.0, _BACK_OFF * min(self.limit, self.under_way))
            self._lowered = now


class _Trial:
    """The tries of one request."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._failures = 0
        self._since = time.monotonic()

    def wait_after(self, error: Exception, started: float) -> float:
        """Seconds to wait before the next try.

        Raises:
            Exception: the error itself, where there is no next try.
        """
        from dspy.utils.exceptions import LMRateLimitError, is_retryable_lm_error

        patience, self._failures = self._patience, self._failures + 1
        if not is_retryable_lm_error(error) or patience.retries == 0:
            raise error
        retry_after = _seconds(getattr(error, "retry_after", None))
        if isinstance(error, LMRateLimitError) or getattr(error, "status", None) == 503:
            patience._refused(started, retry_after)
        may_wait = patience._heard and time.monotonic() - self._since < patience.patience
        if self._failures > patience.retries and not may_wait:
            raise error
        patience.retried += 1
        backoff = min(_LEAST_WAIT * 2 ** min(self._failures - 1, 10), _MOST_WAIT)
        return max(retry_after or 0.0, backoff * patience._random.uniform(0.5, 1.0))


def _seconds(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and 0 <= value < float("inf") else None
