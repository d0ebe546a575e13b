"""Lists on the command line: NAME=VALUE,NAME=VALUE."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from socialsim.errors import LMSpecError, UsageError

if TYPE_CHECKING:
    from socialsim.lms import LMSpec

_NAME = re.compile(r"[^=/:?#\s][^=/:?#]*")  # a spec or a path has one of these signs before its first "="


def parse_named(flag: str, text: str | None) -> dict[str, str]:
    """``A=X,B=Y`` to name and value; a value without a name is called by its last part.

    Raises:
        UsageError: if a value is empty, or two have one name.
    """
    named: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in (text or "").split(","))):
        before, equals, after = part.partition("=")
        given = bool(equals and _NAME.fullmatch(before))
        name, value = (before.strip(), after.strip()) if given else (_last(part), part)
        if not value:
            raise UsageError(f"{flag}: {name}= has no value; give NAME=VALUE")
        if name in named:
            raise UsageError(f"{flag}: two are named {name!r}; name them NAME=VALUE")
        named[name] = value
    if text is not None and not named:
        raise UsageError(f"{flag} is empty; give NAME=VALUE")
    return named


def parse_named_lms(flag: str, text: str | None) -> dict[str, LMSpec]:
    """The same for LM specs.

    Raises:
        LMSpecError: if a spec is malformed.
    """
    from socialsim.lms import parse_spec

    specs = {}
    for name, spec in parse_named(flag, text).items():
        try:
            specs[name] = parse_spec(spec)
        except LMSpecError as error:
            raise LMSpecError(f"model {name!r} (from {flag}): {error}") from error
    return specs


def _last(value: str) -> str:
    """``student:runs/esconv?slots=2`` is called esconv, ``esconv/test.jsonl`` test."""
    last = re.split(r"[/:#=]", value.partition("?")[0].rstrip("/"))[-1]
    return re.sub(r"\.(jsonl?|txt|parquet|gguf)$", "", last) or value
