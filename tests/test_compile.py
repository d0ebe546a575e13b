"""What a compile measures, spends and decides; its metric and its command line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request

from programs.demonstrations import supporter_examples
from socialsim.artifacts import load_state
from socialsim.compile.card import Card, read_card
from socialsim.compile.demonstrated import PersonaTask, SeekerTask, Sets, SupporterTask
from socialsim.compile.metric import Metric
from socialsim.compile.task import SHOWN
from socialsim.errors import InputError
from socialsim.prices import Price
from tests.command import Ended, socialsim
from tests.tutored_server import TutoredServer, copied_line, good, helped, mixed, poor, reflected, tutored_server

pytest.importorskip("numpy", reason="needs socialsim[metrics]")


def go(server: TutoredServer, out: Path, *options: object, program: str = "seeker", **small: int) -> Ended:
    effort = {"scenarios": 2, "per-dialogue": 2, "candidates": 2, "concurrency": 2} | small
    flags = [part for name, value in effort.items() for part in (f"--{name}", value)]
    return socialsim("compile", program, "--lm", server.spec, "--out", out, *flags, *options)


def card_of(out: Path, name: str = "scripted.bootstrap", program: str = "seeker") -> Card:
    card = read_card(out / program / f"{name}.card.json")
    assert card is not None
    return card


# Before and after.


def by_examples(own: bool) -> Callable[[Request], dict[str, Any]]:
    """Good if an example in the prompt is the LM's own work (or an author's), poor without."""

    def answer(request: Request) -> dict[str, Any]:
        shown = [message.text or "" for message in request.messages if message.role == "assistant"]
        theirs = any("ville" in text for text in shown)  # a place only the scripted LM writes of
        return (good if shown and theirs == own else poor)(request)

    return answer


def lucky_by_examples(request: Request) -> dict[str, Any]:
    """Now and then good by itself; always good once its own work stands in the prompt, never with an author's."""
    if not helped(request):
        return mixed(request)
    return by_examples(own=True)(request)


def test_a_compile_that_beats_the_uncompiled_program_becomes_the_default(tmp_path: Path) -> None:
    with tutored_server(lucky_by_examples) as server:
        ended = go(server, tmp_path, "--threshold", 0.9)
    card = card_of(tmp_path)
    assert card.after.score > card.before.score  # type: ignore[operator]
    assert card.lift.certain
    assert card.lift.low is not None
    assert card.lift.low > 0
    assert card.default
    assert "It is the default now" in ended.out
    own, chosen = tmp_path / "seeker" / "scripted.json", tmp_path / "seeker" / "scripted.bootstrap.json"
    assert own.read_bytes() == chosen.read_bytes()
    assert card_of(tmp_path, "scripted") == card


def test_a_compile_that_does_not_beat_it_says_so_and_is_not_the_default(tmp_path: Path) -> None:
    with tutored_server(good) as server:
        ended = go(server, tmp_path)
    card = card_of(tmp_path)
    assert not card.lift.certain
    assert not card.default
    assert "It does not beat the uncompiled program on held-out scenarios; it is not the default." in ended.out
    assert not (tmp_path / "seeker" / "scripted.json").exists()
    assert (tmp_path / "seeker" / "scripted.bootstrap.json").exists()


def test_a_single_scenario_proves_nothing(tmp_path: Path) -> None:
    with tutored_server(lucky_by_examples) as server:
        ended = go(server, tmp_path, scenarios=1)
    card = card_of(tmp_path)
    assert (ended.code, card.lift.low, card.default) == (0, None, False)
    assert not (tmp_path / "seeker" / "scripted.json").exists()


@pytest.mark.parametrize(("score", "replaced"), [(1.0, False), (0.1, True)])
def test_a_present_default_stays_unless_the_new_one_validates_better(
    tmp_path: Path, score: float, replaced: bool
) -> None:
    with tutored_server(lucky_by_examples) as server:
        go(server, tmp_path, "--threshold", 0.9)
        first = card_of(tmp_path, "scripted")
        present = first.model_copy(
            update={"state": "another", "validation": first.validation.model_copy(update={"score": score})}
        )
        (tmp_path / "seeker" / "scripted.card.json").write_text(present.model_dump_json())
        ended = go(server, tmp_path, "--threshold", 0.9)
    assert first.default
    assert card_of(tmp_path).default == replaced
    assert card_of(tmp_path, "scripted").state == (first.state if replaced else "another")
    assert ("but not than the present default, which stays" in ended.out) != replaced


