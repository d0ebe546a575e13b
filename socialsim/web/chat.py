"""`socialsim chat --web`: one supporter, a conversation a browser."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict

from socialsim.chat.conversation import MAX_CHARACTERS, Conversation
from socialsim.chat.crisis import NOTE, is_calm, is_fixed
from socialsim.chat.listening import Heard
from socialsim.chat.supporter import BoundSupporter
from socialsim.errors import SocialSimError
from socialsim.lm_errors import redact
from socialsim.schema import Node, Reasoning, Turn
from socialsim.web import new_app, page
from socialsim.web.sittings import Sitting, Sittings, give_cookie

_FAILED: Final = "something went wrong here; the terminal says what"
_STOPPED: Final = "stopped; the message was not kept"


class Message(BaseModel):
    """What a person says."""

    model_config = ConfigDict(extra="forbid")
    text: str


def chat_app(supporter: BoundSupporter, file: Path) -> FastAPI:
    """The app; its caller secures and serves it.

    Args:
        supporter: whom everybody talks to.
        file: where a transcript is saved when a person says so.
    """
    app = new_app("chat.css", "talk.js", "chat.js")
    sittings = Sittings(lambda _: Conversation(supporter))
    answer_in_one_line(app)

    @app.get("/")
    async def index(request: Request) -> Response:
        shown = page("chat.html", note=NOTE, most=MAX_CHARACTERS, lm=supporter.config.lm.text)
        give_cookie(request, shown)
        return shown

    @app.get("/api/state")
    async def state(request: Request) -> dict[str, Any]:
        sitting = sittings.of(request)
        turns = sitting.talk.turns
        return {"turns": [shown_turn(turn) for turn in turns], "busy": sitting.busy}

    @app.get("/api/reasoning/{number}")
    async def reasoning(request: Request, number: int) -> dict[str, Any]:
        turns = sittings.of(request).talk.turns
        thought = turns[number].reasoning if 0 <= number < len(turns) else None
        return {"lines": _lines(thought)}

    @app.post("/api/say")
    async def say(request: Request, message: Message) -> Response:
        events = _events(sittings.of(request), message.text)
        return StreamingResponse(events, media_type="text/event-stream")

    @app.post("/api/stop")
    async def stop(request: Request) -> dict[str, Any]:
        await sittings.of(request).stop()
        return {}

    @app.post("/api/restart")
    async def restart(request: Request) -> dict[str, Any]:
        sitting = sittings.of(request)
        await sitting.stop()
        sitting.talk = Conversation(supporter)
        return {}

    @app.post("/api/save")
    async def save(request: Request) -> dict[str, Any]:
        return {"id": sittings.of(request).talk.save(file), "file": file.name}

    return app


def _events(sitting: Sitting[Conversation], text: str) -> AsyncIterator[str]:
    """Begin a reply at once; what happens comes as server-sent events, the reply or an error last."""
    queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    conversation = sitting.talk

    def heard(what: Heard) -> None:
        queue.put_nowait({"phase": what.phase, "draft": what.draft})

    async def work() -> None:
        try:
            reply = await conversation.say(text, heard)
            last = {"reply": shown_turn(reply), "number": len(conversation.turns) - 1}
        except SocialSimError as error:
            last = {"error": redact(str(error))}
        except asyncio.CancelledError:
            last = {"error": _STOPPED}
        except Exception:
            logging.getLogger(__name__).exception("a reply failed")
            last = {"error": _FAILED}
        queue.put_nowait(last)

    sitting.start(work())
    return _sent(queue)


async def _sent(queue: asyncio.Queue[dict[str, Any]]) -> AsyncIterator[str]:
    while True:
        event = await queue.get()
        yield f"data: {json.dumps(event, ensure_ascii=False)}\n\n"
        if "phase" not in event:
            return


def shown_turn(turn: Turn) -> dict[str, Any]:
    """A turn as a page shows it; its reasoning comes only when it is asked for."""
    return {
        "speaker": str(turn.speaker),
        "text": turn.text,
        "fixed": is_fixed(turn) and not is_calm(turn),
        "reasoned": turn.reasoning is not None,
    }


def _lines(thought: Reasoning | None) -> list[tuple[str, str]]:
    if thought is None:
        return []
    lines = [(node.value, getattr(thought, node.value)) for node in Node if node is not Node.STRATEGY]
    chosen = " + ".join(map(str, thought.strategies))
    lines.append((Node.STRATEGY.value, ", ".join(part for part in (chosen, thought.purpose) if part)))
    return [(name, text) for name, text in lines if text]


def answer_in_one_line(app: FastAPI) -> None:
    """Errors a person can cause come as ``{"error": "…"}``, without a key."""

    @app.exception_handler(SocialSimError)
    async def ours(_: Request, error: SocialSimError) -> JSONResponse:
        return JSONResponse({"error": redact(str(error))}, 400)

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail)}, error.status_code)
