"""A server that does better with help: for tests of optimisers, and of what a killed compile asks again.

Each answer follows from the request alone, so that a compile on it ends the same way however often it was cut.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import islice
from typing import Any

from dspy.lm15 import Request

from socialsim.resources import training_demonstrations
from socialsim.text import split_emoji
from tests.answering_server import AnsweringServer
from tests.scripted import schema_of, sentences, system_text, valid_answers

MAGIC = "Wombat"  # instructions that hold this word help
INSTRUCTIONS = f"Speak like a {MAGIC} in one plain line."
_SENTENCES = list(islice(sentences(), 100))

Script = Callable[[Request], dict[str, Any] | str]


def key(request: Request) -> int:
    """A number that follows from everything a request says."""
    said = [system_text(request), *(f"{message.role}:{message.text}" for message in request.messages)]
    return int(hashlib.sha256("\n".join(said).encode()).hexdigest(), 16)


def good(request: Request) -> dict[str, Any]:
    """A valid answer in words of its own."""
    number = key(request)
    return valid_answers(number, utterance=_SENTENCES[number % 100])(request)


def reflected(request: Request) -> dict[str, Any] | None:
    """What the reflection LM says if it is asked for instructions or advice; None for a program's own request."""
    properties = schema_of(request)["properties"]
    if not {"answer", "utterance", "age", "exchanges", "score"}.isdisjoint(properties):
        return None
    return valid_answers(0, proposed_instruction=INSTRUCTIONS, new_instruction=INSTRUCTIONS)(request)


def poor(request: Request) -> dict[str, Any]:
    """A valid answer whose every sentence stands in the training set."""
    prose = dict.fromkeys(("utterance", "situation", "thought", "action", "attempts", "goals"), copied_line())
    return valid_answers(0, seeker=copied_line(), age=75, emotions=["zzz"], **prose)(request)


@cache
def copied_line() -> str:
    """A line of a training demonstration."""
    lines = (split_emoji(turn.text).text for demo in training_demonstrations() for turn in demo.dialogue.turns)
    return next(line for line in lines if 9 < len(line.split()) < 20 and line.startswith("I ") and line[-1] == ".")


def helped(request: Request) -> bool:
    """Whether an example, or the magic word, is in the prompt."""
    return MAGIC in system_text(request) or any(message.role == "assistant" for message in request.messages)


def tutored(request: Request) -> dict[str, Any]:
    """Good with help, poor without."""
    return reflected(request) or (good if helped(request) else poor)(request)


def told(request: Request) -> dict[str, Any]:
    """Good if told the magic word, poor without; examples do not help."""
    return reflected(request) or (good if MAGIC in system_text(request) else poor)(request)


def mixed(request: Request) -> dict[str, Any]:
    """Good if told the magic word; without, now good and now poor."""
    lucky = MAGIC in system_text(request) or key(request) % 2
    return reflected(request) or (good if lucky else poor)(request)


class TutoredServer(AnsweringServer):
    """Also answers a reflection that asks for no schema; ``bodies`` are the requests as they came."""

    def __init__(self, answer: Script, delay: float = 0.0) -> None:
        self.bodies: list[dict[str, Any]] = []
        super().__init__(answer, delay)

    def reply(self, body: dict[str, Any]) -> tuple[int, bytes]:
        """Status and body of one answer."""
        self.bodies.append(body)
        if "json_schema" in body.get("response_format", {}):
            return super().reply(body)
        # SIMBA asks for advice by module; GEPA, of a bare LM, for instructions in a code fence.
        advice = {
            "discussion": "So.",
            "module_advice": dict.fromkeys(("speak", "reply", "write", "judge"), INSTRUCTIONS),
        }
        text = json.dumps(advice) if "response_format" in body else f"```\n{INSTRUCTIONS}\n```"
        message = {"role": "assistant", "content": text}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return 200, json.dumps({"id": "x", "model": "scripted", "choices": [choice], "usage": usage}).encode()


@contextmanager
def tutored_server(answer: Script = tutored, delay: float = 0.0) -> Iterator[TutoredServer]:
    """A server for a with block."""
    server = TutoredServer(answer, delay)
    try:
        yield server
    finally:
        server.close()
