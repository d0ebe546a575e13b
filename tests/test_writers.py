"""Who may write answers of unfinished items: a run's own workers, one a place, and none of an earlier session."""

from __future__ import annotations

import asyncio
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from socialsim import errors, writers
from socialsim.crew_worker import Job, Report, Worker
from socialsim.errors import BudgetError, ClusterError, InputError, OutputError, SocialSimError
from socialsim.journal import RunLock
from socialsim.lms import parse_spec
from socialsim.runconfig import RunConfig, Stage
from socialsim.schema import Role
from socialsim.writers import appoint, dismiss, take_place
from tests.answering_server import AnsweringServer, answering_server
from tests.samples import persona


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "_WAIT", 0.2)
    monkeypatch.setattr(writers, "_SEEN_WITHIN", 0.2)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    """A run folder that its process holds."""
    with RunLock(tmp_path):
        yield tmp_path


def test_a_place_is_one_workers_until_it_ends(run: Path) -> None:
    token = appoint(run)
    held = take_place(run, 0, token, "node-a")
    take_place(run, 1, token, "node-b").close()
    with pytest.raises(OutputError, match=r"worker-0 is in use by process \d+; wait until it ends"):
        take_place(run, 0, token, "node-b")
    held.close()
    take_place(run, 0, token, "node-b").close()


def test_a_new_session_waits_for_the_workers_of_the_last_one(run: Path) -> None:
    held = take_place(run, 0, appoint(run), "node-a")
    with pytest.raises(OutputError, match="worker-0 is in use"):
        dismiss(run)
    held.close()
    dismiss(run)


def test_a_worker_of_an_earlier_session_comes_too_late(run: Path) -> None:
    before = appoint(run)
    dismiss(run)
    for _ in ("a session without workers", "another one with its own"):
        with pytest.raises(ClusterError, match=r"on node-a is another folder, or its run has ended; give --out"):
            take_place(run, 0, before, "node-a")
        RunLock(run / "unfinished" / "worker-0").close()  # it holds nothing
        appoint(run)


def test_a_folder_that_is_not_shared_is_told(run: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "node-b"
    with pytest.raises(ClusterError, match=r"on node-b is not there; give --out a folder on a file system"):
        take_place(elsewhere, 0, appoint(run), "node-b")
    assert not elsewhere.exists(), "nothing is made where the run is not"


def test_locks_that_other_machines_do_not_see_are_told(run: Path, tmp_path: Path) -> None:
    token, copy = appoint(run), tmp_path / "copy"
    shutil.copytree(run / "unfinished", copy / "unfinished")
    (copy / ".lock").touch()
    with pytest.raises(ClusterError, match="locks of other machines are not seen there"):
        take_place(copy, 0, token, "node-b")


def job(run: Path, server: AnsweringServer) -> Job:
    config = RunConfig(out=run, lms=dict.fromkeys(Role, parse_spec(server.spec)), stages=(Stage.DIALOGUES,))
    return Job.of(config)


async def test_a_worker_makes_items_and_says_what_they_took(run: Path) -> None:
    with answering_server() as server:
        worker = Worker(job(run, server), 0)
        report = await worker.make("dialogue", persona())
        worker.close()
    assert report.made is not None
    assert report.usage.calls == len(server.requests) > 0
    assert pickle.loads(pickle.dumps(report)) == report
    assert report.life == (await worker.beat()).life


async def test_an_item_asked_for_twice_is_made_once(run: Path) -> None:
    with answering_server() as server:
        worker = Worker(job(run, server), 0)
        one, other = await asyncio.gather(worker.make("dialogue", persona()), worker.make("dialogue", persona()))
        worker.close()
    assert one.made == other.made
    assert one.usage.calls == len(server.requests)


async def test_a_halted_worker_makes_no_call(run: Path) -> None:
    with answering_server() as server:
        worker = Worker(job(run, server), 0)
        await worker.beat("--max-tokens 5: spent")
        report = await worker.make("dialogue", persona())
        worker.close()
        assert not server.requests
    assert isinstance(report.made, BudgetError)
    assert str(report.made) == "--max-tokens 5: spent"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"versions": {"dspy": "0.1"}}, "has other versions (dspy "),
        ({"programs": {"seeker": "0" * 12}}, "has other programs (seeker "),
        ({"token": "another"}, "is another folder"),
    ],
)
async def test_an_unfit_worker_says_why_and_makes_nothing(run: Path, change: dict[str, Any], said: str) -> None:
    with answering_server() as server:
        worker = Worker(replace(job(run, server), **change), 0)
        answers: list[Report] = [await worker.beat(), await worker.make("dialogue", persona())]
        worker.close()
        assert not server.requests
    for report in answers:
        assert isinstance(report.made, ClusterError)
        assert said in str(report.made)


def test_errors_arrive_in_another_process_as_they_were() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SocialSimError)]
    assert len(kinds) > 5
    for kind in kinds:
        error = InputError("posts.csv", "not a table", 3) if kind is InputError else kind("a line")
        arrived = pickle.loads(pickle.dumps(error))
        assert (type(arrived), str(arrived)) == (kind, str(error))
