"""The addresses of the review app. Every change answers with the fragment that comes next: one round trip a key."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from pydantic import Field, ValidationError, model_validator

from signatures.rubric import Dimension
from socialsim.errors import InputError, OutputError, SocialSimError
from socialsim.reviews import MAX_NOTE, Item, Kind
from socialsim.schema import Record
from socialsim.web import new_app, page
from socialsim.web.review.agreement import MIN_SHARED, agreed
from socialsim.web.review.editing import DialogueForm, PersonaForm, edited_dialogue, edited_persona
from socialsim.web.review.queue import Query, queue
from socialsim.web.review.views import DECIDED, Reviewing

Score = Annotated[int, Field(ge=0, le=3)]


class Change(Record):
    """What a rater does.

    Attributes:
        do: the deed; ``undo`` needs nothing else.
        query: of the address the page shows.
        item: id of the item.
        scores: of ``score``; None takes a score away.
    """

    do: Literal["accept", "reject", "note", "score", "edit", "undo"]
    query: str = Field(default="", max_length=2_000)
    kind: Kind = Kind.DIALOGUE
    item: str = Field(default="", max_length=1_000)
    note: str = Field(default="", max_length=MAX_NOTE)
    scores: dict[Dimension, Score | None] = Field(default_factory=dict)
    dialogue: DialogueForm | None = None
    persona: PersonaForm | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.do == "edit" and (self.persona if self.kind is Kind.PERSONA else self.dialogue) is None:
            raise ValueError(f"an edit of a {self.kind} holds one")
        if self.do == "score" and (self.kind is Kind.PERSONA or not self.scores):
            raise ValueError("scores are of a dialogue")
        return self


def review_app(reviewing: Reviewing) -> FastAPI:
    """The app of a run and a rater; whoever opened the rater's file closes it."""
    app = new_app("review.css", "review.js")
    _add_pages(app, reviewing)
    _add_errors(app)
    return app


def _add_pages(app: FastAPI, reviewing: Reviewing) -> None:
    # Coroutines, though they wait for nothing: one change after another, never two at once.
    @app.get("/")
    async def item(request: Request) -> Response:
        asked = dict(request.query_params)
        if "kind" not in asked and not reviewing.index.of(Kind.DIALOGUE):  # a run of personas only
            asked["kind"] = Kind.PERSONA
        context = reviewing.context(_query(asked), asked.get("item", ""), asked.get("mode", ""))
        return page("review/app.html" if "x-fragment" in request.headers else "review/page.html", **context)

    @app.post("/change")
    async def change(change: Change) -> Response:
        query, at, message = Deed(reviewing, change).do()
        return page("review/app.html", **reviewing.context(query, at, message=message))

    @app.get("/agreement")
    def agreement() -> Response:  # in a thread: the bootstrap takes a second
        counts, rows = agreed(reviewing.store.folder, reviewing.index.originals())
        run, rater = reviewing.index.run.resolve().name, reviewing.store.rater
        return page("review/agreement.html", counts=counts, rows=rows, least=MIN_SHARED, run=run, rater=rater)


class Deed:
    """One change of a rater's."""

    def __init__(self, reviewing: Reviewing, change: Change) -> None:
        self._reviewing, self._change = reviewing, change
        self._query = _query(dict(parse_qsl(change.query)))
        self._item = Item(change.kind, change.item)

    def do(self) -> tuple[Query, str, str]:
        """Do it, on disk, and say which item of which queue comes next, and what has happened.

        Raises:
            SocialSimError: if it cannot be done; then nothing has changed.
        """
        change, store = self._change, self._reviewing.store
        if change.do == "undo":
            self._item = store.undo()
            return self._stay("Taken back.")
        if self._item not in self._reviewing.index.entries:
            raise InputError(self._reviewing.index.run, f"no {change.kind} {change.item!r}")
        if change.do == "note":
            store.note(self._item, change.note)
            return self._stay("Note saved.")
        if change.do == "score":
            store.score(self._item, change.scores)
            return self._stay("Score saved.")
        return self._decide()

    def _decide(self) -> tuple[Query, str, str]:
        store = self._reviewing.store
        before = queue(self._reviewing.index, store.standing, self._query, self._item)
        if self._change.do == "edit":
            self._edit()
            return self._stay("Edit saved; the original is kept.")
        (store.accept if self._change.do == "accept" else store.reject)(self._item)
        review = store.standing.of(self._item)
        said = f"{self._item.id} {DECIDED[review.decision] if review and review.decision else ''}."
        if before.after is None:
            return self._stay(f"{said} This was the last of the queue.")
        return self._query, before.after.id, said

    def _edit(self) -> None:
        reviewing, change, name = self._reviewing, self._change, self._item.id
        if change.kind is Kind.DIALOGUE and change.dialogue:
            dialogue = edited_dialogue(reviewing.shown_dialogue(name), change.dialogue)
            reviewing.store.edit(self._item, None if dialogue == reviewing.index.dialogue(name) else dialogue)
        elif change.persona:
            persona = edited_persona(reviewing.shown_persona(name), change.persona)
            reviewing.store.edit(self._item, None if persona == reviewing.index.persona(name) else persona)

    def _stay(self, message: str) -> tuple[Query, str, str]:
        query = self._query.model_copy(update={"kind": self._item.kind})
        return query, self._item.id, message


def _query(given: dict[str, str]) -> Query:
    try:
        return Query.model_validate(given)
    except ValidationError:  # an address typed by hand
        return Query()


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(SocialSimError)
    async def refused(request: Request, error: Exception) -> Response:
        line, status = " ".join(str(error).split()), 507 if isinstance(error, OutputError) else 422
        if request.method == "GET" and "x-fragment" not in request.headers:
            return page("review/error.html", status, line=line)
        return PlainTextResponse(line, status)

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first: dict[str, Any] = error.errors()[0]
        where = " ".join(str(part) for part in first["loc"][1:])
        return PlainTextResponse(f"{where}: {first['msg']}".lstrip(": "), 422)
