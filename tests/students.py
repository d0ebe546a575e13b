"""Tiny students: a random Llama of two layers with the real tokenizer, and random LoRA adapters for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from finetune.base import load_tokenizer
from finetune.format import Variant
from finetune.record import DataRecord, TrainingRecord
from finetune.settings import TrainingSettings


@contextmanager
def one_thread() -> Iterator[None]:
    """A tiny model loses more time waiting for a second core than it gains."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@lru_cache(maxsize=1)
def tokenizer() -> Any:
    """The embedded model's tokenizer."""
    return load_tokenizer("embedded")


def write_base(folder: Path, layers: int = 2, size: int = 64) -> Path:
    """A random model with its tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(7)
    config = LlamaConfig(
        hidden_size=size,
        intermediate_size=2 * size,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=len(tokenizer()),
        max_position_embeddings=2048,
        initializer_range=0.2,  # so that a random model does not say one word for ever
        bos_token_id=1,
        eos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def write_student(folder: Path, base: Path, variant: Variant | None = None, **changes: Any) -> Path:
    """A LoRA adapter with random weights and its training record."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(3)
    lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    model = AutoModelForCausalLM.from_pretrained(base, dtype="float32")
    get_peft_model(model, lora).save_pretrained(folder)
    values: dict[str, Any] = {"variant": variant, "finished": True, "settings": TrainingSettings(base=str(base))}
    TrainingRecord(**values | {"data": DataRecord(source="corpus", sha256="0")} | changes).write(folder)
    return folder
