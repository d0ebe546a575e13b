"""What of a run lies with a provider's Batch API: written down before it is paid for, so that nothing is paid twice.

A basket of requests is written down before it is uploaded, the batch it became as soon as the provider names it. A
session killed between the two leaves a basket without a batch; the provider knows the basket's tag and is asked.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

from socialsim.journal import Journal
from socialsim.schema import Record

NAME: Final = "batches.jsonl"


class Sent(Record):
    """A line of ``batches.jsonl``: a basket that is about to be submitted, or the batch that one became.

    Attributes:
        id: of a basket its tag, which the provider keeps with the batch; of a batch that tag and a mark.
        since: when it was written down, Unix time.
        server: of a basket, the address it goes to.
        lines: of a basket, the ids of its requests, in order.
        basket: of a batch, its basket's tag.
        batch: its id at the provider (two servers may give the same).
    """

    id: str
    since: float
    server: str = ""
    lines: tuple[str, ...] = ()
    basket: str = ""
    batch: str = ""


class Line(NamedTuple):
    """Where a request lies: the batch, and the request's id in it."""

    batch: str
    id: str


class Book:
    """The batches of a run, as far as one server knows them.

    Args:
        file: the journal.
        server: address of that server.
    """

    def __init__(self, file: Path, server: str) -> None:
        self._journal = Journal(file, Sent)
        self._server = server
        self._asked: Counter[str] = Counter()
        self._lines: dict[str, list[Line]] = defaultdict(list)
        self._open: dict[str, Sent] = {}
        for sent in self._journal:
            self._take_in(sent)

    def _take_in(self, sent: Sent) -> None:
        if sent.basket:
            self._lay(self._open.pop(sent.basket), sent.batch)
            return
        self._asked.update(map(_request_of, sent.lines))
        self._open[sent.id] = sent

    def _lay(self, basket: Sent, batch: str) -> None:
        if basket.server == self._server:
            for line in basket.lines:
                self._lines[_request_of(line)].append(Line(batch, line))

    def without_batch(self) -> Iterator[Sent]:
        """Baskets of which nothing says whether they became batches."""
        return (sent for sent in list(self._open.values()) if sent.server == self._server)

    def request(self, body: bytes) -> str:
        """A request by what it says and whom it asks."""
        return hashlib.blake2b(self._server.encode() + b"\n" + body, digest_size=12).hexdigest()

    def claim(self, request: str) -> Line | None:
        """Where a request lies that an earlier session submitted; each of its lines is given once.

        The last one first: an item asks the same again only after the answer before, which is kept with the item.
        """
        lines = self._lines.get(request)
        return lines.pop() if lines else None

    def basket(self, requests: Sequence[str]) -> Sent:
        """Write down that these requests are about to be submitted; each gets an id of its own."""
        ids = []
        for request in requests:
            self._asked[request] += 1
            ids.append(f"{request}-{self._asked[request]}")
        sent = Sent(id=f"socialsim-{uuid.uuid4().hex}", since=time.time(), server=self._server, lines=tuple(ids))
        self._journal.append(sent)
        return sent

    def became(self, basket: Sent, batch: str) -> list[Line]:
        """Write down which batch a basket became; where its requests lie is for those who wait for them."""
        sent = Sent(id=f"{basket.id}-batch", since=time.time(), basket=basket.id, batch=batch)
        self._journal.append(sent)
        return [Line(batch, line) for line in basket.lines]

    def found(self, basket: Sent, batch: str) -> None:
        """The same for an earlier session's basket: nobody waits, its requests can be claimed."""
        self.became(basket, batch)
        self._lay(self._open.pop(basket.id), batch)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.close()


def _request_of(line: str) -> str:
    return line.rpartition("-")[0]
