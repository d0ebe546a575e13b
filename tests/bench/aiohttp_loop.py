"""The floor: the same messages sent and read by aiohttp and orjson, and nothing else."""

from __future__ import annotations

import asyncio
import sys

import aiohttp
import orjson

from tests.bench.conversation import Conversation, conversations
from tests.bench.measure import CALLS, Load, Result, measured


async def _talk(session: aiohttp.ClientSession, url: str, talk: Conversation, free: asyncio.Semaphore) -> None:
    async with free:
        while (body := talk.request()) is not None:
            async with session.post(url, data=orjson.dumps(body)) as response:
                answer = orjson.loads(await response.read())
            talk.add(answer["choices"][0]["message"]["content"])


async def _all(load: Load) -> None:
    free = asyncio.Semaphore(load.concurrency)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers={"Content-Type": "application/json"}) as session:
        url = f"{load.url}/v1/chat/completions"
        await asyncio.gather(*(_talk(session, url, talk, free) for talk in conversations(load)))


if __name__ == "__main__":
    asked = Load.model_validate_json(sys.argv[1])
    with measured(Result(calls=asked.dialogues * CALLS)):
        asyncio.run(_all(asked))
