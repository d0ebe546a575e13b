"""Limits of an answer that reach the decoder only: the JSON schema knows them, neither prompt nor validation does.

So a prompt stays the same for a cache whatever one call may quote, a decoder that honours the schema cannot leave
the limits, and what any other LM answers is checked afterwards, with a reason that it can act on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import new_class
from typing import Any

import dspy
from pydantic import BaseModel, ConfigDict

from signatures.limits import prose

Schema = dict[str, Any]


def bounded(most: int, least: int = 1) -> Callable[[Schema], None]:
    """A field's ``json_schema_extra``: the decoder may write so many words. A small model writes all that it may.

    Args:
        most: words at most.
        least: words at least; 0 if the text may be empty.
    """
    pattern: str = prose("", most, max(least, 1)).json_schema_extra["pattern"]
    pattern = pattern if least else f"^({pattern[1:-1]})?$"

    def change(schema: Schema) -> None:
        for limit in ("minLength", "maxLength"):  # a decoder that counts words and characters at once is slow
            schema.pop(limit, None)
        schema["pattern"] = pattern

    return change


def one_of(values: tuple[str, ...]) -> Schema:
    """The schema of a text that must be one of these."""
    return {"type": "string", "enum": list(values)}


def limited(model: type[BaseModel], **schemas: Schema) -> type[BaseModel]:
    """A model that validates as ``model`` does and asks the decoder for less.

    Args:
        model: the answer.
        schemas: field name to the schema it gets; its description stays.
    """

    def change(schema: Schema) -> None:
        fields = schema["properties"]
        fields |= {name: {"description": fields[name]["description"], **new} for name, new in schemas.items()}

    body = {"__module__": model.__module__, "model_config": ConfigDict(json_schema_extra=change)}
    made: type[BaseModel] = new_class(model.__name__, (model,), exec_body=lambda space: space.update(body))
    return made


@lru_cache(maxsize=256)
def quoting(signature: type[dspy.Signature], **choices: tuple[str, ...]) -> type[dspy.Signature]:
    """The same prompt with an answer whose named fields must be one of the given texts; () leaves a field free."""
    answer = signature.output_fields["answer"].annotation
    chosen = {name: one_of(values) for name, values in choices.items() if values}
    return signature.with_updated_fields("answer", type_=limited(answer, **chosen)) if chosen else signature
