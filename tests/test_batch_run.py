"""`--batch`: screening, translation, personas and judging by a Batch API; killed or not, nothing is paid twice."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import Request

from socialsim.engines import baskets, batch_api
from socialsim.errors import LMSpecError
from socialsim.journal import read_records
from socialsim.lms import build_batch_lm, build_lm, parse_spec
from socialsim.prices import price
from socialsim.schema import Persona
from tests.batch_server import BatchServer, Call, batch_server, by_content
from tests.command import Ended, assert_whole, ids, interruptible, manifest_of, socialsim
from tests.scripted import schema_of

LIMIT = 5
ENGLISH = "I am sad every day and do not know what to do, and my mother does not know it either. " * 3
SUBMIT = Call("POST", "/v1/batches")
QUICK = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from socialsim.engines import baskets, batch_api
baskets.quiet, batch_api.first_poll = 0.1, 0.05
from socialsim.cli import main
main()
"""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baskets, "quiet", 0.1)
    monkeypatch.setattr(batch_api, "first_poll", 0.02)


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with batch_server() as running:
        yield running


def go(server: BatchServer, run: Path, *arguments: object, command: str = "run") -> Ended:
    return socialsim(command, "--out", run, "--lm", server.spec, *arguments)


def start(server: BatchServer, run: Path, *arguments: object) -> subprocess.Popen[str]:
    """The same in a process of its own."""
    said = [sys.executable, "-c", QUICK, "run", "--out", run, "--lm", server.spec, "--limit", LIMIT, *arguments]
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*map(str, said)], preexec_fn=interruptible, **streams)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def personas(run: Path) -> dict[str, Persona]:
    made = read_records(run / "personas.jsonl", Persona)
    return {persona.id: persona.model_copy(update={"provenance": None}) for persona in made}


def is_persona(request: Request) -> bool:
    return "gender" in schema_of(request)["properties"]


def test_a_run_makes_the_same_personas_in_two_batches_and_dialogues_as_ever(
    server: BatchServer, tmp_path: Path
) -> None:
    assert go(server, tmp_path / "usual", "--limit", LIMIT).code == 0
    usual_chats, server.chats = server.chats, 0
    ended = go(server, tmp_path / "batch", "--limit", LIMIT, "--batch")
    assert ended.code == 0, ended.err
    assert personas(tmp_path / "batch") == personas(tmp_path / "usual")
    assert len(ids(tmp_path / "batch", "dialogues")) == LIMIT
    assert [made["request_counts"]["total"] for made in server.batches.values()] == [LIMIT, LIMIT]
    assert server.chats == usual_chats - 2 * LIMIT
    before, after = (manifest_of(tmp_path / name) for name in ("usual", "batch"))
    assert before.settings == after.settings
    assert before.usage.calls == after.usage.calls
    assert ended.out.count("Files:") == 1
    assert_whole(tmp_path / "batch")


def test_stages_alone_go_by_batch_too(server: BatchServer, tmp_path: Path) -> None:
    assert go(server, tmp_path, "--batch", "--limit", 3, command="scenarios").code == 0
    assert go(server, tmp_path, "--batch", command="personas").code == 0
    assert go(server, tmp_path, command="simulate").code == 0
    assert len(ids(tmp_path, "dialogues")) == 3
    assert len(server.batches) == 2


def test_chinese_posts_are_translated_in_a_batch(server: BatchServer, tmp_path: Path) -> None:
    def answer(request: Request) -> dict[str, Any]:
        translates = "description" in schema_of(request)["properties"]
        return {"question": "", "description": ENGLISH} if translates else by_content(request)

    server.answer = answer
    posts = tmp_path / "posts.csv"
    posts.write_text(
        "body\n" + "".join(f"{'我很难过，不知道怎么办。' * 9}{sign}\n" for sign in ("今天下雨", "家里有狗"))
    )
    ended = go(server, tmp_path / "run", posts, "--text-column", "body", "--batch", command="scenarios")
    assert ended.code == 0, ended.err
    assert len(ids(tmp_path / "run", "scenarios")) == 2
    assert [made["request_counts"]["total"] for made in server.batches.values()] == [2, 2]


