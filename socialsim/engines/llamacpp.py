"""llama.cpp in process as a DSPy engine: JSON-schema decoding, batching over slots.

One server a model file and process, shared by every role that names it. Requests run side by
side in its slots; a request takes the slot whose cached prompt it shares most with, so there are
more slots than requests in flight: a dialogue's seeker and supporter keep one each.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from socialsim.errors import LMSpecError

if TYPE_CHECKING:
    from dspy.lm15 import Request, Response

# Sampling settings llama.cpp takes beyond DSPy's own, allowed in a spec.
SAMPLING: Final = frozenset(
    {"min_p", "top_k", "repeat_penalty", "repeat_last_n", "dry_multiplier", "dry_base", "dry_allowed_length"}
)


@dataclass(frozen=True)
class LlamaSettings:
    """How a model is loaded.

    Attributes:
        slots: prompts kept in cache at once, and requests that may run side by side.
        context: tokens a slot holds (prompt and answer).
        threads: CPU threads; 0 means one a core this process may use.
    """

    slots: int = 4
    context: int = 8192
    threads: int = 0


@lru_cache(maxsize=8)
def _server(path: str, settings: LlamaSettings) -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        raise LMSpecError("the embedded llama.cpp is not installed; run: pip install 'socialsim[local]'") from error
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_parallel = settings.slots
    params.n_ctx = settings.slots * settings.context
    # More threads than free cores made llama.cpp ten times slower.
    params.cpuparams.n_threads = settings.threads or len(os.sched_getaffinity(0))
    # Measured on two cores with a prompt of 2,100 tokens: 83 tokens/s without, 60 with flash attention.
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cache_ram_mib = 1024  # prompts pushed out of a slot are kept here; the default is 8 GB
    params.verbosity = 0
    try:
        return xllamacpp.Server(params)
    except Exception as error:  # the binding raises bare RuntimeError and ValueError
        raise LMSpecError(f"llamacpp:{path}: llama.cpp cannot load this file as a model ({error})") from error


class LlamaEngine:
    """``complete(Request) -> Response`` on one GGUF file."""

    supports_response_schema = True
    supported_params = frozenset({"response_format", "temperature", "top_p", "max_tokens", "seed"})

    def __init__(self, path: str, settings: LlamaSettings, sampling: dict[str, float] | None = None) -> None:
        self.path = path
        self.settings = settings
        self.sampling = sampling or {}
        self._lock = threading.Lock()

    def complete(self, request: Request) -> Response:
        """Answer one request; blocks until it is done.

        Raises:
            dspy.lm15.LM15Error: the matching error for a prompt too long or a failing server.
        """
        with self._lock:  # loading is not thread-safe; after the first call this is free
            server = _server(self.path, self.settings)
        answer = server.handle_chat_completions(self._body(request))
        if "error" in answer:
            raise _error(answer["error"])
        return _response(answer, request.model)

    def _body(self, request: Request) -> dict[str, Any]:
        config = request.config
        body: dict[str, Any] = {"messages": _messages(request), **self.sampling, "cache_prompt": True}
        for name in ("temperature", "top_p", "max_tokens", "seed"):
            if (value := getattr(config, name)) is not None:
                body[name] = value
        format_ = config.response_format
        if format_ and format_.get("type") == "json_schema":
            body["grammar"] = _grammar(json.dumps(format_["schema"], ensure_ascii=False))
        elif format_:
            body["response_format"] = {"type": "json_object"}
        return body

    def dump_state(self) -> dict[str, Any]:
        """State for DSPy's save: the path and the settings, no secrets."""
        return {"path": self.path, "settings": vars(self.settings), "sampling": self.sampling}

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> LlamaEngine:
        """Rebuild from `dump_state`."""
        return cls(state["path"], LlamaSettings(**state["settings"]), state["sampling"])


class AsyncLlamaEngine:
    """The same engine for async programs; one thread a slot waits inside llama.cpp."""

    supports_response_schema = True
    supported_params = LlamaEngine.supported_params

    def __init__(self, engine: LlamaEngine) -> None:
        self.engine = engine
        self._threads = ThreadPoolExecutor(engine.settings.slots, thread_name_prefix="llamacpp")

    async def complete(self, request: Request) -> Response:
        """Answer one request without blocking the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.engine.complete, request)


@lru_cache(maxsize=256)
def _grammar(schema: str) -> str:
    # LLGuidance instead of llama.cpp's own converter: it enforces patterns and lengths, and
    # without flexible whitespace a small model cannot pad its answer with blank lines.
    style = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}  # as json.dumps writes
    closed = {**json.loads(schema), "x-guidance": style}
    return "%llguidance {}\nstart: %json " + json.dumps(closed, ensure_ascii=False)


def _messages(request: Request) -> list[dict[str, str]]:
    system = request.system
    if system is not None and not isinstance(system, str):
        system = "".join(part.text for part in system if part.type == "text")
    head = [{"role": "system", "content": system}] if system else []
    return head + [{"role": message.role, "content": message.text or ""} for message in request.messages]


def _response(answer: dict[str, Any], model: str) -> Response:
    from dspy.lm15 import Message, Response, TextPart, Usage

    choice, usage = answer["choices"][0], answer["usage"]
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return Response(
        id=answer.get("id"),
        model=model,
        message=Message.assistant([TextPart(choice["message"].get("content") or "")]),
        finish_reason="length" if choice.get("finish_reason") == "length" else "stop",
        usage=Usage(
            input_tokens=usage["prompt_tokens"],
            output_tokens=usage["completion_tokens"],
            total_tokens=usage["total_tokens"],
            cache_read_tokens=cached,
        ),
    )


def _error(error: dict[str, Any]) -> Exception:
    from dspy.lm15 import ContextLengthError, InvalidRequestError, ServerError

    message = str(error.get("message", error))
    if error.get("type") == "exceed_context_size_error" or "context" in message:
        return ContextLengthError(message, provider="llamacpp")
    return (InvalidRequestError if error.get("code") == 400 else ServerError)(message, provider="llamacpp")


def gguf_path(path: str) -> str:
    """Check that a file is a GGUF before llama.cpp is asked to load it.

    Raises:
        LMSpecError: if it is missing or not a GGUF.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise LMSpecError(f"llamacpp:{path}: no such file; give the path of a .gguf file")
    with file.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise LMSpecError(f"llamacpp:{path}: not a GGUF file; convert the model or download its GGUF")
    return str(file.resolve())
