"""The eight control rules: authored dialogues keep them, and what breaks a rule lowers its score."""

from __future__ import annotations

import time
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.checks import Moment, check_dialogue, check_turn
from metrics.verdicts import CheckVerdict, Rule
from socialsim.resources import demonstrations
from socialsim.schema import Demonstration, Dialogue, Node, Reasoning, Speaker, Turn
from socialsim.validation import copy_runs
from tests.samples import dialogue, persona, seeker, supporter

NODES = tuple(Node)
DEMONSTRATIONS = tuple(demonstrations())
HISTORY = (
    seeker("Hello there."),
    supporter("Hello! What brings you here?", "Exploration#Question"),
    seeker("My brother Zorblat sold our house in May. I found the keys changed and sat on the stairs."),
)
GROUNDED = {
    "situation": "Her brother sold the house and she found the keys changed.",
    "thought": "Perhaps she believes he planned it behind her back.",
    "action": "She sat down on the stairs and told nobody.",
    "purpose": "to learn what happened between them in May",
}


def verdict(found: list[CheckVerdict], rule: Rule) -> CheckVerdict:
    [one] = [item for item in found if item.rule is rule]
    return one


def of_turn(turn: Turn, rule: Rule, history: tuple[Turn, ...] = HISTORY, **given: object) -> CheckVerdict:
    return verdict(check_turn(turn, Moment(history, **given)), rule)  # type: ignore[arg-type]


def mean(found: list[CheckVerdict], rule: Rule) -> float:
    return fmean(item.score for item in found if item.rule is rule)


# --- which rules apply


def test_a_rule_that_cannot_be_checked_gives_no_verdict() -> None:
    bare = Turn(speaker=Speaker.SUPPORTER, text="What did he say then?")
    assert {item.rule for item in check_turn(bare, Moment(HISTORY))} == {Rule.DETAIL, Rule.FORMAT}
    told = check_turn(seeker("He laughed at me."), Moment(HISTORY[:2]))
    assert {item.rule for item in told} == {Rule.SPECIFICITY, Rule.DETAIL, Rule.FORMAT}
    assert Rule.SPECIFICITY not in {item.rule for item in check_turn(seeker("Hello."), Moment(()))}


def test_with_persona_and_reasoning_every_rule_of_the_turn_is_checked() -> None:
    turn = supporter("What did he say?", "Exploration#Question", **GROUNDED)
    found = check_turn(turn, Moment(HISTORY, persona(), NODES))
    assert {item.rule for item in found} == {Rule.CONTROL, Rule.MATCH, Rule.DETAIL, Rule.REASONING, Rule.FORMAT}
    assert {item.turn for item in found} == {4}
    assert not any(item.judged for item in found)


def test_a_chain_that_is_only_known_as_raw_text_is_not_judged() -> None:
    turn = Turn(speaker=Speaker.SUPPORTER, text="What did he say?", reasoning=Reasoning(raw="[X] something"))
    assert Rule.REASONING not in {item.rule for item in check_turn(turn, Moment(HISTORY))}


# --- the authored demonstrations


def test_the_demonstrations_keep_every_rule() -> None:
    found = [item for demo in DEMONSTRATIONS for item in check_dialogue(demo.dialogue, demo.persona)]
    for rule in Rule:
        assert mean(found, rule) >= 0.95, rule


def test_no_verdict_on_a_demonstration_is_low_but_where_it_has_a_fault() -> None:
    low = [
        (demo.dialogue.id, item.turn, item.rule)
        for demo in DEMONSTRATIONS
        for item in check_dialogue(demo.dialogue, demo.persona)
        if item.score < 0.5
    ]
    # A fact of the persona that is named, or reckoned, before the seeker has told it.
    assert {rule for _, _, rule in low} <= {Rule.CONTROL}
    assert len(low) <= 5


# --- what single turns are told


def test_a_contradicted_fact_scores_0_and_is_named() -> None:
    found = of_turn(seeker("I am 52 years old, and I cannot sleep."), Rule.CONSISTENCY, HISTORY[:2], persona=persona())
    assert found.score == 0
    assert "age" in found.feedback
    assert "34" in found.feedback


def test_a_name_that_the_persona_does_not_know_lowers_consistency() -> None:
    own = of_turn(seeker("Then Zorblat laughed at me."), Rule.CONSISTENCY, HISTORY[:2], persona=persona())
    made_up = of_turn(seeker("Then old Bartholomew laughed at me."), Rule.CONSISTENCY, HISTORY[:2], persona=persona())
    assert own.score == 1
    assert 0 < made_up.score < 1
    assert "Bartholomew" in made_up.feedback


def test_specificity_is_graded() -> None:
    lines = (
        "I feel bad about everything and nothing seems to help me these days.",
        "I feel bad about the house and nothing seems to help me these days.",
        "Zorblat changed the keys in May, so I slept on the stairs with two bags.",
    )
    vague, some, much = (of_turn(seeker(line), Rule.SPECIFICITY, HISTORY[:2]).score for line in lines)
    assert vague < some < much == 1
    assert vague < 0.5


