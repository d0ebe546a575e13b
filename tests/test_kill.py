"""Killed at any moment, a run loses nothing, repeats nothing, and asks again only what was not answered yet."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import Request

from socialsim.journal import read_records
from socialsim.runfolder import FILES
from socialsim.schema import Record
from tests.answering_server import AnsweringServer, answering_server
from tests.command import assert_whole, socialsim
from tests.scripted import schema_of, system_text, user_text, writer
from tests.zygote import Child, Zygote

ITEMS, AT_ONCE, KILLS = 8, 4, 30
PAUSE = 0.01  # seconds before each answer


def answer(request: Request) -> dict[str, Any]:
    """The same answer to the same question, and another one to each other."""
    return writer(random.Random(system_text(request) + user_text(request))).object_for(schema_of(request))


def arguments(server: AnsweringServer, run: Path) -> list[object]:
    spec = server.spec
    return ["run", "--out", run, "--lm", spec, "--limit", ITEMS, "--concurrency", AT_ONCE, "--screen-by-lm"]


def made(run: Path) -> dict[str, dict[str, Record]]:
    """What lies in the journals, without how long it took."""
    return {name: {record.id: timeless(record) for record in read_records(run / f"{name}.jsonl", FILES[name])}
            for name in FILES}  # fmt: skip


def timeless(record: Any) -> Any:
    usage = getattr(record, "usage", None) or getattr(getattr(record, "provenance", None), "usage", None)
    if usage is None:
        return record
    usage = usage.model_copy(update={"seconds": 0.0})
    provenance = getattr(record, "provenance", None)
    if provenance is None:
        return record.model_copy(update={"usage": usage})
    lms = dict.fromkeys(provenance.lms, "")
    return record.model_copy(update={"provenance": provenance.model_copy(update={"usage": usage, "lms": lms})})


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """A run that nobody killed, and the calls it took."""
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    with answering_server(answer) as server:
        assert socialsim(*arguments(server, run)).code == 0
        yield run, len(server.requests)


def wait_for_requests(server: AnsweringServer, count: int, child: Child) -> None:
    deadline = time.monotonic() + 60
    while len(server.requests) < count and Path(f"/proc/{child.pid}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.001)


# Two processes start in two seconds: fewer kills, which meet fewer of the four stages.
@pytest.mark.parametrize(("kills", "workers", "met"), [(KILLS, 1, 4), (6, 2, 3)])
def test_kills_lose_nothing_and_make_no_answered_call_again(
    tmp_path: Path, undisturbed: tuple[Path, int], kills: int, workers: int, met: int
) -> None:
    whole, calls = undisturbed
    moments, run, stages = random.Random(5), tmp_path / "run", set[str]()
    with answering_server(answer, PAUSE) as server, Zygote() as zygote:
        command = [*arguments(server, run), "--workers", workers]
        for _ in range(kills):
            asked = len(server.requests)
            child = zygote.start(*command)
            wait_for_requests(server, asked + moments.randint(0, 2 * calls // (kills + 6)), child)
            time.sleep(moments.uniform(0, 2 * PAUSE))
            stages |= {sorted(schema_of(request)["properties"])[0] for request in server.requests[asked:][-AT_ONCE:]}
            child.kill()
            assert child.wait() in (0, -9)
        assert zygote.start(*command).wait() == 0
        again = len(server.requests) - calls
    assert made(run) == made(whole)
    assert_whole(run)
    assert not any((run / "unfinished").iterdir())
    assert len(stages) >= met  # of screening, persona, seeker, supporter
    assert 0 <= again <= kills * AT_ONCE
