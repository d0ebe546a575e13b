"""A training of a few steps: what it leaves, that it learns, and that only speed is new."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from finetune.chat import ChatFormat
from finetune.dataset import lesson
from finetune.format import Variant
from finetune.record import digest
from tests import trainings
from tests.trainings import dialogues, finetune, record_of, write_corpus

for needed in ("peft", "datasets", "accelerate", "matplotlib"):
    pytest.importorskip(needed, reason="needs socialsim[train]")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "train.jsonl", dialogues(6))


@pytest.fixture(scope="module")
def student(base: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained for four epochs, two dialogues held out."""
    folder = tmp_path_factory.mktemp("student")
    held_out = write_corpus(folder / "test.jsonl", dialogues(2, first=6))
    ended = finetune(corpus, base, folder / "s", "--test", held_out, "--epochs", 4, variant="reasoning")
    assert (ended.code, ended.err) == (0, "")
    assert "held-out perplexity" in ended.out
    assert f"student: {folder / 's'}" in ended.out
    return folder / "s"


def curve(out: Path) -> list[dict[str, str]]:
    with (out / "loss.csv").open() as file:
        return list(csv.DictReader(file))


def losses(out: Path) -> list[float]:
    return [float(row["loss"]) for row in curve(out) if row["loss"]]


def adapter(out: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(out / "adapter_model.safetensors")


# ---------------------------------------------------------------- what it leaves


def test_a_students_folder_holds_what_it_needs_and_nothing_else(student: Path) -> None:
    needed = {"adapter_config.json", "adapter_model.safetensors", "training.json", "loss.csv", "loss.png"}
    tokenizer = {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}
    assert {file.name for file in student.iterdir()} == needed | tokenizer
    assert len({file.stat().st_mode for file in student.iterdir()}) == 1  # who reads one may read all


def test_the_record_says_what_was_trained_on_what_and_how(student: Path, base: Path) -> None:
    record = record_of(student)
    made = dialogues(6)
    assert record.finished
    assert record.variant == Variant.parse("reasoning")
    assert (record.settings.base, record.settings.seed, record.settings.learning_rate) == (str(base), 1, 0.01)
    assert record.data.sha256 == digest(one.model_dump_json() for one in made)
    assert (record.data.source, record.data.dialogues, record.data.replies) == ("train.jsonl", 6, 12)
    samples = _samples(made, "reasoning")
    assert record.data.one_by_one == sum(len(sample.ids) for sample in samples)
    assert record.data.trained == sum(len(sample.ids) - sample.start for sample in samples)
    assert record.data.tokens < record.data.one_by_one
    assert record.test is not None
    assert (record.test.source, record.test.dialogues, record.test.replies) == ("test.jsonl", 2, 4)
    assert record.test.sha256 != record.data.sha256
    assert {"torch", "transformers", "peft"} <= set(record.versions)
    assert record.steps == 12
    assert (record.precision, record.device.startswith("CPU")) == ("float32", True)
    assert record.tokens_per_second is not None
    assert record.replies_per_second is not None
    assert 0 < record.replies_per_second < record.tokens_per_second
    # The rate leaves loading and measuring out, so that all tokens take less than the wall time.
    assert record.data.tokens * 4 / record.tokens_per_second < record.seconds


def test_the_loss_falls_and_so_does_held_out_perplexity(student: Path) -> None:
    record, found = record_of(student), losses(student)
    assert found[-1] < found[0] - 0.05
    assert record.loss == found[-1]
    assert len(record.held_out) == 5  # before, and after each epoch
    assert record.held_out[-1] < record.held_out[0]
    rows = curve(student)
    assert [float(row["held_out"]) for row in rows if row["held_out"]] == list(record.held_out)
    assert [int(row["step"]) for row in rows if row["held_out"]] == [0, 3, 6, 9, 12]
    assert int([row for row in rows if row["loss"]][-1]["step"]) == 12  # the last steps have a row


def test_the_plot_shows_both_curves(student: Path) -> None:
    from matplotlib.image import imread

    pixels = (imread(student / "loss.png")[:, :, :3] * 255).round().astype(int)
    assert pixels.shape == (420, 720, 3)
    shown = {tuple(map(int, pixel)) for row in pixels for pixel in row}
    assert {(255, 255, 255), (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)} <= shown


def test_only_the_named_layers_are_adapted(student: Path, base: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    weights = adapter(student)
    assert {name.split(".")[-3] for name in weights} == {"q_proj", "v_proj"}
    assert len(weights) == 2 * 2 * 2
    assert all(float(weight.abs().sum()) > 0 for weight in weights.values())
    plain = AutoModelForCausalLM.from_pretrained(base, dtype="float32")
    merged = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype="float32"), str(student))
    after = merged.merge_and_unload().state_dict()
    changed = {name.split(".")[-2] for name, weight in plain.state_dict().items() if not weight.equal(after[name])}
    assert changed == {"q_proj", "v_proj"}


