"""From a role and one spec string to a DSPy LM: the only file that names providers.

A spec is ``MODEL[?key=value&…]``; the part after ``?`` holds the sampling settings that suit
the LM, so that changing the LM changes them too. `FORMS` lists what MODEL can be.
API keys come from the environment only; a spec that carries one is refused.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from socialsim.engines.patience import Patience
from socialsim.errors import LMSpecError
from socialsim.lm_errors import HTTP_KEY, carries_key, reason, redact

if TYPE_CHECKING:
    import dspy

    from socialsim.engines.batch_lm import BatchLM

DEFAULT_SPEC: Final = "embedded"
PLAIN: Final = "embedded:base"


class Form(NamedTuple):
    """One form of a spec, for help and tables."""

    spec: str
    meaning: str


FORMS: Final[tuple[Form, ...]] = (
    Form("embedded", "SmolLM2-135M-Instruct in process (default; no key, no server, poor prose)"),
    Form("llamacpp:PATH.gguf", "any GGUF file in process"),
    Form("llamacpp:PATH.gguf+ADAPTER.gguf", "the same with a LoRA adapter"),
    Form("llamacpp:HF_REPO:FILE", "a GGUF from the Hugging Face hub in process"),
    Form(PLAIN, "embedded without the adapter that may ship with it"),
    Form("student:DIR", "a student that `socialsim finetune` wrote, or any model folder, PATH.gguf or embedded"),
    Form("ollama/MODEL", "a model of a local Ollama server (OLLAMA_HOST)"),
    Form("http://HOST:PORT/v1#MODEL", f"any OpenAI-compatible server: vLLM, SGLang, llama.cpp ({HTTP_KEY})"),
    Form("openai/MODEL", "OpenAI (OPENAI_API_KEY)"),
    Form("anthropic/MODEL", "Anthropic (ANTHROPIC_API_KEY)"),
    Form("PROVIDER/MODEL", "every other provider DSPy routes (gemini, groq, deepseek, azure, …)"),
)

# What each kind of LM is given unless its spec says otherwise. A very small model needs
# pressure against loops; a large one needs room for the one-pass dialogue and nothing else.
_GGUF_DEFAULTS: Final[dict[str, float]] = {
    "temperature": 0.8,
    "min_p": 0.05,
    "max_tokens": 5000,  # the schema bounds an answer; this only stops a runaway
}
_EMBEDDED_DEFAULTS: Final[dict[str, float]] = _GGUF_DEFAULTS | {
    "temperature": 0.7,
    "repeat_penalty": 1.05,
    "dry_multiplier": 0.4,
    "dry_allowed_length": 6,
}
_STUDENT: Final = "student:"
_REMOTE_DEFAULTS: Final[dict[str, float]] = {"temperature": 0.8, "max_tokens": 8000}
# OpenAI's reasoning models take no temperature and want room to think.
_REASONING_DEFAULTS: Final[dict[str, float]] = {"max_tokens": 16000}
_OPENAI: Final = "https://api.openai.com/v1"
_BUNDLED_POOL: Final = 100  # connections of DSPy's own client; a request beyond them would wait in it unseen
_COMMON: Final = frozenset({"temperature", "top_p", "max_tokens", "timeout", "retries"})
_REMOTE: Final = frozenset({"patience"})
_WAITING: Final = frozenset({"timeout", "retries", "patience"})  # no answer depends on them
_LOADING: Final = frozenset({"slots", "context", "threads", "servers"})
_WHOLE: Final = _LOADING | {"max_tokens", "retries", "top_k", "repeat_last_n", "dry_allowed_length"}
_POSITIVE: Final = frozenset({"max_tokens", "timeout", "slots", "context", "servers"})
_MAY_BE_NEGATIVE: Final = frozenset({"repeat_last_n"})  # -1: the whole context


@dataclass(frozen=True)
class LMSpec:
    """A parsed spec.

    Attributes:
        text: the spec as the user wrote it (never holds a key).
        model: the part before ``?``.
        options: the settings after it.
    """

    text: str
    model: str
    options: dict[str, float] = field(default_factory=dict, compare=False)  # follow from the text

    @property
    def embedded(self) -> bool:
        """Whether this is the small model of the project, with or without its adapter."""
        return self.model in (DEFAULT_SPEC, PLAIN)

    @property
    def learnt_prompts(self) -> bool:
        """Whether it was trained on the programs' own prompts, so that examples in them only cost."""
        from socialsim.resources import embedded_adapter

        return self.model == DEFAULT_SPEC and embedded_adapter() is not None

    @property
    def in_process(self) -> bool:
        """Whether the model runs inside this process."""
        return _is_in_process(self.model)

    @property
    def files(self) -> tuple[str, str]:
        """Of a ``llamacpp:`` spec: the model and the adapter as written; the adapter is empty where there is none."""
        where = self.model.removeprefix("llamacpp:")
        base, plus, adapter = where.partition(".gguf+")
        if not plus or os.path.isfile(os.path.expanduser(where)):  # a file may be named like that
            return where, ""
        return f"{base}.gguf", adapter

    @property
    def file_names(self) -> tuple[str, ...]:
        """The same without folders, host and repository, and without an adapter that is not there."""
        return tuple(re.split(r"[:/\\]", file)[-1] for file in self.files if file)