def test_a_batch_run_goes_on_without_batch(server: BatchServer, tmp_path: Path) -> None:
    assert go(server, tmp_path, "--batch", "--limit", 2, "--max-tokens", 1).code == 1
    assert go(server, tmp_path, "--limit", 2).code == 0
    assert len(ids(tmp_path, "dialogues")) == 2


def test_a_malformed_answer_is_asked_again_in_the_next_batch(server: BatchServer, tmp_path: Path) -> None:
    bad: list[Request] = []

    def answer(request: Request) -> dict[str, Any] | str:
        if is_persona(request) and not bad:
            bad.append(request)
            return "no JSON at all"
        return by_content(request)

    server.answer = answer
    assert go(server, tmp_path, "--batch", "--limit", 3, command="scenarios").code == 0
    assert go(server, tmp_path, "--batch", command="personas").code == 0
    assert len(ids(tmp_path, "personas")) == 3
    assert [made["request_counts"]["total"] for made in server.batches.values()] == [3, 3, 1]


def test_killed_while_a_batch_is_worked_on_nothing_is_submitted_twice(server: BatchServer, tmp_path: Path) -> None:
    server.held.clear()
    child = start(server, tmp_path, "--batch")
    wait_for(lambda: Call("GET", "/v1/batches/batch_1") in server.calls)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    server.held.set()
    assert go(server, tmp_path, "--limit", LIMIT, "--batch").code == 0
    assert len(server.questions) == len(set(server.questions)) == 2 * LIMIT
    assert len(ids(tmp_path, "dialogues")) == LIMIT
    assert_whole(tmp_path)


@pytest.mark.parametrize("kind", ["uploaded", "submitted"])
def test_killed_while_a_batch_is_submitted_it_is_found_again_or_was_none(
    server: BatchServer, tmp_path: Path, kind: str
) -> None:
    moment = SUBMIT if kind == "submitted" else Call("POST", "/v1/files")
    child = start(server, tmp_path, "--batch")
    killed: list[Call] = []

    def after_call(call: Call) -> None:
        if call == moment and not killed:
            killed.append(call)
            child.kill()

    server.after_call = after_call
    assert child.wait(60) == -signal.SIGKILL
    assert len(server.batches) == (kind == "submitted")
    assert go(server, tmp_path, "--limit", LIMIT, "--batch").code == 0
    assert len(server.questions) == len(set(server.questions)) == 2 * LIMIT
    assert len(ids(tmp_path, "dialogues")) == LIMIT


def test_ctrl_c_names_the_batch_that_goes_on_and_the_command_takes_its_answers(
    server: BatchServer, tmp_path: Path
) -> None:
    server.held.clear()
    child = start(server, tmp_path, "--batch")
    wait_for(lambda: Call("GET", "/v1/batches/batch_1") in server.calls)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (130, "")
    assert re.search(r"At the provider: batch_1\. The same command takes the answers", out)
    server.held.set()
    assert go(server, tmp_path, "--limit", LIMIT, "--batch").code == 0
    assert len(server.questions) == len(set(server.questions)) == 2 * LIMIT


def test_the_budget_is_asked_before_each_batch_and_a_higher_one_goes_on(server: BatchServer, tmp_path: Path) -> None:
    ended = go(server, tmp_path, "--batch", "--limit", 3, "--max-tokens", 100)
    assert "--max-tokens 100: 330 tokens are used" in ended.problem
    assert len(server.batches) == 1
    assert server.chats == 0
    assert go(server, tmp_path, "--batch", "--limit", 3, "--max-tokens", 1_000_000).code == 0
    assert len(server.batches) == 2
    assert len(ids(tmp_path, "dialogues")) == 3


def test_other_settings_are_refused_before_anything_is_submitted(server: BatchServer, tmp_path: Path) -> None:
    assert go(server, tmp_path, "--batch", "--limit", 2).code == 0
    submitted = len(server.batches)
    ended = go(server, tmp_path, "--batch", "--limit", 4, "--supporter-lm", "embedded:base")
    assert "was made with lms: supporter" in ended.problem
    assert len(server.batches) == submitted


