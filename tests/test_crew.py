"""The same run in two processes, and on two Ray nodes: equal items, and nothing lost or asked twice when one dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from dspy.lm15 import Request

from socialsim import cluster, crew
from socialsim.journal import RunLock
from tests.answering_server import AnsweringServer, answering_server
from tests.command import Ended, assert_whole, ids, manifest_of, socialsim, start, wait_for
from tests.scripted import system_text, user_text, valid_answers

ITEMS = 6
IN_FLIGHT = 6
JOURNALS = ("scenarios", "personas", "dialogues", "rejected")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """Two nodes of one CPU each."""
    if find_spec("ray") is None:
        pytest.skip("needs socialsim[cluster]")
    cluster._quiet_ray()
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
    started = Cluster(initialize_head=True, head_node_args=node)
    started.add_node(**node)
    yield started
    started.shutdown()


@pytest.fixture(scope="module")
def address(nodes: Any) -> str:
    where: str = nodes.address
    return where


@pytest.fixture(params=["processes", "ray"])
def engine(request: pytest.FixtureRequest) -> tuple[object, ...]:
    """Two workers, started one way or the other."""
    if request.param == "processes":
        return ("--workers", 2)
    return ("--engine", "ray", "--ray-address", request.getfixturevalue("address"))


def steady(request: Request) -> dict[str, Any]:
    """A valid answer that depends on the request alone."""
    return valid_answers(crc32(f"{system_text(request)}{user_text(request)}".encode()))(request)


def arguments(server: AnsweringServer, run: Path, items: int = ITEMS) -> tuple[object, ...]:
    made = ("--limit", items, "--concurrency", min(items, IN_FLIGHT), "--no-screen-by-lm")
    return ("run", "--out", run, "--lm", server.spec, *made)


def on_two_nodes(server: AnsweringServer, run: Path, address: str, *more: object) -> Ended:
    return socialsim(*arguments(server, run), "--engine", "ray", "--ray-address", address, *more)


def records(run: Path) -> dict[str, dict[str, Any]]:
    """The records of each journal by id, without what differs from one time to another."""
    read = {}
    for name in JOURNALS:
        lines = [json.loads(line) for line in (run / f"{name}.jsonl").read_text("utf-8").splitlines()]
        for line in lines:
            line.get("provenance", line).get("usage", {}).pop("seconds", None)
        read[name] = {line["id"]: line for line in lines}
    return read


def workers(run: Path) -> list[int]:
    """The process ids of the workers, by place."""
    return [int(place.joinpath(".lock").read_text()) for place in sorted(run.glob("unfinished/worker-*"))]


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


Answers = Callable[[Request], dict[str, Any]]


def at_request(number: int, act: Callable[[], object], answers: Answers = steady) -> Answers:
    """Steady answers; before one of them something happens."""
    seen = iter(range(1, 10**9))

    def answer(request: Request) -> dict[str, Any]:
        if next(seen) == number:
            act()
        return answers(request)

    return answer


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, dict[str, Any]], int]:
    """What one process makes, and the calls it takes."""
    run = tmp_path_factory.mktemp("alone")
    with answering_server(steady) as server:
        assert socialsim(*arguments(server, run)).code == 0
    return records(run), len(server.requests)


def same(run: Path, spec: str, alone: dict[str, dict[str, Any]]) -> bool:
    """Whether a run holds what the one process made; only the port of the LM differs."""
    told = json.dumps(records(run), sort_keys=True).replace(spec, "LM")
    [other] = {lm for one in alone["personas"].values() for lm in one["provenance"]["lms"].values()}
    return told == json.dumps(alone, sort_keys=True).replace(other, "LM")


def test_two_workers_make_what_one_process_makes(engine: tuple[object, ...], tmp_path: Path, alone: Any) -> None:
    made, calls = alone
    parents: list[int] = []
    look = at_request(calls // 2, lambda: parents.extend(parent(pid) for pid in workers(tmp_path)))
    with answering_server(look) as server:
        ended = socialsim(*arguments(server, tmp_path), *engine)
    assert (ended.code, ended.err) == (0, "")
    assert "raylet" not in ended.out
    assert same(tmp_path, server.spec, made)
    assert len(made["dialogues"]) == ITEMS
    assert len(parents) == 2
    assert len(set(parents)) == (2 if "ray" in engine else 1), "both nodes had a worker"
    assert len(server.requests) == calls == manifest_of(tmp_path).usage.calls
    assert not list(tmp_path.glob("unfinished/*.jsonl"))
    assert_whole(tmp_path)


def test_a_killed_worker_comes_back_and_only_calls_in_flight_are_made_again(
    engine: tuple[object, ...], tmp_path: Path, alone: Any
) -> None:
    made, calls = alone
    killed: list[int] = []
    later: list[int] = []

    def kill() -> None:
        killed.append(workers(tmp_path)[0])
        os.kill(killed[0], signal.SIGKILL)

    look = at_request(calls - 1, lambda: later.extend(workers(tmp_path)))
    with answering_server(at_request(calls // 2, kill, look), delay=0.02) as server:
        ended = socialsim(*arguments(server, tmp_path), *engine)
    assert (ended.code, ended.err) == (0, "")
    assert later[0] != killed[0], "another process took its place"
    assert "raylet" not in ended.out
    assert same(tmp_path, server.spec, made)
    assert calls <= len(server.requests) <= calls + IN_FLIGHT // 2
    assert_whole(tmp_path)


def test_a_killed_driver_takes_its_workers_along_and_the_run_goes_on(
    engine: tuple[object, ...], tmp_path: Path, alone: Any
) -> None:
    made, calls = alone
    with answering_server(steady, delay=0.02) as server:
        command = (*arguments(server, tmp_path), *engine)
        child = start(*command, stdout=subprocess.DEVNULL)
        wait_for(lambda: len(server.requests) >= calls // 2, child)
        child.kill()
        before = workers(tmp_path)
        assert socialsim(*command).code == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in before)
    assert same(tmp_path, server.spec, made)
    assert calls <= len(server.requests) <= calls + IN_FLIGHT
    assert_whole(tmp_path)


def test_a_budget_holds_for_all_workers_together(address: str, tmp_path: Path, alone: Any) -> None:
    _, calls = alone
    allowed, delay = 80, 0.1  # calls of 110 tokens
    with answering_server(steady, delay) as server:
        limit = ("--max-tokens", allowed * 110)
        problem = on_two_nodes(server, tmp_path, address, *limit).problem
        assert problem.startswith("--max-tokens 8,800: ")
        asked = len(server.requests)
        assert allowed <= asked <= allowed + IN_FLIGHT + IN_FLIGHT / delay
        assert manifest_of(tmp_path).usage.calls == asked
        server.delay = 0
        assert on_two_nodes(server, tmp_path, address, "--max-tokens", 10**7).code == 0
    assert len(server.requests) == calls, "nothing was asked twice"
    assert len(ids(tmp_path, "dialogues")) == ITEMS


def test_an_lm_that_fails_ends_the_run_in_its_own_line(engine: tuple[object, ...], tmp_path: Path) -> None:
    seen = iter(range(10**9))
    with answering_server(lambda request: steady(request) if next(seen) < 60 else {"error": 401}) as server:
        problem = socialsim(*arguments(server, tmp_path), *engine).problem
    assert problem.split(" LM ")[0] in ("persona", "seeker", "supporter")
    assert server.spec in problem
    assert "the API key is missing or refused" in problem
    assert_whole(tmp_path)


def test_an_item_that_kills_its_workers_ends_the_run(
    engine: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "RETRIES", 1)
    deaths: list[int] = []

    def answer(request: Request) -> dict[str, Any]:
        if "gender" in request.config.response_format["schema"]["properties"]:
            deaths.append(workers(tmp_path)[0])
            threading.Timer(0.0, os.kill, (deaths[-1], signal.SIGKILL)).start()
            time.sleep(0.2)
        return steady(request)

    with answering_server(answer) as server:
        problem = socialsim(*arguments(server, tmp_path, items=1), *engine).problem
    assert len(set(deaths)) == 2
    assert problem.startswith("persona 'love-problem-s1': 2 workers died while they made it")
    assert "run the same command again" in problem


def test_ctrl_c_says_how_to_go_on(engine: tuple[object, ...], tmp_path: Path) -> None:
    with answering_server(steady, delay=0.02) as server:
        child = start(*arguments(server, tmp_path), *engine)
        wait_for(lambda: len(server.requests) > 60, child)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (130, "")
    assert "Stopped. Nothing is lost" in out
    assert "raylet" not in out
    assert_whole(tmp_path)


def test_a_lost_machine_leaves_its_items_to_the_others(nodes: Any, tmp_path: Path, alone: Any) -> None:
    made, calls = alone
    [second] = nodes.worker_nodes

    def lose() -> None:
        threading.Thread(target=nodes.remove_node, args=(second, False)).start()

    with answering_server(at_request(calls // 2, lose), delay=0.02) as server:
        ended = on_two_nodes(server, tmp_path, nodes.address)
    assert (ended.code, ended.err) == (0, "")
    assert not nodes.worker_nodes
    assert same(tmp_path, server.spec, made)
    assert calls <= len(server.requests) <= calls + IN_FLIGHT // 2
    assert_whole(tmp_path)


def test_a_second_process_on_a_run_is_refused_before_ray_is_asked(tmp_path: Path) -> None:
    with answering_server(steady) as server, RunLock(tmp_path):
        assert on_two_nodes(server, tmp_path, "127.0.0.1:1").problem.startswith(f"{tmp_path} is in use by process ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--engine", "spark"], "--engine spark: use process or ray"),
        (["--ray-address", "auto"], "--ray-address needs --engine ray"),
        (["--engine", "ray", "--ray-address", "here"], "--ray-address here: use HOST:PORT"),
        (["--engine", "ray", "--ray-address", "ray://h:1"], "--ray-address ray://h:1: use HOST:PORT"),
        (["--engine", "ray", "--ray-address", "127.0.0.1:1"], "--ray-address 127.0.0.1:1: nothing answers there"),
    ],
)
def test_options_that_cannot_be_met_are_told_in_one_line(tmp_path: Path, options: list[object], said: str) -> None:
    with answering_server(steady) as server:
        assert socialsim(*arguments(server, tmp_path), *options).problem.startswith(said)
        assert not server.requests


def test_the_environment_names_the_cluster(
    address: str, tmp_path: Path, alone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with answering_server(steady) as server:
        assert socialsim(*arguments(server, tmp_path), "--engine", "ray").code == 0
    assert same(tmp_path, server.spec, alone[0])


def test_without_ray_its_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with answering_server(steady) as server:
        problem = on_two_nodes(server, tmp_path, "auto").problem
    assert problem == "--engine ray needs Ray: pip install 'socialsim[cluster]'"
