"""A data set's folder: Parquet files and the card, read back by ``datasets.load_dataset(FOLDER)``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from socialsim.errors import OutputError
from socialsim.journal import write_atomically
from socialsim.sharing.corpus import SharedCorpus
from socialsim.sharing.dataset_card import MARKER, dataset_card
from socialsim.sharing.table_files import dataset_dict, write_tables

CARD: Final = "README.md"


def write_dataset(folder: Path, corpus: SharedCorpus, licence: str, repo: str | None) -> dict[str, Path]:
    """Write the folder, or write it again.

    Args:
        folder: a new or empty one, or one this function wrote.
        corpus: what is shared.
        licence: the hub's id of its licence, or ``unknown``.
        repo: the repository it will be pushed to, which the card then names.

    Returns:
        Its files by their path in a repository.

    Raises:
        OutputError: if the folder holds something else, or cannot be written.
    """
    _refuse_other(folder)
    tables = write_tables(folder, dataset_dict(corpus))
    card = folder / CARD
    write_atomically(card, dataset_card(corpus, licence, repo))
    return {CARD: card} | {str(table.relative_to(folder)): table for table in tables}


def refuse_other_card(card: Path) -> None:
    """Leave alone a card that a person wrote.

    Raises:
        OutputError: if there is one.
    """
    try:
        if not card.exists() or MARKER in card.read_text("utf-8"):
            return
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(f"{card}: cannot be read as a card ({error}); move it away") from error
    raise OutputError(f"{card} was not written by this command; move it away, and add its words to the new one")


def _refuse_other(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is not a folder; name another --out")
    refuse_other_card(folder / CARD)
    if folder.is_dir() and not (folder / CARD).exists() and any(map(_is_foreign, folder.iterdir())):
        raise OutputError(f"{folder} is not empty and holds no data set of this command; name another --out")


def _is_foreign(path: Path) -> bool:
    """Whether an entry of a folder without a card is not what a killed export left."""
    return path.name != "data" or not path.is_dir() or any("-00000-of-" not in file.name for file in path.iterdir())
