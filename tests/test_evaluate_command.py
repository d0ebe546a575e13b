"""`socialsim evaluate`: gold history in, one reply a turn out, none twice, and the reply alone is scored."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import Request

from socialsim.cli import app
from socialsim.cli.evaluate import register
from socialsim.cli.named import parse_named
from socialsim.errors import UsageError
from socialsim.journal import Journal, read_records
from socialsim.predictions import Prediction
from socialsim.resources import demonstrations, training_demonstrations
from socialsim.schema import Dialogue
from tests import samples, students
from tests.answering_server import AnsweringServer, answering_server
from tests.command import ROOT, Ended, interruptible, socialsim
from tests.scripted import schema_of, user_text, valid_answers

for needed in ("sacrebleu", "rouge_score", "scipy"):
    pytest.importorskip(needed, reason="needs socialsim[eval]")

if "evaluate" not in app:
    register(app)

REPLIES = 6  # two dialogues of three exchanges


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    write("test.jsonl")


@pytest.fixture
def server() -> Iterator[AnsweringServer]:
    with answering_server() as opened:
        yield opened


def write(name: str, emoji: str = "", count: int = 2, exchanges: int = 3) -> None:
    with Journal(name, Dialogue) as journal:
        for number in range(count):
            made = samples.dialogue(exchanges)
            turns = [turn.model_copy(update={"text": f"{turn.text} n{number}{emoji}"}) for turn in made.turns]
            journal.append(made.model_copy(update={"id": f"d{number}", "turns": tuple(turns)}))


def evaluate(*arguments: object, models: str = "", tests: str = "t=test.jsonl", out: str = "o") -> Ended:
    named = [*(["--models", models] if models else []), *(["--tests", tests] if tests else [])]
    return socialsim("evaluate", *named, "--out", out, *arguments)


def predictions(out: str = "o") -> list[Prediction]:
    return list(read_records(Path(out) / "predictions.jsonl", Prediction))


def table(out: str = "o") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(out) / "table.json").read_text())["tests"]
    return found


def test_every_turn_is_answered_after_its_gold_history(server: AnsweringServer) -> None:
    server.answer = valid_answers(utterance="I hear how hard this is for you.")
    ended = evaluate(models=f"lm={server.spec}")
    assert (ended.code, ended.err) == (0, "")
    made = {one.id: one for one in predictions()}
    assert set(made) == {f"t/lm/d{number}/{turn}" for number in (0, 1) for turn in (1, 2, 3)}
    golds = samples.dialogue(3).turns
    assert made["t/lm/d1/2"].gold == f"{golds[3].text} n1"
    (asked,) = [user_text(one) for one in server.requests if f"{golds[2].text} n1" in user_text(one)][:1]
    assert f"Supporter: {golds[1].text} n1" in asked
    assert f"{golds[3].text} n1" not in asked
    assert "Exchange 2 of 3." in asked
    assert not any("I hear how hard this is" in user_text(one) for one in server.requests)
    assert all("emoji" not in schema_of(one)["properties"] for one in server.requests)


def test_an_emoji_is_asked_for_where_the_gold_replies_have_one(server: AnsweringServer) -> None:
    write("smiling.jsonl", emoji=" 😊")
    assert evaluate(models=f"lm={server.spec}", tests="t=smiling.jsonl").code == 0
    assert all("emoji" in schema_of(one)["properties"] for one in server.requests)


def test_the_likeliest_token_is_taken_unless_the_spec_says_otherwise(server: AnsweringServer) -> None:
    bodies: list[dict[str, Any]] = []
    answer = server.reply

    def reply(body: dict[str, Any]) -> tuple[int, bytes]:
        bodies.append(body)
        return answer(body)

    server.reply = reply  # type: ignore[method-assign]
    evaluate("--limit", 1, models=f"a={server.spec},b={server.spec}&temperature=0.5")
    assert [body["temperature"] for body in bodies] == [0.0] * 3 + [0.5] * 3


def test_reasoning_is_kept_and_never_scored(server: AnsweringServer) -> None:
    said = "I hear how hard this is for you."
    server.answer = valid_answers(utterance=said)
    assert evaluate(models=f"plain={server.spec}", out="plain").code == 0
    assert evaluate("--nodes", "situation,strategy", models=f"plain={server.spec}", out="thinking").code == 0
    assert all("SITUATION" in one.reasoning and "STRATEGY" in one.reasoning for one in predictions("thinking"))
    assert {one.reply for one in predictions("plain") + predictions("thinking")} == {said}
    assert table("plain")["t"]["models"] == table("thinking")["t"]["models"]


def test_a_second_time_nothing_is_asked_not_even_the_corpus(server: AnsweringServer) -> None:
    first = evaluate(models=f"a={server.spec},b={server.spec}")
    before, figures = len(server.requests), table()
    server.close()
    Path("test.jsonl").unlink()
    again = evaluate(tests="")
    assert (again.code, again.err) == (0, "")
    assert len(server.requests) == before == 2 * REPLIES
    assert table() == figures
    assert again.out[again.out.index("Table 3") :] == first.out[first.out.index("Table 3") :]


def test_metrics_are_computed_from_the_journal(server: AnsweringServer) -> None:
    server.answer = valid_answers(utterance="I hear how hard this is for you.")
    evaluate(models=f"lm={server.spec}")
    file = Path("o/predictions.jsonl")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(row | {"reply": row["gold"]}) + "\n" for row in rows))
    assert evaluate(tests="").code == 0
    assert table()["t"]["models"]["lm"]["metrics"]["R-L"]["value"] == pytest.approx(100)


def test_an_lm_that_stops_answering_ends_in_one_line_and_the_rest_comes_later(server: AnsweringServer) -> None:
    good = valid_answers()

    def answer(request: Request) -> dict[str, Any] | str:
        return good(request) if len(server.requests) <= 2 else {"error": 503}

    server.answer = answer
    ended = evaluate("--concurrency", 1, models=f"lm={server.spec}")
    assert "supporter LM" in ended.problem
    assert len(predictions()) == 2
    failed, server.answer = len(server.requests), good
    assert evaluate(tests="").code == 0
    assert len(server.requests) - failed == REPLIES - 2
    assert len(predictions()) == REPLIES


def test_killed_it_goes_on_and_no_reply_comes_twice() -> None:
    code = "from socialsim.cli import app, main; from socialsim.cli.evaluate import register\n"
    code += "if 'evaluate' not in app: register(app)\nmain()"
    with answering_server(delay=0.15) as server:
        arguments = ["evaluate", "--models", f"lm={server.spec}", "--tests", "t=test.jsonl", "-o", "o"]
        child = subprocess.Popen(
            [sys.executable, "-c", code, *arguments, "--concurrency", "1"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            preexec_fn=interruptible,
        )
        wait_for(lambda: Path("o/predictions.jsonl").is_file() and len(predictions()) >= 2)
        child.send_signal(signal.SIGKILL)
        child.wait()
        done = {one.id for one in predictions()}
        asked = len(server.requests)
        assert evaluate(models=f"lm={server.spec}").code == 0
        assert len(server.requests) - asked == REPLIES - len(done)
    assert len(predictions()) == len({one.id for one in predictions()}) == REPLIES
    assert done <= {one.id for one in predictions()}


def wait_for(condition: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def test_an_answer_that_cannot_be_used_is_a_counted_empty_reply(server: AnsweringServer) -> None:
    good = valid_answers()

    def answer(request: Request) -> dict[str, Any] | str:
        return "no JSON" if "Exchange 1 of 3" in user_text(request) else good(request)

    server.answer = answer
    ended = evaluate(models=f"lm={server.spec}")
    assert ended.code == 0
    failed = [one for one in predictions() if one.failure]
    assert [(one.turn, one.reply, one.usage.calls) for one in failed] == [(1, "", 3)] * 2
    row = table()["t"]["models"]["lm"]
    assert (row["replies"], row["failures"]) == (REPLIES, 2)
    assert "JSON object" in ended.out
    server.answer = lambda _: "no JSON"
    assert "gave no reply that can be used" in evaluate(models=f"bad={server.spec}", out="bad").problem


def test_models_tests_and_dialogues_may_be_added(server: AnsweringServer) -> None:
    evaluate("--limit", 1, models=f"a={server.spec}")
    assert len(server.requests) == 3
    evaluate(models=f"b={server.spec}", tests="")
    assert len(server.requests) == 6
    evaluate("--limit", 2, tests="")
    assert len(server.requests) == 4 * 3
    write("more.jsonl", count=1)
    ended = evaluate(tests="more=more.jsonl")
    assert len(server.requests) == 4 * 3 + 2 * 3
    assert {name: set(one["models"]) for name, one in table().items()} == {"t": {"a", "b"}, "more": {"a", "b"}}
    assert "Table 3: more" in ended.out


def test_the_order_of_models_decides_nothing(server: AnsweringServer) -> None:
    said = {"Exchange 1": "Hello to you, my friend.", "Exchange 2": "That is hard.", "Exchange 3": "Take good care."}
    server.answer = lambda one: {"utterance": next(text for key, text in said.items() if key in user_text(one))}
    evaluate("--reference", "a", models=f"a={server.spec},b={server.spec}", out="one")
    evaluate("--reference", "a", models=f"b={server.spec},a={server.spec}", out="other")
    assert table("one") == table("other")


REFUSED = [
    (["--models", "a={other}"], "was made with model a ="),
    (["--tests", "t=other.jsonl"], "was made with dialogues of test t"),
    (["--nodes", "thought"], "was made with --nodes none, not thought"),
    (["--limit", "1"], "was made with --limit not given, not 1"),
    (["--shots", "0"], "was made with --shots"),
    (["--reference", "nobody"], "--reference nobody: no model of that name; there are a"),
    (["--vectors", "nowhere.txt"], "nowhere.txt"),
]


@pytest.mark.parametrize(("arguments", "problem"), REFUSED)
def test_what_was_begun_otherwise_is_refused(arguments: list[str], problem: str, server: AnsweringServer) -> None:
    assert evaluate(models=f"a={server.spec}").code == 0
    before, asked = Path("o/evaluation.json").read_text(), len(server.requests)
    write("other.jsonl", exchanges=2)
    ended = evaluate(*(one.format(other=f"{server.spec}&temperature=1") for one in arguments), tests="")
    assert problem in ended.problem
    assert len(server.requests) == asked
    assert Path("o/evaluation.json").read_text() == before


def test_a_model_that_never_answered_can_be_named_anew(server: AnsweringServer) -> None:
    assert "the address" in evaluate(models="a=http://127.0.0.1:9/v1#none?retries=0").problem
    assert evaluate(models=f"b={server.spec}").code == 0
    assert set(table()["t"]["models"]) == {"b"}


BAD = [
    ("", "t=test.jsonl", "--models: name at least one"),
    ("a=openai/x", "", "--tests: name at least one"),
    ("a=", "t=test.jsonl", "--models: a= has no value"),
    ("a=nonsense", "t=test.jsonl", "model 'a' (from --models): unknown LM spec"),
    ("a=openai/x,a=openai/y", "t=test.jsonl", "--models: two are named 'a'"),
    ("a=openai/x", "t=test.jsonl,t=test.jsonl", "--tests: two are named 't'"),
    ("a=openai/x", "t=nowhere.jsonl", "nowhere.jsonl"),
    ("a=openai/x", "t=monologue.jsonl", "has an exchange"),
    ("a=student:nowhere", "t=test.jsonl", "student:nowhere: no such folder"),
    ("a=openai/x", "t=demonstrations:other", "demonstrations:train"),
]


@pytest.mark.parametrize(("models", "tests", "problem"), BAD)
def test_bad_input_is_one_line_and_begins_nothing(models: str, tests: str, problem: str) -> None:
    with Journal("monologue.jsonl", Dialogue) as journal:
        journal.append(Dialogue(id="d", turns=(samples.seeker("Hello?"),)))
    assert problem in evaluate(models=models, tests=tests).problem
    assert not Path("o/predictions.jsonl").exists()


def test_an_example_of_the_prompt_is_not_tested(server: AnsweringServer) -> None:
    ended = evaluate("--shots", 16, models=f"a={server.spec}", tests="t=demonstrations:train")
    assert "is an example in the prompt, too" in ended.problem
    assert not server.requests
    assert len(list(training_demonstrations())) < len(list(demonstrations()))


def test_names_come_from_the_value_where_none_is_given() -> None:
    text = "student:runs/esconv?slots=2,b=http://h:1/v1#m?top_p=1,openai/gpt,demonstrations:held_out,x/test.jsonl,"
    assert list(parse_named("--models", text)) == ["esconv", "b", "gpt", "held_out", "test"]
    for bad in ("", " , ", "a="):
        with pytest.raises(UsageError, match="--models"):
            parse_named("--models", bad)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from finetune.format import Variant

    folder = tmp_path_factory.mktemp("students")
    base = students.write_base(folder / "base")
    students.write_student(folder / "reply", base, Variant())
    students.write_student(folder / "reasoning", base, Variant.parse("reasoning"))
    return folder


def test_a_student_writes_its_own_format_and_tells_perplexity(made: Path) -> None:
    models = ",".join(f"{name}=student:{made / name}?max_tokens=5" for name in ("base", "reply", "reasoning"))
    ended = evaluate(models=models)
    assert (ended.code, ended.err) == (0, "")
    rows = table()["t"]["models"]
    assert rows["base"]["perplexity"] > 1
    assert rows["base"]["perplexity"] != rows["reply"]["perplexity"]
    assert "reasons first" in rows["reasoning"]["perplexity"]["unavailable"]
    assert "log_perplexity" in table()["t"]["against_reference"]["reply"]
    one = next(one for one in predictions() if one.id == "t/reply/d0/2")
    assert one.reply == said(made, 3)
    assert one.usage.completion_tokens <= 5
    figures = table()
    assert evaluate(tests="").code == 0
    assert table() == figures


def said(made: Path, turns: int) -> str:
    from finetune.decoding import Sampling
    from finetune.student import load_student

    dialogue = next(read_records("test.jsonl", Dialogue))
    return load_student(str(made / "reply")).reply(dialogue.turns[:turns], Sampling(max_tokens=5)).text


def test_a_student_that_was_trained_again_is_another_model(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "reply", tmp_path / "s")
    assert evaluate("--limit", 1, models="s=student:s?max_tokens=3").code == 0
    file = tmp_path / "s" / "adapter_model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))
    assert "weights of s" in evaluate(models="s=student:s?max_tokens=3").problem
    assert "was trained again since" in evaluate("--limit", 2, tests="").problem
    shutil.rmtree(tmp_path / "s")
