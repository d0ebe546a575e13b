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
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, Literal, Protocol, TypeVar, cast, get_args, get_origin

import dspy
from dspy.adapters.json_adapter import _get_structured_outputs_response_format
from dspy.utils.exceptions import AdapterParseError
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from socialsim.identity import Same

Schema = dict[str, Any]
F = TypeVar("F", bound=Callable[..., Any])


class _Decorator(Protocol):
    def __call__(self, function: F, /) -> F: ...


def _remembered(size: int) -> _Decorator:
    """``lru_cache`` for functions of a signature: its metaclass hides from mypy that a class can be hashed."""

    def remembered(function: F) -> F:
        return cast(F, lru_cache(maxsize=size)(function))

    return remembered


# In a field's ``json_schema_extra``: the instructions explain its values, the prompt need not list them.
UNLISTED: Final = "unlisted"

# A line of an input that looks like one of our headings. It is a stranger's text: a backslash before
# the hashes (Markdown's own escape) keeps it from passing for an input such as a correction.
_HEADING = re.compile(r"((?:^|[\n\r\v\f\x85\u2028\u2029])[ \t\u00a0\u200b\u3000\ufeff]*)(#{2,}|#(?=\s))")


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


@_remembered(1024)
def _single_model(signature: type[dspy.Signature]) -> tuple[str, type[BaseModel]] | None:
    fields = list(signature.output_fields.items())
    annotation = fields[0][1].annotation
    if len(fields) == 1 and _is_model(annotation):
        return fields[0][0], annotation
    return None


def _close_objects(schema: Schema) -> Schema:
    """Require every property and forbid others at every level, as strict structured output wants it."""
    schema.pop(UNLISTED, None)
    if schema.get("type") == "object":
        schema["required"] = list(schema.get("properties", {}))
        schema["additionalProperties"] = False
    children = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    children += [schema["items"]] if isinstance(schema.get("items"), dict) else []
    for child in [*children, *schema.get("anyOf", ()), *schema.get("prefixItems", ())]:
        _close_objects(child)
    return schema


@_remembered(1024)
def _input_names(signature: type[dspy.Signature]) -> tuple[str, ...]:
    return tuple(signature.input_fields)


@_remembered(1024)
def response_schema(signature: type[dspy.Signature]) -> Schema:
    """The JSON schema of a signature's answer."""
    single = _single_model(signature)
    model = single[1] if single else _get_structured_outputs_response_format(signature)
    return _close_objects(model.model_json_schema())


@_remembered(1024)
def _response_format(signature: type[dspy.Signature]) -> Schema | None:
    """What a request says of its answer's form, not to be changed.

    None for an object of any keys, as an optimiser may ask for: no strict schema can describe it.
    """
    loose = any(get_origin(field.annotation) is dict for field in signature.output_fields.values())
    if loose and not _single_model(signature):
        return None
    schema = {"name": signature.__name__[:60], "schema": response_schema(signature), "strict": True}
    return {"type": "json_schema", "json_schema": schema}


@_remembered(1024)
def _takes_text(signature: type[dspy.Signature]) -> bool:
    return all(field.annotation is str for field in signature.input_fields.values())


def _values(annotation: Any) -> str:
    """Allowed values of a field in words, empty where anything goes."""
    if get_origin(annotation) is Literal:
        return "one of: " + "; ".join(str(value) for value in get_args(annotation))
    inner = get_args(annotation)
    if get_origin(annotation) in (list, tuple) and inner:
        values = "with" if _is_model(inner[0]) else _values(inner[0])
        return "a list, each " + values if values else "a list"
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(annotation, "")


def _describe(name: str, field: FieldInfo, indent: str = "") -> str:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    values = "" if UNLISTED in extra else _values(field.annotation)
    parts = [part for part in (field.description or extra.get("desc"), values) if part and part != f"${{{name}}}"]
    lines = [f"{indent}- {name}: {'; '.join(map(str, parts))}" if parts else f"{indent}- {name}"]
    for model in filter(_is_model, get_args(field.annotation)):  # the items of a list
        lines += [_describe(inner, part, indent + "  ") for inner, part in model.model_fields.items()]
    return "\n".join(lines)


@_remembered(1024)
def _fields_text(signature: type[dspy.Signature]) -> str:
    single = _single_model(signature)
    fields = single[1].model_fields if single else signature.output_fields
    answers = [_describe(name, field) for name, field in fields.items()]
    return "Answer with one JSON object with these fields, in this order:\n" + "\n".join(answers)


@_remembered(1024)
def _system_text(signature: type[dspy.Signature]) -> str:
    return f"{signature.instructions}\n\n{_fields_text(signature)}"


