"""An OpenAI-compatible server over pyreqwest: what DSPy's bundled client does, at a fraction of its CPU time.

Its connections live in a thread of Rust's, so that Python's own has time for what is said. One request, one answer, no
retries (`socialsim.engines.patience` has those). Failures are ``dspy.lm15`` errors.
"""

from __future__ import annotations

import email.utils
import os
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import orjson

from socialsim.lm_errors import FILTERED, HTTP_KEY, TRUNCATED
from socialsim.openfiles import room_for

if TYPE_CHECKING:
    from dspy.lm15 import LM15Error, Request, Response
    from pyreqwest.client import Client
    from pyreqwest.exceptions import RequestError

TAKEN: Final = frozenset({"response_format", "temperature", "top_p", "max_tokens", "seed"})  # settings of a request
_CONNECT: Final = timedelta(seconds=10)
_CONNECTIONS: Final = 4096  # at most


class Answer(NamedTuple):
    """Text and usage (as the server counts it) of one answer; ``fault`` is the code of one that cannot be used."""

    text: str
    usage: dict[str, Any]
    fault: str | None = None


@dataclass(frozen=True)
class ChatServer:
    """Where a model is served.

    Attributes:
        base: address up to and with ``/v1``.
        model: its name there.
        key: sent as a bearer token.
        timeout: seconds an answer may take.
    """

    base: str
    model: str
    key: str = field(repr=False)
    timeout: float


class _Engine:
    """What both faces of a server share."""

    supports_response_schema = True
    supported_params = TAKEN

    def __init__(self, server: ChatServer) -> None:
        self._server = server

    def __deepcopy__(self, _: object) -> Self:
        """A copied LM uses the same connections."""
        return self

    def dump_state(self) -> dict[str, Any]:
        """The server without its key, as DSPy saves an engine."""
        return {"base": self._server.base, "model": self._server.model, "timeout": self._server.timeout}

    def _bundled(self, asynchronous: bool) -> Any:
        """DSPy's own client of the server."""
        from dspy.lm15 import (
            AccessPolicy,
            AsyncLMRouter,
            EndpointSupport,
            LMRouter,
            OpenAIChatCompat,
            ProviderDefinition,
            RouterConfig,
            Timeouts,
        )

        server, name = self._server, "own-server"
        supports = EndpointSupport(complete=True, stream=True, models=True)
        access = AccessPolicy(provider=name, supports=supports, auth_modes=("bearer",), base_url=server.base)
        own = ProviderDefinition.chat(access, compat=OpenAIChatCompat.preset("vllm"), placeholder_key="none")
        timeouts = Timeouts(read=server.timeout, write=server.timeout)
        config = RouterConfig(providers=(own,), api_keys={name: server.key}, timeouts=timeouts)
        router = AsyncLMRouter(config) if asynchronous else LMRouter(config)
        return router.lm(f"{name}:{server.model}")

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> Self:
        """An engine of a saved state, with the key of this machine."""
        return cls(ChatServer(**state, key=os.environ.get(HTTP_KEY) or "none"))


class ChatEngine(_Engine):
    """``complete(Request) -> Response`` by DSPy's bundled client, for callers that block."""

    def __init__(self, server: ChatServer) -> None:
        super().__init__(server)
        self._lock = threading.Lock()
        self._lm: Any = None

    def complete(self, request: Request) -> Response:
        """Answer a canonical request.

        Raises:
            dspy.lm15.LM15Error: the one that fits what went wrong.
        """
        with self._lock:
            self._lm = self._lm or self._bundled(asynchronous=False)
        made: Response = self._lm.complete(replace(request, model=self._server.model))
        return made


