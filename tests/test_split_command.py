"""socialsim split: two files and a record, the same for the same seed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finetune.corpora import read_corpus
from finetune.splits import SplitRecord, content_key, digest
from socialsim.errors import UsageError
from tests.command import socialsim
from tests.test_corpora import RECORDS, bare, jsonl, many


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return jsonl(tmp_path / "corpus.jsonl", *many(19), bare("copy", "Seeker 3!", "reply 3"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_split_is_written_counted_and_read_back(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "split"
    ended = socialsim("split", corpus, "--test", "0.25", "--seed", "3", "--out", out)
    assert ended.code == 0, ended.err
    record = SplitRecord.model_validate_json((out / "split.json").read_bytes())
    sides = {"train": read_corpus(out, "train"), "test": read_corpus(out, "test")}
    assert (record.seed, record.test, record.corpus) == (3, 0.25, read_corpus(corpus).digest)
    assert {name: side.digest for name, side in record.sides.items()} == {n: digest(s) for n, s in sides.items()}
    assert [(side.dialogues, side.supporter_turns, side.words) for side in record.sides.values()] == [
        (15, 15, 60),
        (5, 5, 20),
    ]
    assert {"15", "60", "5", "20"} <= set(ended.out.split())
    assert {content_key(each) for each in sides["train"]}.isdisjoint(content_key(each) for each in sides["test"])
    assert read_corpus(out / "test.jsonl").dialogues == sides["test"].dialogues


def test_a_split_folder_is_read_by_side(corpus: Path, tmp_path: Path) -> None:
    socialsim("split", corpus, "--out", tmp_path / "s")
    with pytest.raises(UsageError, match=r"holds a split; name .*train\.jsonl or .*test\.jsonl"):
        read_corpus(tmp_path / "s")


def test_the_same_command_gives_the_same_split(corpus: Path, tmp_path: Path) -> None:
    for name in ("a", "b", "b"):
        assert socialsim("split", corpus, "--out", tmp_path / name).code == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.parametrize("lost", ["train.jsonl", "test.jsonl"])
def test_an_interrupted_split_is_completed(corpus: Path, tmp_path: Path, lost: str) -> None:
    out = tmp_path / "s"
    socialsim("split", corpus, "--out", out)
    before = contents(out)
    (out / lost).unlink()
    assert socialsim("split", corpus, "--out", out).code == 0
    assert contents(out) == before


@pytest.mark.parametrize("other", [["--seed", "1"], ["--test", "3"]])
def test_another_split_is_not_written_over(corpus: Path, tmp_path: Path, other: list[str]) -> None:
    out = tmp_path / "s"
    socialsim("split", corpus, "--out", out)
    before = contents(out)
    problem = socialsim("split", corpus, "--out", out, *other).problem
    assert problem.startswith(f"{out} holds another split (of corpus ")
    assert problem.endswith("--test 0.1, --seed 0); name another --out")
    assert contents(out) == before


def test_a_corpus_is_not_written_over(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "train.jsonl", *many(5))
    before = source.read_bytes()
    assert "is there and no split.json" in socialsim("split", source, "--test", "2", "--out", tmp_path).problem
    assert contents(tmp_path) == {"train.jsonl": before}


def test_what_cannot_be_split(corpus: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "s")
    assert socialsim("split", corpus, *out, "--test", "half").problem.startswith("--test half: give a number")
    assert "leaves none to train on" in socialsim("split", corpus, *out, "--test", "20").problem
    assert "give a number of dialogues, or a share" in socialsim("split", corpus, *out, "--test", "1.5").problem
    assert "no such file" in socialsim("split", tmp_path / "none.json", *out).problem
    esconv = tmp_path / "esconv.json"
    esconv.write_text(json.dumps([RECORDS["esconv official"][0]] * 8))
    assert "say how many with --test" in socialsim("split", esconv, *out).problem
    (tmp_path / "file").touch()
    assert "name another --out" in socialsim("split", corpus, "--out", tmp_path / "file").problem
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "split.json").write_text("{}")
    assert "not a record of a split" in socialsim("split", corpus, "--out", tmp_path / "bad").problem
    assert not (tmp_path / "s").exists()
