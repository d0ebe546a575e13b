"""People's decisions on dialogues and personas: the records of ``RUN/reviews/<rater>.jsonl`` and what they add up to.

A file is one rater's, append-only. Each record is all that the rater now says of an item, so the latest counts; an
undo record takes the latest back, and the one before it counts again. Nothing in the run's own files ever changes: an
edited item lies in its record, beside the original. A record names the line it is about by a digest: where the run has
other words by that id now, as after a second run in the same folder, it does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, NamedTuple, Self

import orjson
from pydantic import Field, model_validator

from signatures.rubric import Dimension
from socialsim.errors import InputError, UsageError
from socialsim.journal import read_records
from socialsim.schema import Dialogue, Persona, Record, Text

FOLDER: Final = "reviews"  # of a run folder
MAX_NOTE: Final = 4_000  # characters
_MAX_NAME: Final = 40


class Kind(StrEnum):
    """What is reviewed."""

    DIALOGUE = "dialogue"
    PERSONA = "persona"


FILES: Final = {Kind.DIALOGUE: "dialogues.jsonl", Kind.PERSONA: "personas.jsonl"}  # of a run


class Decision(StrEnum):
    """What a rater makes of an item; an edited one is accepted in its edited form."""

    ACCEPT = "accept"
    EDIT = "edit"
    REJECT = "reject"


class Item(NamedTuple):
    """What a record is about."""

    kind: Kind
    id: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.id}"


class Review(Record):
    """One line: all that a rater now says of an item, or that the latest such line is taken back.

    Attributes:
        id: ``<kind>/<item>#<n>``, n counting the rater's lines on this item from 1.
        item: id of the dialogue or persona.
        original: digest of the item as the run made it (see `line_digest`).
        at: when, UTC, ISO 8601.
        undo: whether this takes the latest standing line on the item back; it then says nothing else.
        decision: None where there is only a note or a score so far.
        scores: of the dialogue as the run made it, 0 to 3, whatever was edited.
        dialogue: the edited dialogue, whole.
        persona: the edited persona, whole.
    """

    id: Text
    kind: Kind
    item: Text
    original: str
    at: str
    undo: bool = False
    decision: Decision | None = None
    note: str = Field(default="", max_length=MAX_NOTE)
    scores: dict[Dimension, Annotated[int, Field(ge=0, le=3)]] = Field(default_factory=dict)
    dialogue: Dialogue | None = None
    persona: Persona | None = None

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        edited = {Kind.DIALOGUE: self.dialogue, Kind.PERSONA: self.persona}
        given = [record for record in edited.values() if record is not None]
        if self.undo and (given or self.decision or self.note or self.scores):
            raise ValueError("an undo says nothing else")
        if bool(given) != (self.decision is Decision.EDIT):
            raise ValueError("an edit, and only an edit, holds the edited item")
        if given and (len(given) > 1 or given != [edited[self.kind]] or given[0].id != self.item):
            raise ValueError(f"holds another item than {self.kind} {self.item}")
        if self.scores and self.kind is Kind.PERSONA:
            raise ValueError("the rubric scores dialogues, not personas")
        return self

    @property
    def about(self) -> Item:
        """What this is about."""
        return Item(self.kind, self.item)

    @property
    def edited(self) -> Dialogue | Persona | None:
        """The edited item, if this is an edit."""
        return self.dialogue or self.persona

    @property
    def kept(self) -> bool:
        """Whether the item is accepted, as it is or edited."""
        return self.decision in (Decision.ACCEPT, Decision.EDIT)


class Standing:
    """What stands after a sequence of records: for each item a stack, its top is what counts.

    Args:
        records: one rater's, in order.
        originals: digest of each item of the run; records of other words do not count. None: all count.

    Attributes:
        stale: records that do not count.
    """

    def __init__(self, records: Iterable[Review] = (), originals: Mapping[Item, str] | None = None) -> None:
        self.stale = 0
        self._originals = originals
        self._stacks: dict[Item, list[tuple[int, Review]]] = {}
        self._lines: dict[Item, int] = {}
        self._read = 0
        for record in records:
            self.add(record)

    def add(self, record: Review) -> None:
        """Take in the next record; an undo of nothing changes nothing."""
        self._read += 1
        self._lines[record.about] = self._lines.get(record.about, 0) + 1
        if self._originals is not None and self._originals.get(record.about) != record.original:
            self.stale += 1
            return
        stack = self._stacks.setdefault(record.about, [])
        if not record.undo:
            stack.append((self._read, record))
        elif stack:
            stack.pop()

    def of(self, item: Item) -> Review | None:
        """What stands of an item; None where nothing does."""
        stack = self._stacks.get(item)
        return stack[-1][1] if stack else None

    def latest(self) -> Item | None:
        """The item whose standing record is the newest of all: what an undo takes back."""
        tops = {item: stack[-1][0] for item, stack in self._stacks.items() if stack}
        return max(tops, key=tops.__getitem__, default=None)

    def next_id(self, item: Item) -> str:
        """The id of the next record on an item."""
        return f"{item}#{self._lines.get(item, 0) + 1}"

    def reviews(self) -> Iterator[Review]:
        """What stands, item by item in the order of their first record."""
        return (stack[-1][1] for stack in self._stacks.values() if stack)


class Vote(NamedTuple):
    """What several raters together make of an item.

    Attributes:
        kept: accepted by most of those who decided; None where as many accepted as rejected.
        edited: the newest edit among those who accepted; None: the item as it is.
        raters: how many decided.
    """

    kept: bool | None
    edited: Dialogue | Persona | None
    raters: int


def votes(raters: Mapping[str, Standing]) -> dict[Item, Vote]:
    """The vote on every item that anyone decided on."""
    decided: dict[Item, list[Review]] = {}
    for standing in raters.values():
        for review in standing.reviews():
            if review.decision is not None:
                decided.setdefault(review.about, []).append(review)
    return {item: _vote(reviews) for item, reviews in decided.items()}


def _vote(reviews: list[Review]) -> Vote:
    kept = [review for review in reviews if review.kept]
    against = len(reviews) - len(kept)
    newest = max((review for review in kept if review.edited), key=lambda review: review.at, default=None)
    majority = None if len(kept) == against else len(kept) > against
    return Vote(majority, newest.edited if newest and majority else None, len(reviews))


def line_digest(line: bytes) -> str:
    """Twelve hex digits of a line of the run."""
    return sha256(line.rstrip(b"\n")).hexdigest()[:12]


def originals(run: Path) -> dict[Item, str]:
    """The digest of each item of a run.

    Raises:
        InputError: if a file cannot be read, or a line is not JSON with an id.
    """
    return {item: digest for kind, name in FILES.items() for item, digest in _digests(run / name, kind)}


def _digests(path: Path, kind: Kind) -> Iterator[tuple[Item, str]]:
    if not path.is_file():
        return
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):  # half a last line is still being written
                    yield Item(kind, _id(path, line, number)), line_digest(line)
    except OSError as error:
        raise InputError(path, f"{error.strerror or error}; check the path") from error


def _id(path: Path, line: bytes, number: int) -> str:
    try:
        return str(orjson.loads(line)["id"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(path, "not a record; correct or delete the line", number) from error


def read_reviews(folder: Path, known: Mapping[Item, str] | None = None) -> dict[str, Standing]:
    """What stands for each rater, by name; what was said of other words than the run's does not.

    Args:
        folder: ``RUN/reviews``.
        known: the run's `originals`, where they are known already.

    Raises:
        InputError: if there is none, or a file is corrupt.
    """
    files = review_files(folder)
    if not files:
        raise InputError(folder, "holds no reviews yet; make some with `socialsim review`")
    there = originals(folder.parent) if known is None else known
    return {file.stem: Standing(read_records(file, Review), there) for file in files}


def review_files(folder: Path) -> list[Path]:
    """The raters' files."""
    return sorted(folder.glob("*.jsonl"))


def rater_slug(name: str) -> str:
    """A rater's name as the name of a file.

    Raises:
        UsageError: if nothing of it can stand in one.
    """
    slug = re.sub(r"[^\w]+", "-", name.strip().lower()).strip("-_")
    if not slug or len(slug) > _MAX_NAME:
        raise UsageError(f"--rater {name[:60]!r}: use a name with letters or digits, at most {_MAX_NAME} of them")
    return slug