def test_a_card_that_is_none_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.card.json"
    assert read_card(path) is None
    for content in ("{", "{}", '{"program": "seeker", "more": 1}'):
        path.write_text(content)
        with pytest.raises(InputError, match=r"x\.card\.json: not a card of this version") as caught:
            read_card(path)
        assert "\n" not in str(caught.value)


def test_a_broken_card_of_the_default_ends_the_compile_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "seeker").mkdir()
    (tmp_path / "seeker" / "scripted.card.json").write_text("{}")
    with tutored_server(good) as server:
        assert "not a card of this version" in go(server, tmp_path).problem


def test_more_samples_are_drawn_anew_and_averaged(tmp_path: Path) -> None:
    with tutored_server(good) as server:
        go(server, tmp_path, "--samples", 1, "--optimizer", "gepa")
        once = len(server.bodies)
        go(server, tmp_path, "--samples", 3, "--optimizer", "gepa")
        assert len(server.bodies) >= once + 2 * 4  # of two programs at least, four held-out examples, twice more
    card = card_of(tmp_path, "scripted.gepa")
    assert card.after.answers == 3 * card.sizes["held_out"]
    assert card.lift.n == card.sizes["held_out"]


def test_the_card_says_what_data_it_saw(tmp_path: Path) -> None:
    with tutored_server(good) as server:
        go(server, tmp_path, "--optimizer", "labeled")
        few = card_of(tmp_path, "scripted.labeled")
        go(server, tmp_path, "--optimizer", "labeled", scenarios=3)
        more = card_of(tmp_path, "scripted.labeled")
    assert all(len(digest) == 12 for digest in few.data.values())
    assert not set(few.data.values()) & set(more.data.values())
    assert few.sizes == {"train": 4, "validation": 4, "held_out": 4}


# The budget.


@pytest.fixture
def priced(monkeypatch: pytest.MonkeyPatch) -> Price:
    """Every LM costs a cent a call: 100 tokens read, 10 written."""
    cent = Price(prompt=0.00005, completion=0.0005, cached=0.0)
    monkeypatch.setattr("socialsim.compile.session.price", lambda _: cent)
    return cent


@pytest.mark.usefixtures("priced")
@pytest.mark.parametrize("optimizer", ["bootstrap", "gepa"])
def test_a_spent_budget_stops_in_one_line_and_a_higher_one_goes_on(tmp_path: Path, optimizer: str) -> None:
    with tutored_server(mixed) as server:
        problem = go(server, tmp_path, "--optimizer", optimizer, "--max-cost", 0.055).problem
        assert problem.startswith("--max-cost $0.055 is spent ($0.0")
        assert "raise it and run the same command again to go on where this stopped" in problem
        stopped = len(server.bodies)
        assert 6 <= stopped <= 6 + 2
        assert not (tmp_path / "seeker").exists()
        assert (
            "--max-cost $0.055 is spent" in go(server, tmp_path, "--optimizer", optimizer, "--max-cost", 0.055).problem
        )
        assert len(server.bodies) <= stopped + 2  # what was in flight at the stop may not be counted
        assert go(server, tmp_path, "--optimizer", optimizer, "--max-cost", 50).code == 0
        whole = len(server.bodies)
        go(server, tmp_path / "whole", "--optimizer", optimizer)
        assert whole <= len(server.bodies) - whole + 4
    card = card_of(tmp_path, f"scripted.{optimizer}")
    assert whole - 4 <= card.usage.calls <= whole
    assert card.usage.cost == pytest.approx(0.01 * card.usage.calls)


def test_a_budget_without_a_known_price_is_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socialsim.compile.session.price", lambda _: None)
    with tutored_server(mixed) as server:
        problem = go(server, tmp_path, "--max-cost", 1).problem
        assert problem.startswith(f"--max-cost: the price of {server.spec} is unknown")
        assert not server.bodies
        assert go(server, tmp_path, "--optimizer", "labeled").code == 0
    assert card_of(tmp_path, "scripted.labeled").usage.cost is None


