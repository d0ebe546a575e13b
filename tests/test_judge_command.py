"""`socialsim judge`: Table 2 of a corpus, each verdict kept at once, nothing judged twice."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import Request

from metrics.rubric import RubricLeaf, RubricVerdict
from socialsim.cli import app
from socialsim.cli.judge import register
from socialsim.journal import Journal, RunLock, read_records
from socialsim.loading import program_hash
from socialsim.report.table2 import PUBLISHED
from socialsim.schema import Dialogue
from tests.answering_server import AnsweringServer, answering_server
from tests.command import ROOT, Ended, interruptible, socialsim
from tests.samples import dialogue
from tests.scripted import user_text

if "judge" not in app:
    register(app)


def quoting(score: int | None = 2) -> Callable[[Request], dict[str, Any]]:
    """A judge that always gives this score and quotes the first utterance."""

    def answer(request: Request) -> dict[str, Any]:
        said = re.search(r"^1\. Seeker: (.+)$", user_text(request), re.MULTILINE)
        assert said
        evidence = [{"utterance": 1, "quote": said[1]}]
        return {"discussion": "It is so.", "evidence": evidence, "score": score}

    return answer


def by_dialogue(scores: dict[str, int]) -> Callable[[Request], dict[str, Any]]:
    """A judge whose score depends on a word of the dialogue."""
    return lambda request: quoting(next(score for word, score in scores.items() if word in user_text(request)))(request)


def run_of(folder: Path, count: int) -> Path:
    """A run folder of so many dialogues, with nothing else in it."""
    folder.mkdir(exist_ok=True)
    with Journal(folder / "dialogues.jsonl", Dialogue) as journal:
        turns = dialogue(12).turns
        for number in range(count):
            journal.append(Dialogue(id=f"d{number}", turns=turns[2 * number :]))
    return folder


def verdicts_in(folder: Path) -> list[RubricVerdict]:
    [file] = folder.glob("*rubric-*.jsonl")
    return list(read_records(file, RubricVerdict))


def judge(server: AnsweringServer, corpus: Path, *arguments: object) -> Ended:
    return socialsim("judge", corpus, "--judge-lm", server.spec, *arguments)


def row(out: str, name: str) -> list[str]:
    """The cells of a table row."""
    [line] = [line for line in out.splitlines() if re.match(rf"│ +{re.escape(name)} +│", line)]
    return [cell.strip() for cell in line.strip("│").split("│")][1:]


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.chdir(tmp_path)


def test_a_run_is_shown_beside_the_published_rows_and_marked_as_not_calibrated(tmp_path: Path) -> None:
    run = run_of(tmp_path / "r", 3)
    first_words = [next(iter(one.turns)).text.split(",")[0] for one in read_records(run / "dialogues.jsonl", Dialogue)]
    scores = {f"1. Seeker: {words}": score for words, score in zip(first_words, (1, 2, 3), strict=True)}
    with answering_server(by_dialogue(scores)) as server:
        ended = judge(server, run)
    assert (ended.code, ended.err) == (0, "")
    assert row(ended.out, "r") == ["2.00"] * 6
    assert row(ended.out, "± between dialogues") == ["1.00"] * 6
    assert row(ended.out, "scored") == ["3"] * 6
    assert row(ended.out, "missing") == row(ended.out, "errors") == ["0"] * 6
    for name, values in PUBLISHED.items():
        assert row(ended.out, name) == [f"{value:.2f}" for value in values]
    flat = " ".join(ended.out.split())
    assert f"Judge {server.spec}, not calibrated against people" in flat
    assert "Calibration: not calibrated against people" in flat
    assert "* published ratings by people" in flat
    assert "18 calls · 0 malformed answers · 1,980 tokens · $0.0000" in flat


def test_each_verdict_says_who_judged_what_and_what_it_cost(tmp_path: Path) -> None:
    run = run_of(tmp_path / "r", 2)
    with answering_server(quoting()) as server:
        assert judge(server, run).code == 0
        spec = server.spec
    verdicts = verdicts_in(run / "verdicts")
    assert [verdict.id for verdict in verdicts] == ["d0", "d1"] or [verdict.id for verdict in verdicts] == ["d1", "d0"]
    for verdict in verdicts:
        assert (verdict.judge, verdict.k, verdict.calibrated) == (spec, 1, False)
        assert verdict.program == program_hash(RubricLeaf())
        assert (verdict.usage.calls, verdict.usage.prompt_tokens, verdict.usage.cost) == (6, 600, 0.0)


def test_a_judge_with_a_card_is_shown_with_it(tmp_path: Path) -> None:
    run = run_of(tmp_path / "r", 1)
    (tmp_path / "calibration").mkdir()
    with answering_server(quoting()) as server:
        card = {"judge": server.spec, "program": program_hash(RubricLeaf()), "calibrated": True}
        card |= {"summary": "Spearman 0.61", "labels": "failed.json", "n": 42}
        (tmp_path / "calibration" / "scripted.json").write_text(json.dumps(card))
        out = " ".join(judge(server, run).out.split())
    assert "not calibrated" not in out
    assert "Calibration: calibrated on 42 dialogues rated by people in failed.json: Spearman 0.61" in out
    assert verdicts_in(run / "verdicts")[0].calibrated


def test_what_is_judged_is_not_judged_again(tmp_path: Path) -> None:
    run = run_of(tmp_path / "r", 4)
    with answering_server(quoting()) as server:
        judge(server, run, "--limit", 2)
        assert len(server.requests) == 12
        assert row(judge(server, run).out, "scored") == ["4"] * 6
        assert len(server.requests) == 24
        assert row(judge(server, run, "--limit", 1).out, "scored") == ["1"] * 6
        assert len(server.requests) == 24


def test_several_judges_show_the_spread_between_them(tmp_path: Path) -> None:
    run, calls = run_of(tmp_path / "r", 1), iter(range(10**6))
    with answering_server(lambda request: quoting(next(calls) % 3)(request)) as server:
        out = judge(server, run, "--judges", 3).out
    assert row(out, "r") == ["1.00"] * 6
    assert row(out, "± between 3 samples") == ["1.00"] * 6
    assert row(out, "± between dialogues") == ["-"] * 6
    assert row(out, "scored") == ["3"] * 6
    assert "temperature 0" not in out


def test_samples_at_temperature_0_are_said_to_be_alike(tmp_path: Path) -> None:
    run = run_of(tmp_path / "r", 1)
    with answering_server(quoting()) as server:
        spec = f"{server.spec}&temperature=0"
        assert "This LM is at temperature 0" in socialsim("judge", run, "--judge-lm", spec, "--judges", 2).out
        assert "temperature 0" not in judge(server, run).out


@pytest.mark.parametrize("name", ["dialogues.json", "odd name.jsonl"])
def test_a_corpus_file_is_judged_beside_itself_or_in_another_folder(tmp_path: Path, name: str) -> None:
    rows = [
        {"dialog": [{"speaker": "seeker", "content": f"Hello {i}."}, {"speaker": "supporter", "content": "Hi."}]}
        for i in range(2)
    ]
    text = json.dumps(rows) if name.endswith(".json") else "\n".join(map(json.dumps, rows))
    corpus = tmp_path / "data" / name
    corpus.parent.mkdir()
    corpus.write_text(text)
    with answering_server(quoting()) as server:
        assert row(judge(server, corpus).out, "scored") == ["2"] * 6
        assert len(verdicts_in(corpus.parent)) == 2
        assert judge(server, corpus, "--out", tmp_path / "new" / "folder").code == 0
    assert len(verdicts_in(tmp_path / "new" / "folder")) == 2
    assert corpus.read_text() == text


def test_dialogues_that_cannot_be_scored_are_missing_and_no_failure(tmp_path: Path) -> None:
    with answering_server(quoting(None)) as server:
        ended = judge(server, run_of(tmp_path / "r", 2))
    assert ended.code == 0
    assert row(ended.out, "r") == ["-"] * 6
    assert row(ended.out, "missing") == ["2"] * 6


def test_a_judge_that_never_answers_validly_is_shown_and_fails_in_one_line(tmp_path: Path) -> None:
    with answering_server(lambda _: "I cannot say.") as server:
        ended = judge(server, run_of(tmp_path / "r", 2))
        assert len(server.requests) == 36
        assert ended.problem == f"judge LM {server.spec} gave no score (12 malformed judgements); " + (
            "use a more capable LM with --judge-lm"
        )
    assert row(ended.out, "r") == ["-"] * 6
    assert row(ended.out, "errors") == ["2"] * 6
    assert "12 × the answer was not the JSON object that was asked for" in ended.out


def test_some_malformed_judgements_leave_the_others(tmp_path: Path) -> None:
    def answer(request: Request) -> dict[str, Any]:
        made = quoting(3)(request)
        return made | {"evidence": []} if "\nSafety. " in user_text(request) else made

    with answering_server(answer) as server:
        ended = judge(server, run_of(tmp_path / "r", 1))
    assert ended.code == 0
    assert row(ended.out, "r") == ["3.00", "3.00", "3.00", "-", "3.00", "3.00"]
    assert row(ended.out, "errors") == ["0", "0", "0", "1", "0", "0"]
    assert "1 × evidence: a score needs 1 to 3 quotes" in ended.out


@pytest.mark.parametrize("status", [401, 429, 503])
def test_an_lm_that_goes_down_stops_in_one_line_and_what_is_judged_is_kept(tmp_path: Path, status: int) -> None:
    run, calls = run_of(tmp_path / "r", 4), iter(range(10**6))
    with answering_server(lambda request: quoting()(request) if next(calls) < 13 else {"error": status}) as server:
        problem = judge(server, run, "--concurrency", 1).problem
        assert problem.startswith(f"judge LM {server.spec}: ")
        assert len(verdicts_in(run / "verdicts")) == 2
        server.answer = quoting()
        assert row(judge(server, run).out, "scored") == ["4"] * 6
    assert len(server.requests) == 14 + 12


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with answering_server() as server:
        spec = server.spec
    problem = socialsim("judge", run_of(tmp_path / "r", 1), "--judge-lm", spec).problem
    assert problem.startswith(f"judge LM {spec}: ")
    assert "is the server up" in problem


def test_one_dialogue_that_the_lm_refuses_is_a_verdict_of_errors(tmp_path: Path) -> None:
    run, calls = run_of(tmp_path / "r", 2), iter(range(10**6))
    with answering_server(lambda request: {"error": 400} if next(calls) == 6 else quoting()(request)) as server:
        ended = judge(server, run, "--concurrency", 1)
    assert ended.code == 0
    assert row(ended.out, "scored") == row(ended.out, "errors") == ["1"] * 6


def test_as_many_dialogues_as_allowed_are_judged_at_once(tmp_path: Path) -> None:
    with answering_server(quoting(), delay=0.02) as server:
        judge(server, run_of(tmp_path / "r", 6), "--concurrency", 3)
        assert server.peak == 3


def test_ctrl_c_ends_cleanly_and_the_rest_is_judged_later(tmp_path: Path) -> None:
    run = run_of(tmp_path / "r", 8)
    with answering_server(quoting(), delay=0.05) as server:
        code = "from socialsim.cli import app, main\nfrom socialsim.cli.judge import register\n"
        code += "'judge' in app or register(app)\nmain()"
        command = [sys.executable, "-c", code, "judge", run, "--judge-lm", server.spec, "--concurrency", "2"]
        child = subprocess.Popen(
            [*map(str, command)], stdout=-1, stderr=-1, text=True, cwd=ROOT, preexec_fn=interruptible
        )
        deadline = time.monotonic() + 60
        while len(list(run.glob("verdicts/*.jsonl"))) == 0 or not verdicts_in(run / "verdicts"):
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
        assert (child.returncode, err) == (130, "")
        assert "Stopped. Nothing is lost" in out
        assert 1 <= len(verdicts_in(run / "verdicts")) < 8
        assert row(judge(server, run).out, "scored") == ["8"] * 6
    assert len({verdict.id for verdict in verdicts_in(run / "verdicts")}) == 8


def test_verdicts_of_another_text_or_program_are_not_mixed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(tmp_path / "r", 1)
    with answering_server(quoting()) as server:
        judge(server, run)
        (run / "dialogues.jsonl").unlink()
        with Journal(run / "dialogues.jsonl", Dialogue) as journal:
            journal.append(dialogue(3).model_copy(update={"id": "d0"}))
        problem = judge(server, run).problem
        assert "the verdict on 'd0' is from another text of a dialogue" in problem
        assert "use another --out" in problem
        monkeypatch.setattr("socialsim.judging.program_hash", lambda _: "other")
        assert "from another judge program" in judge(server, run).problem


def test_a_compiled_judge_is_used_and_kept_apart(tmp_path: Path) -> None:
    run, leaf = run_of(tmp_path / "r", 1), RubricLeaf()
    leaf.judge.signature = leaf.judge.signature.with_instructions("Judge like a strict aunt.")
    leaf.save(tmp_path / "aunt.json")
    with answering_server(quoting()) as server:
        assert judge(server, run).code == 0
        assert judge(server, run, "--program", tmp_path / "aunt.json").code == 0
        assert "strict aunt" not in (server.requests[0].system or "")
        assert "strict aunt" in (server.requests[-1].system or "")
    files = sorted((run / "verdicts").glob("*.jsonl"))
    assert len(files) == 2
    assert any(program_hash(leaf) in file.name for file in files)


def test_two_sessions_do_not_write_one_file(tmp_path: Path) -> None:
    run = run_of(tmp_path / "r", 1)
    with answering_server(quoting()) as server, RunLock(run / "verdicts"):
        assert "is in use by process" in judge(server, run).problem
        assert server.requests == []


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["nowhere"], "nowhere: no such file"),
        (["empty"], "empty: not a run folder"),
        (["r", "--limit", "0"], "--limit"),
        (["r", "--judges", "0"], "--judges"),
        (["r", "--judge-lm", "nonsense"], "nonsense"),
        (["r", "--program", "nothing.json"], "nothing.json"),
        (["fresh"], "fresh: holds no dialogue yet"),
        (["r", "--out", "taken"], "taken"),
    ],
)
def test_bad_input_ends_in_one_line_and_calls_nobody(tmp_path: Path, arguments: list[str], part: str) -> None:
    run_of(tmp_path / "r", 1)
    run_of(tmp_path / "fresh", 0)
    (tmp_path / "empty").mkdir()
    (tmp_path / "taken").touch()
    with answering_server(quoting()) as server:
        lm = [] if "--judge-lm" in arguments else ["--judge-lm", server.spec]
        assert part in socialsim("judge", *arguments, *lm).problem
        assert server.requests == []
    assert not list(tmp_path.rglob("*rubric-*"))


def test_brackets_in_names_are_text(tmp_path: Path) -> None:
    with answering_server(quoting()) as server:
        ended = judge(server, run_of(tmp_path / "[bold]r", 1))
    assert ended.code == 0
    assert row(ended.out, "[bold]r") == ["2.00"] * 6


def test_the_table_fits_a_terminal_of_80_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with answering_server(quoting()) as server:
        out = judge(server, run_of(tmp_path / "a-run-with-a-long-name-that-has-to-be-broken-somewhere", 2)).out
    table = out[out.index("Table 2") : out.index("12 calls")]
    assert max(map(len, table.splitlines()[:-1])) <= 80
    assert row(out, "SSConv, strategy only*") == [f"{value:.2f}" for value in PUBLISHED["SSConv, strategy only*"]]