def _is_in_process(model: str) -> bool:
    return model in (DEFAULT_SPEC, PLAIN) or model.startswith(("llamacpp:", _STUDENT))


def parse_spec(text: str) -> LMSpec:
    """Parse a spec string.

    Raises:
        LMSpecError: naming the spec and the forms it may take.
    """
    model, _, query = text.strip().partition("?")
    if not model:
        raise LMSpecError("an LM spec is empty; `socialsim lms` lists the forms")
    if carries_key(text):
        raise LMSpecError(f"an LM spec carries a key; put keys into the environment ({HTTP_KEY} for your own server)")
    if not _known_form(model):
        settings, _, name = query.partition("#")
        if name and _known_form(meant := f"{model}#{name}"):
            raise LMSpecError(f"LM spec {redact(text)!r}: settings come last; write {redact(f'{meant}?{settings}')!r}")
        forms = ", ".join(form.spec for form in FORMS)
        raise LMSpecError(f"unknown LM spec {redact(text)!r}; use one of: {forms}")
    return LMSpec(text.strip(), model, _options(text, query, model))


def _known_form(model: str) -> bool:
    if model.startswith(("http://", "https://")):
        try:
            parts = urlsplit(model)
            return bool(parts.hostname and parts.port != 0 and parts.fragment)
        except ValueError:  # a port out of range, half an IPv6 address
            return False
    if _is_in_process(model):
        return model not in ("llamacpp:", _STUDENT) and not model.endswith(".gguf+")
    provider, slash, name = model.partition("/")
    return bool(provider and slash and name) and " " not in model


def _options(text: str, query: str, model: str) -> dict[str, float]:
    from socialsim.engines.llamacpp import SAMPLING

    own = {"min_p", "slots"} if model.startswith(_STUDENT) else SAMPLING | _LOADING
    allowed = _COMMON | (own if _is_in_process(model) else _REMOTE)
    options: dict[str, float] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in allowed:
            raise LMSpecError(f"LM spec {text!r}: unknown setting {key!r}; known here: {', '.join(sorted(allowed))}")
        options[key] = _number(text, key, value)
    return options


