"""A simulated OpenAI-compatible endpoint in a process of its own.

``python -m tests.bench.endpoint '{"latency": 0.2, "concurrency": 64}'`` prints its port, answers until it is
killed, and says at ``/stats`` what it saw. Latency is fixed; requests beyond its limit wait. Faults are drawn
by seed: a bad day for tests.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict

from tests.bench.script import Prompter

ROOT = Path(__file__).parents[2]


class Weather(BaseModel):
    """How the endpoint behaves.

    Attributes:
        latency: seconds an answer takes.
        concurrency: requests it works on at once; others wait.
        rate_limited, failing, malformed, empty, refused, hanging, reset, truncated: share of requests that end so.
        busy: answers a request beyond ``concurrency`` with 429 instead of letting it wait.
        retry_after: seconds named with a 429; None names none.
        hang: seconds a hanging request takes.
        dead_from, dead_for: seconds after the first request when it stops answering, and for how long.
        seed: of the draws.
    """

    model_config = ConfigDict(extra="forbid")

    latency: float = 0.0
    concurrency: int = 64
    rate_limited: float = 0.0
    failing: float = 0.0
    malformed: float = 0.0
    empty: float = 0.0
    refused: float = 0.0
    hanging: float = 0.0
    reset: float = 0.0
    truncated: float = 0.0
    busy: bool = False
    retry_after: float | None = None
    hang: float = 60.0
    dead_from: float = 0.0
    dead_for: float = 0.0
    seed: int = 0


class Endpoint:
    """The application and what it counted."""

    def __init__(self, weather: Weather) -> None:
        self.weather = weather
        self._script = Prompter()
        self._random = random.Random(weather.seed)
        self._free = asyncio.Semaphore(weather.concurrency)
        self._open = 0
        self.peak = 0
        self._first = 0.0
        self.ended: Counter[str] = Counter()
        self.times: list[float] = []

    def app(self) -> web.Application:
        """Routes: chat completions and statistics."""
        app = web.Application(client_max_size=8 << 20)
        app.router.add_post("/v1/chat/completions", self.complete)
        app.router.add_get("/stats", self.stats)
        return app

    async def stats(self, _: web.Request) -> web.Response:
        """Calls by how they ended, the most that were open at once, CPU seconds."""
        seen = {"calls": sum(self.ended.values()), "ended": dict(self.ended), "peak": self.peak}
        return web.Response(body=orjson.dumps({**seen, "cpu": time.process_time()}))

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """One answer, or what the weather has instead."""
        body = orjson.loads(await request.read())
        self._open += 1
        self.peak = max(self.peak, self._open)
        self._first = self._first or time.monotonic()
        try:
            fate = self._fate()
            self.ended[fate] += 1
            return await self._meet(fate, body, request)
        finally:
            self._open -= 1

    def _fate(self) -> str:
        weather, since = self.weather, time.monotonic() - self._first
        if weather.dead_for and weather.dead_from <= since < weather.dead_from + weather.dead_for:
            return "dead"
        if weather.busy and self._open > weather.concurrency:
            return "rate_limited"
        drawn = self._random.random()
        for fate in ("rate_limited", "failing", "malformed", "empty", "refused", "hanging", "reset", "truncated"):
            drawn -= getattr(weather, fate)
            if drawn < 0:
                return fate
        return "answered"

    async def _meet(self, fate: str, body: dict[str, Any], request: web.Request) -> web.StreamResponse:
        if fate == "rate_limited":
            after = self.weather.retry_after
            return _error(429, "slow down", {} if after is None else {"Retry-After": str(after)})
        if fate == "failing":
            return _error(self._random.choice((500, 502, 503)), "the server failed")
        if fate == "hanging":
            await asyncio.sleep(self.weather.hang)
        if fate in ("reset", "dead"):
            assert request.transport is not None
            request.transport.abort()
        async with self._free:
            await asyncio.sleep(self.weather.latency)
            return _answer(self._text(fate, body["messages"][-1]["content"]), body, fate)

    def _text(self, fate: str, prompt: str) -> str:
        said = self._script.answer(prompt)
        return {"malformed": said[: len(said) // 2] + "}}", "truncated": said[:-9], "empty": "", "refused": ""}.get(
            fate, said
        )


_FINISHED = {"truncated": "length", "refused": "content_filter"}


def _answer(text: str, body: dict[str, Any], fate: str) -> web.Response:
    read = sum(len(message["content"]) for message in body["messages"]) // 4
    usage = {"prompt_tokens": read, "completion_tokens": len(text) // 4, "total_tokens": read + len(text) // 4}
    usage["prompt_tokens_details"] = {"cached_tokens": read // 2}  # type: ignore[assignment]
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": _FINISHED.get(fate, "stop")}
    made = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body["model"]}
    payload = orjson.dumps({**made, "choices": [choice], "usage": usage})
    return web.Response(body=payload, content_type="application/json")


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    body = orjson.dumps({"error": {"message": message, "type": "error"}})
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


class Server:
    """A running endpoint, seen from another process."""

    def __init__(self, url: str, process: subprocess.Popen[str]) -> None:
        self.url = url
        self.process = process

    @property
    def spec(self) -> str:
        """The LM spec that reaches it."""
        return f"{self.url}/v1#scripted"

    def stats(self) -> dict[str, Any]:
        """What it counted so far."""

        async def ask() -> dict[str, Any]:
            async with aiohttp.ClientSession() as session, session.get(f"{self.url}/stats") as response:
                found: dict[str, Any] = orjson.loads(await response.read())
                return found

        return asyncio.run(ask())


@contextmanager
def endpoint(weather: Weather) -> Iterator[Server]:
    """An endpoint for a with block."""
    command = [sys.executable, "-m", "tests.bench.endpoint", weather.model_dump_json()]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(f"http://127.0.0.1:{int(process.stdout.readline())}", process)
        finally:
            process.kill()


async def _serve(weather: Weather) -> None:
    runner = web.AppRunner(Endpoint(weather).app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Weather.model_validate_json(sys.argv[1])))
