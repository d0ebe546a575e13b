"""`socialsim ablate`: six students from the same dialogues, then Table 4; nothing is done twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finetune.record import read_record
from metrics.navg import PUBLISHED_ABLATION
from socialsim.ablating import SUBSETS, write_corpus
from socialsim.cli import app
from socialsim.cli.evaluate import register
from socialsim.errors import OutputError
from socialsim.journal import Journal, read_records
from socialsim.predictions import Prediction
from socialsim.schema import Dialogue, Speaker
from tests import samples, students
from tests.command import Ended, socialsim
from tests.scripted import sentences

for needed in ("sacrebleu", "rouge_score", "scipy", "peft"):
    pytest.importorskip(needed, reason="needs socialsim[eval] and socialsim[train]")

if "ablate" not in app:
    register(app)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    write("train.jsonl", 0, 1)
    write("test.jsonl", 2)
    write("bare.jsonl", 0, nodes=False)


def write(name: str, *numbers: int, nodes: bool = True) -> None:
    """Dialogues of one exchange, each of other words."""
    said = list(zip(*[iter([line for line, _ in zip(sentences(), range(20), strict=False)])] * 2, strict=True))
    with Journal(name, Dialogue) as journal:
        for number in numbers:
            opening, reply = said[number]
            turn = samples.supporter(reply, "Exploration#Question")
            turn = turn if nodes else turn.model_copy(update={"reasoning": None})
            journal.append(Dialogue(id=f"d{number}", turns=(samples.seeker(opening), turn)))


def ablate(*arguments: object, corpus: str = "train.jsonl", test: str = "test.jsonl") -> Ended:
    usual = ["--preset", "cpu", "--epochs", 1, "--out", "o"]
    return socialsim("ablate", corpus, *(["--test", test] if test else []), *usual, *arguments)


def small_base(folder: Path) -> Path:
    """A base of few positions, so that a random model does not ramble."""
    base = students.write_base(folder)
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 200}))
    return base


def test_the_subsets_are_the_papers() -> None:
    assert list(SUBSETS.values()) == list(PUBLISHED_ABLATION)
    assert list(SUBSETS) == ["none", "no-situation", "no-thought", "no-action", "no-strategy", "all"]


def test_six_students_then_the_table(tmp_path: Path) -> None:
    base = small_base(tmp_path / "base")
    ended = ablate("--base", base)
    assert (ended.code, ended.err) == (0, "")
    for name, nodes in SUBSETS.items():
        record = read_record(Path("o") / name)
        assert record is not None
        assert record.finished
        assert record.variant is not None
        assert record.variant.nodes == nodes
        assert record.data.dialogues == 2
    made = list(read_records("o/evaluation/predictions.jsonl", Prediction))
    assert sorted(one.model for one in made) == sorted(SUBSETS)
    shown = ended.out[ended.out.index("Table 4") :]
    marks = [[cell for cell in line.split() if cell in "✓✗"] for line in shown.splitlines()]
    assert len([row for row in marks if row]) == 12  # six of ours, six published
    assert "relative to the student without nodes" in shown
    assert all(len(line) <= 80 for line in shown[: shown.index("\n- ")].splitlines())
    written = {name: (Path("o") / name / "adapter_model.safetensors").stat().st_mtime_ns for name in SUBSETS}
    again = ablate("--base", base)
    assert again.code == 0
    assert written == {name: (Path("o") / name / "adapter_model.safetensors").stat().st_mtime_ns for name in SUBSETS}
    assert list(read_records("o/evaluation/predictions.jsonl", Prediction)) == made
    assert again.out[again.out.index("Table 4") :] == shown


BAD: list[tuple[dict[str, Any], list[str], str]] = [
    ({"corpus": "bare.jsonl"}, [], "no dialogue has situation, thought, action, strategy"),
    ({"test": "train.jsonl"}, [], "2 of its dialogues are in the corpus, too"),
    ({"test": ""}, [], "--test: name the test set"),
    ({"corpus": "nowhere.jsonl"}, [], "nowhere.jsonl"),
    ({}, ["--reference", "a=openai/x,b=openai/y"], "--reference: name one model"),
    ({}, ["--reference", "a=nonsense"], "model 'a' (from --reference)"),
    ({}, ["--base", "nowhere/at/all"], "base nowhere/at/all"),
]


@pytest.mark.parametrize(("named", "more", "problem"), BAD)
def test_bad_input_is_one_line(named: dict[str, str], more: list[str], problem: str) -> None:
    assert problem in ablate(*more, **named).problem


def test_only_dialogues_with_every_node_are_learnt_from_and_they_stay_the_same(tmp_path: Path) -> None:
    write("mixed.jsonl", 3)
    with Journal("mixed.jsonl", Dialogue) as journal:
        for one in read_records("bare.jsonl", Dialogue):
            journal.append(one)
    file = write_corpus(["mixed.jsonl", "train.jsonl"], "test.jsonl", tmp_path / "o")
    kept = list(read_records(file, Dialogue))
    assert [one.id for one in kept] == ["d3", "d0", "d1"]
    replies = [turn for one in kept for turn in one.turns if turn.speaker is Speaker.SUPPORTER]
    assert all(turn.reasoning and turn.reasoning.situation and turn.strategies for turn in replies)
    assert write_corpus(["mixed.jsonl", "train.jsonl"], "test.jsonl", tmp_path / "o") == file
    with pytest.raises(OutputError, match="another corpus"):
        write_corpus(["train.jsonl"], "test.jsonl", tmp_path / "o")


def test_a_split_folder_gives_both_sides(tmp_path: Path) -> None:
    write("whole.jsonl", *range(4))
    assert socialsim("split", "whole.jsonl", "--test", 2, "--out", "parts").code == 0
    file = write_corpus(["parts"], "parts", tmp_path / "o")
    assert len(list(read_records(file, Dialogue))) == 2
