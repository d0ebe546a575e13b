"""The data set's Parquet files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from socialsim.errors import OutputError
from socialsim.schema import Dialogue, Persona
from socialsim.sharing.corpus import SharedCorpus
from socialsim.sharing.features import features
from socialsim.sharing.rows import row

if TYPE_CHECKING:
    from datasets import DatasetDict


def dataset_dict(corpus: SharedCorpus) -> DatasetDict:
    """The corpus as `datasets` holds it; a side without dialogues is left out.

    Raises:
        OutputError: if a figure does not fit into its column.
    """
    from datasets import Dataset, DatasetDict

    columns, sides = features(), {}
    for side, dialogues in corpus.parts._asdict().items():
        if dialogues:
            try:
                sides[side] = Dataset.from_list(_rows(dialogues, corpus.personas), features=columns)
            except (OverflowError, ValueError) as error:  # pyarrow's own errors are ValueErrors
                first = str(error).partition("\n")[0]
                raise OutputError(f"{corpus.name}: does not fit into a table ({first}); check its records") from error
    return DatasetDict(sides)


def write_tables(folder: Path, data: DatasetDict) -> list[Path]:
    """One file a side, each replaced as a whole; files of an earlier export that have no side any more go.

    Raises:
        OutputError: if the folder cannot be written.
    """
    names = {side: f"{side}-00000-of-00001.parquet" for side in data}
    try:
        (folder / "data").mkdir(parents=True, exist_ok=True)
        for old in (folder / "data").glob("*-00000-of-*"):
            if old.name not in names.values():
                old.unlink()
        return [_write(folder / "data" / name, data[side]) for side, name in names.items()]
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error}); name another --out") from error


def _rows(dialogues: Sequence[Dialogue], personas: Mapping[str, Persona]) -> list[dict[str, Any]]:
    return [row(dialogue, personas.get(dialogue.persona_id or "")) for dialogue in dialogues]


def _write(file: Path, side: Any) -> Path:
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    temp = file.with_suffix(".tmp")
    side.to_parquet(str(temp))
    os.replace(temp, file)
    return file
