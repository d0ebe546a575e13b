"""One rater's decisions: read once, written at once, locked against a second server."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, Self

from signatures.rubric import Dimension
from socialsim.errors import UsageError
from socialsim.journal import Journal, RunLock
from socialsim.reviews import FOLDER, Decision, Item, Review, Standing
from socialsim.schema import Dialogue, Persona
from socialsim.web.review.index import Index


class Store:
    """The open journal of a rater and what stands in it. Every method that changes something has written it on return.

    Args:
        index: the run.
        rater: name of the rater as a file name (see `socialsim.reviews.rater_slug`).

    Raises:
        OutputError: if another server holds this rater's file, or it cannot be written.
        InputError: if the file is corrupt.
    """

    def __init__(self, index: Index, rater: str) -> None:
        self.rater, self.folder = rater, index.run / FOLDER
        self.file = self.folder / f"{rater}.jsonl"
        self._originals = index.originals()
        with ExitStack() as opened:
            opened.enter_context(RunLock(self.folder, self.file.name))
            self._journal = opened.enter_context(Journal(self.file, Review))
            self.standing = Standing(self._journal, self._originals)
            self._opened = opened.pop_all()

    def accept(self, item: Item) -> None:
        """Accept an item; one that is edited is accepted already and stays as it was edited."""
        before = self.standing.of(item)
        if not (before and before.edited):
            self._say(item, decision=Decision.ACCEPT)

    def reject(self, item: Item) -> None:
        """Reject an item, edited or not; an undo brings the edit back."""
        self._say(item, decision=Decision.REJECT, dialogue=None, persona=None)

    def edit(self, item: Item, edited: Dialogue | Persona | None) -> None:
        """Accept an item in an edited form; None accepts it as the run made it."""
        decision = Decision.EDIT if edited else Decision.ACCEPT
        self._say(item, **{"decision": decision, item.kind.value: edited})

    def note(self, item: Item, note: str) -> None:
        """Replace the note."""
        self._say(item, note=note)

    def score(self, item: Item, scores: Mapping[Dimension, int | None]) -> None:
        """Set scores of dimensions; None takes one away."""
        before = self.standing.of(item)
        merged: dict[Dimension, int | None] = dict(scores)
        for name, score in (before.scores if before else {}).items():
            merged.setdefault(name, score)
        self._say(item, scores={name: score for name, score in merged.items() if score is not None})

    def undo(self) -> Item:
        """Take back the newest record that stands.

        Returns:
            The item it was about.

        Raises:
            UsageError: if nothing stands.
        """
        item = self.standing.latest()
        if item is None:
            raise UsageError("there is nothing to undo")
        self._append(Review(**self._head(item), undo=True))
        return item

    def _say(self, item: Item, **changes: Any) -> None:
        before = self.standing.of(item)
        says = dict(before) if before else {}
        if before is None or says | changes != says:  # a key pressed twice is one decision, undone by one undo
            self._append(Review.model_validate(says | changes | self._head(item)))

    def _head(self, item: Item) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        about = {"kind": item.kind, "item": item.id, "original": self._originals[item]}
        return {"id": self.standing.next_id(item), "at": now} | about

    def _append(self, review: Review) -> None:
        self._journal.append(review)  # first: what is not on disk does not stand
        self.standing.add(review)

    def close(self) -> None:
        """Close the file and give the lock back."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
