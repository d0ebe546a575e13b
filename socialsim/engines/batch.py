"""Requests that can wait, by a provider's Batch API at half the price: whoever asks puts a request into a basket.

When no more requests come for a moment (all who could ask are waiting) or the basket is full, it is submitted as one
batch; each caller gets its own answer when the batch ends, and may put its next request into the next basket. What an
earlier session submitted is claimed instead of being asked again (`socialsim.engines.batch_book`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import orjson

from socialsim.engines.baskets import Baskets, UnderWay
from socialsim.engines.batch_api import BatchAPI
from socialsim.engines.batch_book import Book
from socialsim.engines.chat import TAKEN, Answer, ChatServer, read_answer

if TYPE_CHECKING:
    from dspy.lm15 import Request, Response


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
        self.under_way: UnderWay = {}
        self._baskets: Baskets | None = None

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
                self._baskets = baskets = Baskets(api, book, self.retries, self.under_way, before_submit)
                try:
                    await baskets.find_lost()
                    yield
                finally:
                    self._baskets = None
                    await baskets.close()

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
        assert self._baskets, "no run is open"
        # As it is, never with sorted keys: an answer's fields are written in the order of the schema's.
        return await self._baskets.post(orjson.dumps({**body, "model": self.server.model}))


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
