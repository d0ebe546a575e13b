"""`socialsim chat --blind A=SPEC,B=SPEC --web`: two models under hidden names, a session a browser.

A model's name leaves this process only after its session is rated. Replies are not streamed, since how one comes about
could tell which model writes it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from signatures.arena import ASPECTS, Aspect
from socialsim.chat.blind import MAX_NOTE, BlindFolder, BlindRating, BlindSession
from socialsim.chat.blind_talk import NAMES, BlindTalk
from socialsim.chat.conversation import MAX_CHARACTERS, checked_message
from socialsim.chat.crisis import NOTE
from socialsim.chat.supporter import BoundSupporter
from socialsim.errors import UsageError
from socialsim.web import new_app, page
from socialsim.web.chat import answer_in_one_line, shown_turn
from socialsim.web.sittings import Sittings, finished, give_cookie

MAX_NAME: Final = 60
MAX_SESSIONS: Final = 5_000  # in one folder


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Beginning(_Body):
    """Who begins a session; the name may be empty."""

    rater: str = Field(default="", max_length=MAX_NAME)


class BlindMessage(_Body):
    """What a person says to Model 1 (0) or Model 2 (1)."""

    place: int = Field(ge=0, le=1)
    text: str


class Rating(_Body):
    """A rating as the page sends it; `BlindRating` checks it."""

    aspects: dict[str, dict[str, Any]]
    note: str = Field(default="", max_length=MAX_NOTE)


class Desk:
    """One browser: its session, if it has begun one."""

    def __init__(self, folder: BlindFolder, supporters: Mapping[str, BoundSupporter], secret: str) -> None:
        self._folder, self._supporters = folder, supporters
        self._key = hashlib.sha256(secret.encode()).hexdigest()[:32]
        session = folder.open_session(key=self._key)
        self.talk: BlindTalk | None = self._talk(session) if session else None

    def begin(self, rater: str) -> None:
        """Begin a session, or go on with the open one."""
        if self.talk is not None and not self.talk.rated:
            return
        if len(self._folder.sessions) >= MAX_SESSIONS:
            raise UsageError(f"{MAX_SESSIONS:,} sessions are the most there may be; tell whoever runs this")
        name = " ".join(checked_message(rater).split()) if rater.strip() else ""
        self.talk = self._talk(self._folder.begin(name, self._key))

    def _talk(self, session: BlindSession) -> BlindTalk:
        return BlindTalk(self._folder, self._supporters, session, logging.getLogger(__name__).error)


def blind_app(supporters: Mapping[str, BoundSupporter], folder: BlindFolder) -> FastAPI:
    """The app; its caller opens the folder, secures the app and serves it."""
    app = new_app("chat.css", "blind.css", "talk.js", "blind.js")
    desks = Sittings(lambda secret: Desk(folder, supporters, secret))
    needed = folder.settings.exchanges
    answer_in_one_line(app)

    def talk_of(request: Request) -> BlindTalk:
        if (talk := desks.of(request).talk.talk) is None:
            raise HTTPException(409, "begin a session first")
        return talk

    @app.get("/")
    async def index(request: Request) -> Response:
        aspects = [(str(aspect), ASPECTS[aspect]) for aspect in Aspect]
        shown = page(
            "blind.html",
            aspects=aspects,
            names=NAMES,
            needed=needed,
            note=NOTE,
            most=MAX_CHARACTERS,
            most_note=MAX_NOTE,
            most_name=MAX_NAME,
        )
        give_cookie(request, shown)
        return shown

    @app.get("/api/state")
    async def state(request: Request) -> dict[str, Any]:
        sitting = desks.of(request)
        talk = sitting.talk.talk
        if talk is None:
            return {"begun": False, "busy": False}
        return {"begun": True, "busy": sitting.busy} | _state(talk)

    @app.post("/api/begin")
    async def begin(request: Request, beginning: Beginning) -> dict[str, Any]:
        desks.of(request).talk.begin(beginning.rater)
        return {}

    @app.post("/api/say")
    async def say(request: Request, message: BlindMessage) -> dict[str, Any]:
        talk = talk_of(request)
        reply = await finished(desks.of(request).start(talk.say(message.place, message.text)))
        return {"reply": shown_turn(reply) | {"reasoned": False}} | _state(talk)

    @app.post("/api/rate")
    async def rate(request: Request, rating: Rating) -> dict[str, Any]:
        talk = talk_of(request)
        talk.rate(_checked(talk.session.id, rating))
        return _state(talk)

    return app


def _state(talk: BlindTalk) -> dict[str, Any]:
    """How far a session is; the models' names only when it is rated. Reasoning is never sent: it could tell them."""
    places = [
        {
            "turns": [shown_turn(turn) | {"reasoned": False} for turn in conversation.turns],
            "done": talk.progress(place).done,
        }
        for place, conversation in enumerate(talk.conversations)
    ]
    return {"places": places, "ready": talk.ready, "names": list(talk.session.order) if talk.rated else None}


def _checked(session: str, rating: Rating) -> BlindRating:
    try:
        return BlindRating.model_validate({"id": session, "aspects": rating.aspects, "note": rating.note})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = " ".join(str(part) for part in first["loc"][1:2])
        raise UsageError(f"{where}: {first['msg'].removeprefix('Value error, ')}".removeprefix(": ")) from error
