"""A corpus as token trees on disk, so that 65,000 dialogues need no memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finetune.chat import ChatFormat, Sample
from finetune.format import Message, Variant, messages, target
from finetune.tree import TokenTree, Trained, build_tree
from socialsim.errors import SocialSimError, UsageError
from socialsim.schema import Dialogue, Speaker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datasets import Dataset


@dataclass(frozen=True)
class Lesson:
    """What one dialogue teaches: for each reply the chat before it, and what is to be written.

    Attributes:
        id: of the dialogue, for messages.
        replies: chat and reply, in the order of the dialogue.
    """

    id: str
    replies: tuple[tuple[tuple[Message, ...], str], ...]


def lesson(dialogue: Dialogue, variant: Variant) -> Lesson:
    """What a dialogue teaches in a variant: each supporter turn after its true history."""
    turns = dialogue.turns
    replies = (
        (tuple(messages(turns[:index], variant)), target(turn, variant))
        for index, turn in enumerate(turns)
        if turn.speaker is Speaker.SUPPORTER and index
    )
    return Lesson(dialogue.id, tuple(replies))


@dataclass
class Counted:
    """What became of a corpus.

    Attributes:
        dialogues: those with something to learn.
        replies: samples that are trained.
        too_long: samples left out, since they are longer than the cutoff.
        tokens: tokens computed an epoch.
        trained: tokens predicted an epoch.
        one_by_one: tokens that one sample a reply would compute.
    """

    dialogues: int = 0
    replies: int = 0
    too_long: int = 0
    tokens: int = 0
    trained: int = 0
    one_by_one: int = 0


def trees(
    lessons: Iterable[Lesson], format: ChatFormat, cutoff: int, counted: Counted | None = None
) -> Iterator[TokenTree]:
    """One tree a dialogue.

    Args:
        lessons: the dialogues.
        format: writes them for a tokenizer.
        cutoff: tokens a sample may have.
        counted: is told what was met.

    Raises:
        UsageError: if not even the first reply of a dialogue fits the cutoff.
    """
    counted = counted or Counted()
    for lesson in lessons:
        samples = [format.sample(list(chat), reply) for chat, reply in lesson.replies]
        fitting = [sample for sample in samples if len(sample.ids) <= cutoff]
        if not samples:
            continue
        if not fitting:
            least = min(len(sample.ids) for sample in samples)
            raise UsageError(
                f"--cutoff {cutoff}: the first reply of dialogue {lesson.id} has {least} tokens with what it answers; "
                f"raise it to at least {least}"
            )
        tree = build_tree(fitting)
        _count(counted, samples, fitting, tree)
        yield tree


def _count(counted: Counted, samples: Sequence[Sample], fitting: Sequence[Sample], tree: TokenTree) -> None:
    counted.dialogues += 1
    counted.replies += len(fitting)
    counted.too_long += len(samples) - len(fitting)
    counted.tokens += len(tree.ids)
    counted.trained += len(tree.trained)
    counted.one_by_one += sum(len(sample.ids) for sample in fitting)


def to_row(tree: TokenTree) -> dict[str, list[int]]:
    """A tree as a row of a dataset."""
    return {
        "ids": list(tree.ids),
        "positions": list(tree.positions),
        "sources": [one.source for one in tree.trained],
        "tokens": [one.token for one in tree.trained],
    }


def from_row(row: dict[str, list[int]]) -> TokenTree:
    """The tree of a row."""
    trained = tuple(Trained(*pair) for pair in zip(row["sources"], row["tokens"], strict=True))
    return TokenTree(tuple(row["ids"]), tuple(row["positions"]), trained)


def stored(make: Callable[[], Iterator[TokenTree]], folder: Path, digest: str) -> Dataset:
    """Trees as an Arrow file in a folder, memory-mapped; one that is there already is used again.

    Args:
        make: gives the trees.
        folder: where the file goes.
        digest: changes whenever the trees would.

    Raises:
        SocialSimError: what ``make`` raises.
        OSError: if the file cannot be written.
    """
    import datasets
    from datasets import Dataset, Features, List, Value
    from datasets.exceptions import DatasetGenerationError

    datasets.disable_progress_bars()
    features: Any = Features({name: List(Value("int32")) for name in ("ids", "positions", "sources", "tokens")})

    def rows() -> Iterator[dict[str, list[int]]]:
        yield from map(to_row, make())

    try:
        return Dataset.from_generator(rows, features=features, cache_dir=str(folder), fingerprint=digest)
    except DatasetGenerationError as error:  # what it hides is what a user can act on
        if isinstance(error.__cause__, (SocialSimError, OSError, MemoryError)):
            raise error.__cause__ from None
        raise
