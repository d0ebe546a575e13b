"""What peft and transformers say of every adapter does not reach a user."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from finetune.format import Variant
from socialsim.lms import build_lm, parse_spec
from socialsim.resources import demonstrations
from tests import students
from tests.command import start

for needed in ("peft", "gguf", "llguidance"):
    pytest.importorskip(needed, reason="needs socialsim[train]")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def student(student_base: Path, tmp_path: Path) -> Path:
    return students.write_student(tmp_path / "student", student_base, Variant())


@pytest.fixture
def shown() -> Iterator[list[warnings.WarningMessage]]:
    """What Python would print, each time."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield seen


def test_a_command_with_a_student_leaves_the_error_stream_empty(student: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(next(demonstrations()).dialogue.model_dump_json(exclude_defaults=True) + "\n")
    child = start("perplexity", student, corpus)
    out, err = child.communicate(timeout=120)
    assert "Perplexity" in out
    assert (child.returncode, err) == (0, "")


def test_a_student_as_an_lm_writes_without_a_warning(student: Path, shown: list[warnings.WarningMessage]) -> None:
    assert build_lm(parse_spec(f"student:{student}?max_tokens=4"))("Hi.")
    assert [str(one.message) for one in shown] == []


def test_an_adapter_of_a_base_without_a_hub_id_is_saved_without_a_warning(
    student_base: Path, tmp_path: Path, shown: list[warnings.WarningMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft import LoraConfig, get_peft_model

    from finetune.base import load_model

    def offline(*_: object, **__: object) -> bool:
        raise OSError("Name or service not known")

    monkeypatch.setattr("peft.utils.other.file_exists", offline)
    model = load_model(str(student_base))
    model.name_or_path = "embedded"
    get_peft_model(model, LoraConfig(target_modules=["q_proj"], task_type="CAUSAL_LM")).save_pretrained(tmp_path / "s")
    assert [str(one.message) for one in shown] == []


def test_other_warnings_are_still_shown(student: Path, shown: list[warnings.WarningMessage]) -> None:
    from finetune.student import load_student

    load_student(str(student))
    for kind in (FutureWarning, UserWarning):
        warnings.warn("something else", kind, stacklevel=1)
    assert [one.category for one in shown] == [FutureWarning, UserWarning]
