"""What a page of the review app shows, as plain values for its templates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from metrics.verdicts import CheckVerdict
from signatures.rubric import RUBRIC, Dimension
from socialsim.reviews import MAX_NOTE, Decision, Item, Kind, Review
from socialsim.schema import Dialogue, Persona, Reasoning, Turn
from socialsim.validation import MAX_WORDS
from socialsim.web.review.editing import MAX_TEXT, NODE_FIELDS, PERSONA_FIELDS, persona_field, strategies_text
from socialsim.web.review.index import PASSED, Index
from socialsim.web.review.queue import Order, Query, Queue, Show, queue
from socialsim.web.review.store import Store

SHOWN: Final = {
    Show.OPEN: "Not reviewed yet",
    Show.ALL: "All",
    Show.ACCEPTED: "Accepted as it is",
    Show.EDITED: "Accepted with edits",
    Show.REJECTED: "Rejected",
    Show.NOTED: "With my note",
}
ORDERS: Final = {Order.PROBLEMS: "Failed checks and flags first", Order.RUN: "Order of the run"}
DECIDED: Final = {Decision.ACCEPT: "accepted", Decision.EDIT: "edited", Decision.REJECT: "rejected"}
_LABELS: Final = {
    "event_time": "When",
    "event_location": "Where",
    "event_participants": "Who",
    "description": "What happened",
    "emotions": "Feels",
    "attempts": "Tried",
    "goals": "Hopes for",
}


class TurnView(NamedTuple):
    """An utterance and what is said about it.

    Attributes:
        nodes: of the reasoning: form field, label, text.
        raw: the reasoning as it was imported, where nothing of it could be told apart.
        failed: checks that broke a rule or came near it.
        kept: names of the rules it keeps.
        changed: whether this rater edited it.
        original: its text as the run made it.
        limit: words it may have.
    """

    number: int
    turn: Turn
    nodes: list[tuple[str, str, str]]
    raw: str
    failed: list[CheckVerdict]
    kept: list[str]
    changed: bool
    original: str
    limit: int


class Field(NamedTuple):
    """One field of a persona."""

    name: str
    label: str
    text: str
    inferred: bool
    editable: bool


@dataclass(frozen=True)
class Reviewing:
    """A run and its rater.

    Attributes:
        index: the run's items.
        store: the rater's decisions.
    """

    index: Index
    store: Store

    def url(self, query: Query, item: Item | None = None, **more: str) -> str:
        """The address of an item in a queue."""
        filters = {**query.model_dump(mode="json"), **({"kind": item.kind.value} if item else {})}
        given = {name: value for name, value in filters.items() if value != Query.model_fields[name].default}
        return "/?" + urlencode(given | ({"item": item.id} if item else {}) | more)

    def context(self, query: Query, at: str = "", mode: str = "", message: str = "") -> dict[str, Any]:
        """Everything the fragment shows.

        Args:
            query: the filters.
            at: id of the item; empty takes the first of the queue.
            mode: ``edit`` for a form in place of the text.
            message: what has just happened.
        """
        found = queue(self.index, self.store.standing, query, Item(query.kind, at) if at else None)
        item = found.current.item if found.current else None
        editing = mode == "edit" and item is not None
        shared = {"query": query, "queue": found, "item": item, "editing": editing, "message": message}
        return shared | self._choices() | self._progress(query) | self._links(query, found) | self._item(item)

    def _choices(self) -> dict[str, Any]:
        """What the filters offer, and the limits of what may be written."""
        names = {"run": self.index.run.resolve().name, "rater": self.store.rater, "topics": self.index.topics()}
        limits = {"max_note": MAX_NOTE, "max_text": MAX_TEXT}
        return names | limits | {"passed": PASSED, "shown": SHOWN, "orders": ORDERS, "decided": DECIDED}

    def _progress(self, query: Query) -> dict[str, Any]:
        all_ = self.index.of(query.kind)
        standing = [self.store.standing.of(entry.item) for entry in all_]
        done = sum(review is not None and review.decision is not None for review in standing)
        others = {kind: len(self.index.of(kind)) for kind in Kind}
        return {"total": len(all_), "done": done, "kinds": others}

    def _links(self, query: Query, found: Queue) -> dict[str, Any]:
        def link(item: Item | None) -> str:
            return self.url(query, item) if item else ""

        rows = [(listed, link(listed.entry.item)) for listed in found.window]
        here = found.current.item if found.current else None
        return {
            "before": link(found.before),
            "after": link(found.after),
            "rows": rows,
            "here": link(here),
            "edit": self.url(query, here, mode="edit") if here else "",
        }

    def _item(self, item: Item | None) -> dict[str, Any]:
        shown: dict[str, Any] = dict.fromkeys(("turns", "failed", "kept", "flags", "fields", "rubric"), ())
        shown |= {"review": None, "post": None, "persona_url": ""}
        if item is None:
            return shown
        review = self.store.standing.of(item)
        if item.kind is Kind.DIALOGUE:
            return shown | {"review": review, "rubric": _rubric(review)} | self._dialogue(item.id)
        fields = persona_fields(self.shown_persona(item.id))
        return shown | {"review": review, "fields": fields, "post": self.index.post(item.id)}

    def _dialogue(self, name: str) -> dict[str, Any]:
        original, shown = self.index.dialogue(name), self.shown_dialogue(name)
        verdicts = self.index.verdicts(name)
        persona = Item(Kind.PERSONA, shown.persona_id or "")
        known = persona in self.index.entries
        return {
            "turns": list(_turns(original, shown, verdicts)),
            "failed": _failed(verdicts, None),
            "kept": _kept(verdicts, None),
            "flags": shown.flags,
            "fields": persona_fields(self.shown_persona(persona.id)) if known else (),
            "persona_url": self.url(Query(show=Show.ALL), persona) if known else "",
        }

    def shown_dialogue(self, name: str) -> Dialogue:
        """A dialogue as this rater last edited it, or as the run made it."""
        review = self.store.standing.of(Item(Kind.DIALOGUE, name))
        return (review.dialogue if review else None) or self.index.dialogue(name)

    def shown_persona(self, name: str) -> Persona:
        """A persona as this rater last edited it, or as the run made it."""
        review = self.store.standing.of(Item(Kind.PERSONA, name))
        return (review.persona if review else None) or self.index.persona(name)


def _failed(verdicts: Sequence[CheckVerdict], turn: int | None) -> list[CheckVerdict]:
    return [verdict for verdict in verdicts if verdict.turn == turn and verdict.score < 1]


def _kept(verdicts: Sequence[CheckVerdict], turn: int | None) -> list[str]:
    return [str(verdict.rule) for verdict in verdicts if verdict.turn == turn and verdict.score >= 1]


def _turns(original: Dialogue, shown: Dialogue, verdicts: Sequence[CheckVerdict]) -> Iterable[TurnView]:
    for number, (before, turn) in enumerate(zip(original.turns, shown.turns, strict=True), 1):
        nodes = _nodes(turn.reasoning)
        yield TurnView(
            number=number,
            turn=turn,
            nodes=nodes,
            raw=(turn.reasoning.raw or "") if turn.reasoning and not nodes else "",
            failed=_failed(verdicts, number),
            kept=_kept(verdicts, number),
            changed=turn != before,
            original=before.text,
            limit=MAX_WORDS[turn.speaker],
        )


def _nodes(reasoning: Reasoning | None) -> list[tuple[str, str, str]]:
    if reasoning is None:
        return []
    texts = {name: getattr(reasoning, name) for name in NODE_FIELDS[:-1]}
    nodes = [(name, name.capitalize(), text) for name, text in texts.items() if text]
    if reasoning.strategies:
        nodes.append(("strategies", "Strategy", strategies_text(reasoning.strategies)))
    return [*nodes, ("purpose", "Purpose", reasoning.purpose)] if reasoning.purpose else nodes


def persona_fields(persona: Persona) -> list[Field]:
    """A persona's fields, the fixed facts first; empty ones are left out."""
    fixed = [
        ("gender", persona.gender),
        ("personality", ", ".join(persona.personality.poles())),
        ("topic", persona.topic),
        ("subtopics", ", ".join(persona.subtopics)),
    ]
    written = [(name, persona_field(persona, name)) for name in PERSONA_FIELDS]
    return [
        Field(name, _LABELS.get(name, name.capitalize()), text, name in persona.inferred, name in PERSONA_FIELDS)
        for name, text in (*fixed[:1], *written[:2], *fixed[1:], *written[2:])
        if text
    ]


def _rubric(review: Review | None) -> list[tuple[int, Dimension, Any, int | None]]:
    """Key, dimension, guide and score."""
    scores = review.scores if review else {}
    return [(key, name, RUBRIC[name], scores.get(name)) for key, name in enumerate(Dimension, 1)]