class AsyncChatEngine(_Engine):
    """``await complete(Request) -> Response``, and `answer` for callers who have the messages already.

    A request that nobody waits for any more is answered all the same, or times out: pyreqwest does not break it off.
    """

    def __init__(self, server: ChatServer) -> None:
        import pyreqwest.client
        import pyreqwest.exceptions  # noqa: F401  (now: while it is imported, nothing else would be done)

        super().__init__(server)
        self._url = f"{server.base}/chat/completions"
        self._opened: Client | None = None

    async def complete(self, request: Request) -> Response:
        """Answer a canonical request.

        Raises:
            dspy.lm15.LM15Error: the one that fits what went wrong.
        """
        from dspy.clients.lm15_boundary import request_kwargs
        from dspy.lm15 import response_from_openai_chat

        body = await self._post({**request_kwargs(request, "chat"), "model": self._server.model})
        return response_from_openai_chat(body, model=self._server.model)

    async def stream(self, request: Request) -> AsyncIterator[Any]:
        """The events of an answer while it is written, for those who listen (few and slow: people).

        Raises:
            dspy.lm15.LM15Error: the one that fits what went wrong.
        """
        lm = self._bundled(asynchronous=True)
        try:
            async for event in lm.stream(replace(request, model=self._server.model)):
                yield event
        finally:
            await lm.aclose()

    async def answer(self, messages: list[dict[str, Any]], settings: dict[str, Any]) -> Answer:
        """Answer chat messages of text.

        Args:
            messages: role and content of each.
            settings: further fields of the request's body.

        Raises:
            dspy.lm15.LM15Error: the one that fits what went wrong.
        """
        return read_answer(await self._post({"model": self._server.model, "messages": messages, **settings}))

    async def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        from pyreqwest.exceptions import RequestError

        client = self._opened or self._open()
        try:
            response = await client.post(self._url).body_bytes(orjson.dumps(body)).build().send()
            payload = memoryview(await response.bytes())
        except RequestError as error:
            raise self._failure(error) from error
        if response.status != 200:
            raise refusal(response.status, payload.tobytes(), response.get_header("Retry-After"))
        try:
            made = orjson.loads(payload)
        except orjson.JSONDecodeError:
            made = None
        if not isinstance(made, dict):
            raise _malformed(payload.tobytes())
        return made

    def _failure(self, error: RequestError) -> LM15Error:
        """The error that fits what went wrong on the way."""
        from dspy.lm15 import TimeoutError, TransportError
        from pyreqwest.exceptions import RequestTimeoutError

        causes = [cause["message"] for cause in error.details["causes"] or ()] or [error.message]
        if not isinstance(error, RequestTimeoutError):
            return TransportError(f"{type(error).__name__}: {causes[-1]}")
        # pyreqwest calls whatever ends before the answer begins a ConnectTimeoutError.
        if any("(Connect)" in cause for cause in causes):
            return TransportError(f"no connection within {_CONNECT.total_seconds():g} s")
        return TimeoutError(f"no answer within {self._server.timeout:g} s (read timed out)")

    def _open(self) -> Client:
        """Connections that live as long as the engine; no proxy that nobody named for them."""
        from pyreqwest.client import ClientBuilder

        room_for(_CONNECTIONS, each=1)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._server.key}"}
        timeout = timedelta(seconds=self._server.timeout)
        builder = ClientBuilder().default_headers(headers).timeout(timeout).connect_timeout(_CONNECT).no_proxy()
        self._opened = builder.build()
        return self._opened


def read_answer(body: dict[str, Any]) -> Answer:
    """The answer in a chat completion.

    Raises:
        dspy.lm15.LM15Error: if it is none.
    """
    try:
        choice = body["choices"][0]
        text, finish = choice["message"].get("content") or "", choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise _malformed(orjson.dumps(body)) from None
    refused = finish == "content_filter" or choice["message"].get("refusal")
    fault = TRUNCATED if finish == "length" else FILTERED if refused else None
    return Answer(text, body.get("usage") or {}, fault)


def refusal(status: int, payload: bytes, retry_after: str | None = None) -> LM15Error:
    """The error that fits an HTTP status and the body that came with it."""
    from dspy.lm15 import OpenAIChatLM

    error = OpenAIChatLM(api_key="none").normalize_error(status, payload.decode(errors="replace"))
    error.retry_after = _retry_seconds(retry_after)
    return error


def _retry_seconds(header: str | None) -> float | None:
    """``Retry-After`` in seconds; it may be a number or a date."""
    if header is None:
        return None
    try:
        return max(float(header), 0.0)
    except ValueError:
        pass
    try:
        return max(email.utils.parsedate_to_datetime(header).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def _malformed(payload: bytes) -> LM15Error:
    from dspy.lm15 import ServerError

    shown = payload[:80].decode(errors="replace")
    return ServerError(f"the server's answer is no chat completion: {shown!r}", status=502)
