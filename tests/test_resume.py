"""A run that was stopped goes on: nothing is lost, nothing is done twice, nothing is mixed unasked."""

from __future__ import annotations

import random
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import Request

from socialsim.errors import OutputError
from socialsim.journal import Journal, RunLock, read_records
from socialsim.runfolder import RunFolder, Settings
from socialsim.schema import Dialogue
from tests.answering_server import AnsweringServer, answering_server
from tests.command import Ended, assert_whole, ids, manifest_of, socialsim, start, wait_for
from tests.scripted import schema_of, valid_answers

LIMIT = 6


def go(server: AnsweringServer, run: Path, *arguments: object) -> Ended:
    return socialsim("run", "--out", run, "--lm", server.spec, "--no-screen-by-lm", *arguments)


def contents(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.glob("*.jsonl")}


def test_a_run_that_is_done_does_nothing_more(tmp_path: Path) -> None:
    with answering_server() as server:
        go(server, tmp_path, "--limit", 2)
        before, calls = contents(tmp_path), len(server.requests)
        assert go(server, tmp_path, "--limit", 2).code == 0
        assert len(server.requests) == calls
    assert contents(tmp_path) == before
    assert manifest_of(tmp_path).usage.calls == calls


def test_answers_of_items_that_a_kill_left_behind_finished_are_swept_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering_server() as server:
        with monkeypatch.context() as killed:  # between an item's line in its journal and the end of its answers
            killed.setattr("socialsim.run.forget", lambda *_: None)
            assert socialsim("run", "--out", tmp_path, "--lm", server.spec, "--limit", 2, "--screen-by-lm").code == 0
        left, calls = {path.name.split("-")[0] for path in (tmp_path / "unfinished").iterdir()}, len(server.requests)
        assert left == {"intake", "persona", "simulate"}
        assert socialsim("run", "--out", tmp_path, "--lm", server.spec, "--limit", 2, "--screen-by-lm").code == 0
        assert len(server.requests) == calls
    assert not any((tmp_path / "unfinished").iterdir())


def test_a_raised_limit_makes_only_what_is_missing(tmp_path: Path) -> None:
    with answering_server() as server:
        go(server, tmp_path, "--limit", 2)
        before = contents(tmp_path)
        go(server, tmp_path, "--limit", 5)
    for name, content in contents(tmp_path).items():
        assert content.startswith(before[name])
    assert len(ids(tmp_path, "dialogues")) == 5
    assert_whole(tmp_path)


def test_a_lowered_limit_does_nothing(tmp_path: Path) -> None:
    with answering_server() as server:
        go(server, tmp_path, "--limit", 3)
        before = contents(tmp_path)
        assert go(server, tmp_path, "--limit", 1).code == 0
    assert contents(tmp_path) == before


def test_what_is_missing_at_each_stage_is_made_and_no_more(tmp_path: Path) -> None:
    with answering_server() as server:
        go(server, tmp_path, "--limit", 3)
        kept = ids(tmp_path, "dialogues")[0]
        for name, lines in (("dialogues", 1), ("personas", 2)):
            path = tmp_path / f"{name}.jsonl"
            path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:lines]))
        first = next(iter(read_records(tmp_path / "dialogues.jsonl", Dialogue)))
        calls = len(server.requests)
        go(server, tmp_path, "--limit", 3)
        personas = [one for one in server.requests[calls:] if "gender" in schema_of(one)["properties"]]
    assert len(personas) == 1
    assert ids(tmp_path, "dialogues")[0] == kept
    assert next(iter(read_records(tmp_path / "dialogues.jsonl", Dialogue))) == first
    assert len(ids(tmp_path, "dialogues")) == 3
    assert_whole(tmp_path)


@pytest.mark.parametrize("lost", ["scenarios", "personas"])
def test_a_lost_line_of_an_earlier_stage_is_made_again_and_what_it_led_to_is_kept(tmp_path: Path, lost: str) -> None:
    with answering_server() as server:
        go(server, tmp_path, "--limit", 2)
        before = (tmp_path / "dialogues.jsonl").read_bytes()
        (tmp_path / f"{lost}.jsonl").write_bytes(b"")
        assert go(server, tmp_path, "--limit", 2).code == 0
    assert (tmp_path / "dialogues.jsonl").read_bytes() == before
    assert len(ids(tmp_path, lost)) == 2


