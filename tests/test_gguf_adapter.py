"""A LoRA written for llama.cpp computes what PEFT computes: next-token log-probabilities on real text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune import gguf_adapter
from finetune.gguf_adapter import interleave, write_gguf_adapter
from socialsim.errors import InputError, OutputError
from socialsim.resources import demonstrations
from tests.ggufs import (
    VOCABULARY,
    llama_log_probabilities,
    llama_server,
    log_probabilities,
    random_lora,
    tiny_llama,
    write_base,
)

for package in ("torch", "transformers", "peft", "gguf", "xllamacpp"):
    pytest.importorskip(package, reason="needs socialsim[train,local]")

TOLERANCE = 1e-4  # of a natural log-probability; both compute in F32, 3e-6 was seen
SENTENCES = [turn.text.encode()[:120] for turn in next(iter(demonstrations())).dialogue.turns[:3]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tiny_llama(), tmp_path_factory.mktemp("base") / "base.gguf")


def worst(base: Path, adapter: Path | None, model: Any) -> float:
    """The largest difference of a log-probability between llama.cpp and transformers."""
    server = llama_server(base, adapter)
    return max(
        float((llama_log_probabilities(server, text, VOCABULARY) - log_probabilities(model, text)).abs().max())
        for text in SENTENCES
    )


def test_the_plain_models_agree(base: Path) -> None:
    assert worst(base, None, tiny_llama()) < TOLERANCE


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"r": 3, "lora_alpha": 5, "target_modules": ["v_proj"]},
        {"r": 16, "lora_alpha": 8, "use_rslora": True, "target_modules": ["q_proj", "k_proj"]},
        {"rank_pattern": {"k_proj": 4, "layers.1.mlp.up_proj": 2}, "alpha_pattern": {"q_proj": 2, "down_proj": 40}},
    ],
    ids=["all projections", "one projection, an odd rank", "rsLoRA", "patterns"],
)
def test_llama_computes_what_peft_computes(settings: dict[str, Any], base: Path, tmp_path: Path) -> None:
    model = tiny_llama()
    adapted = random_lora(model, tmp_path, **settings)
    write_gguf_adapter(tmp_path, model.config, tmp_path / "a.gguf")
    assert worst(base, tmp_path / "a.gguf", adapted) < TOLERANCE
    assert worst(base, None, adapted) > 0.3  # the adapter does much, so that an error would show


def test_without_the_order_of_rows_it_would_not(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_llama()
    adapted = random_lora(model, tmp_path)
    monkeypatch.setattr(gguf_adapter, "interleave", lambda rows, heads: rows)
    write_gguf_adapter(tmp_path, model.config, tmp_path / "a.gguf")
    assert worst(base, tmp_path / "a.gguf", adapted) > 0.3


def test_half_precision_is_half_the_size_and_close(base: Path, tmp_path: Path) -> None:
    model = tiny_llama()
    adapted = random_lora(model, tmp_path)
    for name, half in (("f32.gguf", False), ("f16.gguf", True)):
        write_gguf_adapter(tmp_path, model.config, tmp_path / name, half=half)
    assert (tmp_path / "f16.gguf").stat().st_size < 0.6 * (tmp_path / "f32.gguf").stat().st_size
    assert worst(base, tmp_path / "f16.gguf", adapted) < 0.05


def test_rows_that_turn_together_become_neighbours() -> None:
    import numpy as np

    rows = np.arange(8, dtype=np.float32)[:, None]  # two heads of four rows: 0 turns with 2, 1 with 3
    assert interleave(rows, 2)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random_lora(tiny_llama(), tmp_path / "lora")
    return tmp_path / "lora"


def edit_settings(folder: Path, **changes: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_weights(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "adapter_model.safetensors")
    change(tensors)
    save_file(tensors, folder / "adapter_model.safetensors")


def refused(folder: Path, config: Any = None) -> str:
    """The one line of the error; nothing is left on disk."""
    out = folder / "out.gguf"
    with pytest.raises(InputError) as raised:
        write_gguf_adapter(folder, config or tiny_llama().config, out)
    assert not list(folder.glob("*out.gguf*"))
    assert "\n" not in str(raised.value)
    return str(raised.value)


class TestRefused:
    def test_a_folder_without_an_adapter(self, tmp_path: Path) -> None:
        assert refused(tmp_path).startswith(f"{tmp_path / 'adapter_config.json'}: no LoRA adapter here")

    def test_settings_without_their_weights(self, folder: Path) -> None:
        (folder / "adapter_model.safetensors").unlink()
        assert "adapter_model.safetensors: no LoRA weights here" in refused(folder)

    def test_weights_that_are_cut(self, folder: Path) -> None:
        path = folder / "adapter_model.safetensors"
        path.write_bytes(path.read_bytes()[:200])
        assert "adapter_model.safetensors: no LoRA weights here" in refused(folder)

    @pytest.mark.parametrize("text", ["{", "[]", '{"peft_type": "LORA"}'])
    def test_settings_that_are_none(self, text: str, folder: Path) -> None:
        (folder / "adapter_config.json").write_text(text)
        assert "adapter_config.json: not a LoRA's settings" in refused(folder)

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"peft_type": "IA3"}, "the adapter is IA3"),
            ({"use_dora": True}, "trained with use_dora"),
            ({"modules_to_save": ["lm_head"]}, "trained with modules_to_save"),
            ({"bias": "all"}, "bias=all"),
            ({"init_lora_weights": "pissa"}, "init_lora_weights=pissa changes the base"),
            ({"lora_alpha": 0}, "lora_alpha must be above 0"),
        ],
    )
    def test_settings_llama_cannot_apply(self, changes: dict[str, Any], reason: str, folder: Path) -> None:
        edit_settings(folder, **changes)
        assert reason in refused(folder)

    def test_an_adapter_of_the_embeddings(self, tmp_path: Path) -> None:
        random_lora(tiny_llama(), tmp_path, target_modules=["embed_tokens", "q_proj"])
        assert re.search(r"embed_tokens\S+ cannot be written for llama\.cpp; adapt only q_proj", refused(tmp_path))

    def test_a_matrix_without_its_other_half(self, folder: Path) -> None:
        edit_weights(folder, lambda tensors: tensors.pop(sorted(tensors)[0]))
        assert "has no lora_A or no lora_B" in refused(folder)

    def test_weights_that_are_not_finite(self, folder: Path) -> None:
        edit_weights(folder, lambda tensors: tensors[sorted(tensors)[0]].fill_(float("nan")))
        assert "not finite" in refused(folder)

    def test_another_architecture(self, folder: Path) -> None:
        from transformers import Qwen2Config

        assert "the base is a qwen2" in refused(folder, Qwen2Config())

    def test_a_base_of_another_shape(self, folder: Path) -> None:
        assert "does not fit the base's" in refused(folder, tiny_llama(hidden_size=32).config)

    def test_a_base_with_fewer_layers(self, folder: Path) -> None:
        assert "the base has only 1 layers" in refused(folder, tiny_llama(num_hidden_layers=1).config)

    def test_numbers_too_large_for_half_precision(self, folder: Path) -> None:
        edit_weights(folder, lambda tensors: tensors[sorted(tensors)[0]].fill_(1e6))
        with pytest.raises(InputError, match="too large for F16"):
            write_gguf_adapter(folder, tiny_llama().config, folder / "out.gguf", half=True)


def test_a_file_that_cannot_be_written_keeps_the_old_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = folder / "out.gguf"
    out.write_bytes(b"old")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gguf.GGUFWriter.write_tensors_to_file", full)
    with pytest.raises(OutputError, match=r"out\.gguf: No space left on device"):
        write_gguf_adapter(folder, tiny_llama().config, out)
    assert out.read_bytes() == b"old"
    assert not list(folder.glob(".*tmp"))


def test_a_folder_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(OutputError, match="No such file or directory"):
        write_gguf_adapter(folder, tiny_llama().config, folder / "none" / "out.gguf")