def test_a_short_answer_and_a_farewell_are_no_vagueness() -> None:
    for line in ("No, never.", "Thank you for listening to me, I should go to bed now. Good night."):
        assert of_turn(seeker(line), Rule.SPECIFICITY, HISTORY[:2]).score >= 0.7


def test_a_fact_nobody_has_said_scores_0_and_is_named() -> None:
    found = of_turn(supporter("Does Flimbury know?", "Exploration#Question"), Rule.CONTROL, persona=persona())
    assert found.score == 0
    assert "Flimbury" in found.feedback
    told = (*HISTORY, supporter("Oh."), seeker("I wrote to Flimbury about it."))
    kept = of_turn(supporter("Does Flimbury know?", "Exploration#Question"), Rule.CONTROL, told, persona=persona())
    assert kept.score == 1


def test_grounded_reasoning_keeps_the_rule() -> None:
    turn = supporter("What did he say?", "Exploration#Question", **GROUNDED)
    assert of_turn(turn, Rule.REASONING, nodes=NODES).score >= 0.95


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ({"thought": None}, "thought: is missing"),
        ({"thought": GROUNDED["situation"]}, "says the same as the situation"),
        ({"action": "I would like to know more about this and I ask."}, "speaks of 'I'"),
        ({"situation": "The brother of Hildegard sold the house and changed the keys."}, "Hildegard"),
        ({"purpose": "to greet and welcome a newcomer"}, "purpose of Others"),
        (
            {"situation": "Work is busy.", "thought": "The exam will go wrong.", "action": "Lessons are skipped."},
            "told",
        ),
    ],
)
def test_faulty_reasoning_is_told_what_to_change(nodes: dict[str, str | None], said: str) -> None:
    good = supporter("What did he say?", "Exploration#Question", **GROUNDED)
    bad = supporter("What did he say?", "Exploration#Question", **(GROUNDED | nodes))
    found = of_turn(bad, Rule.REASONING, nodes=NODES)
    assert said in found.feedback
    assert found.score <= of_turn(good, Rule.REASONING, nodes=NODES).score - 0.1


def test_acting_before_exploring_is_unreasonable() -> None:
    early = supporter("Ring him tonight.", "Action#Providing Suggestions", **GROUNDED)
    found = of_turn(early, Rule.REASONING, nodes=NODES)
    assert "explore first" in found.feedback
    assert found.score < 0.9


def test_reasoning_copied_from_an_example_falls_with_the_share_that_is_copied() -> None:
    runs = copy_runs(list(GROUNDED.values()))
    turn = supporter("What did he say?", "Exploration#Question", **GROUNDED)
    partly = supporter(
        "What did he say?", "Exploration#Question", **(GROUNDED | {"action": "She keeps it to herself."})
    )
    scores = [of_turn(one, Rule.REASONING, nodes=NODES, copied_from=runs).score for one in (turn, partly)]
    assert scores[0] <= scores[1] < 1
    assert scores[0] < 0.1


def test_a_reply_that_misses_its_strategy_is_told_what_to_ask() -> None:
    found = of_turn(supporter("That house meant much.", "Exploration#Question", **GROUNDED), Rule.MATCH)
    assert found.score == 0
    assert "it chose Question: the reply asks nothing" in found.feedback
    assert "brother" in found.feedback


def test_of_two_strategies_one_that_is_missing_costs_half() -> None:
    turn = supporter("Your keys were changed, and you sat there.", "Others", "Exploration#Question", **GROUNDED)
    assert 0.4 <= of_turn(turn, Rule.MATCH).score <= 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Take a deep breath and stay positive.", "fits anyone"),
        ("Hello and welcome! What brings you here?", "greet again"),
        ("Splendid weather attracts foreign tourists every season, they say.", "take up what the seeker just said"),
        ("My brother Zorblat sold our house in May. I found the keys changed and sat on the stairs.", "repeat"),
        ("Does Bartholomew know that the keys are changed?", "Bartholomew"),
    ],
)
def test_a_reply_that_does_not_follow_is_told_why(text: str, said: str) -> None:
    found = of_turn(supporter(text), Rule.DETAIL)
    assert said in found.feedback
    assert found.score <= 0.8


def test_an_opening_that_comes_again_lowers_detail_each_time() -> None:
    history: tuple[Turn, ...] = HISTORY
    scores = []
    for number in range(3):
        turn = supporter(f"I hear you, and those keys on the stairs stay with me, part {'abc'[number]}.")
        scores.append(of_turn(turn, Rule.DETAIL, history).score)
        history = (*history, turn, seeker(f"The keys, yes. Night {('one', 'two', 'three')[number]} was worse."))
    assert scores[0] > scores[1] > scores[2]


