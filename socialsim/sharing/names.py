"""What may be said in public of an LM, a base model or a file: its name, never where it lies."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final

from finetune.base import EMBEDDED
from socialsim.lm_errors import redact
from socialsim.lms import LMSpec

EMBEDDED_BASE: Final = "HuggingFaceTB/SmolLM2-135M-Instruct"
_SERVER: Final = ("http://", "https://")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(?<!\.gguf)")
_PATH = re.compile(r"(?:[/~]|\.\.?/|[A-Za-z]:[\\/])[^\n]+")


def public_lm(spec: str) -> str:
    """An LM spec without host, port and folders; its sampling settings stay.

    ``http://10.0.0.5:8000/v1#Qwen/Qwen3-32B?temperature=0.9`` is ``Qwen/Qwen3-32B?temperature=0.9``.
    """
    model, mark, settings = spec.strip().partition("?")
    return redact(_public_model(model) + mark + settings)


def _public_model(model: str) -> str:
    if model.startswith(_SERVER):
        return public_model(model.partition("#")[2]) or "OpenAI-compatible server"
    if model.startswith("student:"):
        return f"student:{_last_part(model)}"
    if model.startswith("llamacpp:"):
        return f"llamacpp:{'+'.join(LMSpec(model, model).file_names)}"
    return model.partition("/")[0] if "://" in model else model  # some providers take an address for a model


def public_model(name: str) -> str:
    """A hub id as it is; of a path its last part."""
    return name if is_hub_id(name) else _last_part(name)


def public_base(base: str) -> str:
    """The base of a student: a hub id where there is one, else a name without folders."""
    return EMBEDDED_BASE if base == EMBEDDED else public_model(base)


def is_hub_id(name: str) -> bool:
    """Whether a base is ``OWNER/NAME`` on a hub, rather than a folder or file of this machine."""
    return bool(_HUB_ID.fullmatch(name)) and not name.startswith(".") and not Path(name).exists()


def without_paths(value: Any) -> Any:
    """JSON in which each string that is a path has become its last part, and each key ``***``."""
    if isinstance(value, dict):
        return {key: without_paths(part) for key, part in value.items()}
    if isinstance(value, list):
        return [without_paths(part) for part in value]
    if not isinstance(value, str):
        return value
    return redact(_last_part(value) if _PATH.fullmatch(value) else value)


def _last_part(path: str) -> str:
    return PurePosixPath(PureWindowsPath(path.removeprefix("student:")).as_posix()).name
