"""A student as an adapter others can load: its card, what is pushed, what is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune.format import Variant
from finetune.record import DataRecord, TrainingRecord, write_curve
from finetune.settings import TrainingSettings
from tests import students
from tests.command import socialsim
from tests.hub import TOKEN, FakeHub

for needed in ("peft", "huggingface_hub", "matplotlib"):
    pytest.importorskip(needed, reason="needs socialsim[train]")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def student(student_base: Path, tmp_path: Path) -> Path:
    """A finished student with everything a training leaves, on a base in a folder of this machine."""
    folder = students.write_student(tmp_path / "esconv", student_base, Variant.parse("reasoning"))
    rewrite(folder, base=str(student_base), source="posts.jsonl")
    rows = [{"step": n, "epoch": n, "loss": 3 - n, "learning_rate": 0.1, "held_out": None} for n in range(3)]
    write_curve(folder, rows)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "optimizer.pt").write_bytes(b"0")
    (folder / ".lock").write_text("1")
    (folder / "README.md").unlink()  # peft's form, which a training takes away, too
    (folder / "tokenizer_config.json").write_text(json.dumps({"name_or_path": str(student_base), "eos_token": "</s>"}))
    return folder


def rewrite(folder: Path, base: str, source: str, **changes: Any) -> None:
    fields: dict[str, Any] = {
        "settings": TrainingSettings(base=base, rank=20),
        "variant": Variant.parse("reasoning"),
        "data": DataRecord(source=source, sha256="f00d" * 16, dialogues=32, replies=384),
        "finished": True,
        "steps": 12,
        "seconds": 306,
        "device": "CPU, 2 threads",
        "precision": "float32",
        "loss": 2.3456,
        "held_out": (41.05, 36.32),
        "versions": {"peft": "0.21.2"},
    }
    TrainingRecord(**fields | changes).write(folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": base}))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with FakeHub() as running:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", running.url)
        yield running


def share(folder: Path, *more: object) -> str:
    ended = socialsim("export", folder, "--format", "hf", *more)
    assert (ended.code, ended.err) == (0, "")
    return ended.out


def card(folder: Path) -> Any:
    from huggingface_hub import ModelCard

    return ModelCard.load(folder / "README.md")


def test_the_card_says_how_it_was_trained(student: Path) -> None:
    assert "Licence: unknown" in share(student)
    found = card(student)
    assert found.data.to_dict() | {"tags": []} == {
        "license": "unknown",
        "language": ["en"],
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": [],
    }
    for line in (
        "| LoRA | rank 20, alpha 16, dropout 0 |",
        "| adapted layers | `q_proj`, `v_proj` |",
        "| trained on | `posts.jsonl`, 32 dialogues, 384 replies |",
        f"| trained on: SHA-256 | `{'f00d' * 16}` |",
        "| held-out perplexity | 41.05 → 36.32 |",
        "| steps | 12 in 306 s on CPU, 2 threads |",
        "![Loss of the training](loss.png)",
        "--enable-lora --max-lora-rank 32 --lora-modules supporter=path/to/this/folder",
        "not for counselling",
    ):
        assert line in found.text
    assert "[SUPPORTER'S STRATEGY]" in found.text
    assert "was a folder or file: you need the same one" in found.text


def test_the_base_is_named_where_a_hub_has_it(student: Path) -> None:
    rewrite(student, base="meta-llama/Llama-2-7b-hf", source="posts.jsonl")
    share(student, "--license", "llama2")
    data = card(student).data
    assert (data.base_model, data.license) == ("meta-llama/Llama-2-7b-hf", "llama2")
    rewrite(student, base="embedded", source="demonstrations:train, demonstrations:validation")
    assert "Licence: apache-2.0" in share(student)
    assert card(student).data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    rewrite(student, base="embedded", source="demonstrations:train, posts.jsonl")
    assert "Licence: unknown" in share(student)


def test_what_is_pushed_names_no_folder_of_the_machine(student: Path, student_base: Path, hub: FakeHub) -> None:
    assert f"Pushed: {hub.url}/ann/esconv" in share(student, "--push", "ann/esconv")
    repo = hub.repos["models/ann/esconv"]
    assert repo.private
    assert set(repo.files) == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "training.json",
        "tokenizer_config.json",
        "loss.csv",
        "loss.png",
    }
    assert repo.files["adapter_model.safetensors"] == (student / "adapter_model.safetensors").read_bytes()
    for name, content in repo.files.items():
        assert str(student_base.parent).encode() not in content, name
    assert json.loads(repo.files["adapter_config.json"])["base_model_name_or_path"] == student_base.name
    assert TrainingRecord.model_validate_json(repo.files["training.json"]).settings.base == student_base.name
    assert json.loads((student / "adapter_config.json").read_text())["base_model_name_or_path"] == str(student_base)
    assert 'PeftModel.from_pretrained(base, "ann/esconv")' in repo.files["README.md"].decode()


def test_peft_loads_what_was_pushed(student: Path, student_base: Path, hub: FakeHub, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    share(student, "--push", "ann/esconv")
    for name, content in hub.repos["models/ann/esconv"].files.items():
        (tmp_path / "got").mkdir(exist_ok=True)
        (tmp_path / "got" / name).write_bytes(content)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(student_base), str(tmp_path / "got"))
    weights = [value for name, value in model.named_parameters() if "lora_B" in name]
    assert weights
    assert all(value.abs().sum() > 0 for value in weights)


def test_a_student_that_cannot_be_shared(student: Path, student_base: Path, tmp_path: Path, hub: FakeHub) -> None:
    def problem(*more: object) -> str:
        return socialsim("export", student, "--format", "hf", *more).problem

    assert "is written beside its adapter; leave it out" in problem("--out", tmp_path / "x")
    assert "--test: " in problem("--test", 3)
    assert "no licence is known" in problem("--push", "ann/x", "--public")
    (student / "README.md").write_text("# By hand")
    assert "was not written by this command" in problem()
    (student / "README.md").unlink()
    rewrite(student, base=str(student_base), source="c", finished=False)
    assert "its training is not finished; run the same" in problem()
    rewrite(student, base=str(student_base), source="c")
    (student / "adapter_model.safetensors").unlink()
    assert "no adapter to share: adapter_model.safetensors is missing" in problem("--push", "ann/x")
    assert not hub.repos
    assert not (student / "README.md").exists()
