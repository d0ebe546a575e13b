"""How a signature becomes messages, and an answer becomes a typed record.

DSPy's own JSON adapter prints the JSON schema into the prompt and indents every JSON; a small
model drowns in it and a large one is paid to read it. This one keeps DSPy's contract (demos,
compile, schemas, parse errors) and sends: one system message (task, fields), each demonstration
as a user/assistant pair, and the inputs under headings, the growing ones last, so that a prompt
cache can reuse everything before them. Empty inputs are left out.

A signature with a single pydantic output answers with that model's own object, not with an
object around it.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin

import dspy
from dspy.adapters.json_adapter import _get_structured_outputs_response_format
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

Schema = dict[str, Any]


def _single_model(signature: type[dspy.Signature]) -> tuple[str, type[BaseModel]] | None:
    fields = list(signature.output_fields.items())
    annotation = fields[0][1].annotation
    if len(fields) == 1 and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return fields[0][0], annotation
    return None


def _close_objects(schema: Schema) -> Schema:
    """Require every property and forbid others, as strict structured output wants it."""
    if schema.get("type") == "object":
        schema["required"] = list(schema.get("properties", {}))
        schema["additionalProperties"] = False
    for child in schema.get("properties", {}).values():
        _close_objects(child)
    for definition in schema.get("$defs", {}).values():
        _close_objects(definition)
    if isinstance(schema.get("items"), dict):
        _close_objects(schema["items"])
    return schema


@lru_cache(maxsize=256)
def response_schema(signature: type[dspy.Signature]) -> Schema:
    """The JSON schema of a signature's answer."""
    single = _single_model(signature)
    model = single[1] if single else _get_structured_outputs_response_format(signature)
    return _close_objects(model.model_json_schema())


def _values(annotation: Any) -> str:
    """Allowed values of a field in words, empty where anything goes."""
    if get_origin(annotation) is Literal:
        return "one of: " + "; ".join(str(value) for value in get_args(annotation))
    inner = get_args(annotation)
    if get_origin(annotation) in (list, tuple) and inner:
        values = _values(inner[0])
        return "a list, each " + values if values else "a list"
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(annotation, "")


def _describe(name: str, annotation: Any, description: str | None) -> str:
    parts = [part for part in (description, _values(annotation)) if part and part != f"${{{name}}}"]
    return f"- {name}: {'; '.join(parts)}" if parts else f"- {name}"


@lru_cache(maxsize=256)
def _fields_text(signature: type[dspy.Signature]) -> str:
    single = _single_model(signature)
    if single:
        answers = [_describe(name, f.annotation, f.description) for name, f in single[1].model_fields.items()]
    else:
        answers = [
            _describe(name, f.annotation, (f.json_schema_extra or {}).get("desc"))  # type: ignore[union-attr, arg-type]
            for name, f in signature.output_fields.items()
        ]
    return "Answer with one JSON object with these fields, in this order:\n" + "\n".join(answers)


class CompactAdapter(dspy.JSONAdapter):
    """DSPy's JSON adapter with short messages and cached schemas."""

    def _prepare_response_format(
        self, lm: dspy.BaseLM, lm_kwargs: dict[str, Any], signature: type[dspy.Signature]
    ) -> None:
        if lm.supports_response_schema:
            schema = {"name": signature.__name__[:60], "schema": response_schema(signature), "strict": True}
            lm_kwargs["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif "response_format" in lm.supported_params:
            lm_kwargs["response_format"] = {"type": "json_object"}

    def format_system_message(self, signature: type[dspy.Signature]) -> str:
        """The task first, then the answer's fields; both are fixed for a signature."""
        return f"{signature.instructions}\n\n{_fields_text(signature)}"

    def format_user_message_content(
        self,
        signature: type[dspy.Signature],
        inputs: dict[str, Any],
        prefix: str = "",
        suffix: str = "",
        main_request: bool = False,
    ) -> str:
        """The inputs under headings, in signature order, empty ones left out."""
        parts = [prefix] if prefix else []
        for name in signature.input_fields:
            value = inputs.get(name)
            if value not in (None, "", [], (), PydanticUndefined):
                parts.append(f"## {name.replace('_', ' ').capitalize()}\n{_as_text(value)}")
        return "\n\n".join([*parts, suffix] if suffix else parts)

    def format_assistant_message_content(
        self, signature: type[dspy.Signature], outputs: dict[str, Any], missing_field_message: str | None = None
    ) -> str:
        """A demonstration's answer as the compact JSON the LM is to write."""
        single = _single_model(signature)
        values = {name: _as_json(outputs.get(name, missing_field_message)) for name in signature.output_fields}
        return json.dumps(values[single[0]] if single else values, ensure_ascii=False)

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        """Read the answer; a malformed one raises ``AdapterParseError``."""
        single = _single_model(signature)
        if single:
            completion = f'{{"{single[0]}": {_outermost_object(completion)}}}'
        return super().parse(signature, completion)  # type: ignore[no-any-return]


def _outermost_object(completion: str) -> str:
    # Models without schema decoding wrap the object in prose or a code fence.
    start, end = completion.find("{"), completion.rfind("}")
    return completion[start : end + 1] if 0 <= start < end else (completion[start:] if start >= 0 else completion)


def _as_json(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def _as_text(value: Any) -> str:
    value = _as_json(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
