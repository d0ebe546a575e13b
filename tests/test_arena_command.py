"""`socialsim arena`: models meet the same seekers, a judge compares the talks, nothing is done twice."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from dspy.lm15 import Request

from metrics.arena import ArenaLeaf, ArenaVerdict
from socialsim.cli import app
from socialsim.cli.arena import parse_models, register
from socialsim.errors import UsageError
from socialsim.formats.ssconv import write_profiles
from socialsim.journal import Journal, RunLock, read_records
from socialsim.loading import program_hash
from socialsim.resources import demonstrations, read_splits
from socialsim.schema import Dialogue, Persona, Rejection, Speaker
from tests.answering_server import AnsweringServer, answering_server
from tests.command import ROOT, Ended, interruptible, socialsim
from tests.samples import persona
from tests.scripted import schema_of, sentences, system_text, user_text, valid_answers

if "arena" not in app:
    register(app)

Answer = Callable[[Request], dict[str, Any] | str]
UNIQUE = re.compile("Zorblat|Quxville|Flimbury|Wuggins|Rancour|Bewilderment", re.IGNORECASE)


def verdict(request: Request, preferred: str, first: int = 2, second: int = 2) -> dict[str, Any]:
    """A valid answer of a judge."""
    fields = schema_of(request)["properties"]
    quotes = {name: fields[name]["enum"][0] for name in ("first_quote", "second_quote")}
    scores = {"first_score": first, "second_score": second, "preferred": preferred}
    return {"discussion": "It is so."} | quotes | scores


def always_first(request: Request) -> dict[str, Any]:
    """A judge with nothing but a bias for the first place."""
    return verdict(request, "first")


def longer(request: Request) -> dict[str, Any]:
    """A judge that likes the longer replies, wherever they stand."""
    _, first, second = re.split(r"^## (?:first|second).*$", user_text(request), flags=re.MULTILINE | re.IGNORECASE)
    sizes = [sum(len(line) for line in re.findall(r"Supporter: (.+)", text)) for text in (first, second)]
    if sizes[0] == sizes[1]:
        return verdict(request, "tie", 1, 1)
    return verdict(request, "first", 3, 1) if sizes[0] > sizes[1] else verdict(request, "second", 1, 3)


def terse() -> Answer:
    """A model of short replies."""
    said = cycle(
        [f"Tell me more about {word}, please." for word in ("it", "that", "this", "him", "her", "them", "us", "you")]
    )
    return valid_answers(utterance=lambda: next(said))


class Servers(NamedTuple):
    """One server a part."""

    a: AnsweringServer
    b: AnsweringServer
    seeker: AnsweringServer
    judge: AnsweringServer

    @property
    def calls(self) -> list[int]:
        return [len(server.requests) for server in self]


@contextmanager
def servers(judge: Answer = longer, b: Answer | None = None, delay: float = 0.0) -> Iterator[Servers]:
    words = valid_answers()  # one stream of sentences, so that nobody echoes anybody
    with ExitStack() as opened:
        scripts = (words, b or terse(), words, judge)
        yield Servers(*(opened.enter_context(answering_server(script, delay)) for script in scripts))


def arena(given: Servers, *arguments: object, models: str = "A={a},B={b}") -> Ended:
    named = models.format(a=given.a.spec, b=given.b.spec)
    usual = {"--seeker-lm": given.seeker.spec, "--judge-lm": given.judge.spec}
    usual |= {"--personas": "people.jsonl", "--out": "o"}
    left = [part for name, value in usual.items() if name not in arguments for part in (name, value)]
    return socialsim("arena", "--models", named, *left, *arguments)


def records(name: str, model: type[Any], out: str = "o") -> list[Any]:
    return list(read_records(Path(out) / f"{name}.jsonl", model))


def verdicts() -> list[ArenaVerdict]:
    return records("verdicts", ArenaVerdict)


def row(out: str, name: str) -> list[str]:
    """The cells of the first table row of this name, headings left out."""
    line = next(line for line in out.splitlines() if re.match(rf" +{re.escape(name)}  +\S", line))
    return re.split(r"  +", line.strip())[1:]


@pytest.fixture(autouse=True)
def _people(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.chdir(tmp_path)
    with Journal(tmp_path / "people.jsonl", Persona) as journal:
        for number in range(3):
            journal.append(persona(id=f"p{number}"))


def test_the_better_model_wins_in_both_orders_and_the_tables_say_so() -> None:
    with servers() as given:
        ended = arena(given)
        judge, talked = given.judge.spec, sum(given.calls[:3])
    assert (ended.code, ended.err) == (0, "")
    assert row(ended.out, "fluency") == ["100 [100,100]", "0 [0,0]", "0 [0,0]", "100 [100,100]", "3"]
    assert row(ended.out, "A vs. B")[:5] == ["30", "0", "50 [50,50]", "0 [0,0]", "0 [0,0]"]
    table6 = ended.out.partition("Table 6")[2]
    assert row(table6, "A") == ["3.00"] * 5
    assert row(table6, "B") == ["1.00"] * 5
    assert row(table6, "ExTES°*") == ["2.50", "2.26", "2.36", "2.36", "2.31"]
    assert row(ended.out.partition("SSConv° vs. ExTES°*")[2], "suggestion") == ["46", "25", "29", "+21", "72"]
    flat = " ".join(ended.out.split())
    assert "stand in for the paper's 30 workers" in flat
    assert f"Judge {judge}: not calibrated against people." in flat
    assert "published: human ratings by 30 workers" in flat
    assert "intervals from fewer than 10 come out too narrow" in flat
    assert (
        f"3 personas · 8 exchanges · {talked:,} calls to talk ($0.0000) · 30 to judge ($0.0000) · 0 malformed answers"
        in flat
    )


def test_a_judge_of_places_makes_ties_that_are_counted_as_inconsistent() -> None:
    with servers(always_first) as given:
        ended = arena(given)
    assert row(ended.out, "overall") == ["0 [0,0]", "0 [0,0]", "100 [100,100]", "0 [0,0]", "3"]
    assert row(ended.out, "A vs. B")[:4] == ["30", "0", "100 [100,100]", "100 [100,100]"]


def test_malformed_verdicts_are_errors_and_no_ties() -> None:
    def answer(request: Request) -> dict[str, Any] | str:
        return "I cannot say." if "\nComforting. " in user_text(request) else longer(request)

    with servers(answer) as given:
        ended = arena(given)
        assert given.calls[3] == 4 * 6 + 6 * 3
    assert ended.code == 0
    assert row(ended.out, "comforting") == ["-", "-", "-", "-", "0"]
    assert row(ended.out, "fluency")[-1] == "3"
    assert row(ended.out, "A vs. B")[:2] == ["30", "6"]
    assert "6 × verdict: the answer was not the JSON object" in ended.out
    assert "18 malformed answers" in ended.out


def test_a_judge_that_gives_no_verdict_fails_in_one_line() -> None:
    with servers(lambda _: "I cannot say.") as given:
        problem = arena(given, "--limit", 1).problem
    assert "gave no verdict that can be read (10 errors); use a more capable LM with --judge-lm" in problem


def test_every_model_has_the_same_seeker_and_the_same_length() -> None:
    with servers() as given:
        assert arena(given, "--exchanges", 9).code == 0
        speakers = [system_text(request) for request in given.seeker.requests]
    made = records("dialogues", Dialogue)
    assert {one.id for one in made} == {f"p{n}/{model}" for n in range(3) for model in "AB"}
    assert {len(one.turns) for one in made} == {18}
    assert {one.persona_id for one in made} == {"p0", "p1", "p2"}
    assert len(set(speakers)) == 1
    shares = Counter(one.provenance.lms["supporter"] for one in made)
    assert shares == {given.a.spec: 3, given.b.spec: 3}
    assert {one.provenance.lms["seeker"] for one in made} == {given.seeker.spec}


def test_no_model_is_shown_the_persona_and_the_judge_neither_names_nor_reasoning() -> None:
    with servers() as given:
        arena(given, "--limit", 1, models="Xylo={a},Yarrow={b}")
    shown = [system_text(r) + "".join(m.text or "" for m in r.messages) for s in (given.a, given.b) for r in s.requests]
    assert len(shown) >= 16  # some replies are asked again
    assert not [text for text in shown if UNIQUE.search(text)]
    assert all(UNIQUE.search(user_text(request)) for request in given.seeker.requests)
    [reasoned] = [one for one in records("dialogues", Dialogue) if one.id == "p0/Xylo"]
    thoughts = [turn.reasoning.thought for turn in reasoned.turns if turn.speaker is Speaker.SUPPORTER]
    for request in given.judge.requests:
        text = system_text(request) + user_text(request)
        assert "Xylo" not in text
        assert "Yarrow" not in text
        assert not [thought for thought in thoughts if thought in text]


def test_dialogues_are_checked_as_in_a_run_but_not_for_a_length_that_was_asked_for() -> None:
    with servers(b=valid_answers(utterance="I am so very sorry that this happened to you, my friend.")) as given:
        ended = arena(given, "--limit", 1)
    [repeating] = [one for one in records("dialogues", Dialogue) if one.id == "p0/B"]
    kinds = Counter(flag.kind for flag in repeating.all_flags())
    assert kinds["repeated"] == 7
    assert kinds["format"] == kinds["length"] == 0
    assert row(ended.out, "B")[2] == "100%" or int(row(ended.out, "B")[2].rstrip("%")) >= 87


def test_the_order_of_the_models_changes_neither_the_result_nor_what_is_done() -> None:
    with servers() as given:
        one = arena(given).out
        calls = given.calls
        other = arena(given, models="B={b},A={a}")
        assert given.calls == calls
    assert row(one, "overall")[:2] == row(other.out, "overall")[1::-1]
    assert row(one.partition("Table 6")[2], "A") == row(other.out.partition("Table 6")[2], "A")


def test_the_tables_come_again_from_the_folder_alone_and_nobody_is_called() -> None:
    with servers() as given:
        first = arena(given).out
        assert given.calls[3] == 30
    again = socialsim("arena", "--out", "o")  # the servers are gone
    assert (again.code, again.err) == (0, "")
    assert again.out.partition("Dialogues")[2] == first.partition("Dialogues")[2]


def test_more_personas_and_no_more_are_judged_than_asked_for() -> None:
    with servers() as given:
        arena(given, "--limit", 1)
        assert (sorted(one.id for one in records("dialogues", Dialogue)), given.calls[3]) == (["p0/A", "p0/B"], 10)
        arena(given, "--limit", 2)
        calls = given.calls
        assert (len(records("dialogues", Dialogue)), calls[3]) == (4, 20)
        ended = arena(given, "--limit", 1)
        assert given.calls == calls
    assert row(ended.out, "A vs. B")[0] == "10"


def test_three_models_make_three_pairs_and_each_aspect_can_be_judged_more_than_once() -> None:
    with servers() as given:
        ended = arena(given, "--limit", 1, "--judges", 2, models="A={a},B={b},C={b}")
        assert given.calls[3] == 3 * 2 * 5 * 2
    assert ended.code == 0
    for pair in ("A vs. B", "A vs. C", "B vs. C"):
        assert row(ended.out, pair)[0] == "20"
    assert row(ended.out, "overall")[-1] == "2"


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
        code = "from socialsim.cli import app, main\nfrom socialsim.cli.arena import register\n"
        code += "'arena' in app or register(app)\nmain()"
        lms = ["--seeker-lm", given.seeker.spec, "--judge-lm", given.judge.spec]
        command = [sys.executable, "-c", code, "arena", "--models", f"A={given.a.spec},B={given.b.spec}", *lms]
        command += ["--personas", "people.jsonl", "--out", "o", "--limit", "2", "--concurrency", "2"]
        env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin", "HOME": str(Path.home())}
        child = subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=env, preexec_fn=interruptible)
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


def test_ssconv_profiles_and_the_held_out_demonstrations_are_personas_too() -> None:
    write_profiles(Path("profiles.json"), [persona(id="ssconv-7")])
    with servers() as given:
        arena(given, "--personas", "profiles.json", "--out", "profiles")
        lms = ["--seeker-lm", given.seeker.spec, "--judge-lm", given.judge.spec, "--limit", "1", "--out", "own"]
        assert socialsim("arena", "--models", f"A={given.a.spec},B={given.b.spec}", *lms).code == 0
    assert [one.id for one in records("personas", Persona, "profiles")] == ["ssconv-7"]
    held_out = [demo.persona.id for demo in demonstrations() if demo.dialogue.id in set(read_splits().held_out)]
    assert [one.id for one in records("personas", Persona, "own")] == held_out[:1]


def test_a_persona_with_other_contents_is_refused() -> None:
    with servers() as given:
        arena(given, "--limit", 1)
        Path("people.jsonl").write_text(persona(id="p0", age=35).model_dump_json() + "\n")
        assert "o holds another persona 'p0'; use another --out" in arena(given).problem


def test_a_calibrated_judge_is_shown_with_its_card_and_one_that_competes_with_a_warning() -> None:
    Path("calibration").mkdir()
    with servers() as given:
        card = {"judge": given.judge.spec, "program": program_hash(ArenaLeaf()), "calibrated": True}
        card |= {"summary": "agreement 0.8", "labels": "pairs.json", "n": 42}
        Path("calibration/x.json").write_text(json.dumps(card))
        out = " ".join(arena(given, "--limit", 1).out.split())
        assert "calibrated on 42 dialogues rated by people in pairs.json: agreement 0.8" in out
        assert "Mind that the judge" not in out
        given.a.answer = lambda r: longer(r) if "first_score" in schema_of(r)["properties"] else valid_answers()(r)
        other = arena(given, "--limit", 1, "--judge-lm", given.a.spec, "--out", "o2").out
    assert "Mind that the judge is A too" in other


def test_two_sessions_do_not_write_one_folder() -> None:
    with servers() as given, RunLock("o"):
        assert "is in use by process" in arena(given).problem
        assert given.calls == [0, 0, 0, 0]


def test_the_tables_fit_a_terminal_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with servers() as given:
        out = arena(given, models="student on ESConv={a},a much larger model={b}").out
    tables = out.partition("Dialogues")[2].partition("personas ·")[0].splitlines()[:-1]
    assert max(map(len, tables)) <= 80
    assert "…" not in out
    assert row(out, "suggestion") == ["100 [100,100]", "0 [0,0]", "0 [0,0]", "100 [100,100]", "3"]