def test_a_hosted_models_price_is_looked_up() -> None:
    problem = socialsim("compile", "seeker", "--lm", "openai/no-such-model-at-all", "--max-cost", 1).problem
    assert problem.startswith("--max-cost: the price of openai/no-such-model-at-all is unknown")


# What is refused.


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nobody",), "program nobody: use persona, seeker, supporter, onepass, judge"),
        (("seeker", "--optimizer", "magic"), "--optimizer magic: use labeled, bootstrap, mipro, gepa, simba"),
        (("judge",), "name them with --labels"),
        (("seeker", "--weights", "none.json"), "none.json: not weights"),
        (("judge", "--labels", "none.csv"), "none.csv"),
        (("seeker", "--lm", "nonsense"), "unknown LM spec 'nonsense'"),
    ],
)
def test_what_cannot_be_compiled_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in socialsim("compile", *arguments).problem
    assert os.listdir(tmp_path) == []


def test_weights_of_ones_own_are_used_and_recorded(tmp_path: Path) -> None:
    path = tmp_path / "weights.json"
    path.write_text('{"originality": 0}')
    with tutored_server(poor) as server:
        go(server, tmp_path / "a", "--optimizer", "labeled")
        go(server, tmp_path / "b", "--optimizer", "labeled", "--weights", path)
    usual, own = card_of(tmp_path / "a", "scripted.labeled"), card_of(tmp_path / "b", "scripted.labeled")
    assert own.bare.score > usual.bare.score  # type: ignore[operator]
    assert json.loads(str(own.settings["weights"]))["originality"] == 0
    path.write_text('{"orginality": 0}')
    with tutored_server(poor) as server:
        assert "not weights" in go(server, tmp_path / "c", "--weights", path).problem


# The metric.


@pytest.fixture(scope="module")
def sets() -> Sets:
    return Sets.read(3)


def predicted(example: dspy.Example, shown: list[dict[str, Any]] | None = None, **fields: Any) -> dspy.Prediction:
    answer = example.answer.model_copy(update=fields)
    return dspy.Prediction(answer=answer, **{SHOWN: shown or []})


def test_feedback_names_each_failed_check_in_words(sets: Sets) -> None:
    task = SupporterTask(sets)
    example = task.sets.validation[2]
    metric = Metric(task)
    bad = predicted(example, utterance=copied_line(), situation="Yes.", thought="Yes.", action="Yes.")
    said = metric.feedback(example, bad, None, "reply", None)
    scored = task.score(example.item, example.inputs().toDict(), bad.answer)
    assert said.score == pytest.approx(scored.score) == pytest.approx(metric.score(example, bad))
    assert said.score < 1
    failed = [part for part, value in scored.parts.items() if value < 1]
    lines = said.feedback.splitlines()
    for part in failed:
        expected = "of your words are an example's" if part == "originality" else f"{part}: "
        assert any(expected in line for line in lines), (part, lines)
    assert len(failed) >= 2


def test_a_careful_answer_needs_no_change(sets: Sets) -> None:
    task = SeekerTask(sets)
    scores = [Metric(task).feedback(one, predicted(one), None, None, None).score for one in task.sets.held_out]
    assert min(scores) > 0.7


def test_no_prediction_is_worth_nothing_and_says_why(sets: Sets) -> None:
    task = SeekerTask(sets)
    for nothing in (None, dspy.Prediction()):
        said = Metric(task).feedback(task.sets.train[0], nothing, None, None, None)
        assert said.score == 0
        assert "JSON" in said.feedback


def test_an_answer_that_cannot_be_used_is_worth_nothing(sets: Sets) -> None:
    task = PersonaTask(sets)
    example, metric = task.sets.train[0], Metric(task)
    said = metric.feedback(example, predicted(example, attempts="She tried it.", goals="To be well."), None, None)
    assert said.score == 0
    assert "attempts: write in the first person" in said.feedback
    assert metric.errors == []


