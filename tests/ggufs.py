"""For tests with llama.cpp: a transformers Llama as an F32 GGUF, a random LoRA for it, next-token log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finetune.gguf_adapter import interleave

LAYER = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
WHOLE = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
BYTES = 256
VOCABULARY = BYTES + 2  # every byte, the end, and one merge, without which llama.cpp reads no BPE tokenizer


def tiny_llama(seed: int = 0, **changes: Any) -> Any:
    """A random Llama over bytes, its weights wide enough that every one of them counts."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    settings = sizes | {"num_key_value_heads": 2, "vocab_size": VOCABULARY, "max_position_embeddings": 512} | changes
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(**settings, tie_word_embeddings=True)).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.15)
    return model


def random_lora(model: Any, folder: Path, std: float = 0.15, **settings: Any) -> Any:
    """Put a LoRA of random weights on a model and save it as PEFT does; returns PEFT's model."""
    import torch
    from peft import LoraConfig, get_peft_model

    adapted = get_peft_model(model, LoraConfig(**{"r": 8, "lora_alpha": 16, "target_modules": "all-linear"} | settings))
    torch.manual_seed(1)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=std)
    adapted.eval().save_pretrained(folder)
    return adapted


def write_base(model: Any, out: Path, tokenizer_of: Path | None = None) -> Path:
    """Write a transformers Llama (embeddings tied) as an F32 GGUF, with another GGUF's tokenizer or one of bytes."""
    import gguf

    writer = gguf.GGUFWriter(out, "llama")
    writer.add_type(gguf.GGUFType.MODEL)
    _hyperparameters(writer, model.config)
    if tokenizer_of is None:
        _byte_tokenizer(writer)
    else:
        _copy_tokenizer(writer, tokenizer_of)
    for name, tensor in model.state_dict().items():
        if name != "lm_head.weight":
            writer.add_tensor(*_tensor(name, tensor.float().numpy(), model.config))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out


def _hyperparameters(writer: Any, config: Any) -> None:
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)


def _tensor(name: str, values: Any, config: Any) -> tuple[str, Any]:
    import numpy as np

    if name in WHOLE:
        return WHOLE[name], values
    _, _, layer, rest = name.removesuffix(".weight").split(".", 3)
    kind = LAYER[rest]
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(kind)
    return f"blk.{layer}.{kind}.weight", np.ascontiguousarray(interleave(values, heads) if heads else values)


def _byte_tokenizer(writer: Any) -> None:
    import gguf

    plain = (*range(33, 127), *range(161, 173), *range(174, 256))
    spare = iter(range(256, 512))
    tokens = [chr(byte if byte in plain else next(spare)) for byte in range(256)]  # how GPT-2 writes a byte as a letter
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*tokens, "<end>", "he"])
    writer.add_token_types([*[gguf.TokenType.NORMAL] * BYTES, gguf.TokenType.CONTROL, gguf.TokenType.NORMAL])
    writer.add_token_merges(["h e"])
    writer.add_eos_token_id(BYTES)
    writer.add_add_bos_token(False)


def _copy_tokenizer(writer: Any, source: Path) -> None:
    import gguf

    for name, found in gguf.GGUFReader(source).fields.items():
        if name.startswith("tokenizer."):
            kind, *inner = found.types
            writer.add_key_value(name, found.contents(), kind, inner[0] if inner else None)


def llama_server(base: Path, adapter: Path | None = None) -> Any:
    """llama.cpp on one thread, its cache of keys and values in F32 as transformers keeps them."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(base)
    params.n_ctx, params.n_parallel, params.cpuparams.n_threads, params.verbosity = 512, 1, 1, 0
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    if adapter:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    return xllamacpp.Server(params)


def llama_log_probabilities(server: Any, ids: Sequence[int], vocabulary: int) -> Any:
    """``(vocabulary,)``: llama.cpp's log-probability of every token that may come next."""
    import torch

    # A token that is half a character would not be reported; which one is drawn does not change the others.
    asked = {"prompt": list(ids), "n_predict": 1, "n_probs": vocabulary, "grammar": 'root ::= "a"'}
    said = server.handle_completions(asked | {"temperature": 0, "cache_prompt": False})
    found = torch.full((vocabulary,), float("nan"))
    for one in said["choices"][0]["logprobs"]["content"][0]["top_logprobs"]:
        found[one["id"]] = one["logprob"]
    return found


def log_probabilities(model: Any, ids: Sequence[int]) -> Any:
    """The same, of transformers and PEFT."""
    import torch

    with torch.no_grad():
        return model(torch.tensor([list(ids)])).logits[0, -1].float().log_softmax(-1)
