"""The base model of a student: a hub id, a folder, a GGUF file, or ``embedded``."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from socialsim.errors import LMSpecError
from socialsim.weights import embedded_model

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Precision = Literal["auto", "float32", "bfloat16", "float16"]
EMBEDDED: Final = "embedded"
RANDOM: Final = "random:llama-2-7b"  # the architecture with random weights, to measure speed and memory only
_CHATTER: Final = (  # peft on the version of transformers, and on bases that no hub has; nothing a user could do
    ("`is_gradient_checkpointing` is deprecated", FutureWarning),
    ("Unable to fetch remote file", UserWarning),
    ("Could not find a config file in", UserWarning),
)
_VOCABULARY: Final = 49_152  # of the embedded tokenizer, which goes with them (Llama-2's has 32,000)


def needs(*more: str) -> None:
    """Check that the packages a student needs are there, and ``more`` of the ``train`` extra.

    Raises:
        LMSpecError: naming the one that is missing.
    """
    for name in ("torch", "transformers", "peft", "gguf", *more):
        if find_spec(name) is None:
            raise LMSpecError(f"{name} is not installed; run: pip install 'socialsim[train]'")


def source(base: str) -> tuple[str, dict[str, str]]:
    """Where ``from_pretrained`` looks, and what more it must be told (a GGUF is a file in a folder).

    Raises:
        LMSpecError: if a file that is named is not there.
    """
    path = embedded_model() if base == EMBEDDED else Path(base).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise LMSpecError(f"base {base}: no such file; give the path of a .gguf file")
        return str(path.parent), {"gguf_file": path.name}
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise LMSpecError(f"base {base}: the folder holds no config.json, so it is not a model")
        return str(path), {}
    if base.startswith((".", "/", "~")) or base.count("/") != 1:
        raise LMSpecError(f"base {base}: no such folder; give a hub id (OWNER/NAME), a folder, a .gguf, or embedded")
    return base, {}


def load_tokenizer(base: str) -> PreTrainedTokenizerBase:
    """The base's tokenizer.

    Raises:
        LMSpecError: if the base cannot be had, or its tokenizer is not a fast one.
    """
    from transformers import AutoTokenizer

    where, file = source(EMBEDDED if base == RANDOM else base)
    with quiet():
        tokenizer = _loaded(base, AutoTokenizer, where, **file)
    if not tokenizer.is_fast or not tokenizer.eos_token:
        raise LMSpecError(f"base {base}: its tokenizer gives no offsets or no end token; use another base")
    return tokenizer


def load_model(base: str, precision: Precision = "auto", four_bit: bool = False) -> PreTrainedModel:
    """The base's weights; those of a GGUF are dequantised.

    Args:
        base: hub id, folder, PATH.gguf or ``embedded``.
        precision: of the weights; auto: bfloat16 where the machine computes in it, on a GPU without it float16.
        four_bit: load in 4 bits (NF4, CUDA only).

    Raises:
        LMSpecError: if the base cannot be had or cannot be loaded so.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils.quantization_config import GgufConfig

    _hush()
    bits = _four_bits(base) if four_bit else {}
    if base == RANDOM:
        return _random_llama(best_precision(precision))
    where, options = source(base)
    settings: dict[str, Any] = {**options, "dtype": getattr(torch, best_precision(precision)), **bits}
    if options:
        settings["quantization_config"] = GgufConfig(gguf_file=options["gguf_file"], dequantize=True)
    with quiet():
        model: PreTrainedModel = _loaded(base, AutoModelForCausalLM, where, **settings)
    model.config.quantization_config = None if options else getattr(model.config, "quantization_config", None)
    return model


def best_precision(precision: Precision = "auto") -> Precision:
    """The precision that ``auto`` stands for on this machine."""
    import torch

    if precision != "auto":
        return precision
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    return "bfloat16" if torch.cpu._is_avx512_bf16_supported() else "float32"


def _random_llama(precision: Precision) -> PreTrainedModel:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, precision))
    try:  # LlamaConfig's defaults are Llama-7b's
        with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
            return LlamaForCausalLM(LlamaConfig(vocab_size=_VOCABULARY))
    finally:
        torch.set_default_dtype(before)


def _four_bits(base: str) -> dict[str, Any]:
    import torch
    from transformers import BitsAndBytesConfig

    if not torch.cuda.is_available():
        raise LMSpecError(f"base {base}: 4-bit weights need a CUDA GPU; leave out --four-bit")
    if base == RANDOM or source(base)[1]:
        raise LMSpecError(f"base {base}: only a hub id or a folder can be loaded in 4 bits; leave out --four-bit")
    if find_spec("bitsandbytes") is None:
        raise LMSpecError("bitsandbytes is not installed; run: pip install bitsandbytes")
    quantised = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=getattr(torch, best_precision())
    )
    return {"quantization_config": quantised, "device_map": {"": int(os.environ.get("LOCAL_RANK", "0"))}}


def _loaded(base: str, kind: Any, where: str, **options: Any) -> Any:
    try:
        return kind.from_pretrained(where, **options)
    except Exception as error:  # the hub, safetensors, gguf and the model classes raise their own
        said = " ".join(str(error).split())[:200]
        raise LMSpecError(f"base {base}: cannot be loaded ({said}); check the name, the network or the file") from error


def _hush() -> None:
    """Never show what peft says of every adapter; for good, as a filter of one thread ends with another thread's."""
    for message, kind in _CHATTER:
        warnings.filterwarnings("ignore", message, kind)


@contextmanager
def quiet() -> Iterator[None]:
    """Loading and training without others' progress bars and warnings: a user sees our own lines."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        logging.enable_progress_bar()
