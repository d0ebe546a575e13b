"""What tests of `socialsim arena` share: scripted models and judges, the command, and how to read what it left."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from dspy.lm15 import Request

from metrics.arena import ArenaVerdict
from socialsim.journal import Journal, read_records
from socialsim.schema import Persona
from tests.answering_server import AnsweringServer, answering_server
from tests.command import Ended, socialsim
from tests.samples import persona
from tests.scripted import schema_of, user_text, valid_answers

Answer = Callable[[Request], dict[str, Any] | str]


def verdict(request: Request, preferred: str, first: int = 2, second: int = 2) -> dict[str, Any]:
    """A valid answer of a judge."""
    fields = schema_of(request)["properties"]
    quotes = {name: fields[name]["enum"][0] for name in ("first_quote", "second_quote")}
    scores = {"first_score": first, "second_score": second, "preferred": preferred}
    return {"discussion": "It is so."} | quotes | scores


def always_first(request: Request) -> dict[str, Any]:
    """A judge with nothing but a bias for the first place."""
    return verdict(request, "first")


def longer(request: Request) -> dict[str, Any]:
    """A judge that likes the longer replies, wherever they stand."""
    _, first, second = re.split(r"^## (?:first|second).*$", user_text(request), flags=re.MULTILINE | re.IGNORECASE)
    sizes = [sum(len(line) for line in re.findall(r"Supporter: (.+)", text)) for text in (first, second)]
    if sizes[0] == sizes[1]:
        return verdict(request, "tie", 1, 1)
    return verdict(request, "first", 3, 1) if sizes[0] > sizes[1] else verdict(request, "second", 1, 3)


def terse() -> Answer:
    """A model of short replies."""
    said = cycle(
        [f"Tell me more about {word}, please." for word in ("it", "that", "this", "him", "her", "them", "us", "you")]
    )
    return valid_answers(utterance=lambda: next(said))


class Servers(NamedTuple):
    """One server a part."""

    a: AnsweringServer
    b: AnsweringServer
    seeker: AnsweringServer
    judge: AnsweringServer

    @property
    def calls(self) -> list[int]:
        return [len(server.requests) for server in self]


@contextmanager
def servers(judge: Answer = longer, b: Answer | None = None, delay: float = 0.0) -> Iterator[Servers]:
    words = valid_answers()  # one stream of sentences, so that nobody echoes anybody
    with ExitStack() as opened:
        scripts = (words, b or terse(), words, judge)
        yield Servers(*(opened.enter_context(answering_server(script, delay)) for script in scripts))


def arena(given: Servers, *arguments: object, models: str = "A={a},B={b}") -> Ended:
    named = models.format(a=given.a.spec, b=given.b.spec)
    usual = {"--seeker-lm": given.seeker.spec, "--judge-lm": given.judge.spec}
    usual |= {"--personas": "people.jsonl", "--out": "o"}
    left = [part for name, value in usual.items() if name not in arguments for part in (name, value)]
    return socialsim("arena", "--models", named, *left, *arguments)


def records(name: str, model: type[Any], out: str = "o") -> list[Any]:
    return list(read_records(Path(out) / f"{name}.jsonl", model))


def verdicts() -> list[ArenaVerdict]:
    return records("verdicts", ArenaVerdict)


def row(out: str, name: str) -> list[str]:
    """The cells of the first table row of this name, headings left out."""
    line = next(line for line in out.splitlines() if re.match(rf" +{re.escape(name)}  +\S", line))
    return re.split(r"  +", line.strip())[1:]


def write_people(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Three personas in a folder that becomes the current one."""
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.chdir(folder)
    with Journal("people.jsonl", Persona) as journal:
        for number in range(3):
            journal.append(persona(id=f"p{number}"))
