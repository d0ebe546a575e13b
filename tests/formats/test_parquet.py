"""Parquet tables: rows without their empty cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune.corpora import read_corpus
from socialsim.errors import InputError
from socialsim.formats.parquet import read_parquet_rows
from socialsim.formats.rows import Row
from tests.test_corpora import RECORDS

arrow: Any = pytest.importorskip("pyarrow")
parquet: Any = pytest.importorskip("pyarrow.parquet")


def save(path: Path, records: list[Any]) -> Path:
    parquet.write_table(arrow.Table.from_pylist(records), path)
    return path


@pytest.mark.parametrize("name", ["esconv hub", "augesc hub", "extes", "ssconv"])
def test_rows_come_back_as_they_were_written(tmp_path: Path, name: str) -> None:
    record = RECORDS[name][0]
    path = save(tmp_path / "c.parquet", [record] * 3)
    assert list(read_parquet_rows(path)) == [Row(path, record, number) for number in (1, 2, 3)]


def test_what_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_parquet_rows(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("PAR0 nothing")
    (tmp_path / "folder.parquet").mkdir()
    for name in ("text", "folder"):
        with pytest.raises(InputError, match=r"not a Parquet table \(") as caught:
            read_parquet_rows(tmp_path / f"{name}.parquet")
        assert "\n" not in str(caught.value)
    schema = arrow.schema([("text", arrow.string())])
    parquet.write_table(arrow.Table.from_pylist([], schema=schema), tmp_path / "empty.parquet")
    with pytest.raises(InputError, match="holds no records"):
        read_parquet_rows(tmp_path / "empty.parquet")


def test_a_corpus_of_the_hub_is_read_as_it_comes(tmp_path: Path) -> None:
    record, strategies = RECORDS["esconv hub"]
    corpus = read_corpus(save(tmp_path / "train.parquet", [record]))
    assert [str(choice) for turn in corpus[0].turns for choice in turn.strategies] == strategies