def test_a_metric_that_raises_is_counted_and_shown_and_is_no_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, items = SeekerTask.score, [one.item for one in SeekerTask(Sets.read(2), 2).sets.held_out]

    def broken(self: SeekerTask, item: str, *rest: Any, **more: Any) -> Any:
        if item in items[:1] or item not in items:
            raise ZeroDivisionError("a bug of ours")
        return usual(self, item, *rest, **more)

    monkeypatch.setattr(SeekerTask, "score", broken)
    with tutored_server(good) as server:
        ended = go(server, tmp_path)
    assert (ended.code, ended.err) == (0, "")
    card = card_of(tmp_path)
    assert card.after.metric_errors == card.bare.metric_errors == 1
    assert card.lift.n == len(items) - 1
    assert card.validation.score is None
    assert card.bare.score == pytest.approx(1, abs=0.1), "what was not scored is no 0"
    assert "ZeroDivisionError" in card.metric_errors[0]
    assert "metric raised" in ended.out
    assert f"The metric raised {len(card.metric_errors)} times while optimising" in ended.out
    assert not card.default


def test_a_copy_of_an_example_scores_lower_also_of_the_lms_own(sets: Sets) -> None:
    task = SeekerTask(sets)
    example = task.sets.held_out[0]
    metric = Metric(task)
    own = "The corridor lights hum all night and I count the tiles until somebody coughs behind the door."
    free = metric.score(example, predicted(example, utterance=own))
    shown = [{"persona": "P", "answer": {"utterance": own, "emoji": "🙂"}}]
    assert metric.score(example, predicted(example, shown, utterance=own)) < free - 0.1
    authored = metric.score(example, predicted(example, utterance=copied_line()))
    assert authored < free - 0.1


@pytest.mark.parametrize("program", ["seeker", "supporter"])
def test_a_judge_lm_joins_the_metric_and_the_card_says_that_it_is_not_calibrated(tmp_path: Path, program: str) -> None:
    with tutored_server(good) as server, tutored_server(good) as judge:
        ended = go(server, tmp_path, "--optimizer", "labeled", "--judge-lm", judge.spec, program=program)
        assert (ended.code, ended.err) == (0, "")
        asked, judged = len(server.bodies), len(judge.bodies)
    card = card_of(tmp_path, "scripted.labeled", program)
    assert judged > 0
    assert card.judge is not None
    assert card.judge.lm == card.lms["judge"] == judge.spec
    assert not card.judge.calibrated
    assert card.usage.calls == asked + judged
    assert judge.spec in ended.out.replace("\n", "")
    assert "not calibrated" in ended.out or "uncalibrated" in ended.out


def test_a_judge_that_is_down_ends_the_compile_and_is_no_score(tmp_path: Path) -> None:
    with tutored_server(good) as down:
        pass
    with tutored_server(good) as server:
        problem = go(server, tmp_path, "--judge-lm", down.spec).problem
    assert problem.startswith(f"judge LM {down.spec}: ")
    assert not (tmp_path / "seeker").exists()


def test_what_the_supporters_metric_knows_is_in_no_example(sets: Sets) -> None:
    for part in (*vars(SupporterTask(sets).sets).values(),):
        for example in part:
            assert set(example.inputs().keys()) == {"dialogue", "progress", "correction", "allowed"}
            assert set(example.labels().keys()) == {"answer", "item"}


def test_the_supporters_examples_are_what_a_run_would_show(sets: Sets) -> None:
    demo = sets.train[0]
    known = {example.dialogue: example for example in supporter_examples(demo)}
    for example in SupporterTask(sets).examples([demo]):
        assert example.progress == known[example.dialogue].progress
        assert example.answer == known[example.dialogue].answer


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    with tutored_server(good) as server:
        assert go(server, tmp_path, program="supporter").code == 0
    return tmp_path / "supporter" / "scripted.bootstrap.json"


def test_a_state_holds_no_trace_of_where_it_was_made(compiled: Path) -> None:
    text = compiled.read_text()
    state = json.loads(text)
    assert "127.0.0.1" not in text
    assert all(key in text for key in ("instructions", "demos"))
    assert state["reply"]["lm"] is None
    assert state["reply"]["traces"] == state["reply"]["train"] == []
    load_state(SupporterTask.leaf_class(), compiled, "supporter")


def test_reflection_is_never_asked_by_an_optimiser_that_needs_none(tmp_path: Path) -> None:
    with tutored_server(good) as server:
        go(server, tmp_path)
        assert all(reflected(request) is None for request in server.requests)
