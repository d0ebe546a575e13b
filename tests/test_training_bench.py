"""The speed table: three loops over the same dialogues that train the same tokens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.command import socialsim
from tests.trainings import dialogues, write_corpus

for needed in ("peft", "datasets"):
    pytest.importorskip(needed, reason="needs socialsim[train]")

LOOPS = ["packed", "padded, a dialogue a row", "padded, a reply a row"]

pytestmark = pytest.mark.usefixtures("one_thread")


def _speeds(base: Path, variant: str) -> tuple[list[Any], list[list[Any]]]:
    """The loops on three dialogues, and the samples they see."""
    from finetune.base import load_tokenizer
    from finetune.bench import benchmark
    from finetune.chat import ChatFormat
    from finetune.dataset import lesson
    from finetune.format import Variant
    from finetune.settings import preset
    from finetune.train import adapted_base

    format = ChatFormat(load_tokenizer(str(base)))
    lessons = [lesson(one, Variant.parse(variant)) for one in dialogues(3, exchanges=4)]
    samples = [[format.sample(list(chat), reply) for chat, reply in one.replies] for one in lessons]
    return benchmark(adapted_base(preset("cpu", base=str(base)), "float32"), samples, 2, repeats=1), samples


def test_all_loops_train_the_same_tokens_and_compute_fewer_the_better_they_are(base: Path) -> None:
    speeds, samples = _speeds(base, "response")
    assert [speed.name for speed in speeds] == LOOPS
    trained = sum(len(sample.ids) - sample.start for one in samples for sample in one)
    assert [speed.replies * speed.seconds for speed in speeds] == [pytest.approx(trained)] * 3
    packed, padded, single = (speed.tokens * speed.seconds for speed in speeds)
    assert packed == pytest.approx(sum(len(one[-1].ids) for one in samples))
    assert packed < padded < single
    assert single >= sum(len(sample.ids) for one in samples for sample in one)
    assert all(speed.memory is speed.peak is None for speed in speeds)  # a CPU has no known peak


def test_where_no_row_a_dialogue_trains_the_same_that_loop_is_left_out(base: Path) -> None:
    speeds, samples = _speeds(base, "reasoning")
    assert [speed.name for speed in speeds] == [LOOPS[0], LOOPS[2]]
    trained = sum(len(sample.ids) - sample.start for one in samples for sample in one)
    assert [speed.replies * speed.seconds for speed in speeds] == [pytest.approx(trained)] * 2


def test_the_command_prints_a_row_a_loop_with_its_ratio(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    corpus = write_corpus(tmp_path / "train.jsonl", dialogues(4, exchanges=3))
    ended = socialsim("finetune", corpus, "--base", base, "--preset", "cpu", "--bench", 3)
    assert (ended.code, ended.err) == (0, "")
    rows = [line for line in ended.out.splitlines() if line.startswith("│")]
    assert len(rows) == 3
    ratios = [float(found[1]) for row in rows if (found := re.search(r"([\d.]+) x", row))]
    assert len(ratios) == 2
    assert all(ratio > 0 for ratio in ratios)
    said = " ".join(ended.out.split())
    assert "3 dialogues, 4 a step" in said
    assert "CPU, 1 threads" in said
    assert not (tmp_path / "s").exists()
