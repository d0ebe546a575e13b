"""The eight rules while a run writes: asked again, flagged, rejected; and never a way for the persona to leak."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dspy
import pytest

from metrics.verdicts import Rule
from programs.demonstrations import onepass_example
from programs.keep import Moment
from programs.onepass import OnePass
from programs.simulate import Simulate, SimulationOptions
from programs.turn import ALL_NODES
from socialsim.adapter import CompactAdapter
from socialsim.ask import Exhausted
from socialsim.journal import read_records
from socialsim.resources import demonstrations
from socialsim.rules import flag_kind, rule_check, signed
from socialsim.schema import Demonstration, Dialogue, Provenance, Role
from tests.answering_server import answering_server
from tests.command import socialsim
from tests.samples import persona, seeker, supporter
from tests.scripted import scripted_lm, system_text, user_text
from tests.test_simulate import PERSONA, UNIQUE, faulty, lms

CHECK = rule_check(ALL_NODES)
QUESTION = "Exploration#Question"
DEMO = next(demonstrations())


async def run(answers: Any, **options: Any) -> tuple[Dialogue, list[str]]:
    """A dialogue under the rules, and the corrections its supporter was shown."""
    roles = lms(supporter=scripted_lm(answers))
    with dspy.context(lms=roles, adapter=CompactAdapter()):
        made: Dialogue = await Simulate(SimulationOptions(**options), CHECK).acall(PERSONA, seed=1)
    texts = [user_text(request).partition("## Correction\n")[2] for request in roles[Role.SUPPORTER].requests]
    return made, [text for text in texts if text]


def asking_nothing(dialogue: Dialogue) -> list[str]:
    return [flag.detail for turn in dialogue.turns for flag in turn.flags if "match" in flag.kind]


def test_a_question_that_asks_nothing_is_a_finding_that_says_what_to_change() -> None:
    history = (seeker("Hello."), supporter("Hello, what brings you here?", "Others"), seeker("My brother left us."))
    found = CHECK(supporter("That is how it goes.", QUESTION), Moment(history))
    told = [finding for finding in found if finding.kind == "response_matches_strategy"]
    assert len(told) == 1
    assert not told[0].hard
    assert "ask" in told[0].detail.lower()


async def test_repair_asks_again_with_what_is_wrong_and_the_better_answer_stands() -> None:
    flat = {"strategies": [QUESTION], "utterance": "That is how it goes in families, it seems to me."}
    good = {"strategies": [QUESTION], "utterance": "What happened on the day that he left you all?"}

    def answers(*given: dict[str, Any]) -> Any:
        valid = faulty()
        left = list(given)
        count = [0]

        def answer(request: Any) -> Any:
            count[0] += 1
            return valid(request) | (left.pop(0) if count[0] >= 3 and left else {})  # type: ignore[operator]

        return answer

    kept, corrections = await run(answers(flat, good), repair=1)
    assert kept.turns[5].text.startswith("What happened on the day")
    assert any("ask" in text.lower() for text in corrections)
    unrepaired, _ = await run(answers(flat, good), repair=0)
    assert unrepaired.turns[5].text.startswith("That is how it goes")
    assert len(asking_nothing(unrepaired)) > len(asking_nothing(kept))


async def test_more_repairs_ask_more_often() -> None:
    valid = faulty()
    counts = []
    for repair in (0, 1, 3):
        roles = lms(supporter=scripted_lm(lambda request: valid(request) | {"utterance": "You could meditate."}))  # type: ignore[operator]
        with dspy.context(lms=roles, adapter=CompactAdapter()):
            made = await Simulate(SimulationOptions(repair=repair, tries=6)).acall(PERSONA, seed=1)
        counts.append(len(roles[Role.SUPPORTER].requests) / (len(made.turns) // 2))
    assert counts == [1, 2, 4]


async def test_no_correction_tells_the_supporter_anything_of_the_persona() -> None:
    """Even a reply that hits on a persona fact by chance is not told that it did."""
    guess = "Did Zorblat sell the house in Quxville without a word to you?"
    roles = lms(supporter=scripted_lm(faulty(*[guess] * 2)))
    with dspy.context(lms=roles, adapter=CompactAdapter()):
        await Simulate(SimulationOptions(tries=6), CHECK).acall(PERSONA, seed=1)
    shown = [user_text(r) + system_text(r) for r in roles[Role.SUPPORTER].requests]
    corrections = [text.partition("## Correction\n")[2] for text in shown]
    assert [text for text in corrections if UNIQUE.search(text)] == []


def test_a_leak_is_flagged_at_its_turn_afterwards() -> None:
    turns = list(DEMO.dialogue.turns)
    place = DEMO.persona.event_location or "Zanzibar"
    leak = turns[1].model_copy(update={"text": f"How long have you lived in {place}? 🙂"})
    planted = DEMO.dialogue.model_copy(update={"turns": (turns[0], leak, *turns[2:])})
    owner = DEMO.persona.model_copy(update={"event_location": place})
    found = [flag.kind for flag in signed(planted, owner, ALL_NODES).turns[1].flags]
    assert found == ["information_control"]
    assert signed(DEMO.dialogue, owner, ALL_NODES).turns[1].flags == ()


def test_provenance_holds_the_mean_of_every_rule() -> None:
    made_by = Provenance(mode="turn", seed=0, lms={})
    done = signed(DEMO.dialogue.model_copy(update={"provenance": made_by}), DEMO.persona, ALL_NODES)
    assert done.provenance is not None
    assert len(done.provenance.checks) == 8
    assert all(0.9 <= score <= 1 for score in done.provenance.checks.values())


async def test_in_one_pass_a_leak_may_not_stand() -> None:
    answer = onepass_example(DEMO).answer.model_dump(mode="json")
    answer["exchanges"][0]["utterance"] = "Hello. How is life in Zanzibar these days?"
    owner = persona(event_location="Zanzibar")
    lm = scripted_lm([answer, answer])
    program = OnePass(SimulationOptions(tries=2), check=CHECK)
    with (
        dspy.context(lms={Role.SUPPORTER: lm}, adapter=CompactAdapter()),
        pytest.raises(Exhausted, match="utterance 2") as caught,
    ):
        await program.acall(owner)
    assert len(caught.value.reasons) == 2


def test_the_demonstrations_break_no_rule_while_they_are_written() -> None:
    broken = {demo.dialogue.id: _findings(demo) for demo in demonstrations()}
    assert {name: found for name, found in broken.items() if found} == {}


def _findings(demo: Demonstration) -> list[str]:
    turns = demo.dialogue.turns
    return [
        f"{number + 1}: {finding.detail}"
        for number, turn in enumerate(turns)
        for finding in CHECK(turn, Moment(turns[:number], demo.persona if number % 2 == 0 else None))
    ]


def test_without_the_rules_a_run_checks_form_alone_and_the_check_afterwards_finds_the_rest(tmp_path: Path) -> None:
    with answering_server() as server:
        for name, choice in (("with", ()), ("without", ("--no-rules",))):
            ended = socialsim("run", "--out", tmp_path / name, "--lm", server.spec, "--limit", 1, *choice)
            assert (ended.code, ended.err) == (0, "")
    made = {name: next(read_records(tmp_path / name / "dialogues.jsonl", Dialogue)) for name in ("with", "without")}
    assert made["with"].provenance is not None
    assert made["with"].provenance.checks.keys() == {str(rule) for rule in Rule}
    assert made["without"].provenance is not None
    assert made["without"].provenance.checks == {}
    rules = {flag_kind(rule) for rule in Rule}
    assert {flag.kind for flag in made["with"].all_flags()} & rules
    assert not {flag.kind for flag in made["without"].all_flags()} & rules
    assert socialsim("check", tmp_path / "without").code == 0
    [checked] = [json.loads(line) for line in (tmp_path / "without" / "checks.jsonl").read_text("utf-8").splitlines()]
    assert {verdict["rule"] for verdict in checked["verdicts"]} == {str(rule) for rule in Rule}


def test_a_run_without_the_rules_does_not_go_on_with_them(tmp_path: Path) -> None:
    with answering_server() as server:
        socialsim("run", "--out", tmp_path, "--lm", server.spec, "--limit", 1, "--no-rules")
        ended = socialsim("run", "--out", tmp_path, "--lm", server.spec, "--limit", 2)
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "rules False, not True" in ended.err


def test_where_one_call_writes_the_whole_dialogue_the_rules_stay(tmp_path: Path) -> None:
    ended = socialsim("run", "--out", tmp_path, "--mode", "onepass", "--no-rules", "--limit", 1)
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "--no-rules" in ended.err
