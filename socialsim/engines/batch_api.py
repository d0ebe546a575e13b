"""OpenAI's Batch API through OpenAI's own client: submit, find again, follow to the end, read.

Failures are ``dspy.lm15`` errors. A server that is gone for a while while a batch is followed loses nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import orjson

from socialsim.engines.chat import ChatServer, refusal

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types import Batch

ENDPOINT: Final = "/v1/chat/completions"
_WINDOW: Final = "24h"  # the only one there is
_TAG: Final = "socialsim"  # key of a basket's tag in the batch's metadata
_CLIENT_TRIES: Final = 4  # the client's own, of a request that may be repeated
_SUBMISSIONS: Final = 4  # tries to make a batch of a basket
_SKEW: Final = 3600.0  # seconds by which two clocks may differ
_PATIENCE: Final = 1800.0  # seconds a server may be gone while a batch is followed
_ENDED: Final = frozenset({"completed", "failed", "expired", "cancelled"})
_FULL: Final = "token_limit_exceeded"  # of a batch that failed: more is queued than the account may queue

first_poll, last_poll = 2.0, 60.0  # seconds between two looks at a batch: at first, at most


class Ended(NamedTuple):
    """A batch that goes on no more.

    Attributes:
        status: completed, failed, expired, cancelled, or gone where the server does not know it (any more).
        problem: what the server says about a batch that failed.
        too_much: whether it failed because too much is queued.
        lines: result lines by the ids of their requests.
    """

    status: str
    problem: str = ""
    too_much: bool = False
    lines: dict[str, bytes] = {}  # noqa: RUF012 - never changed where it is the default


class BatchAPI:
    """One server's Batch API, open for one event loop."""

    def __init__(self, server: ChatServer, client: AsyncOpenAI) -> None:
        self._server = server
        self._client = client

    @classmethod
    @asynccontextmanager
    async def opened(cls, server: ChatServer) -> AsyncIterator[Self]:
        """The API for a with block."""
        from openai import AsyncOpenAI

        options: dict[str, Any] = {"timeout": server.timeout, "max_retries": _CLIENT_TRIES}
        async with AsyncOpenAI(api_key=server.key, base_url=server.base, **options) as client:
            yield cls(server, client)

    async def submit(self, tag: str, since: float, lines: bytes) -> str:
        """Upload a basket and make a batch of it, once, whatever answer gets lost; its id.

        Raises:
            dspy.lm15.LM15Error: if there is no batch of it.
        """
        from dspy.lm15 import RateLimitError

        with _speaking():
            file = await self._client.files.create(file=("basket.jsonl", lines), purpose="batch")
        for left in reversed(range(_SUBMISSIONS)):
            try:
                return await self._create(tag, file.id)
            except RateLimitError:  # refused: there is none
                if not left:
                    raise
            except _passing():  # who knows?
                if found := await self.find(tag, since):
                    return found
                if not left:
                    raise
            await asyncio.sleep(first_poll * random.uniform(0.5, 1.0) * 2 ** (_SUBMISSIONS - left - 1))
        raise AssertionError("unreachable")

    async def _create(self, tag: str, file: str) -> str:
        client = self._client.with_options(max_retries=0)  # a second batch would be paid, too
        with _speaking():
            made = await client.batches.create(
                input_file_id=file, endpoint=ENDPOINT, completion_window=_WINDOW, metadata={_TAG: tag}
            )
        return made.id

    async def find(self, tag: str, since: float) -> str | None:
        """The batch of a basket that was submitted after a time, if there is one."""
        with _speaking():
            async for batch in self._client.batches.list(limit=100):  # the newest first
                if (batch.metadata or {}).get(_TAG) == tag:
                    return batch.id
                if batch.created_at < since - _SKEW:
                    return None
        return None

    async def follow(self, batch_id: str, told: Callable[[int, int], None]) -> Ended:
        """Look at a batch now and then until it ends, then read its results.

        Args:
            batch_id: the batch.
            told: called with the number of requests that are through, and of all.

        Raises:
            dspy.lm15.LM15Error: if the server refuses, or has not answered for half an hour.
        """
        wait = first_poll
        while True:
            batch = await self._patiently(lambda: self._client.batches.retrieve(batch_id))
            if batch is None:
                return Ended("gone")
            if counts := batch.request_counts:
                told(counts.completed + counts.failed, counts.total)
            if batch.status in _ENDED:
                return await self._ended(batch)
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, last_poll)

    async def _ended(self, batch: Batch) -> Ended:
        errors = (batch.errors.data if batch.errors else None) or []
        lines: dict[str, bytes] = {}
        for file in filter(None, (batch.output_file_id, batch.error_file_id)):
            content = await self._patiently(lambda file=file: self._client.files.content(file))  # type: ignore[misc]
            # Lines end at b"\n" alone: an answer may hold U+2028.
            for line in content.content.split(b"\n") if content else ():
                if request := _request_of(line):
                    lines[request] = line
        problem = "; ".join(error.message or error.code or "" for error in errors[:2])
        return Ended(batch.status, problem, any(error.code == _FULL for error in errors), lines)

    async def _patiently(self, request: Callable[[], Any]) -> Any:
        """What a request gives, None if what it is about does not exist; it is made until the server answers."""
        since = time.monotonic()
        while True:
            try:
                with _speaking():
                    return await request()
            except _passing():
                if time.monotonic() - since > _PATIENCE:
                    raise
            except Exception as error:
                if getattr(error, "status", None) == 404:
                    return None
                raise
            await asyncio.sleep(first_poll)


def _passing() -> tuple[type[Exception], ...]:
    """Failures after which another try may do."""
    from dspy.lm15 import RateLimitError, ServerError, TimeoutError, TransportError

    return RateLimitError, ServerError, TimeoutError, TransportError


def is_passing(error: Exception) -> bool:
    """Whether another try may do."""
    return isinstance(error, _passing())


@contextmanager
def _speaking() -> Iterator[None]:
    """Tell the client's errors in DSPy's terms."""
    import openai
    from dspy.lm15 import TimeoutError, TransportError

    try:
        yield
    except openai.APITimeoutError as error:
        raise TimeoutError("no answer in time from the Batch API (read timed out)") from error
    except openai.APIStatusError as error:
        raise refusal(error.status_code, error.response.content, error.response.headers.get("Retry-After")) from error
    except openai.APIError as error:
        raise TransportError(f"{type(error).__name__}: {error.__cause__ or error}") from error


def _request_of(line: bytes) -> str:
    """The id of a result line's request; empty where the line is none."""
    try:
        return str(orjson.loads(line)["custom_id"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""


def completion(line: bytes | None) -> dict[str, Any]:
    """The chat completion in a result line.

    Raises:
        dspy.lm15.LM15Error: what the line says instead.
    """
    from dspy.lm15 import ServerError

    made = orjson.loads(line) if line else {}
    response = made.get("response") or {}
    status, body = response.get("status_code"), response.get("body")
    if status == 200 and isinstance(body, dict):
        return body
    if isinstance(status, int) and status != 200:
        raise refusal(status, orjson.dumps(body))
    error = made.get("error") or {}
    said = error.get("message") or error.get("code") or "the batch ended without an answer to this request"
    raise ServerError(f"Batch API: {said}", status=503)
