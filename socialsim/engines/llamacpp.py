"""llama.cpp in process as a DSPy engine: JSON-schema decoding, batching over slots.

A model file is loaded once a process, for every role that names it, by one server or, for a small
model, by several with a thread each: threads that wait for one another lose far more to a busy
core than single ones do. Requests run side by side in a server's slots; a request takes the slot
whose cached prompt it shares most with, so there are more slots than requests in flight: a
dialogue's seeker and supporter keep one each.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from socialsim.engines.balance import Balancer
from socialsim.engines.gguf_header import read_header
from socialsim.errors import LMSpecError

if TYPE_CHECKING:
    from dspy.lm15 import Request, Response, StreamEvent

# Sampling settings llama.cpp takes beyond DSPy's own, allowed in a spec.
SAMPLING: Final = frozenset(
    {"min_p", "top_k", "repeat_penalty", "repeat_last_n", "dry_multiplier", "dry_base", "dry_allowed_length"}
)


@dataclass(frozen=True)
class LlamaSettings:
    """How a model is loaded.

    Attributes:
        slots: prompts a server keeps in cache, and requests it may run side by side.
        context: tokens a slot holds (prompt and answer).
        threads: CPU threads of a server; 0 means one a core this process may use.
        servers: servers that share the work; their weights are the same pages of memory.
        adapter: path of a LoRA adapter (GGUF) that every server applies in full; none if empty.
    """

    slots: int = 4
    context: int = 8192
    threads: int = 0
    servers: int = 1
    adapter: str = ""


@lru_cache(maxsize=8)
def _balancer(path: str, settings: LlamaSettings) -> Balancer:
    return Balancer(settings.servers)


@lru_cache(maxsize=64)
def _server(path: str, settings: LlamaSettings, index: int = 0) -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        raise LMSpecError("the embedded llama.cpp is not installed; run: pip install 'socialsim[local]'") from error
    params = xllamacpp.CommonParams()
    params.model.path = path
    if settings.adapter:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(settings.adapter, 1.0)]
    params.n_parallel = settings.slots
    params.n_ctx = settings.slots * settings.context
    # More threads than free cores made llama.cpp ten times slower.
    params.cpuparams.n_threads = settings.threads or free_cores()
    # Measured on two cores with a prompt of 2,100 tokens: 83 tokens/s without, 60 with flash attention.
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cache_ram_mib = 1024  # prompts pushed out of a slot are kept here; the default is 8 GB
    params.verbosity = 0
    try:
        return xllamacpp.Server(params)
    except Exception as error:  # the binding raises bare RuntimeError and ValueError
        raise LMSpecError(_refusal(path, settings.adapter, error)) from error


def _refusal(path: str, adapter: str, error: Exception) -> str:
    if not adapter:
        return f"llamacpp:{path}: llama.cpp cannot load this file as a model ({error})"
    return f"llamacpp:{path}+{adapter}: llama.cpp cannot load the two together; give the model it was trained on"


def free_cores() -> int:
    """Cores this process may use."""
    # Only Linux says which cores this process may use.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_loading = threading.Lock()  # of the process: two engines on one file share its server


class LlamaEngine:
    """``complete(Request) -> Response`` on one GGUF file."""

    supports_response_schema = True
    supported_params = frozenset({"response_format", "temperature", "top_p", "max_tokens", "seed"})

    def __init__(self, path: str, settings: LlamaSettings, sampling: dict[str, float] | None = None) -> None:
        self.path = path
        self.settings = settings
        self.sampling = sampling or {}

    def complete(
        self,
        request: Request,
        cancelled: threading.Event | None = None,
        heard: Callable[[str], object] | None = None,
    ) -> Response:
        """Answer one request; blocks until it is done, or soon after ``cancelled`` is set.

        Args:
            request: the request.
            cancelled: ends it early.
            heard: called from this thread with each piece of text as it is written.

        Raises:
            dspy.lm15.LM15Error: the matching error for a prompt too long or a failing server.
        """
        chunks: list[dict[str, Any]] = []

        def take(chunk: dict[str, Any]) -> bool:
            chunks.append(chunk)
            if heard and (text := _text(chunk)):
                heard(text)
            return cancelled is not None and cancelled.is_set()  # True makes llama.cpp stop

        body = self._body(request)
        with _balancer(self.path, self.settings).seat(body["messages"][-1]["content"]) as index:
            with _loading:  # loading is not thread-safe; after the first call this is free
                server = _server(self.path, self.settings, index)
            server.handle_chat_completions(body, take)
        for chunk in chunks:
            if "error" in chunk:
                raise _error(chunk["error"])
        return _response(chunks, request.model)

    def _body(self, request: Request) -> dict[str, Any]:
        config = request.config
        body: dict[str, Any] = {"messages": _messages(request), **self.sampling, "cache_prompt": True}
        body |= {"stream": True, "stream_options": {"include_usage": True}}
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
        return {"path": self.path, "settings": asdict(self.settings), "sampling": self.sampling}

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
        places = engine.settings.slots * engine.settings.servers
        self._threads = ThreadPoolExecutor(places, thread_name_prefix="llamacpp")

    async def complete(self, request: Request) -> Response:
        """Answer one request without blocking the event loop; cancelled, it frees its slot at the next token."""
        cancelled = threading.Event()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, self.engine.complete, request, cancelled)
        finally:
            cancelled.set()

    async def stream(self, request: Request) -> AsyncIterator[StreamEvent]:
        """Answer one request piece by piece, as DSPy asks for where somebody listens (``send_stream``)."""
        from dspy.lm15 import StreamDeltaEvent, StreamEndEvent, StreamStartEvent, TextDelta

        loop, pieces, cancelled = asyncio.get_running_loop(), asyncio.Queue[str](), threading.Event()

        def heard(text: str) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, text)

        work = loop.run_in_executor(self._threads, self.engine.complete, request, cancelled, heard)
        work.add_done_callback(lambda _: pieces.put_nowait(""))  # after all that was heard: both go through the loop
        try:
            yield StreamStartEvent(model=request.model)
            while text := await pieces.get():
                yield StreamDeltaEvent(TextDelta(text))
            response = await work
            yield StreamEndEvent(finish_reason=response.finish_reason, usage=response.usage)
        finally:
            cancelled.set()

    def dump_state(self) -> dict[str, Any]:
        """State for DSPy's save."""
        return self.engine.dump_state()

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> AsyncLlamaEngine:
        """Rebuild from `dump_state`."""
        return cls(LlamaEngine.load_state(state))


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


