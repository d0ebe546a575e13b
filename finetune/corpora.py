"""Corpora as a student learns from them: read with the paper's preprocessing, checked for the reasoning they need.

Consecutive utterances of one speaker are merged with all their strategies kept; a dialogue starts with the seeker and
ends with the supporter (paper: Technical Appendix).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, overload

from finetune.format import Variant, lacking
from finetune.splits import Side, Split, digest, split
from socialsim.errors import InputError, UsageError
from socialsim.formats import esconv, own, read_dialogues, ssconv
from socialsim.formats.dialogues import merge_consecutive, trim_to_exchanges
from socialsim.formats.files import read_rows
from socialsim.journal import read_records
from socialsim.resources import demonstrations, read_splits
from socialsim.schema import Dialogue, Node, Speaker

__all__ = ["Corpus", "Side", "Split", "Usable", "default_test", "digest", "read_corpus", "require_nodes", "split"]

DEMONSTRATIONS: Final = "demonstrations"
ESCONV_TEST: Final = 200  # dialogues held out (paper: "Datasets")
TEST_SHARE: Final = 0.1


@dataclass(frozen=True)
class Corpus(Sequence[Dialogue]):
    """The dialogues of a corpus, never none.

    Attributes:
        dialogues: each starts with the seeker, ends with the supporter and alternates.
        left_out: dialogues without one exchange.
    """

    dialogues: tuple[Dialogue, ...]
    left_out: int = 0

    @property
    def digest(self) -> str:
        """See `digest`."""
        return digest(self.dialogues)

    def __len__(self) -> int:
        return len(self.dialogues)

    @overload
    def __getitem__(self, index: int) -> Dialogue: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Dialogue, ...]: ...
    def __getitem__(self, index: int | slice) -> Dialogue | tuple[Dialogue, ...]:
        return self.dialogues[index]


class Usable(NamedTuple):
    """What of a corpus a variant can learn from.

    Attributes:
        dialogues: those whose every reply has the variant's nodes.
        left_out: the number of the others.
    """

    dialogues: list[Dialogue]
    left_out: int


def read_corpus(source: str | Path, side: Side | None = None) -> Corpus:
    """Read a corpus with the paper's preprocessing.

    Args:
        source: a file of any dialogue format (see `read_dialogues`); a run folder, or one that ``socialsim export``
            or ``socialsim split`` wrote; ``demonstrations`` for the project's own authored dialogues, also
            ``demonstrations:train``, ``:validation`` or ``:held_out``.
        side: which side of a folder that ``socialsim split`` wrote; other sources have none and ignore it.

    Raises:
        InputError: if it cannot be read, or holds no dialogue with an exchange.
        UsageError: for an unknown set of the demonstrations, or a split folder without a side.
    """
    read, kept = 0, []
    for read, dialogue in enumerate(_raw(source, side), 1):  # noqa: B007
        if prepared := trim_to_exchanges(merge_consecutive(dialogue)):
            kept.append(prepared)
    if kept:
        return Corpus(tuple(kept), read - len(kept))
    none = f"none of its {read:,} dialogues has an exchange: what a seeker says, then a supporter's reply"
    raise InputError(source, f"{none}; name another corpus" if read else "holds no dialogue yet; name another corpus")


def default_test(source: str | Path, size: int) -> int | float:
    """What a split of a corpus holds out unless told otherwise: 200 dialogues of ESConv, a tenth of any other.

    Raises:
        UsageError: if 200 is more than half of the ESConv dialogues there are.
    """
    path = Path(source)
    if not path.is_file() or not _is_esconv(path):
        return TEST_SHARE
    if size < 2 * ESCONV_TEST:
        held_out = f"ESConv's {ESCONV_TEST} held-out dialogues are more than half of these {size:,}"
        raise UsageError(f"{source}: {held_out}; say how many with --test, such as --test {TEST_SHARE}")
    return ESCONV_TEST


def require_nodes(dialogues: Sequence[Dialogue], variant: Variant, source: object) -> Usable:
    """The dialogues whose every reply has the nodes that a variant writes.

    Args:
        dialogues: a corpus, alternating.
        variant: what is to be learnt.
        source: the corpus as the user named it, for the message.

    Raises:
        InputError: if there is none; it says what is missing and which variants the corpus can train.
    """
    usable = [dialogue for dialogue in dialogues if not _lacking(dialogue, variant)]
    if usable or not dialogues:
        return Usable(usable, len(dialogues) - len(usable))
    replies = [turn for dialogue in dialogues for turn in dialogue.turns if turn.speaker is Speaker.SUPPORTER]
    missing = [nodes for nodes in (lacking(turn, variant) for turn in replies) if nodes]
    names = ", ".join(node for node in variant.nodes if any(node in nodes for nodes in missing))
    found = f"no dialogue has {names} before every reply ({len(missing):,} of {len(replies):,} replies lack it)"
    raise InputError(source, f"{found}; --variant {variant.name} needs that, use {' or '.join(_supported(dialogues))}")


def _raw(source: str | Path, side: Side | None) -> Iterator[Dialogue]:
    name, colon, part = str(source).partition(":")
    path = Path(source)
    if name == DEMONSTRATIONS:
        return _authored(part if colon else None)
    if not path.is_dir():
        return read_dialogues(path)
    file = _file_in(path, side)
    # A run may still be writing its last line; only records of ours have that excuse.
    return read_records(file, Dialogue) if file.suffix == ".jsonl" else read_dialogues(file)


def _authored(part: str | None) -> Iterator[Dialogue]:
    sets = read_splits().model_dump()
    if part is not None and part not in sets:
        raise UsageError(f"{DEMONSTRATIONS}:{part}: use {', '.join(f'{DEMONSTRATIONS}:{name}' for name in sets)}")
    return (demo.dialogue for demo in demonstrations() if part is None or demo.dialogue.id in sets[part])


def _file_in(folder: Path, side: Side | None) -> Path:
    if (folder / "split.json").is_file():
        if side is None:
            raise UsageError(f"{folder} holds a split; name {folder / 'train.jsonl'} or {folder / 'test.jsonl'}")
        return folder / f"{side}.jsonl"
    for name in ("dialogues.jsonl", "dialogues.json"):
        if (folder / name).is_file():
            return folder / name
    raise InputError(folder, "not a run folder: it has no dialogues.jsonl")


def _is_esconv(path: Path) -> bool:
    first = next(read_rows(path))
    return esconv.recognises(first) and not (own.recognises_dialogue(first) or ssconv.recognises_dialogue(first))


def _lacking(dialogue: Dialogue, variant: Variant) -> bool:
    return any(lacking(turn, variant) for turn in dialogue.turns if turn.speaker is Speaker.SUPPORTER)


def _supported(dialogues: Sequence[Dialogue]) -> list[str]:
    """``response``, and what the dialogue with most nodes on every reply can train."""
    whole = (tuple(node for node in Node if not _lacking(each, Variant(nodes=(node,)))) for each in dialogues)
    best: tuple[Node, ...] = max(whole, key=lambda nodes: len(nodes))
    return list(dict.fromkeys(("response", Variant(nodes=best).name)))
