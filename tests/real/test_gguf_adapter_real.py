"""SmolLM2-135M with a large random LoRA: llama.cpp and transformers agree on real English.

llama.cpp computes differently on quantised weights, so both are given the same dequantised ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from finetune.gguf_adapter import write_gguf_adapter
from socialsim.resources import demonstrations
from socialsim.weights import embedded_model
from tests.ggufs import llama_log_probabilities, llama_server, log_probabilities, random_lora, write_base

for package in ("torch", "transformers", "peft", "gguf", "xllamacpp"):
    pytest.importorskip(package, reason="needs socialsim[train,local]")

pytestmark = pytest.mark.embedded

TOLERANCE = (
    1e-3  # of a natural log-probability among 49,152; 2.4e-4 was seen, where the adapter moves some by 2 and more
)
TEXTS = [next(iter(demo.dialogue.turns)).text for demo in demonstrations()][:40:10]


class Adapted(NamedTuple):
    model: Any
    tokenizer: Any
    server: Any
    plain: Any


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> Adapted:
    from finetune.base import load_model, load_tokenizer

    folder: Path = tmp_path_factory.mktemp("smollm")
    model = load_model("embedded", "float32").eval()
    write_base(model, folder / "base.gguf", tokenizer_of=embedded_model())
    config, tuned = model.config, random_lora(model, folder, std=0.04)
    write_gguf_adapter(folder, config, folder / "lora.gguf")
    servers = llama_server(folder / "base.gguf", folder / "lora.gguf"), llama_server(folder / "base.gguf")
    return Adapted(tuned, load_tokenizer("embedded"), *servers)


def test_the_next_token_has_the_same_log_probabilities(adapted: Adapted) -> None:
    worst, least = 0.0, 99.0
    for text in TEXTS:
        ids = adapted.tokenizer(text)["input_ids"]
        expected = log_probabilities(adapted.model, ids)
        found, plain = (
            llama_log_probabilities(server, ids, len(expected)) for server in (adapted.server, adapted.plain)
        )
        worst = max(worst, float((found - expected).abs().max()))
        least = min(least, float((plain - expected).abs().max()))
    assert worst < TOLERANCE
    assert least > 1000 * TOLERANCE  # the adapter does much, so that an error would show


def test_twenty_greedy_tokens_are_the_same(adapted: Adapted) -> None:
    import torch

    for text in TEXTS[:2]:
        ids = adapted.tokenizer(text)["input_ids"]
        with torch.no_grad():
            written = adapted.model.generate(
                input_ids=torch.tensor([ids]), max_new_tokens=20, do_sample=False, eos_token_id=-1, pad_token_id=0
            )[0, len(ids) :]
        asked = {"prompt": ids, "n_predict": 20, "temperature": 0, "ignore_eos": True, "repeat_penalty": 1.0}
        said = adapted.server.handle_completions(asked)["choices"][0]["text"]
        assert len(set(written.tolist())) > 5, written  # not one token over and over
        assert said == adapted.tokenizer.decode(written)