class CompactAdapter(dspy.JSONAdapter):
    """DSPy's JSON adapter with short messages and cached schemas."""

    def _prepare_response_format(
        self, lm: dspy.BaseLM, lm_kwargs: dict[str, Any], signature: type[dspy.Signature]
    ) -> None:
        if lm.supports_response_schema and (form := _response_format(signature)):
            lm_kwargs["response_format"] = form
        elif "response_format" in lm.supported_params:
            lm_kwargs["response_format"] = {"type": "json_object"}

    async def answer(
        self,
        lm: dspy.BaseLM,
        config: dict[str, Any],
        signature: type[dspy.Signature],
        demos: list[dict[str, Any]],
        inputs: dict[str, Any],
    ) -> dict[str, Any] | None:
        """Ask without what DSPy does for those who watch; the caller knows that nobody does.

        Returns:
            The output fields; None, and nobody was asked, where LM, signature or inputs need all of DSPy.

        Raises:
            AdapterParseError: if the answer is malformed.
        """
        plainly = getattr(lm, "takes_plainly", None)
        if not plainly or not _single_model(signature) or inputs.keys() != set(_input_names(signature)):
            return None
        options = dict(config)
        self._prepare_response_format(lm, options, signature)
        if not plainly(options):
            return None
        text = await lm.answer(self._messages(signature, demos, inputs), options)
        if not text:
            raise AdapterParseError("JSONAdapter", signature, text, message="the answer was empty")
        return self._read(signature, text)

    def format(
        self, signature: type[dspy.Signature], demos: list[dict[str, Any]], inputs: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """System message, demonstrations, inputs."""
        return [dict(message) for message in self._messages(signature, demos, inputs)]

    def _messages(
        self, signature: type[dspy.Signature], demos: list[dict[str, Any]], inputs: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """What `format` gives, which DSPy wraps for callbacks; to be read only."""
        if not _takes_text(signature):
            messages: list[dict[str, Any]] = super().format(signature, demos, inputs)
            return messages
        content = self.format_user_message_content(signature, inputs, main_request=True)
        messages = [{"role": "system", "content": self.format_system_message(signature)}]
        messages += _shown(self, _likeness(signature), Same(demos))
        return [*messages, {"role": "user", "content": content}] if content else messages

    def format_demos(self, signature: type[dspy.Signature], demos: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The demonstrations' messages; those of a run are the same in every prompt."""
        return [dict(message) for message in _shown(self, _likeness(signature), Same(demos))]

    def format_system_message(self, signature: type[dspy.Signature]) -> str:
        """The task first, then the answer's fields; both are fixed for a signature."""
        return _system_text(signature)

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
        for name in _input_names(signature):
            value = inputs.get(name)
            if value not in (None, "", [], (), PydanticUndefined):
                text = _as_text(value)
                if "#" in text:
                    text = _HEADING.sub(r"\1\\\2", text)
                parts.append(f"## {name.replace('_', ' ').capitalize()}\n{text}")
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
        return self._read(signature, completion)

    def _read(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        """What `parse` gives, which DSPy wraps for callbacks."""
        single = _single_model(signature)
        if single:
            try:
                return {single[0]: single[1].model_validate_json(completion)}
            except ValidationError:  # what is around the object, or wrong in it, may be mended
                pass
        found = _outermost_object(completion)
        made: dict[str, Any] = super().parse(signature, f'{{"{single[0]}": {found}}}' if single else completion)
        if _is_cut_off(found):
            raise AdapterParseError("JSONAdapter", signature, completion, message="the answer was cut off")
        return made


@_remembered(64)
def _shown(adapter: CompactAdapter, like: _Likeness, demos: Same[Any]) -> list[dict[str, Any]]:
    return dspy.JSONAdapter.format_demos(adapter, like.signature, list(demos.items))


class _Likeness:
    """A signature as far as its demonstrations show it: one with fewer values allowed shows them the same way."""

    def __init__(self, signature: type[dspy.Signature]) -> None:
        self.signature = signature
        inputs, outputs = signature.input_fields, signature.output_fields
        self._key = (tuple(inputs), tuple(outputs), _single_model(signature) is None)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Likeness) and self._key == other._key


_likeness = _remembered(1024)(_Likeness)


def _outermost_object(completion: str) -> str:
    # Models without schema decoding wrap the object in prose or a code fence.
    start = completion.find("{")
    if start < 0:
        return completion
    try:
        return completion[start : json.JSONDecoder().raw_decode(completion, start)[1]]
    except json.JSONDecodeError:
        # To be repaired. Behind the last brace stands prose, or the item at which the answer was cut off:
        # that one must stay, or a shortened list would pass for a whole one.
        end = completion.rfind("}") + 1
        return completion[start:] if end <= start or '"' in completion[end:] else completion[start:end]


def _is_cut_off(text: str) -> bool:
    """Whether JSON ends within a value: mended, it would pass for a shorter answer. A last brace may be missing."""
    opened: list[str] = []
    in_string = escaped = False
    last = ""
    for character in text:
        if in_string:
            in_string, escaped = escaped or character != '"', character == "\\" and not escaped
        elif character in "{[":
            opened.append(character)
        elif character in "}]":
            if last == ":" or not opened or opened.pop() + character not in ("{}", "[]"):
                return True
        else:
            in_string = character == '"'
        last = last if character.isspace() else character
    return in_string or len(opened) > 1 or bool(opened and last not in '"]}')


def _as_json(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def _as_text(value: Any) -> str:
    value = _as_json(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
