"""Test sets: dialogues whose every supporter turn is a gold reply."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from finetune.corpora import read_corpus
from finetune.splits import digest
from socialsim.errors import OutputError
from socialsim.predictions import SetRecord
from socialsim.schema import Dialogue, Speaker
from socialsim.text import split_emoji


class Gold(NamedTuple):
    """A supporter turn of a test set, the ``turn``-th of ``total`` in its dialogue."""

    turn: int
    total: int
    text: str


class GoldSets:
    """The test sets of an evaluation, each read at most once and only when it is needed."""

    def __init__(self) -> None:
        self._read: dict[str, list[Dialogue]] = {}

    def describe(self, source: str, limit: int | None) -> SetRecord:
        """Read a corpus (of a split folder its test side) and say what is evaluated of it.

        Raises:
            InputError, UsageError: see `read_corpus`.
        """
        everything = self._corpus(source)
        dialogues = everything[:limit]
        golds = [turn.text for one in everything for turn in one.turns if turn.speaker is Speaker.SUPPORTER]
        return SetRecord(
            source=source,
            digest=digest(everything),
            dialogues=len(dialogues),
            replies=sum(len(list(gold_replies(one))) for one in dialogues),
            emoji=2 * sum(split_emoji(text).emoji is not None for text in golds) > len(golds),
        )

    def dialogues(self, name: str, record: SetRecord) -> list[Dialogue]:
        """The dialogues that are evaluated.

        Raises:
            OutputError: if the corpus has changed since.
        """
        everything = self._corpus(record.source)
        if digest(everything) != record.digest:
            raise OutputError(f"test {name}: {record.source} has changed since; use another name or another --out")
        return everything[: record.dialogues]

    def _corpus(self, source: str) -> list[Dialogue]:
        if source not in self._read:
            self._read[source] = unique(read_corpus(source, "test").dialogues)
        return self._read[source]


def described(
    given: Mapping[str, str], known: Mapping[str, SetRecord], limit: int | None, sets: GoldSets, grown: bool
) -> dict[str, SetRecord]:
    """The records of the tests that are known and of those named now.

    Args:
        given: name to corpus.
        known: of the folder.
        limit: dialogues of each.
        sets: reads them.
        grown: whether the limit is another one, so that known tests are counted again.
    """
    found = {name: sets.describe(one.source, limit) if grown else one for name, one in known.items()}
    return found | {name: sets.describe(source, limit) for name, source in given.items()}


def gold_replies(dialogue: Dialogue) -> Iterator[Gold]:
    """The supporter turns of an alternating dialogue that starts with the seeker."""
    replies = dialogue.turns[1::2]
    for number, turn in enumerate(replies, 1):
        yield Gold(number, len(replies), turn.text)


def unique(dialogues: Sequence[Dialogue]) -> list[Dialogue]:
    """The dialogues with ids that occur once: a corpus put together of several may use one twice."""
    seen: set[str] = set()
    found = []
    for dialogue in dialogues:
        name, number = dialogue.id, 2
        while name in seen:
            name, number = f"{dialogue.id}#{number}", number + 1
        seen.add(name)
        found.append(dialogue if name == dialogue.id else dialogue.model_copy(update={"id": name}))
    return found
