"""Baskets of requests that become batches: filled while requests come, submitted when no more do or one is full."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from socialsim.engines.batch_api import ENDPOINT, BatchAPI, Ended, completion, is_passing
from socialsim.engines.batch_book import Book, Line
from socialsim.openfiles import room_for

if TYPE_CHECKING:
    from dspy.lm15 import LM15Error

UnderWay = dict[str, tuple[int, int]]  # batches that have not ended: requests that are through, and all

_IN_FLIGHT: Final = 10_000  # items that wait together; each holds its prompt in memory
_MOST_LINES, _MOST_BYTES = 10_000, 100_000_000  # of a basket; the API takes 50,000 and 200 MB
quiet = 1.0  # seconds without another request after which all who could ask are taken to be waiting


def most_in_flight() -> int:
    """How many items may wait together; each may keep a file of answers open, so that many of these are let."""
    return room_for(_IN_FLIGHT, each=1)


class _Waiting(NamedTuple):
    request: str
    body: bytes
    place: asyncio.Future[Line]


class _Batch(NamedTuple):
    ending: asyncio.Task[Ended]
    size: int  # 0 where it is an earlier session's


class Baskets:
    """The baskets and batches of one run while its event loop runs.

    Args:
        api: the provider.
        book: what is with the provider already, and where it is written down.
        retries: how often a request that failed is put into another basket.
        under_way: kept up to date here.
        before_submit: called before each batch; what it raises is raised for each request of the basket.
    """

    def __init__(
        self, api: BatchAPI, book: Book, retries: int, under_way: UnderWay, before_submit: Callable[[], None]
    ) -> None:
        self._api = api
        self._book = book
        self._retries = retries
        self._unended = under_way
        self._before_submit = before_submit
        self._basket: list[_Waiting] = []
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._batches: dict[str, _Batch] = {}
        self._most = _MOST_LINES
        self._too_big: set[str] = set()
        self._one_by_one = False  # after the provider said that too much is queued
        self._sending = asyncio.Lock()

    async def find_lost(self) -> None:
        """Look for the batches of baskets that a killed session may have submitted."""
        for basket in self._book.without_batch():
            if batch := await self._api.find(basket.id, basket.since):
                self._book.found(basket, batch)

    async def post(self, body: bytes) -> dict[str, Any]:
        """The chat completion for a request's body."""
        request = self._book.request(body)
        while earlier := self._book.claim(request):
            ended = await self._followed(earlier.batch)
            try:
                return completion(ended.lines.pop(earlier.id, None))
            except Exception as error:
                if not is_passing(error):
                    raise
        return await self._asked(request, body)

    async def _asked(self, request: str, body: bytes) -> dict[str, Any]:
        left = self._retries
        while True:
            line = await self._in_basket(request, body)
            ended = await self._followed(line.batch)
            if ended.too_much and self._narrowed(line.batch):
                continue
            try:
                return completion(ended.lines.pop(line.id, None))
            except Exception as error:
                if ended.status in ("failed", "cancelled", "gone"):
                    raise _stopped(line.batch, ended) from error
                if not left or not is_passing(error):
                    raise
                left -= 1

    async def _in_basket(self, request: str, body: bytes) -> Line:
        waiting = _Waiting(request, body, asyncio.get_running_loop().create_future())
        self._basket.append(waiting)
        self._bytes += len(body) + 200
        if self._timer:
            self._timer.cancel()
        if len(self._basket) >= self._most or self._bytes >= _MOST_BYTES:
            self._close_basket()
        else:
            self._timer = asyncio.get_running_loop().call_later(quiet, self._close_basket)
        return await waiting.place

    def _close_basket(self) -> None:
        basket, self._basket, self._bytes = self._basket, [], 0
        task = asyncio.create_task(self._submit([waiting for waiting in basket if not waiting.place.done()]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _submit(self, waiting: list[_Waiting]) -> None:
        try:
            async with self._sending:
                while self._one_by_one and (under_way := self._under_way()):
                    await asyncio.wait(under_way)
                self._before_submit()
                basket = self._book.basket([one.request for one in waiting])
                content = b"".join(map(_line, basket.lines, (one.body for one in waiting)))
                batch = await self._api.submit(basket.id, basket.since, content)
                lines = self._book.became(basket, batch)
                self._follow(batch, len(lines))
        except Exception as error:
            for one in waiting:
                if not one.place.done():
                    one.place.set_exception(error)
        else:
            for one, line in zip(waiting, lines, strict=True):
                if not one.place.done():
                    one.place.set_result(line)

    async def _followed(self, batch: str) -> Ended:
        known = self._batches.get(batch) or self._follow(batch, 0)
        return await asyncio.shield(known.ending)

    def _follow(self, batch: str, size: int) -> _Batch:
        under_way = self._unended
        under_way[batch] = (0, size)

        async def follow() -> Ended:
            ended = await self._api.follow(batch, lambda done, of: under_way.update({batch: (done, of)}))
            under_way.pop(batch, None)
            return ended

        self._batches[batch] = known = _Batch(asyncio.create_task(follow()), size)
        return known

    def _under_way(self) -> list[asyncio.Task[Ended]]:
        return [batch.ending for batch in self._batches.values() if not batch.ending.done()]

    def _narrowed(self, batch: str) -> bool:
        """Too much is queued: make smaller baskets from now on, one after the other; False if there is none smaller."""
        size = self._batches[batch].size
        if size > 1 and batch not in self._too_big:  # once a batch, not once a request of it
            self._too_big.add(batch)
            self._most, self._one_by_one = min(self._most, size) // 2, True
        return size > 1

    async def close(self) -> None:
        """Wait for nobody; batches go on at the provider."""
        if self._timer:
            self._timer.cancel()
        tasks = [*self._tasks, *self._under_way()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _line(line_id: str, body: bytes) -> bytes:
    head = orjson.dumps({"custom_id": line_id, "method": "POST", "url": ENDPOINT})
    return head[:-1] + b',"body":' + body + b"}\n"


def _stopped(batch: str, ended: Ended) -> LM15Error:
    from dspy.lm15 import ServerError

    what = "is not known any more" if ended.status == "gone" else f"was {ended.status}"
    if ended.status == "failed":
        what = f"failed: {ended.problem or 'the provider does not say why'}"
    return ServerError(f"batch {batch} {what}", status=503)
