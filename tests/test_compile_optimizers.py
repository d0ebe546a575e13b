"""Every optimiser on every program it can be used for, end to end on a scripted server."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import Request

from programs.demonstrations import few_shot
from socialsim.artifacts import load_state, program_of
from socialsim.compile.card import Card, read_card
from socialsim.compile.judged import JudgeTask
from socialsim.compile.optimizers import Optimizer
from socialsim.compile.tasks import DEMONSTRATED, JUDGE
from socialsim.resources import demonstrations, read_splits, training_demonstrations
from socialsim.runfolder import versions
from socialsim.schema import Demonstration
from tests.command import Ended, socialsim
from tests.scripted import system_text
from tests.tutored_server import (
    MAGIC,
    Script,
    copied_line,
    good,
    key,
    mixed,
    poor,
    reflected,
    told,
    tutored,
    tutored_server,
)

pytest.importorskip("numpy", reason="needs socialsim[metrics]")


def small(**changed: int) -> list[object]:
    """Options of a compile that takes a second."""
    options = {"scenarios": 2, "per_dialogue": 2, "candidates": 2, "concurrency": 4} | changed
    return [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]


SMALL = small()


def compile_(
    out: Path, program: str, optimizer: str, answer: Script, rounds: int = 1, **changed: int
) -> tuple[Ended, list[dict[str, Any]]]:
    """How a small compile ended, and the requests it sent; done again, it sends none and ends alike."""
    with tutored_server(answer) as server:
        named = ("--optimizer", optimizer, "--lm", server.spec, "--out", out)
        command = ("compile", program, *named, *small(**changed))
        ended = socialsim(*command)
        for _ in range(rounds - 1):
            state, calls = state_of(out, program, optimizer), len(server.bodies)
            assert socialsim(*command).code == 0
            assert len(server.bodies) == calls
            assert state_of(out, program, optimizer) == state
        return ended, server.bodies


def card_of(out: Path, program: str, optimizer: str) -> Card:
    card = read_card(out / program / f"scripted.{optimizer}.card.json")
    assert card is not None
    return card


def state_of(out: Path, program: str, optimizer: str) -> dict[str, Any]:
    text = (out / program / f"scripted.{optimizer}.json").read_text()
    state: dict[str, Any] = json.loads(text)
    state.pop("metadata")
    return state


def by_luck() -> Script:
    """Good if told the magic word, else only from the second time on: SIMBA learns from answers that differ."""
    seen: set[int] = set()

    def answer(request: Request) -> dict[str, Any]:
        if (advice := reflected(request)) is not None:
            return advice
        known = key(request) in seen
        seen.add(key(request))
        return (good if known or MAGIC in system_text(request) else poor)(request)

    return answer


FIELDS = {
    "persona": {"topic", "question", "description", "correction", "answer", "augmented"},
    "seeker": {"persona", "dialogue", "now", "correction", "answer", "augmented"},
    "supporter": {"dialogue", "progress", "correction", "answer", "augmented"},
    "onepass": {"persona", "correction", "answer", "augmented"},
}


def _planted() -> Iterator[Demonstration]:
    """The demonstrations with personas that hold a word nobody says."""
    for demo in demonstrations():
        fields = ("description", "attempts", "goals", "question")
        told = {name: f"I Zyxomma {getattr(demo.persona, name)}" for name in fields}
        yield demo.model_copy(update={"persona": demo.persona.model_copy(update=told)})


def _assert_nothing_is_shown_that_must_not(program: str, bodies: list[dict[str, Any]], state: Path) -> None:
    """No example is held out, and no supporter, nor what writes its instructions, sees a persona."""
    held_out = set(read_splits().held_out)
    lines = [turn.text for demo in demonstrations() if demo.dialogue.id in held_out for turn in demo.dialogue.turns]
    shown = [m["content"] for body in bodies for m in body["messages"] if m["role"] == "assistant"]
    assert shown
    assert not [line for line in lines if any(line[:30] in text for text in shown)]
    assert ("Zyxomma" in json.dumps(bodies)) == (program != "supporter")
    if program == "supporter":
        assert "Zyxomma" not in state.read_text()


@pytest.mark.parametrize(
    ("program", "optimizer"),
    [
        *product(["persona", "seeker", "supporter"], [one for one in Optimizer if one is not Optimizer.NEAREST]),
        ("persona", "nearest"),
        ("onepass", "labeled"),
        ("onepass", "bootstrap"),
    ],
)
def test_a_compile_leaves_a_state_that_loads_and_a_card_that_says_how(
    tmp_path: Path, program: str, optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = list(_planted())
    monkeypatch.setattr("socialsim.compile.demonstrated.demonstrations", lambda: iter(planted))
    ended, bodies = compile_(tmp_path, program, optimizer, mixed, rounds=2 if program == "seeker" else 1)
    assert (ended.code, ended.err) == (0, "")
    path = tmp_path / program / f"scripted.{optimizer}.json"
    leaf = DEMONSTRATED[program].leaf_class()
    load_state(leaf, path, program)
    assert program_of(path) == program
    assert len(leaf.predictors()[0].demos) <= 2
    assert set().union(*leaf.predictors()[0].demos) <= FIELDS[program]
    _assert_nothing_is_shown_that_must_not(program, bodies, path)
    card = card_of(tmp_path, program, optimizer)
    assert (card.program, card.optimizer, card.judge) == (program, optimizer, None)
    assert card.usage.calls == len(bodies)
    assert card.usage.prompt_tokens == 100 * len(bodies)
    assert card.usage.cost == 0
    assert card.versions == versions()
    assert "dspy" in card.versions
    assert set(card.lms) == {str(DEMONSTRATED[program].role), "reflection"}
    assert {"demos", "candidates", "threshold", "seed", "samples", "shots_before", "weights"} <= card.settings.keys()
    assert set(card.data) == set(card.sizes) == {"train", "validation", "held_out"}
    assert len(set(card.data.values())) == 3
    assert all(measured.answers == card.sizes["held_out"] for measured in (card.bare, card.before, card.after))
    assert card.lift.n == card.sizes["held_out"]
    assert card.metric_errors == ()
    for measured in (card.bare, card.before, card.after):
        assert measured.score is not None
        assert 0 <= measured.score <= 1
    assert card.lift.value == pytest.approx(card.after.score - card.before.score, abs=2e-4)  # type: ignore[operator]
    assert "deterministic checks" in ended.out


@pytest.mark.parametrize(("optimizer", "answer"), [("labeled", tutored), ("bootstrap", tutored), ("gepa", told)])
def test_a_program_that_gets_better_becomes_the_default(tmp_path: Path, optimizer: str, answer: Script) -> None:
    ended, _ = compile_(tmp_path, "seeker", optimizer, answer)
    card = card_of(tmp_path, "seeker", optimizer)
    assert card.after.score > card.bare.score  # type: ignore[operator]
    assert card.lift_over_bare.certain
    assert card.default == card.lift.certain
    own = tmp_path / "seeker" / "scripted.json"
    assert own.exists() == card.default
    if card.default:
        assert own.read_bytes() == own.with_name(f"scripted.{optimizer}.json").read_bytes()
        assert "It is the default now" in ended.out


@pytest.mark.parametrize(
    ("optimizer", "answer", "options"),
    [
        ("gepa", lambda: told, {}),
        ("mipro", lambda: mixed, {"candidates": 4}),
        ("simba", by_luck, {"candidates": 8, "demos": 0}),
    ],
)
def test_instructions_that_help_are_found_and_kept(
    tmp_path: Path, optimizer: str, answer: Callable[[], Script], options: dict[str, int]
) -> None:
    ended, _ = compile_(tmp_path, "seeker", optimizer, answer(), **options)
    card = card_of(tmp_path, "seeker", optimizer)
    assert MAGIC in state_of(tmp_path, "seeker", optimizer)["speak"]["signature"]["instructions"]
    assert card.after.score > card.before.score  # type: ignore[operator]
    assert card.default, ended.out


def test_the_reflection_lm_writes_and_the_programs_lm_answers(tmp_path: Path) -> None:
    with tutored_server(told) as server, tutored_server(told) as reflection:
        command = ("compile", "seeker", "--optimizer", "gepa", "--lm", server.spec, "--out", tmp_path, *SMALL)
        assert socialsim(*command, "--reflection-lm", reflection.spec).code == 0
        assert all(reflected(request) is None for request in server.requests)
        assert reflection.bodies
        assert all(reflected(request) is not None for request in reflection.requests)
    card = card_of(tmp_path, "seeker", "gepa")
    assert card.lms == {"seeker": server.spec, "reflection": reflection.spec}
    assert card.usage.calls == len(server.bodies) + len(reflection.bodies)


def test_an_answer_below_the_threshold_never_becomes_an_example(tmp_path: Path) -> None:
    for threshold, shown in ((0.8, False), (0.01, True)):
        with tutored_server(poor) as server:
            command = ("compile", "supporter", "--lm", server.spec, "--out", tmp_path / f"{threshold}")
            assert socialsim(*command, *SMALL, "--threshold", threshold).code == 0
        assert any(_shows(body, copied_line()) for body in server.bodies) == shown


@pytest.mark.parametrize("optimizer", ["labeled", "bootstrap"])
def test_an_optimiser_of_examples_needs_one(tmp_path: Path, optimizer: str) -> None:
    ended, bodies = compile_(tmp_path, "seeker", optimizer, good, demos=0)
    assert ended.problem == f"--demos 0 leaves {optimizer} nothing to choose; allow an example, or use gepa"
    assert not bodies


@pytest.mark.parametrize("optimizer", ["mipro", "simba"])
def test_with_no_examples_allowed_none_are_shown(tmp_path: Path, optimizer: str) -> None:
    ended, _ = compile_(tmp_path, "seeker", optimizer, mixed, demos=0)
    assert (ended.code, ended.err) == (0, "")
    assert state_of(tmp_path, "seeker", optimizer)["speak"]["demos"] == []


def _shows(body: dict[str, Any], words: str) -> bool:
    return any(m["role"] == "assistant" and words in m["content"] for m in body["messages"])


@pytest.mark.parametrize("optimizer", ["bootstrap", "mipro", "gepa", "simba"])
def test_an_lm_whose_answers_cannot_be_used_ends_as_a_score_of_zero(tmp_path: Path, optimizer: str) -> None:
    def unusable(request: Request) -> dict[str, Any] | str:
        return reflected(request) or "I would rather not."

    ended, _ = compile_(tmp_path, "seeker", optimizer, unusable, scenarios=3, per_dialogue=4)
    assert (ended.code, ended.err) == (0, "")
    card = card_of(tmp_path, "seeker", optimizer)
    assert (card.after.score, card.before.score, card.after.failures) == (0, 0, card.sizes["held_out"])
    assert not card.default
    assert "It does not beat the uncompiled program on held-out scenarios; it is not the default." in ended.out


# The judge.

LABELLED = 24


@pytest.fixture
def labels(tmp_path: Path) -> tuple[Path, Path]:
    """A label file and the dialogues it rates: demonstrations, under ids that fill all three sets."""
    demos = list(demonstrations())[:LABELLED]
    corpus, path = tmp_path / "corpus.jsonl", tmp_path / "labels.csv"
    corpus.write_text("".join(demo.dialogue.model_dump_json() + "\n" for demo in demos))
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "helpfulness"])
        rows.writerows([demo.dialogue.id, 3] for demo in demos)
    return path, corpus


def _verdict(request: Request) -> dict[str, Any]:
    """People gave 3: so does a judge with the magic word or an example, others give 0 or 3."""
    said = "".join(message.text or "" for message in request.messages if message.role == "user")
    quote = said.rsplit("## Dialogue", 1)[-1].split("Seeker: ", 1)[1].split("\n")[0]
    right = MAGIC in system_text(request) or key(request) % 3
    return {
        "discussion": "So it is.",
        "evidence": [{"utterance": 1, "quote": " ".join(quote.split()[:4])}],
        "score": 3 if right else 0,
    }


def judging(request: Request) -> dict[str, Any]:
    return reflected(request) or _verdict(request)


@pytest.mark.parametrize("optimizer", ["bootstrap", "gepa"])
def test_a_judge_is_compiled_against_peoples_ratings(tmp_path: Path, labels: tuple[Path, Path], optimizer: str) -> None:
    with tutored_server(judging) as server:
        ended = socialsim(
            "compile", "judge", "--optimizer", optimizer, "--lm", server.spec, "--out", tmp_path, "--candidates", 2,
            "--labels", labels[0], "--corpus", labels[1], "--concurrency", 4,
        )  # fmt: skip
        assert (ended.code, ended.err) == (0, "")
        # No example without an answer stands in a prompt: labels hold scores, and no answer to show.
        for body in server.bodies:
            texts = [m["content"] for m in body["messages"] if m["role"] == "assistant"]
            assert all("discussion" in text for text in texts)
    path = tmp_path / "judge" / f"scripted.{optimizer}.json"
    load_state(leaf := JudgeTask.leaf_class(), path, JUDGE)
    for demo in leaf.predictors()[0].demos:
        assert set(demo.keys()) <= {"dialogue", "dimension", "correction", "answer", "augmented"}
    card = card_of(tmp_path, "judge", optimizer)
    assert sum(card.sizes.values()) == LABELLED
    assert card.after.score is not None
    assert card.after.parts.keys() == {"helpfulness"}
    if optimizer == "gepa":
        assert MAGIC in path.read_text()
        assert card.after.score == 1


def test_a_judge_cannot_be_given_labels_as_answers(tmp_path: Path, labels: tuple[Path, Path]) -> None:
    with tutored_server(judging) as server:
        problem = socialsim(
            "compile", "judge", "--optimizer", "labeled", "--lm", server.spec, "--out", tmp_path,
            "--labels", labels[0], "--corpus", labels[1],
        ).problem  # fmt: skip
        assert not server.bodies
    assert problem.startswith("--optimizer labeled: ")


def test_the_uncompiled_program_has_examples_of_the_training_set_only(tmp_path: Path) -> None:
    with tutored_server(mixed) as server:
        socialsim("compile", "seeker", "--optimizer", "gepa", "--lm", server.spec, "--out", tmp_path, *SMALL)
        shown = {m["content"] for body in server.bodies for m in body["messages"] if m["role"] == "assistant"}
    train = set(read_splits().train)
    assert {demo.dialogue.id for demo in training_demonstrations()} == train
    lines = {demo.dialogue.id: " ".join(turn.text for turn in demo.dialogue.turns) for demo in demonstrations()}
    sources = {name for name, text in lines.items() for one in shown if json.loads(one)["utterance"] in text}
    assert sources
    assert sources <= train
    assert few_shot(training_demonstrations(), 3, 0) == few_shot(training_demonstrations(), 3, 0)


def test_nearest_examples_are_for_a_persona_only(tmp_path: Path) -> None:
    with tutored_server(mixed) as server:
        command = ("compile", "seeker", "--optimizer", "nearest", "--lm", server.spec, "--out", tmp_path, *SMALL)
        ended = socialsim(*command)
    assert ended.code == 1
    assert ended.err.count("\n") == 1
    assert "persona only" in ended.err
    assert server.bodies == []
