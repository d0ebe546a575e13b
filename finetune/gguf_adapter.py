"""A trained LoRA folder as a llama.cpp adapter file, so that a student runs on a quantised base in process.

PEFT computes ``W x + s B A x`` with one scaling ``s`` a module; llama.cpp computes the same with
``s = alpha / rank``, one alpha a file and the rank of each tensor. Whatever else PEFT can train
(DoRA, embeddings, whole modules) llama.cpp would leave out without a word, so it is refused here.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from socialsim.errors import InputError, OutputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PretrainedConfig

    Matrix = NDArray[np.float32]

# PEFT's name of a projection of a Llama layer -> llama.cpp's.
_NAMES: Final = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_KEY: Final = re.compile(r"base_model\.model\.(model\.layers\.(\d+)\.(\w+\.\w+))\.lora_([AB])\.weight")
# Settings that change what the same tensors mean, or the base under them.
_REFUSED: Final = (
    "use_dora", "use_qalora", "use_bdlora", "lora_bias", "modules_to_save", "trainable_token_indices",
    "target_parameters", "layer_replication", "alora_invocation_tokens", "arrow_config", "kasa_config",
    "monteclora_config",
)  # fmt: skip
_STARTS: Final = ("gaussian", "eva", "orthogonal", "true", "false")  # ways to begin that leave the base as it is


class _Settings(BaseModel):
    """What of adapter_config.json matters here; PEFT writes much more, and more in each version."""

    model_config = ConfigDict(extra="allow", frozen=True)

    peft_type: str
    lora_alpha: float
    use_rslora: bool = False
    bias: str = "none"
    init_lora_weights: bool | str = True
    alpha_pattern: dict[str, float] = {}

    def scaling(self, module: str, rank: int) -> float:
        """What PEFT multiplies B A by in a module, named as in the base model."""
        from peft.utils.other import get_pattern_key

        alpha = self.alpha_pattern.get(get_pattern_key(self.alpha_pattern, module), self.lora_alpha)
        return alpha / (rank**0.5 if self.use_rslora else rank)


class _Module(NamedTuple):
    """One adapted projection.

    Attributes:
        name: PEFT's, as in the base model.
        layer: index of its layer.
        a: ``(rank, inputs)``.
        b: ``(outputs, rank)``.
    """

    name: str
    layer: int
    a: Matrix
    b: Matrix

    @property
    def kind(self) -> str:
        return ".".join(self.name.rsplit(".", 2)[-2:])

    @property
    def rank(self) -> int:
        return int(self.a.shape[0])


def write_gguf_adapter(adapter_dir: Path, base_config: PretrainedConfig, out: Path, half: bool = False) -> None:
    """Write a PEFT LoRA folder as a llama.cpp LoRA file (GGUF), whole or not at all.

    Args:
        adapter_dir: holds adapter_config.json and adapter_model.safetensors; any of the seven
            projections of a Llama layer, any rank, with rank and alpha patterns and rsLoRA's scaling.
        base_config: transformers' configuration of the base, a Llama.
        out: the file to write; an older one is replaced.
        half: store F16 instead of F32: half the size, and llama.cpp then rounds its activations too.

    Raises:
        InputError: the folder is no such LoRA, holds what llama.cpp cannot apply, or does not fit the base.
        OutputError: the file cannot be written.
    """
    if base_config.model_type != "llama":
        raise InputError(adapter_dir, f"the base is a {base_config.model_type}; only a Llama's adapter can be written")
    settings = _settings(adapter_dir / "adapter_config.json")
    weights = adapter_dir / "adapter_model.safetensors"
    modules = _modules(weights, _tensors(weights))
    for module in modules:
        _check(weights, module, base_config)
    alpha = settings.scaling(modules[0].name, modules[0].rank) * modules[0].rank
    tensors = [pair for module in modules for pair in _pair(module, settings, alpha, base_config)]
    _write(out, weights, tensors, alpha, half)


def _settings(path: Path) -> _Settings:
    try:
        settings = _Settings.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(
            path, f"no LoRA adapter here ({error.strerror}); name the folder that training wrote"
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(path, f"not a LoRA's settings: {f'{where}: ' if where else ''}{first['msg']}") from error
    if settings.peft_type != "LORA":
        raise InputError(path, f"the adapter is {settings.peft_type}, not LORA")
    if used := [name for name in _REFUSED if (settings.model_extra or {}).get(name)]:
        raise InputError(path, f"llama.cpp cannot apply an adapter trained with {used[0]}; train without it")
    if settings.bias != "none":
        raise InputError(path, f"llama.cpp cannot apply trained biases (bias={settings.bias}); train with bias none")
    if str(settings.init_lora_weights).lower() not in _STARTS:
        raise InputError(
            path, f"init_lora_weights={settings.init_lora_weights} changes the base; train from another start"
        )
    if not all(alpha > 0 for alpha in (settings.lora_alpha, *settings.alpha_pattern.values())):
        raise InputError(path, "lora_alpha must be above 0; llama.cpp reads 0 as no scaling")
    return settings


def _tensors(path: Path) -> dict[str, Matrix]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return {name: tensor.float().numpy() for name, tensor in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise InputError(path, f"no LoRA weights here ({str(error).splitlines()[0]})") from error


def _modules(path: Path, tensors: dict[str, Matrix]) -> list[_Module]:
    """The adapted projections in the order of their layers."""
    found: dict[tuple[int, str], dict[str, Matrix]] = {}
    for name, tensor in tensors.items():
        match = _KEY.fullmatch(name)
        if match is None or match[3] not in _NAMES:
            raise InputError(path, f"{name} cannot be written for llama.cpp; adapt only {', '.join(_names())}")
        found.setdefault((int(match[2]), match[1]), {})[match[4]] = tensor
    if lonely := [name for (_, name), pair in found.items() if set(pair) != {"A", "B"}]:
        raise InputError(path, f"{lonely[0]} has no lora_A or no lora_B; the file is not whole")
    if not found:
        raise InputError(path, "holds no LoRA weights")
    return [_Module(name, layer, pair["A"], pair["B"]) for (layer, name), pair in sorted(found.items())]


def _names() -> list[str]:
    return [name.partition(".")[2] for name in _NAMES]


def _check(path: Path, module: _Module, base: Any) -> None:
    import numpy as np

    heads = base.num_attention_heads * (getattr(base, "head_dim", None) or base.hidden_size // base.num_attention_heads)
    groups = heads // base.num_attention_heads * base.num_key_value_heads
    wide, deep = base.hidden_size, base.intermediate_size
    outputs, inputs = {
        "q_proj": (heads, wide),
        "k_proj": (groups, wide),
        "v_proj": (groups, wide),
        "o_proj": (wide, heads),
        "gate_proj": (deep, wide),
        "up_proj": (deep, wide),
        "down_proj": (wide, deep),
    }[module.kind.partition(".")[2]]
    if module.a.shape != (module.rank, inputs) or module.b.shape != (outputs, module.rank):
        shape = f"{module.b.shape} x {module.a.shape}"
        raise InputError(path, f"{module.name} is {shape}, which does not fit the base's {outputs} x {inputs}")
    if module.layer >= base.num_hidden_layers:
        raise InputError(path, f"{module.name}: the base has only {base.num_hidden_layers} layers")
    if not (np.isfinite(module.a).all() and np.isfinite(module.b).all()):
        raise InputError(path, f"{module.name} holds numbers that are not finite; training went wrong")


def _pair(module: _Module, settings: _Settings, alpha: float, base: Any) -> Iterator[tuple[str, Matrix]]:
    name = f"blk.{module.layer}.{_NAMES[module.kind]}.weight"
    # One alpha a file: a module that PEFT scales otherwise carries the difference in B.
    b = module.b * (settings.scaling(module.name, module.rank) / (alpha / module.rank))
    if name.endswith("attn_q.weight"):
        b = interleave(b, base.num_attention_heads)
    if name.endswith("attn_k.weight"):
        b = interleave(b, base.num_key_value_heads)
    yield f"{name}.lora_a", module.a
    yield f"{name}.lora_b", b


def interleave(rows: Matrix, heads: int) -> Matrix:
    """The rows of a query or key projection in llama.cpp's order.

    Rotary embedding turns pairs of rows of a head: transformers pairs row i with row i + half,
    llama.cpp row 2i with row 2i + 1.

    Args:
        rows: ``(heads * size, any)``, in transformers' order.
        heads: attention heads, or key-value heads.
    """
    return rows.reshape(heads, 2, -1, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def _write(out: Path, source: Path, tensors: list[tuple[str, Matrix]], alpha: float, half: bool) -> None:
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(None, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if half else gguf.LlamaFileType.ALL_F32)
    for name, matrix in tensors:
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(matrix, np.float16 if half else np.float32)
        if not np.isfinite(stored).all():
            raise InputError(source, f"{name} holds numbers too large for F16; write F32")
        writer.add_tensor(name, stored)
    temp = out.with_name(f".{out.name}.{threading.get_native_id()}.tmp")
    try:
        writer.write_header_to_file(temp)
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        os.replace(temp, out)
    except OSError as error:
        raise OutputError(f"{out}: {error.strerror or error}; check the path and the disk, then run again") from error
    finally:
        temp.unlink(missing_ok=True)