def test_what_was_rejected_is_not_tried_again(tmp_path: Path) -> None:
    with answering_server(lambda _: {}) as server:
        go(server, tmp_path, "--limit", 2, "--tries", 1)
        calls = len(server.requests)
        assert go(server, tmp_path, "--limit", 2, "--tries", 1).code == 0
        assert len(server.requests) == calls
    assert len(ids(tmp_path, "rejected")) == 2


def test_a_torn_last_line_is_set_aside_and_made_again(tmp_path: Path) -> None:
    with answering_server() as server:
        go(server, tmp_path, "--limit", 2)
        path = tmp_path / "dialogues.jsonl"
        path.write_bytes(path.read_bytes()[:-50])
        assert go(server, tmp_path, "--limit", 2).code == 0
    assert len(ids(tmp_path, "dialogues")) == 2
    assert (tmp_path / "dialogues.jsonl.torn").stat().st_size > 0
    assert_whole(tmp_path)


def test_killed_again_and_again_every_scenario_ends_once(tmp_path: Path) -> None:
    rng, limit = random.Random(20), 20
    kept: dict[str, list[str]] = {}
    with answering_server(delay=0.001) as server:
        command = ("run", "--out", tmp_path, "--lm", server.spec, "--limit", limit, "--concurrency", 3)
        for _ in range(8):
            calls = len(server.requests) + rng.randint(1, 130)  # a dialogue takes about 30, and three are in flight
            child = start(*command, stdout=subprocess.DEVNULL)
            wait_for(lambda calls=calls: len(server.requests) >= calls, child)  # type: ignore[misc]
            child.kill()
            assert child.wait() == -signal.SIGKILL
            for name in ("scenarios", "personas", "dialogues"):
                now = ids(tmp_path, name)
                assert now[: len(kept.get(name, []))] == kept.get(name, [])
                kept[name] = now
            assert manifest_of(tmp_path).settings.lms["seeker"] == server.spec
        assert 0 < len(kept["dialogues"]) < limit, "the kills came too early or too late to mean anything"
        assert socialsim(*command).code == 0
    assert len(ids(tmp_path, "scenarios")) == limit
    assert set(ids(tmp_path, "dialogues")) == set(ids(tmp_path, "scenarios"))
    assert ids(tmp_path, "dialogues")[: len(kept["dialogues"])] == kept["dialogues"]
    assert_whole(tmp_path)


def test_a_second_process_on_a_run_is_refused(tmp_path: Path) -> None:
    with answering_server() as server, RunLock(tmp_path):
        problem = go(server, tmp_path).problem
        assert not server.requests
    assert problem.startswith(f"{tmp_path} is in use by process ")
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(tmp_path: Path) -> None:
    with answering_server(delay=0.02) as server:
        command = ("run", "--out", tmp_path, "--lm", server.spec, "--limit", LIMIT, "--concurrency", 2)
        child = start(*command)
        wait_for(lambda: (tmp_path / "dialogues.jsonl").exists() and bool(ids(tmp_path, "dialogues")), child)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
        assert (child.returncode, err) == (130, "")
        assert f"Stopped. Nothing is lost: run the same command again to go on in {tmp_path}." in out
        assert 1 <= len(ids(tmp_path, "dialogues")) < LIMIT
        assert_whole(tmp_path)
        server.delay = 0
        assert socialsim(*command).code == 0
    assert len(ids(tmp_path, "dialogues")) == LIMIT
    assert_whole(tmp_path)


def test_ctrl_c_before_the_run_begins_is_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("socialsim.formats.read_posts", interrupted)
    assert socialsim("run", "--out", tmp_path / "r") == Ended(130, "", "")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (["--seed", 1], "seed 0, not 1"),
        (["--nodes", "strategy"], "nodes situation,thought,action,strategy, not strategy"),
        (["--mode", "onepass"], "mode turn, not onepass"),
        (["--no-emoji"], "emoji True, not False"),
        (["--shots", 1], "shots 3, not 1"),
        (["--min-words", 8], "min_words 65, not 8"),
        (["--seeker-lm", "http://127.0.0.1:9/v1#other"], "lms: seeker"),
    ],
)
def test_other_settings_are_refused_in_one_line(tmp_path: Path, changed: list[object], named: str) -> None:
    with answering_server() as server:
        go(server, tmp_path, "--limit", 1)
        before, calls = contents(tmp_path), len(server.requests)
        problem = go(server, tmp_path, "--limit", 2, *changed).problem
        assert len(server.requests) == calls
    assert problem.startswith(f"{tmp_path} was made with {named}")
    assert problem.endswith("; use the same settings, another --out, or --allow-mixed")
    assert contents(tmp_path) == before


