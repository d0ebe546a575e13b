"""Perplexity of held-out replies, before and after."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from rich.console import Console

from finetune.format import Variant
from finetune.gain import Gain
from finetune.likelihood import Likelihood
from finetune.record import FILE
from socialsim.report.gain import gain_table
from socialsim.resources import demonstrations
from tests.command import socialsim
from tests.students import write_student


def _text(gain: Gain) -> str:
    console = Console(width=100, record=True, file=StringIO())
    console.print(gain_table(gain))
    return console.export_text()


def test_the_table_counts_tokens_not_dialogues_and_gives_the_interval_over_dialogues() -> None:
    # e^(30/10) = 20.09 before, e^(20/10) = 7.39 after; nats a token fall by 1 in both dialogues.
    gain = Gain(("a", "b"), (Likelihood(6, 2), Likelihood(24, 8)), (Likelihood(4, 2), Likelihood(16, 8)))
    text = _text(gain)
    assert "20.09" in text
    assert "7.39" in text
    assert "-1.000 [-1.000, -1.000]" in text


def test_lessons_of_several_roles_get_a_row_each_and_one_dialogue_counts_once() -> None:
    ids = ("a/seeker", "a/supporter", "b/seeker", "b/supporter")
    some = tuple(Likelihood(2, 2) for _ in ids)
    rows = [line for line in _text(Gain(ids, some, some)).splitlines() if "│" in line]
    assert [line.split("│")[1].strip() for line in rows] == ["seeker", "supporter", "all"]
    assert [line.split("│")[2].strip() for line in rows] == ["2", "2", "2"]


def test_a_random_adapter_changes_the_perplexity_and_the_base_is_measured_without_it(
    student_base: Path, tmp_path: Path
) -> None:
    student = write_student(tmp_path / "student", student_base, Variant())
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(next(demonstrations()).dialogue.model_dump_json(exclude_defaults=True) + "\n")
    out = socialsim("perplexity", student, corpus).out
    row = next(line for line in out.splitlines() if "all" in line)
    before, after = (float(cell.replace(",", "")) for cell in row.split("│")[4:6])
    assert before != after
    assert min(before, after) > 1
    (student / FILE).unlink()
    assert "not a student" in socialsim("perplexity", student, corpus).problem
    assert socialsim("perplexity", student).problem.startswith("perplexity: name a held-out corpus")
