"""The usual way: the same messages through ``AsyncOpenAI``."""

from __future__ import annotations

import asyncio
import sys

from httpx import Limits
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from tests.bench.conversation import Conversation, conversations
from tests.bench.measure import CALLS, Load, Result, measured


async def _talk(client: AsyncOpenAI, talk: Conversation, free: asyncio.Semaphore) -> None:
    async with free:
        while (body := talk.request()) is not None:
            answer = await client.chat.completions.create(**body)
            talk.add(answer.choices[0].message.content or "")


async def _all(load: Load) -> None:
    free = asyncio.Semaphore(load.concurrency)
    http = DefaultAsyncHttpxClient(limits=Limits(max_connections=load.concurrency))
    async with AsyncOpenAI(base_url=f"{load.url}/v1", api_key="none", http_client=http, timeout=120) as client:
        await asyncio.gather(*(_talk(client, talk, free) for talk in conversations(load)))


if __name__ == "__main__":
    asked = Load.model_validate_json(sys.argv[1])
    with measured(Result(calls=asked.dialogues * CALLS)):
        asyncio.run(_all(asked))