def _response(chunks: list[dict[str, Any]], model: str) -> Response:
    from dspy.lm15 import Message, Response, TextPart, Usage

    choices = [choice for chunk in chunks for choice in chunk.get("choices", ())]
    text = "".join(map(_text, chunks))
    cut = any(choice.get("finish_reason") == "length" for choice in choices)
    # A cancelled request ends without its usage.
    usage: dict[str, Any] = next((chunk["usage"] for chunk in reversed(chunks) if chunk.get("usage")), {})
    return Response(
        id=chunks[0].get("id") if chunks else None,
        model=model,
        message=Message.assistant([TextPart(text)]),
        finish_reason="length" if cut else "stop",
        usage=Usage(
            input_tokens=usage.get("prompt_tokens"),
            output_tokens=usage.get("completion_tokens"),
            total_tokens=usage.get("total_tokens"),
            cache_read_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0),
        ),
    )


def _text(chunk: dict[str, Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in chunk.get("choices", ()))


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
    try:
        with file.open("rb") as stream:
            magic = stream.read(4)
    except OSError as error:
        raise LMSpecError(f"llamacpp:{path}: cannot be read ({error.strerror or error})") from error
    if magic != b"GGUF":
        raise LMSpecError(f"llamacpp:{path}: not a GGUF file; convert the model or download its GGUF")
    return str(file.absolute())  # not resolved: parts of a split model are found by this name


def check_adapter(model: str, adapter: str = "") -> None:
    """Check that one GGUF file is a model and the other, where there is one, an adapter for its architecture.

    Whether an adapter's matrices fit the model's, llama.cpp sees when it loads both.

    Raises:
        LMSpecError: naming the file that is something else.
    """
    base = read_header(Path(model))
    if base.kind == "adapter":
        raise LMSpecError(f"llamacpp:{model}: an adapter, not a model; write llamacpp:MODEL.gguf+{Path(model).name}")
    if not adapter:
        return
    lora = read_header(Path(adapter))
    if lora.kind != "adapter":
        raise LMSpecError(f"llamacpp:{adapter}: a {lora.kind}, not an adapter; the file after + is the LoRA adapter")
    if base.architecture != lora.architecture:
        ours, theirs = lora.architecture or "unknown", base.architecture or "unknown"
        raise LMSpecError(f"llamacpp:{model}+{adapter}: an adapter for {ours} models; this model is {theirs}")
