"""From a role and one spec string to a DSPy LM: the only file that names providers.

A spec is ``MODEL[?key=value&…]``; the part after ``?`` holds the sampling settings that suit
the LM, so that changing the LM changes them too. `FORMS` lists what MODEL can be.
API keys come from the environment only; a spec that carries one is refused.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from socialsim.errors import LMSpecError

if TYPE_CHECKING:
    import dspy

DEFAULT_SPEC: Final = "embedded"
HTTP_KEY: Final = "SOCIALSIM_API_KEY"


class Form(NamedTuple):
    """One form of a spec, for help and tables."""

    spec: str
    meaning: str


FORMS: Final[tuple[Form, ...]] = (
    Form("embedded", "SmolLM2-135M-Instruct in process (default; no key, no server, poor prose)"),
    Form("llamacpp:PATH.gguf", "any GGUF file in process"),
    Form("llamacpp:HF_REPO:FILE", "a GGUF from the Hugging Face hub in process"),
    Form("ollama/MODEL", "a model of a local Ollama server (OLLAMA_HOST)"),
    Form("http://HOST:PORT/v1#MODEL", f"any OpenAI-compatible server: vLLM, SGLang, llama.cpp ({HTTP_KEY})"),
    Form("openai/MODEL", "OpenAI (OPENAI_API_KEY)"),
    Form("anthropic/MODEL", "Anthropic (ANTHROPIC_API_KEY)"),
    Form("PROVIDER/MODEL", "every other provider DSPy routes (gemini, groq, deepseek, azure, …)"),
)

# What each kind of LM is given unless its spec says otherwise. A very small model needs
# pressure against loops; a large one needs room for the one-pass dialogue and nothing else.
_EMBEDDED_DEFAULTS: Final[dict[str, float]] = {
    "temperature": 0.7,
    "min_p": 0.05,
    "repeat_penalty": 1.05,
    "dry_multiplier": 0.4,
    "dry_allowed_length": 6,
    "max_tokens": 5000,  # the schema bounds an answer; this only stops a runaway
}
_REMOTE_DEFAULTS: Final[dict[str, float]] = {"temperature": 0.8, "max_tokens": 8000}
_COMMON: Final = frozenset({"temperature", "top_p", "max_tokens", "timeout", "retries"})
_LOADING: Final = frozenset({"slots", "context", "threads"})


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
    def in_process(self) -> bool:
        """Whether the model runs inside this process."""
        return self.model == "embedded" or self.model.startswith("llamacpp:")


def parse_spec(text: str) -> LMSpec:
    """Parse a spec string.

    Raises:
        LMSpecError: naming the spec and the forms it may take.
    """
    model, _, query = text.strip().partition("?")
    if not model:
        raise LMSpecError("an LM spec is empty; `socialsim lms` lists the forms")
    if "@" in (urlsplit(model).netloc if "://" in model else "") or re.search(r"\bsk-[\w-]{8,}", text):
        raise LMSpecError(f"an LM spec carries a key; put keys into the environment ({HTTP_KEY} for your own server)")
    if not _known_form(model):
        forms = ", ".join(form.spec for form in FORMS)
        raise LMSpecError(f"unknown LM spec {text!r}; use one of: {forms}")
    return LMSpec(text.strip(), model, _options(text, query, model))


def _known_form(model: str) -> bool:
    if model.startswith(("http://", "https://")):
        parts = urlsplit(model)
        return bool(parts.hostname and parts.fragment)
    if model == "embedded":
        return True
    if model.startswith("llamacpp:"):
        return len(model) > len("llamacpp:")
    provider, slash, name = model.partition("/")
    return bool(provider and slash and name) and " " not in model


def _options(text: str, query: str, model: str) -> dict[str, float]:
    from socialsim.engines.llamacpp import SAMPLING

    in_process = model == "embedded" or model.startswith("llamacpp:")
    allowed = _COMMON | ((SAMPLING | _LOADING) if in_process else frozenset())
    options: dict[str, float] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in allowed:
            raise LMSpecError(f"LM spec {text!r}: unknown setting {key!r}; known here: {', '.join(sorted(allowed))}")
        try:
            options[key] = float(value)
        except ValueError as error:
            raise LMSpecError(f"LM spec {text!r}: {key} takes a number, not {value!r}") from error
    return options


def build_lm(spec: LMSpec) -> dspy.LM:
    """Make the DSPy LM of a spec. Nothing is contacted, and a model is loaded at its first call.

    Raises:
        LMSpecError: if a file, a key or an extra that the spec needs is missing.
    """
    # DSPy would fetch a price list at its first call; the bundled one serves as well.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    if spec.in_process:
        return _in_process(spec)
    if spec.model.startswith(("http://", "https://")):
        base, _, model = spec.model.partition("#")
        return _declared(spec, "socialsim-http", base, model, os.environ.get(HTTP_KEY))
    if spec.model.startswith("ollama/"):
        return _declared(spec, "socialsim-ollama", f"{ollama_host()}/v1", spec.model.removeprefix("ollama/"), None)
    return _routed(spec)


def _in_process(spec: LMSpec) -> dspy.LM:
    import dspy

    from socialsim.engines.llamacpp import SAMPLING, AsyncLlamaEngine, LlamaEngine, LlamaSettings

    options = _EMBEDDED_DEFAULTS | spec.options
    loading = LlamaSettings(**{key: int(options[key]) for key in _LOADING if key in options})
    sampling = {key: options[key] for key in SAMPLING if key in options}
    engine = LlamaEngine(_gguf(spec), loading, sampling)
    return dspy.LM(
        f"llamacpp/{spec.model.removeprefix('llamacpp:')}",
        engine=engine,
        async_engine=AsyncLlamaEngine(engine),
        cache=False,
        temperature=options["temperature"],
        max_tokens=int(options["max_tokens"]),
        **({"top_p": options["top_p"]} if "top_p" in options else {}),
    )


def _gguf(spec: LMSpec) -> str:
    from socialsim.engines.llamacpp import gguf_path
    from socialsim.engines.weights import embedded_model

    if spec.model == "embedded":
        return str(embedded_model())
    where = spec.model.removeprefix("llamacpp:")
    repo, colon, file = where.partition(":")
    if not colon or "/" not in repo or not file.endswith(".gguf"):
        return gguf_path(where)
    from huggingface_hub import hf_hub_download

    try:
        return str(hf_hub_download(repo, file))
    except Exception as error:  # the hub client raises a dozen unrelated classes
        reason = redact(str(error).splitlines()[0]) if str(error) else type(error).__name__
        raise LMSpecError(f"{spec.model}: the hub did not give the file ({reason}); check the name and the network")


def _declared(spec: LMSpec, provider: str, base: str, model: str, key: str | None) -> dspy.LM:
    """An OpenAI-compatible server, declared to DSPy so that it routes natively with schemas."""
    import dspy
    from dspy.lm15 import (  # type: ignore[attr-defined]
        AccessPolicy,
        EndpointSupport,
        ModelSupport,
        OpenAIChatCompat,
        ProviderDefinition,
        register_provider,
    )

    access = AccessPolicy(
        provider=provider,
        supports=EndpointSupport(complete=True, stream=True, models=True),
        auth_modes=("bearer",),
        base_url="http://localhost/v1",  # always overridden by api_base
    )
    definition = ProviderDefinition.chat(access, compat=OpenAIChatCompat.preset("vllm"), placeholder_key="none")
    register_provider(definition, supports=ModelSupport(response_schema=True))
    return dspy.LM(f"{provider}/{model}", api_base=base, api_key=key or "none", **_generation(spec))


def _routed(spec: LMSpec) -> dspy.LM:
    import dspy

    try:
        return dspy.LM(spec.model, **_generation(spec))
    except Exception as error:
        # OpenAI's reasoning models take no temperature and want a large budget.
        if "reasoning models" in str(error):
            return dspy.LM(spec.model, cache=False, max_tokens=16000, **_client(spec))
        raise LMSpecError(f"{spec.text}: {redact(str(error))}") from error


def _generation(spec: LMSpec) -> dict[str, Any]:
    options = _REMOTE_DEFAULTS | spec.options
    settings: dict[str, Any] = {key: options[key] for key in ("temperature", "top_p") if key in options}
    return {"cache": False, "max_tokens": int(options["max_tokens"]), **settings, **_client(spec)}


def _client(spec: LMSpec) -> dict[str, Any]:
    retries = int(spec.options.get("retries", 5))
    return {"num_retries": retries, "timeout": spec.options.get("timeout", 120.0)}


def ollama_host() -> str:
    """Ollama's address: ``OLLAMA_HOST`` with a scheme, else the local default."""
    host = os.environ.get("OLLAMA_HOST") or "127.0.0.1:11434"
    return (host if "://" in host else f"http://{host}").rstrip("/")