def test_mixed_on_request_each_item_says_how_it_was_made(tmp_path: Path) -> None:
    with answering_server() as server:
        go(server, tmp_path, "--limit", 1)
        assert go(server, tmp_path, "--limit", 2, "--seed", 5, "--nodes", "none", "--allow-mixed").code == 0
    how = [one.provenance for one in read_records(tmp_path / "dialogues.jsonl", Dialogue)]
    assert [one and (one.seed, len(one.nodes)) for one in how] == [(0, 4), (5, 0)]
    assert manifest_of(tmp_path).settings.seed == 5


def test_a_later_stage_may_have_settings_of_its_own(tmp_path: Path) -> None:
    with answering_server() as server, answering_server() as other:
        for command, spec, *options in (
            ("scenarios", server.spec, "--min-words", 8, "--limit", 1),
            ("personas", server.spec),
            ("simulate", other.spec, "--mode", "onepass", "--nodes", "none"),
        ):
            ended = socialsim(command, "--out", tmp_path, "--lm", spec, *options)
            assert (ended.code, ended.err) == (0, "")
        settings = manifest_of(tmp_path).settings
    assert (settings.min_words, settings.mode, settings.nodes) == (8, "onepass", ())
    assert settings.lms == {"persona": server.spec, "supporter": other.spec}


def test_no_resume_refuses_a_run_that_is_there(tmp_path: Path) -> None:
    with answering_server() as server:
        go(server, tmp_path, "--limit", 1)
        assert "leave out --no-resume" in go(server, tmp_path, "--limit", 2, "--no-resume").problem
    assert len(ids(tmp_path, "dialogues")) == 1


def failing_after(calls: int, status: int) -> Callable[[Request], dict[str, Any]]:
    valid, seen = valid_answers(), iter(range(10**9))
    return lambda request: valid(request) if next(seen) < calls else {"error": status}


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_an_lm_that_goes_down_ends_the_run_in_one_line_and_keeps_what_is_done(tmp_path: Path, status: int) -> None:
    with answering_server(failing_after(60, status)) as server:
        problem = go(server, tmp_path, "--limit", 4, "--concurrency", 2).problem
        done = ids(tmp_path, "dialogues")
        assert problem.split(" LM ")[0] in ("persona", "seeker", "supporter")
        assert server.spec in problem
        assert 1 <= len(done) < 4
        assert ids(tmp_path, "rejected") == []
        assert_whole(tmp_path)
        server.answer = valid_answers()
        assert go(server, tmp_path, "--limit", 4, "--concurrency", 2).code == 0
    assert len(ids(tmp_path, "dialogues")) == 4
    assert ids(tmp_path, "dialogues")[: len(done)] == done
    assert_whole(tmp_path)


def test_a_server_that_is_not_there_is_named_with_its_role(tmp_path: Path) -> None:
    with answering_server() as server:
        spec = server.spec
    problem = socialsim("run", "--out", tmp_path, "--lm", spec, "--limit", 3).problem
    assert problem.startswith(f"persona LM {spec}: ")
    assert "is the server up" in problem


def test_one_file_that_fails_to_close_leaves_no_other_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(journal: Journal[Any]) -> None:
        journal._file.close()
        raise OutputError(f"{journal.path}: Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "close", fail)
        with pytest.raises(OutputError), RunFolder(tmp_path, Settings(seed=0), ()) as folder:
            pass
    assert all(journal._file.closed for journal in (folder.scenarios, folder.personas, folder.dialogues))
    RunLock(tmp_path).close()  # nor is it still locked


def test_a_folder_that_fails_to_open_is_left_unlocked(tmp_path: Path) -> None:
    (tmp_path / "rejected.jsonl").write_text("{}\n")
    with answering_server() as server:
        assert "rejected.jsonl, line 1" in go(server, tmp_path).problem
    RunLock(tmp_path).close()