def test_copied_words_lower_detail_by_their_share() -> None:
    runs = copy_runs(["Nobody expects a lamp to walk through the door on a Tuesday without its shade."])
    whole = seeker("Nobody expects a lamp to walk through the door on a Tuesday without its shade.")
    half = seeker("Nobody expects a lamp to walk through the door, and Zorblat sold it with both beds in May anyway.")
    scores = [of_turn(turn, Rule.DETAIL, HISTORY[:2], copied_from=runs).score for turn in (whole, half)]
    assert scores[0] < 0.1 < scores[1] < 0.8
    assert of_turn(half, Rule.DETAIL, HISTORY[:2]).score == 1


def test_too_long_an_utterance_loses_format_the_more_the_longer() -> None:
    scores = [of_turn(seeker("word " * n), Rule.FORMAT, HISTORY[:2]).score for n in (30, 36, 60)]
    assert scores[0] == 1
    assert 0.5 > scores[1] > scores[2] > 0


# --- whole dialogues


def whole(found: list[CheckVerdict]) -> dict[Rule, CheckVerdict]:
    return {item.rule: item for item in found if item.turn is None}


def test_a_corpus_without_strategies_has_no_verdict_on_structure() -> None:
    plain = Dialogue(id="x", turns=tuple(turn.model_copy(update={"reasoning": None}) for turn in dialogue(9).turns))
    assert set(whole(check_dialogue(plain, None))) == {Rule.DETAIL, Rule.FORMAT}


def test_structure_names_what_is_missing() -> None:
    found = whole(check_dialogue(dialogue(10, "Exploration#Question"), None))[Rule.STRUCTURE]
    assert found.score < 0.3
    assert "Comforting or Action" in found.feedback or "in 100% of the replies" in found.feedback


def test_strategies_without_stages_are_placed_by_the_stages_they_serve() -> None:
    names = ["Question", "Question", "Restatement or Paraphrasing", "Reflection of Feelings", "Self-disclosure"]
    names += ["Affirmation and Reassurance", "Share Information", "Providing Suggestions", "Others"]
    right = whole(check_dialogue(dialogue(9, *names), None))[Rule.STRUCTURE]
    wrong = whole(check_dialogue(dialogue(9, *names[::-1]), None))[Rule.STRUCTURE]
    assert right.score > 0.8 > wrong.score + 0.2


def test_order_and_length_are_format() -> None:
    twice = Dialogue(id="x", turns=(*dialogue(9).turns[:17], seeker("And then it rained.")))
    assert whole(check_dialogue(twice, None))[Rule.FORMAT].score < 0.5
    assert "alternate" in whole(check_dialogue(twice, None))[Rule.FORMAT].feedback
    assert whole(check_dialogue(dialogue(4), None))[Rule.FORMAT].score < 0.5
    assert whole(check_dialogue(dialogue(9), None))[Rule.FORMAT].score == 1


def test_nodes_asked_for_are_found_out_from_the_dialogue() -> None:
    turns = list(dialogue(9).turns)
    turns[5] = supporter("What did he say?", "Exploration#Question", thought=None)
    found = check_dialogue(Dialogue(id="x", turns=tuple(turns)), None)
    [sixth] = [item for item in found if item.turn == 6 and item.rule is Rule.FORMAT]
    assert "thought" in sixth.feedback
    bare = check_dialogue(Dialogue(id="x", turns=tuple(turns)), None, nodes=(Node.SITUATION,))
    assert [item.score for item in bare if item.turn == 6 and item.rule is Rule.FORMAT] == [1]


# --- robustness

texts = st.text(max_size=120).filter(str.strip)
turns = st.one_of(
    st.builds(seeker, texts),
    st.builds(
        lambda text, name: supporter(text, *name),
        texts,
        st.sampled_from([(), ("Others",), ("Action#Share Information",)]),
    ),
)


@given(st.lists(turns, min_size=1, max_size=6))
def test_any_dialogue_has_scores_from_0_to_1_and_reasons_for_low_ones(said: list[Turn]) -> None:
    for item in check_dialogue(Dialogue(id="x", turns=tuple(said)), persona()):
        assert 0 <= item.score <= 1
        assert item.feedback or item.score > 0.95


def test_a_turn_is_checked_within_milliseconds() -> None:
    some = DEMONSTRATIONS[:10]
    runs = copy_runs(turn.text for demo in DEMONSTRATIONS[-3:] for turn in demo.dialogue.turns)
    best = min(_seconds(some, runs) for _ in range(3))
    assert best / sum(len(demo.dialogue.turns) for demo in some) < 0.01


def _seconds(some: tuple[Demonstration, ...], runs: frozenset[tuple[str, ...]]) -> float:
    started = time.process_time()
    for demo in some:
        check_dialogue(demo.dialogue, demo.persona, copied_from=runs)
    return time.process_time() - started