def test_other_layers_a_rank_and_an_alpha_may_be_named(base: Path, corpus: Path, tmp_path: Path) -> None:
    chosen = ["--targets", "o_proj", "--targets", "up_proj", "--rank", 2, "--alpha", 6, "--checkpointing"]
    assert finetune(corpus, base, tmp_path / "s", "--epochs", 1, *chosen).code == 0
    weights = adapter(tmp_path / "s")
    assert {name.split(".")[-3] for name in weights} == {"o_proj", "up_proj"}
    assert {min(weight.shape) for weight in weights.values()} == {2}
    settings = record_of(tmp_path / "s").settings
    assert (settings.rank, settings.alpha, settings.checkpointing) == (2, 6, True)


# ---------------------------------------------------------------- that only speed is new


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(base: Path, corpus: Path, tmp_path: Path) -> None:
    found = {}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert finetune(corpus, base, tmp_path / name, "--epochs", 1, "--seed", seed).code == 0
        found[name] = (tmp_path / name / "adapter_model.safetensors").read_bytes()
    assert found["a"] == found["b"] != found["c"]
    assert curve(tmp_path / "a") == curve(tmp_path / "b") != curve(tmp_path / "c")


def _samples(made: Any, variant: str, plain: bool = False) -> list[Any]:
    format = ChatFormat(trainings.small_tokenizer(), plain)
    replies = (pair for one in made for pair in lesson(one, Variant.parse(variant)).replies)
    return [format.sample(list(chat), reply) for chat, reply in replies]


def _one_by_one(base: Path, samples: list[Any]) -> float:
    """The loss of the base, a sample at a time, by the model's own attention."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype="float32").eval()
    total = count = 0.0
    with torch.no_grad():
        for sample in samples:
            logits = model(torch.tensor([sample.ids])).logits[0, sample.start - 1 : -1]
            labels = torch.tensor(sample.ids[sample.start :])
            total += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum").double())
            count += len(labels)
    return total / count


@pytest.mark.parametrize(("batch", "accumulation"), [(6, 1), (2, 3), (1, 6), (4, 2)])
@pytest.mark.parametrize("variant", ["response", "reasoning"])
def test_the_first_step_has_the_loss_of_the_replies_one_by_one(
    base: Path, corpus: Path, tmp_path: Path, variant: str, batch: int, accumulation: int
) -> None:
    sizes = ["--batch", batch, "--accumulation", accumulation, "--epochs", 1]
    assert finetune(corpus, base, tmp_path / "s", *sizes, variant=variant).code == 0
    assert record_of(tmp_path / "s").steps == 1
    expected = _one_by_one(base, _samples(dialogues(6), variant))
    assert losses(tmp_path / "s") == [pytest.approx(expected, abs=1e-5)]


def test_held_out_perplexity_before_is_that_of_the_base(student: Path, base: Path) -> None:
    from math import exp

    expected = exp(_one_by_one(base, _samples(dialogues(2, first=6), "reasoning")))
    assert record_of(student).held_out[0] == pytest.approx(expected, rel=1e-5)


def test_the_plain_format_is_trained_where_asked_for(base: Path, corpus: Path, tmp_path: Path) -> None:
    sizes = ["--batch", 6, "--epochs", 1, "--plain"]
    assert finetune(corpus, base, tmp_path / "s", *sizes).code == 0
    assert record_of(tmp_path / "s").plain
    expected = _one_by_one(base, _samples(dialogues(6), "response", plain=True))
    assert losses(tmp_path / "s") == [pytest.approx(expected, abs=1e-5)]


def test_half_precision_trains_too(base: Path, corpus: Path, tmp_path: Path) -> None:
    assert finetune(corpus, base, tmp_path / "s", "--precision", "bfloat16", "--epochs", 2).code == 0
    assert record_of(tmp_path / "s").precision == "bfloat16"
    assert all(float(weight.abs().sum()) > 0 for weight in adapter(tmp_path / "s").values())


# ---------------------------------------------------------------- bases of other families

SIZES: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


@pytest.mark.parametrize(
    ("family", "more", "alike"),
    [
        ("Qwen3Config", {"num_key_value_heads": 2, "head_dim": 16}, True),
        ("GemmaConfig", {"num_key_value_heads": 2, "head_dim": 16}, True),
        ("GPTNeoXConfig", {}, True),
        ("GptOssConfig", {"num_key_value_heads": 2, "head_dim": 16, "num_local_experts": 4}, False),  # sinks
        ("Gemma2Config", {"num_key_value_heads": 2, "head_dim": 16}, False),  # capped scores
        ("BloomConfig", {}, False),  # attention of its own
    ],
)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_family_that_cannot_be_packed_is_told_from_those_that_can(
    family: str, more: dict[str, Any], alike: bool, precision: str
) -> None:
    import torch
    import transformers

    from finetune.packing import packs_alike

    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, family)(**SIZES, **more))
    assert packs_alike(model.to(getattr(torch, precision)).eval()) is alike
