"""An OpenAI-compatible server as the run's own client reaches it: each way to fail has its error, in few words."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import orjson
import pytest
from dspy.lm15 import RateLimitError, ServerError, TimeoutError, TransportError

from socialsim.engines import chat
from socialsim.engines.chat import Answer, AsyncChatEngine, ChatServer

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
QUESTION = [{"role": "user", "content": "Say a word."}]


def engine(port: int, timeout: float = 5.0) -> AsyncChatEngine:
    return AsyncChatEngine(ChatServer(f"http://127.0.0.1:{port}/v1", "org/model", "secret", timeout))


async def request(reader: asyncio.StreamReader) -> tuple[str, dict[str, Any]]:
    """Head and body of the next request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length: ")[2].split()[0])
    return head, orjson.loads(await reader.readexactly(length))


def reply(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def completion(text: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return orjson.dumps({"choices": [choice], "usage": {"prompt_tokens": 7}})


@asynccontextmanager
async def served(serve: Serve) -> AsyncIterator[int]:
    """A server that treats each connection in one way; its port."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


def always(answer: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(answer)
        await writer.drain()
        writer.close()

    return serve


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


@contextmanager
def full() -> Iterator[int]:
    """A port that takes no connection any more."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]
        for one in waiting:
            one.close()


async def test_an_answer_comes_back_and_a_connection_serves_many_questions() -> None:
    seen: list[tuple[str, dict[str, Any]]] = []
    connections: list[None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(None)
        for word in ("plum", "pear"):
            seen.append(await request(reader))
            writer.write(reply(completion(word)))
        writer.close()

    async with served(serve) as port:
        lm = engine(port)
        assert await lm.answer(QUESTION, {"temperature": 0.5}) == Answer("plum", {"prompt_tokens": 7})
        assert await lm.answer(QUESTION, {}) == Answer("pear", {"prompt_tokens": 7})
    head, body = seen[0]
    assert head.startswith("post /v1/chat/completions ")
    assert "authorization: bearer secret" in head
    assert body == {"model": "org/model", "messages": QUESTION, "temperature": 0.5}
    assert len(connections) == 1


async def test_no_answer_in_time_is_a_timeout_and_says_how_long_was_waited() -> None:
    async with served(silent) as port:
        with pytest.raises(TimeoutError, match=r"^no answer within 0\.3 s"):
            await engine(port, timeout=0.3).answer(QUESTION, {})


async def test_half_an_answer_in_time_is_a_timeout_too() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(reply(completion("plum"))[:-9])
        await silent(reader, writer)

    async with served(serve) as port:
        with pytest.raises(TimeoutError, match=r"^no answer within 0\.3 s"):
            await engine(port, timeout=0.3).answer(QUESTION, {})


async def test_no_connection_in_time_is_told_from_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "_CONNECT", timedelta(seconds=0.3))
    with full() as port, pytest.raises(TransportError, match=r"^no connection within 0\.3 s$"):
        await engine(port).answer(QUESTION, {})


async def test_a_refused_connection_and_one_that_breaks_off() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(TransportError, match="ConnectError: Connection refused"):
            await engine(unused.getsockname()[1]).answer(QUESTION, {})
    async with served(always(reply(completion("plum"))[:-9])) as port:
        with pytest.raises(TransportError):
            await engine(port).answer(QUESTION, {})


async def test_what_a_server_refuses_names_its_wait() -> None:
    said = orjson.dumps({"error": {"message": "slow down", "type": "error"}})
    async with served(always(reply(said, "429 Too Many Requests", "Retry-After: 7\r\n"))) as port:
        with pytest.raises(RateLimitError, match="slow down") as raised:
            await engine(port).answer(QUESTION, {})
    assert raised.value.retry_after == 7.0


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"choices": []}'])
async def test_what_is_no_completion_is_shown(body: bytes) -> None:
    async with served(always(reply(body))) as port:
        with pytest.raises(ServerError, match="no chat completion"):
            await engine(port).answer(QUESTION, {})


def test_one_engine_serves_one_event_loop_after_the_other() -> None:
    lm = engine(0)

    async def ask() -> Answer:
        async with served(always(reply(completion("plum")))) as port:
            lm._url = f"http://127.0.0.1:{port}/v1/chat/completions"
            return await lm.answer(QUESTION, {})

    assert [asyncio.run(ask()).text for _ in range(3)] == ["plum"] * 3
