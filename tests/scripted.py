"""A scripted LM for tests: DSPy's real path (adapter, schema, parsing, usage) without a model.

lm = scripted_lm(["an answer", "another"])         # each once, in order; then AssertionError
lm = scripted_lm(lambda request: "...")            # or an Exception, which is raised
lm = scripted_lm(lambda request: RateLimitError("slow down"))   # from dspy.lm15
lm = scripted_lm()                                 # a valid answer to whatever schema is asked for
lm = scripted_lm(valid_answers(seed=1, utterance="I hear you."))  # the same with some fields fixed
lm.requests                                        # every dspy.lm15.Request, in order
user_text(lm.requests[0]), system_text(lm.requests[0])
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, TextPart, Usage

Answer = str | dict[str, Any] | Exception
Script = Callable[[Request], Answer] | Iterable[Answer]
Schema = dict[str, Any]


class ScriptedEngine:
    """A synchronous DSPy engine that answers from a script and records requests.

    Args:
        script: a function of the request, or answers to give in order. A dict is sent as JSON, an exception is raised.
    """

    supports_response_schema = True
    supported_params = frozenset({"response_format", "temperature", "max_tokens", "seed"})

    def __init__(self, script: Script) -> None:
        self._answer = script if callable(script) else _in_order(script)
        self.requests: list[Request] = []

    def complete(self, request: Request) -> Response:
        """One answer of the script."""
        self.requests.append(request)
        answer = self._answer(request)
        if isinstance(answer, Exception):
            raise answer
        text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        read = len((system_text(request) + user_text(request)).split())
        usage = Usage(input_tokens=max(read, 1), output_tokens=max(len(text.split()), 1), cache_read_tokens=read // 2)
        message = Message.assistant([TextPart(text)])
        return Response(id=None, model="scripted", message=message, finish_reason="stop", usage=usage)


class AsyncScriptedEngine:
    """The asynchronous face of a `ScriptedEngine`; ``delay`` seconds let tasks overlap."""

    supports_response_schema = True
    supported_params = ScriptedEngine.supported_params

    def __init__(self, sync: ScriptedEngine, delay: float = 0.0) -> None:
        self._sync = sync
        self._delay = delay

    async def complete(self, request: Request) -> Response:
        """One answer of the script."""
        await asyncio.sleep(self._delay)
        return self._sync.complete(request)


class ScriptedLM(dspy.LM):
    """A `dspy.LM` on a scripted engine; ``requests`` are those it received."""

    @property
    def requests(self) -> list[Request]:
        """Every request so far, in order."""
        engine: ScriptedEngine = self._engine_spec
        return engine.requests


def scripted_lm(script: Script | None = None, *, delay: float = 0.0, **kwargs: Any) -> ScriptedLM:
    """An uncached LM that answers from a script; without one, validly to any schema."""
    engine = ScriptedEngine(valid_answers() if script is None else script)
    options = {"cache": False, "num_retries": 0} | kwargs
    return ScriptedLM("scripted/test", engine=engine, async_engine=AsyncScriptedEngine(engine, delay), **options)


def _in_order(answers: Iterable[Answer]) -> Callable[[Request], Answer]:
    left = iter(answers)

    def answer(_: Request) -> Answer:
        try:
            return next(left)
        except StopIteration:
            raise AssertionError("the LM was asked more often than the script has answers") from None

    return answer


def system_text(request: Request) -> str:
    """The system message of a request."""
    system = request.system or ""
    return system if isinstance(system, str) else "".join(part.text for part in system)


def user_text(request: Request) -> str:
    """The last user message of a request, demonstrations not included."""
    texts = [message.text or "" for message in request.messages if message.role == "user"]
    return texts[-1] if texts else ""


def valid_answers(seed: int | None = None, **fixed: Any) -> Callable[[Request], dict[str, Any]]:
    """A script that answers any request validly.

    Args:
        seed: choose enum values, numbers and lengths at random with this seed; None takes the first or least.
        fixed: values for fields of these names, at any depth; a callable is called for a new value each time.
    """
    writer = _Writer(None if seed is None else random.Random(seed), fixed)

    def answer(request: Request) -> dict[str, Any]:
        return writer.object_for(schema_of(request))

    return answer


def schema_of(request: Request) -> Schema:
    """The JSON schema a request asks for."""
    form = request.config.response_format or {}
    schema: Schema | None = form.get("schema") or form.get("json_schema", {}).get("schema")
    assert schema, "the request asks for no JSON schema"
    return schema


def writer(rng: random.Random) -> _Writer:
    """Writes answers to schemas, drawn by ``rng``, the sentences too."""
    made = _Writer(rng, {})
    for _ in range(rng.randrange(900)):
        next(made.sentences)
    return made


_FEELINGS = ["worried", "tired", "hopeful", "angry", "lonely", "ashamed", "calm", "stuck", "proud", "nervous"]
_THINGS = [
    "my exam",
    "the long drive",
    "our kitchen",
    "a late shift",
    "the phone bill",
    "my old friend",
    "this small flat",
]
_VERBS = ["remember", "mention", "picture", "describe", "avoid", "explain", "notice"]
_REASONS = ["nobody asked", "the evening was quiet", "it rained all week", "my sister laughed", "we ran late"]


def sentences() -> Iterator[str]:
    """Plain sentences of 13 to 18 words, each unlike those near it."""
    number = 0
    while True:
        number += 1
        feeling, verb = _FEELINGS[number % 10], _VERBS[number % 7]
        thing, reason = _THINGS[number * 3 % 7], _REASONS[number // 7 % 5]
        yield (
            f"Around {_spelt(number)} I felt {feeling}, and I still {verb} {thing} because {reason}.",
            f"Because {reason}, I {verb} {thing}, and by {_spelt(number)} I was rather {feeling}.",
            f"To {verb} {thing} left me {feeling} near {_spelt(number)}, since {reason} that day.",
        )[number % 3]


def _spelt(number: int) -> str:
    """A distinct word for a number, without digits: "cofeville" for 13."""
    syllables = ("ba", "co", "du", "fe", "gi", "lo", "ma", "ne", "pi", "ru")
    return "".join(syllables[int(digit)] for digit in f"{number:02d}") + "ville"


class _Writer:
    """Writes values for JSON schemas."""

    def __init__(self, rng: random.Random | None, fixed: dict[str, Any]) -> None:
        self._rng = rng
        self._fixed = fixed
        self.sentences = sentences()

    def object_for(self, schema: Schema) -> dict[str, Any]:
        value: dict[str, Any] = self._value(schema, schema.get("$defs", {}))
        return value

    def _value(self, schema: Schema, defs: Schema) -> Any:
        if "$ref" in schema:
            return self._value(defs[schema["$ref"].rsplit("/", 1)[-1]], defs)
        for union in ("anyOf", "oneOf", "allOf"):
            if union in schema:
                return self._value(self._pick([part for part in schema[union] if part.get("type") != "null"]), defs)
        if "const" in schema or "enum" in schema:
            return schema["const"] if "const" in schema else self._pick(schema["enum"])
        kind = schema.get("type", "object")
        writers: dict[str, Callable[[Schema, Schema], Any]] = {
            "object": self._object, "array": self._array, "string": self._string, "integer": self._number,
            "number": self._number, "boolean": lambda *_: self._pick([True, False]), "null": lambda *_: None,
        }  # fmt: skip
        return writers[kind](schema, defs)

    def _pick(self, options: list[Any]) -> Any:
        return self._rng.choice(options) if self._rng else options[0]

    def _object(self, schema: Schema, defs: Schema) -> dict[str, Any]:
        return {name: self._field(name, part, defs) for name, part in schema.get("properties", {}).items()}

    def _field(self, name: str, schema: Schema, defs: Schema) -> Any:
        if name not in self._fixed:
            return self._value(schema, defs)
        value = self._fixed[name]
        return value() if callable(value) else value

    def _array(self, schema: Schema, defs: Schema) -> list[Any]:
        least = schema.get("minItems", 1)
        size = self._rng.randint(least, schema.get("maxItems", least + 1)) if self._rng else least
        items: list[Any] = []
        for _ in range(8 * size):  # distinct items, where the schema has enough values
            item = self._value(schema["items"], defs)
            if item in items:
                options = schema["items"].get("enum") or defs.get(_name(schema["items"]), {}).get("enum", [])
                item = next((option for option in options if option not in items), None)
            if item is not None and len(items) < size:
                items.append(item)
        return items

    def _number(self, schema: Schema, _: Schema) -> Any:
        low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
        high = schema.get("maximum", schema.get("exclusiveMaximum", low + 11) - 1)
        return self._rng.randint(int(low), int(high)) if self._rng else low

    def _string(self, schema: Schema, _: Schema) -> str:
        text = next(self.sentences)
        while len(text) < schema.get("minLength", 0):
            text += " " + next(self.sentences)
        limit = schema.get("maxLength")
        return text if limit is None or len(text) <= limit else _shortened(text, limit)


def _name(schema: Schema) -> str:
    return str(schema.get("$ref", "")).rsplit("/", 1)[-1]


def _shortened(text: str, limit: int) -> str:
    """Whole words and a closing period within ``limit`` characters."""
    cut = text[: max(limit - 1, 1)]
    whole = cut.rsplit(" ", 1)[0] if " " in cut else cut
    return (re.sub(r"[^\w]+$", "", whole) + ".")[:limit]
