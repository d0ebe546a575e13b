"""The command that holds dialogues out of a corpus: split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter

from socialsim.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from finetune.splits import Side, SideSize

TRAINING = cyclopts.Group("Distil", sort_key=5)


def register(app: cyclopts.App) -> None:
    """Add the command."""
    app.command(split, group=TRAINING)


def split(
    corpus: str,
    /,
    *,
    out: Annotated[Path, Parameter(name=("--out", "-o"))],
    test: str | None = None,
    seed: int = 0,
) -> None:
    """Hold dialogues out of a corpus, so that a student is tested on what it was not trained on.

    Example: **socialsim split ESConv.json --test 200 --out data/esconv**

    Consecutive utterances of a speaker are merged; a dialogue starts with the seeker and ends with the supporter.
    Dialogues of the same words stay on the same side.

    Parameters
    ----------
    corpus
        A run folder, a corpus file of any format that is known, or `demonstrations`.
    out
        Folder for train.jsonl, test.jsonl and split.json.
    test
        How many dialogues to hold out (200), or which share of them (0.1). Default: 200 of ESConv, 0.1 of others.
    seed
        Another seed holds out other dialogues.
    """
    from rich.console import Console

    from finetune.corpora import default_test, read_corpus
    from finetune.splits import SideSize, SplitRecord, write_split
    from finetune.splits import split as split_dialogues

    asked = None if test is None else size_or_share(test)
    found = read_corpus(corpus)
    asked = default_test(corpus, len(found)) if asked is None else asked
    parts = split_dialogues(found, asked, seed)
    sizes: dict[Side, SideSize] = {"train": SideSize.of(parts.train), "test": SideSize.of(parts.test)}
    record = SplitRecord(corpus=found.digest, left_out=found.left_out, test=asked, seed=seed, sides=sizes)
    write_split(out, parts, record)
    console = Console(highlight=False)
    console.print(_table(sizes))
    if found.left_out:
        console.print(f"Left out: {found.left_out:,} dialogues without an exchange.")
    console.print(f"Split: {out}", markup=False, soft_wrap=True)


def size_or_share(text: str) -> int | float:
    """How much is held out: a number of dialogues or a share.

    Raises:
        UsageError: if it is no number.
    """
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise UsageError(f"--test {text}: give a number of dialogues (200), or a share between 0 and 1 (0.1)")


def _table(sizes: dict[Side, SideSize]) -> Table:
    from rich.table import Table

    table = Table()
    for column in ("", "dialogues", "supporter turns", "words"):
        table.add_column(column, justify="right" if column else "left")
    for name, size in sizes.items():
        table.add_row(name, f"{size.dialogues:,}", f"{size.supporter_turns:,}", f"{size.words:,}")
    return table
