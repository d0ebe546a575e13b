"""Several processes of this machine: when they are worth it, and what a user sees of them. See `test_crew`, too."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from socialsim import processes
from socialsim.crew import Unreachable
from socialsim.crew_worker import Job
from socialsim.journal import RunLock
from socialsim.lms import parse_spec
from socialsim.process_worker import Fault
from socialsim.processes import useful
from socialsim.run import Run
from socialsim.runconfig import RunConfig, Stage
from socialsim.schema import Role, Usage
from tests.answering_server import AnsweringServer, answering_server
from tests.bench.endpoint import Weather, endpoint
from tests.bench.script import personas
from tests.command import assert_whole, socialsim, start, wait_for
from tests.samples import persona


def config(run: Path, spec: str, concurrency: int, workers: int | None = None) -> RunConfig:
    lms = dict.fromkeys(Role, parse_spec(spec))
    return RunConfig(out=run, lms=lms, stages=(Stage.DIALOGUES,), concurrency=concurrency, workers=workers)


def arguments(server: AnsweringServer, run: Path) -> tuple[object, ...]:
    return ("run", "--out", run, "--lm", server.spec, "--limit", 6, "--concurrency", 6, "--workers", 2)


@pytest.mark.parametrize(
    ("concurrency", "items", "cores", "spec", "processes_"),
    [
        (16, 3_229, 8, "http://h/v1#m", 1),
        (255, 3_229, 8, "http://h/v1#m", 1),
        (256, 3_229, 8, "http://h/v1#m", 2),
        (512, 3_229, 8, "http://h/v1#m", 4),
        (512, 3_229, 2, "http://h/v1#m", 2),
        (512, 45, 8, "http://h/v1#m", 1),
        (512, 0, 8, "http://h/v1#m", 1),
        (512, 3_229, 8, "embedded", 1),
    ],
)
def test_as_many_as_items_in_flight_and_cores_are_worth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, concurrency: int, items: int, cores: int, spec: str,
    processes_: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(processes, "_cores", lambda: cores)
    assert useful(config(tmp_path, spec, concurrency), items) == processes_


def test_hundreds_in_flight_are_made_by_two_processes_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_cores", lambda: 2)
    monkeypatch.setattr(processes, "WORKER_FULL", 8)
    seen: set[int] = set()
    with endpoint(Weather()) as server:
        run = Run(config(tmp_path, server.spec, concurrency=20))
        run.on_change = lambda _: seen.add(len(list(tmp_path.glob("unfinished/worker-*"))))
        run.execute(personas(20))
    assert max(seen) == 2
    assert not any((tmp_path / "unfinished").iterdir())
    assert_whole(tmp_path)


def test_ctrl_c_in_a_terminal_reaches_all_and_one_line_is_said(tmp_path: Path) -> None:
    with answering_server(delay=0.05) as server:
        child = start(*arguments(server, tmp_path), start_new_session=True)
        wait_for(lambda: len(server.requests) > 40, child)
        os.killpg(child.pid, signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (130, "")
    assert "Stopped. Nothing is lost" in out
    assert_whole(tmp_path)


def test_what_is_sent_again_in_workers_is_counted(tmp_path: Path) -> None:
    with endpoint(Weather(failing=0.1)) as server:
        run = Run(config(tmp_path, f"{server.spec}", concurrency=8, workers=2))
        run.execute(personas(8))
        failed = server.stats()["ended"]["failing"]
    assert run.state.retried == failed > 0


def test_an_lm_in_process_is_not_started_twice(tmp_path: Path) -> None:
    problem = socialsim("run", "--out", tmp_path / "run", "--lm", "embedded", "--workers", 2).problem
    assert problem == "--workers 2: embedded uses all cores of this machine; leave --workers out"
    assert not (tmp_path / "run").exists()


def test_a_users_own_files_are_no_modules_of_a_worker(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('not meant')")
    command = Path(sys.executable).with_name("socialsim")
    with answering_server() as server:
        given = [str(argument) for argument in arguments(server, tmp_path / "run")]
        ended = subprocess.run([command, *given], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_worker_that_cannot_start_ends_the_run_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with answering_server() as server:
        problem = socialsim(*arguments(server, tmp_path)).problem
    assert problem.startswith("a worker cannot be started, or not again (its process ended before it began)")


async def test_after_its_worker_is_sent_away_none_comes_back(tmp_path: Path) -> None:
    with RunLock(tmp_path):
        hand = processes._Process(Job.of(config(tmp_path, "http://127.0.0.1:1/v1#m", 2)), 0, Usage(), -1)
        await hand.man()
        assert (await hand.beat("")).usage.calls == 0
        asked = asyncio.create_task(hand.beat(""))
        hand.send_away()
        with pytest.raises(Unreachable, match="its process died") as told:
            await hand.man()
        asked.cancel()
    assert told.value.for_good


async def test_a_bug_in_a_worker_is_told_with_its_traceback_there(tmp_path: Path) -> None:
    with RunLock(tmp_path):
        hand = processes._Process(Job.of(config(tmp_path, "http://127.0.0.1:1/v1#m", 2)), 0, Usage(), -1)
        try:
            await hand.man()
            with pytest.raises(Fault, match=r"Traceback[\s\S]*no_step"):
                await hand.make("no_step", persona())  # type: ignore[arg-type]
        finally:
            hand.send_away()
