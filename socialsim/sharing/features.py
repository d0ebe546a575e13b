"""The columns of the data set with their types, for `datasets`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from socialsim.formats.hub import MAPS
from socialsim.schema import Personality, Usage

if TYPE_CHECKING:
    from datasets import Features


def features() -> Features:
    """One row is a dialogue; ``persona`` is null where a corpus has none."""
    from datasets import Features

    flags = [{"kind": _text(), "detail": _text()}]
    columns = {
        "id": _text(),
        "persona_id": _text(),
        "persona": _persona(),
        "turns": [{"speaker": _text(), "text": _text(), "reasoning": _reasoning(), "flags": flags}],
        "flags": flags,
        "provenance": _provenance(),
    }
    return Features(columns)


def _value(kind: str) -> Any:
    from datasets import Value

    return Value(kind)


def _text() -> Any:
    return _value("string")


def _texts(*names: str) -> dict[str, Any]:
    return {name: _text() for name in names}


def _persona() -> Mapping[str, Any]:
    return {
        **_texts("id", "gender"),
        "age": _value("int32"),
        "occupation": _text(),
        "personality": _texts(*Personality.model_fields),
        "topic": _text(),
        "subtopics": [_text()],
        **_texts("question", "description"),
        "emotions": [_text()],
        **_texts("attempts", "goals", "situation", "event_time", "event_location", "event_participants"),
        "inferred": [_text()],
        "provenance": _provenance(),
    }


def _reasoning() -> Mapping[str, Any]:
    strategies = [_texts("strategy", "stage")]
    return {**_texts("situation", "thought", "action"), "strategies": strategies, **_texts("purpose", "raw")}


def _provenance() -> Mapping[str, Any]:
    return {
        "mode": _text(),
        "seed": _value("int64"),
        **{name: [_texts(key, value)] for name, (key, value) in MAPS.items() if name != "checks"},
        "nodes": [_text()],
        "demonstrations": [_text()],
        "asked_again": _value("int64"),
        "checks": [{"rule": _text(), "score": _value("float64")}],
        "usage": {name: _value(_number(field.annotation)) for name, field in Usage.model_fields.items()},
    }


def _number(annotation: Any) -> str:
    return "float64" if float in (annotation, *get_args(annotation)) else "int64"
