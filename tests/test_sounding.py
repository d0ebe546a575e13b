"""The first answer tells how many processes a run uses; nothing is asked twice for it."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from programs.simulate import SimulationOptions
from socialsim import processes
from socialsim.budget import Budget
from socialsim.errors import BudgetError, ClusterError
from socialsim.lms import parse_spec
from socialsim.run import Run
from socialsim.runconfig import RunConfig, Stage
from socialsim.schema import Persona, Rejection, Role
from socialsim.sounding import Sounding
from tests.bench.endpoint import Server, Weather, endpoint
from tests.bench.script import personas
from tests.command import assert_whole
from tests.samples import persona

MANY, CALLS = 512, 500  # in flight, in a second: half a second is quick then
IN_FLIGHT = 64


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine has."""
    monkeypatch.setattr(processes, "_cores", lambda: 2)


class Here:
    """Steps of this process that ask ``calls`` times for an item, each answered after ``latency`` seconds."""

    def __init__(self, latency: float, calls: int = 3) -> None:
        self.latency = latency
        self.calls = calls
        self.quickest = math.inf
        self.asked = 0
        self.before_call: Callable[[], None] = lambda: None

    async def dialogue(self, persona: Persona) -> Rejection:
        for _ in range(self.calls):
            self.before_call()
            self.asked += 1
            await asyncio.sleep(self.latency)
            self.quickest = min(self.quickest, self.latency)
        return rejection(persona, "here")


class Elsewhere:
    """Opens processes, or fails to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.opened: list[int] = []
        self.made = 0

    async def __call__(self, workers: int) -> Any:
        self.opened.append(workers)
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        return self

    async def dialogue(self, persona: Persona) -> Rejection:
        self.made += 1
        return rejection(persona, "elsewhere")


def rejection(persona: Persona, where: str) -> Rejection:
    return Rejection(id=persona.id, stage="simulate", reason=where)


def check_nothing() -> None:
    """A purse that is never empty."""


async def made(
    here: Here, elsewhere: Elsewhere, items: int = 5, most: int = 8, check: Callable[[], None] = check_nothing
) -> list[Any]:
    """Where the items were made, or what they failed with."""

    def opened(before_call: Callable[[], None]) -> Any:
        here.before_call = before_call
        return here

    maker = Sounding(opened, elsewhere, most, MANY, CALLS, lambda: here.quickest, check)
    told = await asyncio.gather(
        *(maker.dialogue(persona(id=f"p{number}")) for number in range(items)), return_exceptions=True
    )
    return [one.reason if isinstance(one, Rejection) else one for one in told]


def sound(*arguments: Any, **options: Any) -> list[Any]:
    return asyncio.run(made(*arguments, **options))


@pytest.mark.parametrize(("latency", "workers"), [(0.512, 2), (0.256, 4), (0.001, 8)])
def test_a_quick_answer_takes_all_items_to_as_many_processes_as_it_can_keep_busy(latency: float, workers: int) -> None:
    here, elsewhere = Here(latency), Elsewhere()
    assert sound(here, elsewhere) == ["elsewhere"] * 5
    assert elsewhere.opened == [workers]
    assert here.asked == 1  # all others waited


def test_a_slow_answer_keeps_them_here_and_nobody_waits_for_it() -> None:
    here, elsewhere = Here(latency=1.5 * MANY / CALLS, calls=1), Elsewhere()
    began = time.monotonic()
    assert sound(here, elsewhere) == ["here"] * 5
    assert time.monotonic() - began < 1.9 * here.latency  # not one after the other
    assert elsewhere.opened == []


def test_an_answer_in_between_keeps_them_here() -> None:
    here, elsewhere = Here(latency=0.8 * MANY / CALLS), Elsewhere()
    assert sound(here, elsewhere, items=2) == ["here"] * 2
    assert elsewhere.opened == []


def test_an_item_of_one_call_is_done_here_and_the_others_elsewhere() -> None:
    assert sound(Here(0.001, calls=1), elsewhere := Elsewhere()) == ["here"] + ["elsewhere"] * 4
    assert elsewhere.made == 4


def test_processes_that_cannot_be_opened_stop_all_items_with_the_reason() -> None:
    error = ClusterError("a worker cannot be started")
    assert sound(Here(0.001), Elsewhere(error)) == [error] * 5


def test_a_first_item_that_fails_holds_up_nobody() -> None:
    spent = BudgetError("--max-tokens 1: 1 tokens are used")
    failures = iter([spent])

    def check() -> None:
        if failure := next(failures, None):
            raise failure

    assert sound(Here(0.001), elsewhere := Elsewhere(), check=check) == [spent] + ["here"] * 4
    assert elsewhere.opened == []


def run(folder: Path, server: Server, workers: int | None = None, budget: Budget | None = None) -> Run:
    config = RunConfig(
        out=folder,
        lms=dict.fromkeys(Role, parse_spec(server.spec)),
        stages=(Stage.DIALOGUES,),
        simulation=SimulationOptions(exchanges=12),
        concurrency=IN_FLIGHT,
        workers=workers,
        budget=budget or Budget(),
    )
    return Run(config)


def dialogues(folder: Path) -> dict[str, Any]:
    lines = [json.loads(line) for line in (folder / "dialogues.jsonl").read_text("utf-8").splitlines()]
    for line in lines:
        del line["provenance"]["usage"]["seconds"]
    return {line["id"]: line for line in lines}


def test_a_quick_endpoint_is_asked_by_two_processes_and_nothing_is_asked_twice(
    tmp_path: Path, two_cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "CALLS", {True: 50})  # quick is what takes a second
    workers: set[int] = set()
    with endpoint(Weather(latency=0.005)) as server:
        alone = run(tmp_path / "alone", server, workers=1).execute(personas(IN_FLIGHT))
        before = server.stats()["calls"]
        going = run(tmp_path / "run", server)
        going.on_change = lambda _: workers.add(len(list((tmp_path / "run").glob("unfinished/worker-*"))))
        manifest = going.execute(personas(IN_FLIGHT))
        assert server.stats()["calls"] - before == manifest.usage.calls == alone.usage.calls == 24 * IN_FLIGHT
    assert max(workers) == 2
    assert dialogues(tmp_path / "run") == dialogues(tmp_path / "alone")
    assert not any((tmp_path / "run" / "unfinished").iterdir())
    assert_whole(tmp_path / "run")


def test_an_endpoint_that_takes_its_time_is_asked_by_one(tmp_path: Path, two_cores: None) -> None:
    with endpoint(Weather(latency=0.15)) as server:
        going = run(tmp_path, server)
        workers: set[Path] = set()
        going.on_change = lambda _: workers.update(tmp_path.glob("unfinished/worker-*"))
        manifest = going.execute(personas(IN_FLIGHT))
        assert server.stats()["calls"] == manifest.usage.calls == 24 * IN_FLIGHT
    assert not workers


def test_a_limit_holds_for_all_processes(tmp_path: Path, two_cores: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "CALLS", {True: 50})
    limit = 300_000
    with endpoint(Weather(latency=0.005)) as server:
        going = run(tmp_path, server, budget=Budget(max_tokens=limit))
        usage = going.execute(personas(IN_FLIGHT)).usage
        assert usage.calls == server.stats()["calls"]
    assert isinstance(going.stopped, BudgetError)
    tokens = usage.prompt_tokens + usage.completion_tokens
    assert limit <= tokens < limit + IN_FLIGHT * 2 * tokens / usage.calls
