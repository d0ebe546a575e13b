"""What an LM answered for an item that is not finished yet: a killed run asks nothing twice.

Each item in the making has a file of its own in ``RUN/unfinished``, a line an answer; it goes when the item is
journalled. A program that is run again asks the same questions in the same order and is given the same answers,
as long as LM, program and seed are the same.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from socialsim.journal import Journal, read_records
from socialsim.meter import Meter, add_up, since
from socialsim.schema import Record, Usage

FOLDER: Final = "unfinished"
_TOLD: Final = (str, tuple)  # kinds of inputs that a question consists of


class Kept(Record):
    """One answer of an unfinished item.

    Attributes:
        id: its number.
        question: hash of what was asked, of whom.
        answer: the answer as JSON; None where it could not be used.
        fault: why it could not be used.
        usage: what it took.
    """

    id: str
    question: str
    answer: str | None = None
    fault: str | None = None
    usage: Usage = Usage()


class KeptAnswers:
    """The answers of one item in the making, as `socialsim.ask` recalls and keeps them.

    Args:
        file: where they lie; made with the first answer.
        basis: what answers depend on beside the question: LMs, programs, seed.
        meter: counts the item's calls; recalled ones are counted again for the item, not for the session.
        before_call: called before a question that was not answered yet is asked; it may raise.
    """

    def __init__(self, file: Path, basis: str, meter: Meter, before_call: Callable[[], None]) -> None:
        self._file = file
        self._basis = basis
        self._meter = meter
        self._before_call = before_call
        self._counted = meter.counts()
        self._question: tuple[Mapping[str, Any], str] = ({}, "")  # the last, with its hash
        self._waiting: dict[str, deque[Kept]] = defaultdict(deque)
        self._journal: Journal[Kept] | None = None
        if file.exists():
            self._journal = Journal(file, Kept, durable=False)
            for kept in self._journal:
                self._waiting[kept.question].append(kept)

    def recall(self, question: Mapping[str, Any]) -> Kept | None:
        """The next answer to a question that was asked before."""
        waiting = self._waiting.get(self._hash(question))
        if not waiting:
            self._before_call()
            return None
        kept = waiting.popleft()
        self._meter.recount(kept.usage)
        self._counted = self._meter.counts()
        return kept

    def keep(self, question: Mapping[str, Any], answer: str | None, fault: str | None = None) -> None:
        """Write an answer down before anything else is done with it."""
        if self._journal is None:
            self._journal = Journal(self._file, Kept, durable=False)
        counted, self._counted = self._counted, self._meter.counts()
        number = f"{len(self._journal) + 1:04d}"
        # What `Kept` reads back; thousands are written for each that is read.
        line = {"id": number, "question": self._hash(question), "usage": since(counted, self._counted)}
        told = {"answer": answer} if fault is None else {"fault": fault}
        self._journal.append_line(number, orjson.dumps(line | told))

    def close(self) -> None:
        """Give the file back; it stays until the item is journalled."""
        if self._journal is not None:
            self._journal.close()

    def _hash(self, question: Mapping[str, Any]) -> str:
        if self._question[0] is not question:
            told = {name: value for name, value in question.items() if isinstance(value, _TOLD)}
            asked = orjson.dumps([self._basis, told], option=orjson.OPT_SORT_KEYS)
            self._question = question, hashlib.blake2b(asked, digest_size=12).hexdigest()
        return self._question[1]


def kept_file(run: Path, step: str, item_id: str) -> Path:
    """Where the answers of an item's step lie while it is unfinished."""
    name = hashlib.blake2b(item_id.encode(), digest_size=12).hexdigest()
    return run / FOLDER / f"{step}-{name}.jsonl"


def kept_usage(run: Path) -> Usage:
    """What the answers that a run keeps for unfinished items took; a killed session told nobody else."""
    files = sorted((run / FOLDER).glob("*.jsonl"))
    return add_up([kept.usage for file in files for kept in read_records(file, Kept)])


def forget(run: Path, step: str, item_id: str) -> None:
    """The item is journalled: its answers are not needed any more."""
    kept_file(run, step, item_id).unlink(missing_ok=True)


def forget_all(run: Path, step: str, item_ids: Iterable[str]) -> None:
    """The same for all items that are journalled: a kill can come between an item's line and `forget`."""
    left = set((run / FOLDER).glob(f"{step}-*.jsonl"))
    for item_id in item_ids if left else ():
        if (file := kept_file(run, step, item_id)) in left:
            file.unlink()
