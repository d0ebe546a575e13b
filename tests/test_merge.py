"""A student as a full model, and its adapter for llama.cpp."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import pytest

from finetune.format import Variant
from finetune.record import DataRecord, TrainingRecord
from finetune.settings import TrainingSettings
from tests import students, trainings
from tests.command import socialsim

for needed in ("peft", "gguf"):
    pytest.importorskip(needed, reason="needs socialsim[train]")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def student(base: Path, tmp_path: Path) -> Path:
    """Random adapter weights, as training would leave them."""
    return students.write_student(tmp_path / "student", base, Variant.parse("strategy"), precision="float32")


def _logits(model: Any) -> Any:
    import torch

    with torch.no_grad():
        return model.eval()(torch.tensor([list(range(3, 60))])).logits


def test_a_merged_model_speaks_as_base_and_adapter_do(student: Path, base: Path, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ended = socialsim("merge", student, "--out", tmp_path / "whole")
    assert (ended.code, ended.out, ended.err) == (0, f"merged model: {tmp_path / 'whole'}\n", "")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "whole", dtype="float32")
    plain = AutoModelForCausalLM.from_pretrained(base, dtype="float32")
    before = _logits(plain)
    torch.testing.assert_close(_logits(merged), _logits(PeftModel.from_pretrained(plain, str(student))))
    assert not torch.allclose(_logits(merged), before, atol=1e-3)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "whole")
    assert tokenizer.chat_template == trainings.TEMPLATE
    assert len({file.stat().st_mode for file in (tmp_path / "whole").iterdir()}) == 1
    assert {file.name for file in tmp_path.iterdir()} == {"student", "whole"}  # nothing beside it


def test_a_merged_model_is_a_student_of_the_same_format(student: Path, tmp_path: Path) -> None:
    from finetune.student import find_student, load_student

    assert socialsim("merge", student).code == 0
    whole = str(student / "merged")
    source = find_student(whole)
    assert (source.base, source.adapter, source.variant) == (whole, None, Variant.parse("strategy"))
    one, other = (_logits(load_student(where, precision="float32").model) for where in (whole, str(student)))
    assert one == pytest.approx(other, abs=1e-4)


def test_a_folder_that_holds_something_is_not_written_to(student: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("mine")
    for out in (tmp_path / "taken", tmp_path / "taken" / "mine"):
        problem = socialsim("merge", student, "--out", out).problem
        assert problem == f"{out} is not empty; name another --out"
    assert (tmp_path / "taken" / "mine").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert socialsim("merge", student, "--out", tmp_path / "empty").code == 0


@pytest.mark.parametrize("more", [[], ["--gguf"]])
def test_what_is_no_finished_student_is_refused(student: Path, tmp_path: Path, more: list[str]) -> None:
    def problem(folder: Path) -> str:
        return socialsim("merge", folder, "--out", tmp_path / "out", *more).problem

    assert problem(tmp_path / "none") == (
        f"{tmp_path / 'none'}: not a student: it has no training.json; `socialsim finetune` makes one"
    )
    foreign = shutil.copytree(student, tmp_path / "foreign")
    (foreign / "training.json").unlink()
    assert "not a student" in problem(foreign)
    data = DataRecord(source="x", sha256="0")
    TrainingRecord(settings=TrainingSettings(), variant=None, data=data).write(student)
    assert problem(student).startswith(f"{student}: its training is not finished; run the same")
    assert not (tmp_path / "out").exists()


def test_an_adapter_of_another_base_is_refused(student: Path, base: Path, tmp_path: Path) -> None:
    other = students.write_base(tmp_path / "other", size=32)
    foreign = students.write_student(tmp_path / "foreign", other)
    shutil.copy(foreign / "adapter_model.safetensors", student / "adapter_model.safetensors")
    problem = socialsim("merge", student, "--out", tmp_path / "out").problem
    assert problem.startswith(f"student:{student}: its adapter does not fit the base {base}")
    (student / "adapter_model.safetensors").unlink()
    assert "adapter_model.safetensors is missing" in socialsim("merge", student, "--out", tmp_path / "out").problem
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_nothing_half_made(student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("transformers.PreTrainedModel.save_pretrained", full)
        problem = socialsim("merge", student, "--out", tmp_path / "out").problem
    assert problem == f"{tmp_path / 'out'}: No space left on device; make room or name another --out"
    assert {file.name for file in tmp_path.iterdir()} == {"student"}
    assert socialsim("merge", student, "--out", tmp_path / "out").code == 0


def test_an_adapter_for_llama_cpp_opens_and_holds_both_layers(student: Path) -> None:
    from gguf import GGUFReader

    ended = socialsim("merge", student, "--gguf")
    assert (ended.code, ended.out) == (0, f"adapter: {student / 'adapter.gguf'}\n")
    reader = GGUFReader(student / "adapter.gguf")
    assert reader.fields["general.type"].contents() == "adapter"
    sides = {f"blk.{layer}.attn_{name}.weight.lora_{side}" for layer in (0, 1) for name in "qv" for side in "ab"}
    assert {tensor.name for tensor in reader.tensors} == sides


def test_an_adapter_of_a_base_that_llama_cpp_names_otherwise_is_refused(tmp_path: Path) -> None:
    from transformers import GPT2Config

    base = trainings.write_small_base(tmp_path / "base")
    student = students.write_student(tmp_path / "student", base)
    GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=600).save_pretrained(base)
    assert socialsim("merge", student, "--gguf").code == 1
    assert not (student / "adapter.gguf").exists()
