"""Requests that can wait, by a provider's Batch API at half the price: whoever asks puts a request into a basket.

When no more requests come for a moment (all who could ask are waiting) or the basket is full, it is submitted as one
batch; each caller gets its own answer when the batch ends, and may put its next request into the next basket. What an
earlier session submitted is claimed instead of being asked again (`socialsim.engines.batch_book`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import orjson

from socialsim.engines.batch_api import ENDPOINT, BatchAPI, Ended, completion, is_passing
from socialsim.engines.batch_book import Book, Line, request_id
from socialsim.engines.chat import TAKEN, Answer, ChatServer, read_answer

if TYPE_CHECKING:
    from dspy.lm15 import LM15Error, Request, Response

_IN_FLIGHT: Final = 10_000  # items that wait together; each holds its prompt in memory
_MOST_LINES, _MOST_BYTES = 10_000, 100_000_000  # of a basket; the API takes 50,000 and 200 MB
_OTHER_FILES: Final = 240  # journals, connections, what Python opens
quiet = 1.0  # seconds without another request after which all who could ask are taken to be waiting


def most_in_flight() -> int:
    """How many items may wait together; each may keep a file of answers open, so that many of these are let."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _IN_FLIGHT + _OTHER_FILES
    if soft < most and soft != resource.RLIM_INFINITY:
        soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        most = soft
    return max(most - _OTHER_FILES, 1)


class _Waiting(NamedTuple):
    request: str
    body: bytes
    place: asyncio.Future[Line]


class _Batch(NamedTuple):
    ending: asyncio.Task[Ended]
    size: int  # 0 where it is an earlier session's


class _Session:
    """The baskets and batches of one run while its event loop runs."""

    def __init__(self, engine: AsyncBatchEngine, api: BatchAPI, book: Book, before_submit: Callable[[], None]) -> None:
        self._engine = engine
        self._api = api
        self._book = book
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
        request = request_id(self._engine.server.base, body)
        while earlier := self._book.claim(request):
            ended = await self._followed(earlier.batch)
            try:
                return completion(ended.lines.pop(earlier.id, None))
            except Exception as error:
                if not is_passing(error):
                    raise
        return await self._asked(request, body)

    async def _asked(self, request: str, body: bytes) -> dict[str, Any]:
        left = self._engine.retries
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
        under_way = self._engine.under_way
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


class AsyncBatchEngine:
    """``await complete(Request) -> Response``, and `answer` for callers who have the messages already.

    Args:
        server: whose Batch API is used.
        retries: how often a request that failed is put into another basket.

    Attributes:
        under_way: batches that were submitted and have not ended: requests that are through, and all.
    """

    supports_response_schema = True
    supported_params = TAKEN

    def __init__(self, server: ChatServer, retries: int) -> None:
        self.server = server
        self.retries = retries
        self.under_way: dict[str, tuple[int, int]] = {}
        self._session: _Session | None = None

    def __deepcopy__(self, _: object) -> Self:
        """A copied LM puts its requests into the same baskets."""
        return self

    @asynccontextmanager
    async def opened(self, file: Path, before_submit: Callable[[], None] = lambda: None) -> AsyncIterator[None]:
        """Take requests, for a with block.

        Args:
            file: where batches are written down; what it names already is claimed.
            before_submit: called before each batch; what it raises is raised for each request of the basket.
        """
        async with BatchAPI.opened(self.server) as api:
            with Book(file, self.server.base) as book:
                self._session = session = _Session(self, api, book, before_submit)
                try:
                    await session.find_lost()
                    yield
                finally:
                    self._session = None
                    await session.close()

    async def complete(self, request: Request) -> Response:
        """Answer a canonical request.

        Raises:
            dspy.lm15.LM15Error: the one that fits what went wrong.
        """
        from dspy.clients.lm15_boundary import request_kwargs
        from dspy.lm15 import response_from_openai_chat

        return response_from_openai_chat(await self._post(request_kwargs(request, "chat")), model=self.server.model)

    async def answer(self, messages: list[dict[str, Any]], settings: dict[str, Any]) -> Answer:
        """Answer chat messages of text; ``settings`` are further fields of the request's body.

        Raises:
            dspy.lm15.LM15Error: also for an answer that was cut off or filtered (its code says which).
        """
        return read_answer(await self._post({"messages": messages, **settings}))

    async def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        assert self._session, "no run is open"
        # As it is, never with sorted keys: an answer's fields are written in the order of the schema's.
        return await self._session.post(orjson.dumps({**body, "model": self.server.model}))


class NobodyWaits:
    """The face for callers that block: they would wait for hours."""

    supports_response_schema = True
    supported_params = TAKEN

    def __deepcopy__(self, _: object) -> Self:
        return self

    def complete(self, request: Request) -> Response:
        """Refuse.

        Raises:
            dspy.lm15.UnsupportedFeatureError: always.
        """
        from dspy.lm15 import UnsupportedFeatureError

        raise UnsupportedFeatureError("a batch answers asynchronous callers only", feature="blocking calls")


def _line(line_id: str, body: bytes) -> bytes:
    head = orjson.dumps({"custom_id": line_id, "method": "POST", "url": ENDPOINT})
    return head[:-1] + b',"body":' + body + b"}\n"


def _stopped(batch: str, ended: Ended) -> LM15Error:
    from dspy.lm15 import ServerError

    what = "is not known any more" if ended.status == "gone" else f"was {ended.status}"
    if ended.status == "failed":
        what = f"failed: {ended.problem or 'the provider does not say why'}"
    return ServerError(f"batch {batch} {what}", status=503)