class Price(NamedTuple):
    """USD a token; ``cached`` is what a cached prompt token costs."""

    prompt: float
    completion: float
    cached: float

    def of(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float:
        """Cost in USD of a number of tokens (cached ones are part of the prompt's)."""
        return (
            (prompt_tokens - cached_tokens) * self.prompt
            + cached_tokens * self.cached
            + completion_tokens * self.completion
        )


def price(spec: LMSpec) -> Price | None:
    """The LM's price from DSPy's bundled list; zero in process and on own servers, None if unknown."""
    if spec.in_process or spec.model.startswith(("http://", "https://", "ollama/")):
        return Price(0.0, 0.0, 0.0)
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    from dspy.clients.model_metadata import model_info, rate

    provider, _, model = spec.model.partition("/")
    info = model_info(provider, model)
    prompt, completion = rate(info, "input_cost_per_token"), rate(info, "output_cost_per_token")
    if prompt is None or completion is None:
        return None
    cached = rate(info, "cache_read_input_token_cost")
    return Price(prompt, completion, prompt if cached is None else cached)


_SECRET_NAME = re.compile(r"(?i)(key|token|secret|password)$")


def redact(text: str) -> str:
    """Replace every key that lies in the environment, and whatever looks like one, by ``***``."""
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= 8:
            text = text.replace(value, "***")
    return re.sub(r"\b(sk|pk|hf|gsk|xai)[-_][\w-]{8,}", "***", text)


def explain_lm_error(role: str, spec: str, error: Exception) -> str:
    """One line for an LM failure: which role, which spec, what to do."""
    from dspy.utils import exceptions as kinds

    remedies: list[tuple[type[Exception], str]] = [
        (kinds.LMNotConfiguredError, "set the provider's API key in the environment"),
        (kinds.LMAuthError, "the API key is missing or refused; set the right one in the environment"),
        (kinds.LMBillingError, "the account has no credit; top it up and run again, finished items are kept"),
        (kinds.LMUnsupportedModelError, "check the model's name"),
        (kinds.LMRateLimitError, "lower --concurrency or wait, then run again; finished items are kept"),
        (kinds.LMTimeoutError, "raise it with ?timeout=SECONDS in the spec, then run again; finished items are kept"),
        (kinds.LMTransportError, "is the server up and the address right? run again then; finished items are kept"),
        (kinds.LMServerError, "the server failed; run again later, finished items are kept"),
        (kinds.LMInvalidRequestError, "the server refused the request; check model name and settings"),
    ]
    remedy = next((text for kind, text in remedies if isinstance(error, kind)), "see `socialsim lms`")
    said = " ".join(redact(str(error)).split())
    if len(said) > 240:
        said = said[:240] + "…"
    return f"{role} LM {spec}: {said}; {remedy}"
