"""What an LM's failure means to a user, and how keys are kept out of every message."""

from __future__ import annotations

import os
import re
from typing import Final

HTTP_KEY: Final = "SOCIALSIM_API_KEY"
# Codes of an error that is about one answer, which may be asked for again: not about the server.
TRUNCATED: Final = "truncated"
FILTERED: Final = "content_filter"
FILTER_SAYS: Final = "the provider's content filter refused"
UNUSABLE: Final = {TRUNCATED: "the answer was cut off at max_tokens", FILTERED: f"{FILTER_SAYS} to answer"}
# Of one that is about one request: it failed again and again while others were answered.
UNANSWERED: Final = "unanswered"

_KEY = re.compile(r"\b(?:sk-[\w-]{8,}|(?:xai-|hf_|gsk_|AIza)[\w-]{16,})")
_USER_IN_URL = re.compile(r"(?<=://)[^/#?\s]*@")
_KEY_SETTING = re.compile(r"(?i)[?&][\w-]*(?:key|token|secret|password)=")
_KEY_VARIABLE = re.compile(r"(?i)(?:key|token|secret|password)$")


def carries_key(spec: str) -> bool:
    """Whether an LM spec holds what looks like a key."""
    return any(pattern.search(spec) for pattern in (_KEY, _USER_IN_URL, _KEY_SETTING))


def redact(text: str) -> str:
    """Replace every key that lies in the environment, and whatever looks like one, by ``***``."""
    secrets = {value for name, value in os.environ.items() if _KEY_VARIABLE.search(name) and len(value) >= 8}
    for value in sorted(secrets, key=len, reverse=True):
        text = text.replace(value, "***")
    return _KEY.sub("***", _USER_IN_URL.sub("***@", text))


def reason(error: Exception) -> str:
    """The first line of what an error says, without keys; its class where it says nothing."""
    return redact((str(error).strip().splitlines() or [type(error).__name__])[0])


# DSPy adds advice for Python callers; ours follows instead.
_ADVICE = re.compile(r" (?:To fix:|credential came from:)|, or pass api_key=|; this is lm15's read timeout")


def explain_lm_error(role: str, spec: str, error: Exception) -> str:
    """One line for an LM failure: which role, which spec, what to do."""
    said = _ADVICE.split(" ".join(redact(str(error)).split()))[0]
    if len(said) > 240:
        said = said[:240] + "…"
    return f"{role} LM {spec}: {said}; {_remedy(spec, error)}"


def _remedy(spec: str, error: Exception) -> str:
    from dspy.utils import exceptions as kinds

    own_server = spec.startswith(("http://", "https://"))
    if own_server and isinstance(error, kinds.LMAuthError):
        return f"the API key is missing or refused; put the server's key into {HTTP_KEY}"
    if getattr(error, "status", None) == 404 and spec.startswith("ollama/"):
        return f"check the model's name, or fetch it: `socialsim lms --lm {spec.partition('?')[0]} --pull`"
    if getattr(error, "status", None) == 404:
        return "check the model's name" + (" and the address, which mostly ends in /v1" if own_server else "")
    if isinstance(error, kinds.LMTransportError) and "read timed out" in str(error):
        error = kinds.LMTimeoutError(str(error))
    remedies: list[tuple[type[Exception], str]] = [
        (kinds.LMNotConfiguredError, "set the provider's API key in the environment"),
        (kinds.LMAuthError, "the API key is missing or refused; set the right one in the environment"),
        (kinds.LMBillingError, "the account has no credit; top it up and run again, finished items are kept"),
        (kinds.LMUnsupportedModelError, "check the model's name"),
        (kinds.LMRateLimitError, "lower --concurrency or wait, then run again; finished items are kept"),
        (kinds.LMTimeoutError, "raise it with ?timeout=SECONDS in the spec, then run again; finished items are kept"),
        (kinds.LMTransportError, "is the server up and the address right? run again then; finished items are kept"),
        (kinds.LMServerError, "the server failed; run again later, finished items are kept"),
        (kinds.ContextWindowExceededError, "the prompt is too long; use an LM with a longer context"),
        (kinds.LMInvalidRequestError, "the server refused the request; check model name and settings"),
    ]
    return next((text for kind, text in remedies if isinstance(error, kind)), "see `socialsim lms`")