def _number(text: str, key: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or (key in _WHOLE and number != int(number)):
        raise LMSpecError(f"LM spec {text!r}: {key} takes a {'whole ' if key in _WHOLE else ''}number, not {value!r}")
    if (number < 0 and key not in _MAY_BE_NEGATIVE) or (number == 0 and key in _POSITIVE):
        raise LMSpecError(f"LM spec {text!r}: {key} must be {'above' if key in _POSITIVE else 'at least'} 0")
    return int(number) if key in _WHOLE else number


def without_waiting(text: str) -> str:
    """A spec without how long to wait, which may change in the middle of a run: what answers depend on."""
    model, _, query = text.partition("?")
    settings = "&".join(part for part in query.split("&") if part.partition("=")[0] not in _WAITING)
    return f"{model}?{settings}" if settings else model


def usual_shots(specs: Iterable[LMSpec]) -> int:
    """Authored examples in an uncompiled prompt, unless the user says otherwise.

    Three; one where all LMs run in process, since long prompts are slow there; none where these have learnt the
    prompts.
    """
    asked = list(specs)
    if not all(spec.in_process for spec in asked):
        return 3
    return 0 if all(spec.learnt_prompts for spec in asked) else 1


def build_lm(spec: LMSpec) -> dspy.LM:
    """Make the DSPy LM of a spec.

    No LM is contacted and no model loaded before the first call; weights that are not on this
    machine yet (``embedded``, ``llamacpp:HF_REPO:FILE``) are fetched here.

    Raises:
        LMSpecError: if a file, a key or an extra that the spec needs is missing.
    """
    # DSPy would fetch a price list at its first call; the bundled one serves as well.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    if spec.model.startswith(_STUDENT):
        from socialsim.engines.student import student_lm

        return student_lm(spec.model.removeprefix(_STUDENT), _GGUF_DEFAULTS | spec.options)
    if spec.in_process:
        return _in_process(spec)
    if spec.model.startswith(("http://", "https://")):
        base, _, model = spec.model.partition("#")
        return _served(spec, "http", base.rstrip("/"), model, os.environ.get(HTTP_KEY) or "none")
    if spec.model.startswith("ollama/"):
        return _served(spec, "ollama", f"{ollama_host()}/v1", spec.model.removeprefix("ollama/"), "none")
    return _routed(spec)


def _in_process(spec: LMSpec) -> dspy.LM:
    import dspy

    from socialsim.engines.llamacpp import SAMPLING, AsyncLlamaEngine, LlamaEngine, LlamaSettings

    options = (_embedded_defaults() if spec.embedded else _GGUF_DEFAULTS) | spec.options
    path, adapter = _gguf(spec)
    loading = LlamaSettings(**{key: int(options[key]) for key in _LOADING if key in options}, adapter=adapter)
    sampling = {key: options[key] for key in SAMPLING if key in options}
    engine = LlamaEngine(path, loading, sampling)
    return dspy.LM(
        f"llamacpp/{_name(spec)}",
        engine=engine,
        async_engine=AsyncLlamaEngine(engine),
        cache=False,
        temperature=options["temperature"],
        max_tokens=int(options["max_tokens"]),
        **({"top_p": options["top_p"]} if "top_p" in options else {}),
    )


def _name(spec: LMSpec) -> str:
    names = "" if spec.embedded else "+".join(spec.file_names)
    return names if "+" in names else spec.model.removeprefix("llamacpp:")


def _embedded_defaults() -> dict[str, float]:
    """A model this small runs best as several servers of one thread each (EXPERIMENTS.md)."""
    from socialsim.engines.llamacpp import free_cores

    return _EMBEDDED_DEFAULTS | {"servers": min(free_cores(), 4), "threads": 1, "slots": 2}


def _gguf(spec: LMSpec) -> tuple[str, str]:
    """The files of the model and of its adapter, each checked; no adapter is an empty path."""
    from socialsim.engines.llamacpp import check_adapter, gguf_path
    from socialsim.resources import embedded_adapter
    from socialsim.weights import embedded_model

    if spec.embedded:
        shipped = embedded_adapter() if spec.model != PLAIN else None
        return str(embedded_model()), str(shipped or "")
    model, adapter = spec.files
    files = _model_file(spec, model), gguf_path(adapter) if adapter else ""
    check_adapter(*files)
    return files


def _model_file(spec: LMSpec, where: str) -> str:
    from socialsim.engines.llamacpp import gguf_path

    repo, colon, file = where.partition(":")
    if not colon or "/" not in repo or not file.endswith(".gguf"):
        return gguf_path(where)
    try:
        from huggingface_hub import hf_hub_download

        downloaded = hf_hub_download(repo, file)
    except Exception as error:  # the hub client raises a dozen unrelated classes
        raise LMSpecError(
            f"{spec.model}: the hub did not give the file ({reason(error)}); check the name and the network"
        ) from error
    return gguf_path(downloaded)


def _served(spec: LMSpec, provider: str, base: str, model: str, key: str) -> dspy.LM:
    """A model of an OpenAI-compatible server."""
    from socialsim.engines.chat import AsyncChatEngine, ChatEngine, ChatServer
    from socialsim.engines.patient_lm import PatientLM

    def make(settings: dict[str, Any]) -> dspy.LM:
        server = ChatServer(base, model, key, settings.pop("timeout"))
        engines = {"engine": ChatEngine(server), "async_engine": AsyncChatEngine(server)}
        return PatientLM(f"{provider}/{model}", _patience(settings), **engines, **settings)

    return _suited(spec, make)


def _routed(spec: LMSpec) -> dspy.LM:
    """A model of a provider that DSPy knows."""
    from socialsim.engines.patient_lm import PatientLM

    def make(settings: dict[str, Any]) -> dspy.LM:
        return PatientLM(spec.model, _patience(settings, ceiling=_BUNDLED_POOL), **settings)

    return _suited(spec, make)


def build_batch_lm(spec: LMSpec) -> BatchLM:
    """Make the LM of a spec whose requests go through its provider's Batch API.

    Raises:
        LMSpecError: if the provider is not known to have one, or the key is missing.
    """
    from socialsim.engines.batch_lm import BatchLM
    from socialsim.engines.chat import ChatServer

    provider, _, model = spec.model.partition("/")
    if spec.model.startswith(("http://", "https://")):
        base, _, model = spec.model.partition("#")
        provider, key = "http", os.environ.get(HTTP_KEY) or "none"
    elif provider == "openai":
        base, key = os.environ.get("OPENAI_BASE_URL") or _OPENAI, os.environ.get("OPENAI_API_KEY", "")
    else:
        raise LMSpecError(f"{spec.text} has no Batch API; --batch takes openai/MODEL or http://HOST:PORT/v1#MODEL")
    if not key:
        raise LMSpecError(f"{spec.text}: --batch needs OPENAI_API_KEY in the environment")

    def make(settings: dict[str, Any]) -> dspy.LM:
        server = ChatServer(base.rstrip("/"), model, key, settings.pop("timeout"))
        settings.pop("patience")
        return BatchLM(f"{provider}/{model}", server, settings.pop("retries"), **settings)

    return _suited(spec, make)


def _patience(settings: dict[str, Any], ceiling: float = Patience.ceiling) -> Patience:
    return Patience(settings.pop("retries"), settings.pop("patience"), ceiling)


def _suited(spec: LMSpec, make: Callable[[dict[str, Any]], dspy.LM]) -> dspy.LM:
    """An LM with the defaults of its kind: DSPy knows which models reason, and refuses the usual ones for them."""
    from dspy.utils.exceptions import LMConfigurationError

    try:
        return make(_settings(spec, _REMOTE_DEFAULTS))
    except LMConfigurationError:
        pass
    try:
        return make(_settings(spec, _REASONING_DEFAULTS))
    except LMConfigurationError as error:
        raise LMSpecError(
            f"{spec.text}: a reasoning model takes no temperature but 1 and max_tokens of at least 16000; "
            "take them out of the spec"
        ) from error


def _settings(spec: LMSpec, defaults: dict[str, float]) -> dict[str, Any]:
    options = defaults | spec.options
    return {
        "cache": False,
        "retries": int(options.get("retries", 5)),
        "timeout": options.get("timeout", 120.0),
        "patience": options.get("patience", 180.0),
        **{key: options[key] for key in ("temperature", "top_p", "max_tokens") if key in options},
    }


def ollama_host() -> str:
    """Ollama's address: ``OLLAMA_HOST``, completed by scheme and port as Ollama's own client does."""
    host = (os.environ.get("OLLAMA_HOST") or "127.0.0.1").rstrip("/")
    if "://" in host:
        return host
    return f"http://{host}" if re.search(r":\d+$", host) else f"http://{host}:11434"
