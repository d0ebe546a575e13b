"""Holding dialogues out for testing, and the folder that keeps a split.

Paper: SSConv is split 9:1 by dialogue, ESConv holds out 200 dialogues.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self

from pydantic import ValidationError

from socialsim.errors import InputError, OutputError, UsageError
from socialsim.formats.reasoning import reasoning_text
from socialsim.journal import write_atomically
from socialsim.schema import Dialogue, Record, Speaker
from socialsim.text import count_words

Side = Literal["train", "test"]
RECORD: Final = "split.json"
_WORD = re.compile(r"\w+")


class Split(NamedTuple):
    """The two sides of a corpus, each in the order of the corpus."""

    train: list[Dialogue]
    test: list[Dialogue]


def digest(dialogues: Iterable[Dialogue]) -> str:
    """16 hexadecimal digits that stand for the ids, the speakers, the words and the reasoning, in order."""
    total = sha256()
    for dialogue in dialogues:
        for turn in dialogue.turns:
            thought = reasoning_text(turn.reasoning) if turn.reasoning else ""
            total.update("\0".join((dialogue.id, turn.speaker, turn.text, thought, "")).encode())
    return total.hexdigest()[:16]


def split(dialogues: Sequence[Dialogue], test: int | float, seed: int) -> Split:
    """Hold dialogues out for testing; the same for the same contents and seed, in whatever order they come.

    Dialogues of the same words (case, punctuation and reasoning aside) go to the same side, so that none is tested on
    that was trained on; where copies do not fit, fewer are held out than asked for.

    Args:
        dialogues: the corpus.
        test: how many dialogues to hold out (int), or which share of them (float, between 0 and 1).
        seed: another one holds out others.

    Raises:
        UsageError: if a side would be empty.
    """
    wanted = _wanted(test, len(dialogues))
    keys = [content_key(dialogue) for dialogue in dialogues]
    held_out = _drawn(Counter(keys), wanted, seed)
    if not held_out:
        raise UsageError(f"--test {test}: every dialogue has more than {wanted:,} copies; raise --test")
    sides = Split([], [])
    for key, dialogue in zip(keys, dialogues, strict=True):
        sides[key in held_out].append(dialogue)
    return sides


def _drawn(copies: Mapping[str, int], wanted: int, seed: int) -> set[str]:
    """Contents drawn by chance until their dialogues are as many as wanted, or more would be too many."""
    drawn, left = set(), wanted
    for key in sorted(copies, key=lambda key: sha256(f"{seed}:{key}".encode()).digest()):
        if copies[key] <= left:
            drawn.add(key)
            left -= copies[key]
    return drawn


def content_key(dialogue: Dialogue) -> str:
    """The same for dialogues in which the same speakers say the same words; case and punctuation do not count."""
    said = (f"{turn.speaker} {unicodedata.normalize('NFKC', turn.text).casefold()}" for turn in dialogue.turns)
    return sha256("\n".join(" ".join(_WORD.findall(line)) for line in said).encode()).hexdigest()


class SideSize(Record):
    """One side of a split.

    Attributes:
        words: of both speakers; punctuation and emoji are none.
        digest: see `digest`.
    """

    dialogues: int
    supporter_turns: int
    words: int
    digest: str

    @classmethod
    def of(cls, dialogues: Sequence[Dialogue]) -> Self:
        """Count a side."""
        turns = [turn for dialogue in dialogues for turn in dialogue.turns]
        return cls(
            dialogues=len(dialogues),
            supporter_turns=sum(turn.speaker is Speaker.SUPPORTER for turn in turns),
            words=sum(count_words(turn.text) for turn in turns),
            digest=digest(dialogues),
        )


class SplitRecord(Record):
    """``split.json``: how a corpus was split.

    Attributes:
        corpus: digest of the corpus.
        left_out: its dialogues without an exchange, which are on neither side.
        test: what was asked to be held out, a number of dialogues or a share.
        seed: with which.
        sides: train and test.
    """

    corpus: str
    left_out: int
    test: int | float
    seed: int
    sides: dict[Side, SideSize]


def write_split(folder: Path, parts: Split, record: SplitRecord) -> None:
    """Write ``train.jsonl``, ``test.jsonl`` and ``split.json``; the same split once more changes nothing.

    Raises:
        OutputError: if the folder holds another split or files of the same names, or cannot be written.
    """
    _refuse_other(folder, record)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}); name another --out") from error
    # First, so that a killed command can be run again: without it the files below could be anybody's.
    write_atomically(folder / RECORD, record.model_dump_json(indent=2) + "\n")
    for name, dialogues in parts._asdict().items():
        lines = (dialogue.model_dump_json(exclude_defaults=True) + "\n" for dialogue in dialogues)
        write_atomically(folder / f"{name}.jsonl", lines)


def read_split(folder: Path) -> SplitRecord | None:
    """What ``split.json`` says, None where there is none.

    Raises:
        InputError: if it is not such a record.
    """
    file = folder / RECORD
    if not file.is_file():
        return None
    try:
        return SplitRecord.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(file, f"not a record of a split ({str(error).splitlines()[0]}); move it away") from error


def _refuse_other(folder: Path, record: SplitRecord) -> None:
    there = read_split(folder)
    if there is None:
        for file in (folder / f"{name}.jsonl" for name in record.sides):
            if file.exists():
                raise OutputError(f"{file} is there and no {RECORD} beside it; name another --out")
    elif there != record:
        what = f"of corpus {there.corpus}, --test {there.test}, --seed {there.seed}"
        raise OutputError(f"{folder} holds another split ({what}); name another --out")


def _wanted(test: int | float, size: int) -> int:
    if test < 0 or (isinstance(test, float) and not 0 < test < 1):
        raise UsageError(f"--test {test}: give a number of dialogues, or a share between 0 and 1")
    wanted = round(test * size) if isinstance(test, float) else test
    if 0 < wanted < size:
        return wanted
    side = "train on" if wanted else "test on"
    raise UsageError(f"--test {test} of {size:,} dialogues leaves none to {side}; give another number or share")
