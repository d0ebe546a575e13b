"""`socialsim arena` given what it cannot use, or cut off: one line, nothing lost, nothing done twice."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import Request

from metrics.arena import ArenaLeaf
from socialsim.cli.arena import parse_models
from socialsim.errors import UsageError
from socialsim.journal import Journal, RunLock
from socialsim.loading import program_hash
from socialsim.schema import Dialogue, Persona, Rejection
from tests.answering_server import AnsweringServer
from tests.arenas import arena, records, row, servers, verdicts, write_people
from tests.command import socialsim, start
from tests.samples import persona
from tests.scripted import sentences, user_text, valid_answers


@pytest.fixture(autouse=True)
def _people(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_people(monkeypatch, tmp_path)


def test_a_judge_that_gives_no_verdict_fails_in_one_line() -> None:
    with servers(lambda _: "I cannot say.") as given:
        problem = arena(given, "--limit", 1).problem
    assert "gave no verdict that can be read (10 errors); use a more capable LM with --judge-lm" in problem


def test_a_dialogue_that_cannot_be_made_is_a_rejection_that_is_counted_and_not_tried_again() -> None:
    def stubborn(request: Request) -> dict[str, Any] | str:
        return "no" if "p1-word" in user_text(request) else valid_answers()(request)

    said = sentences()

    def seeker(request: Request) -> dict[str, Any]:
        line = "My p1-word is gone." if "gone wrong" in user_text(request) else next(said)
        return valid_answers(utterance=line)(request)

    Path("people.jsonl").unlink()
    with Journal("people.jsonl", Persona) as journal:
        journal.append(persona(id="p0"))
        journal.append(persona(id="p1", goals="I want to know what has gone wrong."))
    with servers(b=stubborn) as given:
        given.seeker.answer = seeker
        ended = arena(given)
        calls = given.calls
        assert arena(given).code == 0
        assert given.calls == calls
    assert ended.code == 0
    assert [(one.id, one.stage) for one in records("rejected", Rejection)] == [("p1/B", "simulate")]
    assert row(ended.out, "B")[:2] == ["1", "1"]
    assert row(ended.out, "A vs. B")[0] == "10"
    assert "1 × dialogue: invalid" in ended.out


def test_a_model_without_a_dialogue_fails_in_one_line_after_the_others_have_theirs() -> None:
    with servers(b=lambda _: "no") as given:
        ended = arena(given, "--limit", 2)
        assert ended.problem == "no dialogue of B could be made; see o/rejected.jsonl"
    assert len(records("dialogues", Dialogue)) == 2


@pytest.mark.parametrize("part", ["a", "seeker", "judge"])
def test_an_lm_that_goes_down_stops_in_one_line_and_no_call_is_repeated(part: str) -> None:
    with servers() as given:
        server: AnsweringServer = getattr(given, part)
        script, left = server.answer, iter(range(13))
        server.answer = lambda request: script(request) if next(left, None) is not None else {"error": 503}
        problem = arena(given, "--concurrency", 1).problem
        assert server.spec in problem
        done, judged = len(records("dialogues", Dialogue)), len(verdicts())
        assert judged == (13 if part == "judge" else 0)
        assert done < 6 or part == "judge"
        server.answer = script
        given.judge.requests.clear()
        assert arena(given).code == 0
        assert len(given.judge.requests) == 30 - judged
    assert (len(records("dialogues", Dialogue)), len(verdicts())) == (6, 30)


def test_a_kill_while_judging_loses_nothing_and_repeats_nothing() -> None:
    with servers(delay=0.02) as given:
        lms = ["--seeker-lm", given.seeker.spec, "--judge-lm", given.judge.spec]
        models = f"A={given.a.spec},B={given.b.spec}"
        usual = ["--personas", "people.jsonl", "--out", "o", "--limit", 2, "--concurrency", 2]
        child = start("arena", "--models", models, *lms, *usual)
        deadline = time.monotonic() + 90
        while not (Path("o/verdicts.jsonl").exists() and verdicts()):
            assert child.poll() is None, child.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=60)
        kept, calls = len(verdicts()), given.calls
        assert 1 <= kept < 20
        given.judge.requests.clear()
        assert arena(given, "--limit", 2).code == 0
        assert given.calls[:3] == calls[:3]
        assert len(given.judge.requests) == 20 - kept
    assert len({one.id for one in verdicts()}) == 20


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seed", "1"], "--seed 0, not 1"),
        (["--exchanges", "9"], "--exchanges 8, not 9"),
        (["--judges", "2"], "--judges 1, not 2"),
        (["--nodes", "strategy"], "--nodes situation,thought,action,strategy, not strategy"),
        (["--shots", "0"], "--shots 3, not 0"),
        (["--uncompiled"], "--uncompiled False, not True"),
        (["--judge-lm", "openai/other"], "not openai/other"),
        (["--models", "A=openai/x,B=openai/y"], "not A=openai/x,B=openai/y"),
    ],
)
def test_another_setting_is_refused_in_one_line(arguments: list[str], said: str) -> None:
    with servers() as given:
        arena(given, "--limit", 1)
        problem = socialsim("arena", "--out", "o", *arguments).problem
    assert said in problem
    assert problem.endswith("use the same settings or another --out")


def test_work_that_is_left_is_not_done_by_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    with servers() as given:
        arena(given, "--limit", 1)
        monkeypatch.setattr("socialsim.arenasteps.program_hash", lambda _: "other")
        assert socialsim("arena", "--out", "o").code == 0  # nothing is left: the tables do not depend on it
        problem = arena(given, "--limit", 2).problem
    assert f"the program of the judge {program_hash(ArenaLeaf())}, not other" in problem


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--models", "A=openai/x"], "name at least two"),
        (["--models", "openai/x,openai/x"], "two models are named 'openai/x'"),
        (["--models", "A=openai/x,A=openai/y"], "two models are named 'A'"),
        (["--models", "A=nonsense,B=openai/x"], "model 'A' (from --models): unknown LM spec 'nonsense'"),
        ([], "--models: name at least two, as in --models A=SPEC,B=SPEC (o holds no arena)"),
        (["--models", "openai/x,openai/y", "--personas", "nowhere.jsonl"], "nowhere.jsonl: no such file"),
        (["--models", "openai/x,openai/y", "--personas", "empty.jsonl"], "empty.jsonl: holds no persona"),
        (["--models", "openai/x,openai/y", "--personas", "twice.jsonl"], "id 'p1' is there twice"),
        (["--models", "openai/x,openai/y", "--personas", "wrong.jsonl"], "wrong.jsonl, line 1"),
        (["--models", "openai/x,openai/y", "--nodes", "mood"], "--nodes: unknown mood"),
        (["--models", "openai/x,openai/y", "--exchanges", "5"], "--exchanges 5: use 8 (the least in the paper) to 20"),
        (["--models", "openai/x,openai/y", "--exchanges", "21"], "--exchanges 21"),
        (["--models", "openai/x,openai/y", "--judge-lm", "nonsense"], "nonsense"),
        (["--models", "openai/x,openai/y", "--limit", "0"], "--limit"),
        (["--models", "openai/x,openai/y", "--out", "run"], "run holds dialogues.jsonl and no arena.json"),
        (["--models", "openai/x,openai/y", "--out", "taken"], "taken"),
    ],
)
def test_bad_input_ends_in_one_line_and_begins_nothing(arguments: list[str], said: str) -> None:
    Path("empty.jsonl").touch()
    Path("taken").touch()
    Path("wrong.jsonl").write_text('{"id": "p1"}\n')
    Path("twice.jsonl").write_text((persona().model_dump_json() + "\n") * 2)
    Path("run").mkdir()
    Path("run/dialogues.jsonl").touch()
    assert said in socialsim("arena", *([] if "--out" in arguments else ["--out", "o"]), *arguments).problem
    assert not Path("o").exists()


def test_names_and_specs_are_told_apart() -> None:
    spec = "http://127.0.0.1:1/v1#m?retries=0&temperature=0.5"
    found = parse_models(f"mine={spec}, {spec} ,embedded?temperature=0.5,a b=openai/gpt-4o")
    assert list(found) == ["mine", spec, "embedded?temperature=0.5", "a b"]
    assert found["mine"].text == found[spec].text == spec
    assert found["a b"].model == "openai/gpt-4o"
    with pytest.raises(UsageError, match="at least two"):
        parse_models(",")


def test_a_persona_with_other_contents_is_refused() -> None:
    with servers() as given:
        arena(given, "--limit", 1)
        Path("people.jsonl").write_text(persona(id="p0", age=35).model_dump_json() + "\n")
        assert "o holds another persona 'p0'; use another --out" in arena(given).problem


def test_two_sessions_do_not_write_one_folder() -> None:
    with servers() as given, RunLock("o"):
        assert "is in use by process" in arena(given).problem
        assert given.calls == [0, 0, 0, 0]
