"""What a rater looks at next: filters, order, and the place of an item in what is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, StringConstraints

from socialsim.reviews import Decision, Item, Kind, Review, Standing
from socialsim.web.review.index import Entry, Index

LISTED: Final = 60  # items of the queue shown at once
Term = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]


class Show(StrEnum):
    """Which items: by what this rater made of them."""

    OPEN = "open"
    ALL = "all"
    ACCEPTED = "accept"
    EDITED = "edit"
    REJECTED = "reject"
    NOTED = "note"


class Order(StrEnum):
    """In which order."""

    PROBLEMS = "problems"
    RUN = "run"


class Query(BaseModel):
    """The filters, as they stand in an address."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    kind: Kind = Kind.DIALOGUE
    show: Show = Show.OPEN
    order: Order = Order.PROBLEMS
    topic: Term = ""
    q: Term = ""


class Listed(NamedTuple):
    """One line of the queue."""

    entry: Entry
    review: Review | None


@dataclass(frozen=True)
class Queue:
    """The items that fit a query, and where one of them stands.

    Attributes:
        items: what fits, in order.
        current: the item looked at; it may fit no longer, as after a decision.
        position: of the current item among those that fit, from 1; None where it fits no longer.
        before: the one before it.
        after: the one after it.
        window: the part of ``items`` around it.
    """

    items: list[Listed]
    current: Entry | None
    position: int | None
    before: Item | None
    after: Item | None
    window: list[Listed]


def queue(index: Index, standing: Standing, query: Query, at: Item | None = None) -> Queue:
    """The queue of a query.

    Args:
        index: the run.
        standing: this rater's decisions, and nobody else's.
        query: the filters.
        at: the item looked at; None takes the first that fits.
    """
    ranked = sorted(index.of(query.kind), key=_rank(query.order))
    fits = [(rank, found) for rank, found in enumerate(_listed(ranked, standing)) if _fits(found, query)]
    current = index.entries.get(at) if at else None
    if current is None:
        current = fits[0][1].entry if fits else None
    rank = ranked.index(current) if current in ranked else -1
    earlier = [found for there, found in fits if there < rank]
    later = [found for there, found in fits if there > rank]
    here = len(earlier) + len(later) < len(fits)
    items, start = [found for _, found in fits], max(0, min(len(earlier) - LISTED // 3, len(fits) - LISTED))
    return Queue(
        items=items,
        current=current,
        position=len(earlier) + 1 if here else None,
        before=earlier[-1].entry.item if earlier else None,
        after=later[0].entry.item if later else None,
        window=items[start : start + LISTED],
    )


def _listed(entries: list[Entry], standing: Standing) -> list[Listed]:
    return [Listed(entry, standing.of(entry.item)) for entry in entries]


def _rank(order: Order) -> Callable[[Entry], int]:
    return (lambda entry: -entry.problems) if order is Order.PROBLEMS else (lambda entry: entry.place.number)


def _fits(found: Listed, query: Query) -> bool:
    entry, review = found
    if query.topic and entry.topic != query.topic:
        return False
    if query.q and query.q.lower() not in entry.item.id.lower():
        return False
    decision = review.decision if review else None
    if query.show is Show.OPEN:
        return decision is None
    if query.show is Show.NOTED:
        return bool(review and review.note)
    return query.show is Show.ALL or decision is Decision(query.show)
