"""What an endpoint can take is learnt from what it says: retries with backoff, adaptive concurrency (`Limit`).

A ``Retry-After`` holds back all requests where it tells of an overload, else the refused one. A request waits for its
own turn only: a slow one blocks nobody, since one that takes far longer than usual no longer counts.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar

from socialsim.engines.limit import Limit
from socialsim.lm_errors import UNANSWERED

T = TypeVar("T")
_LEAST_WAIT: Final = 0.5  # seconds before the second try, at most
_MOST_WAIT: Final = 30.0
_SLOW: Final = 4.0  # times as long as usual is slow
_LEAST_SLOW: Final = 1.0  # seconds
_USUAL: Final = 10.0  # seconds of an answer, before the first


@dataclass
class Patience:
    """How one endpoint is asked; shared by all who ask it.

    Attributes:
        retries: how often a request that failed is sent again at least; 0 for never.
        patience: seconds a request goes on being sent again to an endpoint that has answered before, should it
            refuse or be gone, its turn not counted. One that never answered has a wrong address: it gets
            ``retries`` and no more.
        ceiling: requests under way at most.
        retried: how often a request was sent again.
        quickest: seconds of the quickest answer so far; infinite before the first.
        under_way: requests sent and not answered.
        clock: seconds, as of ``time.monotonic``.
    """

    retries: int = 5
    patience: float = 180.0
    ceiling: float = 4096.0
    retried: int = 0
    quickest: float = math.inf
    under_way: int = 0
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    _heard: bool = False
    _answered_at: float = -math.inf  # when anyone was answered last
    _not_before: float = -math.inf  # no request is sent earlier
    _usual: float = _USUAL
    _slow: int = 0  # of those under way; others need not wait for them
    _waiting: deque[asyncio.Future[None]] = field(default_factory=deque, repr=False)
    _sent: set[_Place] = field(default_factory=set, repr=False)  # those under way whose time runs
    _random: random.Random = field(default_factory=random.Random, repr=False)

    def __post_init__(self) -> None:
        self._limit = Limit(self.ceiling)

    def __deepcopy__(self, _: object) -> Self:
        """A copied LM asks the same endpoint."""
        return self

    @property
    def limit(self) -> float:
        """Requests that may be under way now."""
        return self._limit.now

    @property
    def at_once(self) -> int | None:
        """The same where others wait because the endpoint refused some; None where nobody does."""
        return int(self.limit) if self._waiting and self.limit < self.ceiling else None

    async def ask(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Send a request until it is answered.

        Raises:
            dspy.utils.exceptions.LMError: what it failed with last, where it may not or need not be sent again.
        """
        trial: _Trial | None = None
        while True:
            place = await self._place()
            started = self.clock()
            try:
                made = await attempt()
            except Exception as error:
                trial = trial or _Trial(self)
                wait = trial.wait_after(error, started)
                _forget(error)
            else:
                self._answered(started)
                return made
            finally:
                place.leave()
            await asyncio.sleep(wait)

    def ask_blocking(self, attempt: Callable[[], T]) -> T:
        """The same for a caller's thread, without a limit: as many requests are under way as there are threads."""
        trial = _Trial(self)
        while True:
            while (wait := self._not_before - self.clock()) > 0:
                time.sleep(wait)
            started = self.clock()
            try:
                made = attempt()
            except Exception as error:
                time.sleep(trial.wait_after(error, started))
            else:
                self._answered(started)
                return made

    async def _place(self) -> _Place:
        """A place among the requests under way, first come first served."""
        if self._waiting or not self._has_room():
            await self._wait()
        else:
            self.under_way += 1
        place = _Place(self)
        try:
            while (wait := self._not_before - self.clock()) > 0:
                await asyncio.sleep(wait)
        except BaseException:
            place.leave()
            raise
        place.count_on(max(_SLOW * self._usual, _LEAST_SLOW))
        return place

    async def _wait(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        for place in () if self._waiting else self._sent:
            place.watch()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it had its place already
                self.under_way -= 1
                self._admit()
            raise

    def _has_room(self) -> bool:
        return self.under_way - self._slow < int(self._limit.now)

    def _admit(self) -> None:
        while self._waiting and self._has_room():
            turn = self._waiting.popleft()
            if not turn.done() and not turn.get_loop().is_closed():
                self.under_way += 1
                turn.set_result(None)

    def _answered(self, started: float) -> None:
        self._heard, self._answered_at = True, self.clock()
        took = self._answered_at - started
        self._usual += 0.1 * (took - self._usual)
        self.quickest = min(self.quickest, took)
        self._limit.answered(started, self._answered_at)

    def _refused(self, started: float, retry_after: float | None) -> None:
        """The endpoint has too much to do: fewer requests where that helps, and none before it says so."""
        self._heard, now = True, self.clock()
        waits = (retry_after or 0.0) / max(self._usual, 0.001)
        if self._limit.refused(started, now, self.under_way, waits) and retry_after is not None:
            self._not_before = max(self._not_before, now + min(retry_after, self.patience))

    def _unheard(self, started: float) -> None:
        """Nobody was answered in all the time a request took."""
        self._limit.fall(started, self.clock(), self.under_way)


def _forget(error: BaseException | None) -> None:
    """An error that is over: what its frames hold, DSPy's the error itself, is not left to the garbage collector."""
    while error is not None and error.__traceback__ is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


class _Place:
    """One of the places under way."""

    __slots__ = ("_loop", "_patience", "_slow", "_slow_at", "_timer")

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._slow = False
        self._timer: asyncio.TimerHandle | None = None

    def count_on(self, seconds: float) -> None:
        """From then on it is slow, and others need not wait for it."""
        self._loop = asyncio.get_running_loop()
        self._slow_at = self._loop.time() + seconds
        self._patience._sent.add(self)
        if self._patience._waiting:
            self.watch()

    def watch(self) -> None:
        """Mind the time: somebody waits. Mostly nobody does, and a timer a request is dear."""
        if self._timer is None:
            self._timer = self._loop.call_at(self._slow_at, self._give_up_place)

    def _give_up_place(self) -> None:
        # At most as many as the limit: where all are slow, the endpoint is overloaded or gone.
        if self._patience._slow < int(self._patience.limit):
            self._slow = True
            self._patience._slow += 1
            self._patience._admit()

    def leave(self) -> None:
        """Make room for those who wait."""
        if self._timer is not None:
            self._timer.cancel()
        self._patience._sent.discard(self)
        self._patience._slow -= self._slow
        self._patience.under_way -= 1
        self._patience._admit()


class _Trial:
    """The tries of one request."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._failures = 0
        self._seconds = 0.0  # of tries and the waits between them
        self._tried_before = math.inf

    def wait_after(self, error: Exception, started: float) -> float:
        """Seconds to wait before the next try.

        Raises:
            Exception: the error itself, where there is no next try.
        """
        from dspy.utils.exceptions import is_retryable_lm_error

        patience, self._failures = self._patience, self._failures + 1
        self._seconds += patience.clock() - started
        if not is_retryable_lm_error(error) or patience.retries == 0:
            raise error
        retry_after = _seconds(getattr(error, "retry_after", None))
        if self._is_refusal(error):
            patience._refused(started, retry_after)
        elif self._meets_silence(error, started):
            patience._unheard(started)
        self._check_patience(error, retry_after or 0.0)
        patience.retried += 1
        backoff = min(_LEAST_WAIT * 2 ** min(self._failures - 1, 10), _MOST_WAIT)
        wait = max(retry_after or 0.0, backoff * patience._random.uniform(0.5, 1.0))
        self._seconds, self._tried_before = self._seconds + wait, started
        return wait

    @staticmethod
    def _is_refusal(error: Exception) -> bool:
        """Whether the endpoint says that it has too much to do."""
        from dspy.utils.exceptions import LMRateLimitError

        return isinstance(error, LMRateLimitError) or getattr(error, "status", None) == 503

    def _meets_silence(self, error: Exception, started: float) -> bool:
        """Whether nobody was answered in all the time a request took."""
        from dspy.utils.exceptions import LMTimeoutError

        patience = self._patience
        return isinstance(error, LMTimeoutError) and patience._heard and patience._answered_at <= started

    def _check_patience(self, error: Exception, retry_after: float) -> None:
        patience = self._patience
        if retry_after > patience.patience:
            raise error
        may_wait = patience._heard and self._seconds + retry_after < patience.patience
        if may_wait or self._failures <= patience.retries:
            return
        if patience._answered_at > self._tried_before:  # others are answered: it is about this request
            error.provider_code = UNANSWERED  # type: ignore[attr-defined]
        raise error


def _seconds(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and 0 <= value < float("inf") else None