def test_a_batch_that_fails_stops_the_run_in_one_line(server: BatchServer, tmp_path: Path) -> None:
    server.ends = ["failed"]
    problem = go(server, tmp_path, "--batch", "--limit", 2).problem
    assert problem.startswith(f"persona LM {server.spec}: ")
    assert "batch batch_1 failed: scripted invalid_request" in problem
    assert not ids(tmp_path, "rejected")


@pytest.mark.parametrize("spec", ["embedded", "anthropic/claude-sonnet-4-5", "ollama/llama3.1"])
def test_an_lm_without_a_batch_api_is_refused_in_one_line(tmp_path: Path, spec: str) -> None:
    problem = socialsim("run", "--batch", "--out", tmp_path, "--lm", spec, "--limit", 1).problem
    assert f"persona LM: {spec} has no Batch API; --batch takes openai/MODEL or http" in problem
    assert not (tmp_path / "manifest.json").exists()


def test_without_its_key_openai_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    problem = socialsim("run", "--batch", "--out", tmp_path, "--lm", "openai/gpt-4o-mini").problem
    assert "openai/gpt-4o-mini: --batch needs OPENAI_API_KEY" in problem


def test_openai_is_asked_where_its_own_variables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none-at-all")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere/v1/")
    server = build_batch_lm(parse_spec("openai/gpt-4o-mini")).batches.server
    assert (server.base, server.model, server.key) == ("http://elsewhere/v1", "gpt-4o-mini", "sk-none-at-all")
    monkeypatch.delenv("OPENAI_BASE_URL")
    assert build_batch_lm(parse_spec("openai/gpt-4o-mini")).batches.server.base == "https://api.openai.com/v1"


@pytest.mark.parametrize("spec", ["openai/gpt-5", "openai/gpt-4o-mini?temperature=0.3&max_tokens=900"])
def test_settings_are_those_of_the_ordinary_path(monkeypatch: pytest.MonkeyPatch, spec: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none-at-all")
    usual = {name: value for name, value in build_lm(parse_spec(spec)).kwargs.items() if name != "timeout"}
    assert build_batch_lm(parse_spec(spec)).kwargs == usual


def test_a_setting_a_reasoning_model_refuses_is_refused_here_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none-at-all")
    with pytest.raises(LMSpecError, match="a reasoning model takes no temperature"):
        build_batch_lm(parse_spec("openai/gpt-5?temperature=0.3"))


def test_a_dry_run_shows_half_the_price_for_personas_and_the_whole_for_dialogues(tmp_path: Path) -> None:
    def costs(*arguments: str) -> dict[str, float]:
        lm = ("--lm", "openai/gpt-4o", "--limit", "40", "--out", tmp_path / "none")
        out = socialsim("run", "--dry-run", *lm, *arguments).out
        return {role: float(cost) for role, cost in re.findall(r"(persona|seeker|supporter).*?\$([\d.]+)", out)}

    usual, by_batch = costs(), costs("--batch")
    assert by_batch["persona"] == pytest.approx(usual["persona"] / 2, abs=0.011)
    assert {**by_batch, "persona": 0} == {**usual, "persona": 0}


def test_the_meter_takes_half_the_price() -> None:
    spec = parse_spec("openai/gpt-4o-mini")
    usual, less = price(spec), price(spec, batch=True)
    assert usual is not None
    assert less is not None
    assert less.of(1000, 500, 100) == pytest.approx(usual.of(1000, 500, 100) / 2)
    assert price(parse_spec("openai/gpt-that-never-was"), batch=True) is None


def test_a_judge_judges_all_dialogues_in_one_batch_as_it_does_one_by_one(server: BatchServer, tmp_path: Path) -> None:
    assert go(server, tmp_path, "--limit", 2).code == 0
    judge = ("judge", tmp_path, "--judge-lm", server.spec)
    usual = socialsim(*judge, "--out", tmp_path / "usual")
    by_batch = socialsim(*judge, "--out", tmp_path / "batch", "--batch")
    assert (usual.code, by_batch.code) == (0, 0)
    first = next(iter(server.batches.values()))
    assert first["request_counts"]["total"] == 12

    def table(out: str) -> list[str]:
        return [line for line in out.splitlines() if "│" in line]

    assert table(by_batch.out) == table(usual.out)
