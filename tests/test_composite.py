"""The score an optimiser climbs: what it weighs, what it says, and what it takes for a copy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from metrics.composite import (
    DEFAULT_WEIGHTS,
    JUDGED,
    ORIGINALITY,
    Weights,
    combine,
    rule_feedback,
    rule_parts,
)
from metrics.originality import copied_share, pool_runs
from metrics.persona_match import content, f1, grounded, match_profile
from metrics.verdicts import CheckVerdict, Rule
from socialsim.resources import demonstrations
from tests.samples import POST, persona

PARTS = st.dictionaries(st.sampled_from([*map(str, Rule), ORIGINALITY, JUDGED]), st.floats(0, 1), min_size=1)
RULES = list(Rule)


# Weights.


@given(PARTS)
def test_a_score_lies_between_its_worst_and_best_part(parts: dict[str, float]) -> None:
    scored = combine(parts, [])
    assert min(parts.values()) - 1e-9 <= scored.score <= max(parts.values()) + 1e-9
    assert scored.parts == parts


@given(PARTS, st.data())
def test_a_better_part_never_lowers_a_score(parts: dict[str, float], data: st.DataObject) -> None:
    part = data.draw(st.sampled_from(sorted(parts)))
    better = parts | {part: data.draw(st.floats(parts[part], 1))}
    assert combine(better, []).score >= combine(parts, []).score - 1e-9


@given(PARTS, st.floats(0.1, 10))
def test_weights_are_relative(parts: dict[str, float], factor: float) -> None:
    scaled = Weights(
        rules={rule: factor * DEFAULT_WEIGHTS.of(str(rule)) for rule in Rule},
        originality=factor * DEFAULT_WEIGHTS.originality,
        judge=factor * DEFAULT_WEIGHTS.judge,
    )
    assert combine(parts, [], scaled).score == pytest.approx(combine(parts, []).score)


def test_a_part_that_was_not_checked_is_left_out() -> None:
    kept = {str(Rule.FORMAT): 1.0, ORIGINALITY: 0.5}
    weights = Weights(rules={Rule.FORMAT: 1}, originality=1)
    assert combine(kept, [], weights).score == pytest.approx(0.75)
    assert combine(kept | {JUDGED: 0.0}, [], weights).score < 0.75
    assert combine({}, []).score == 0
    assert combine(kept, [], Weights(rules={Rule.FORMAT: 0}, originality=0)).score == 0


def test_a_weight_of_nothing_takes_a_part_out() -> None:
    parts = {str(Rule.FORMAT): 1.0, str(Rule.REASONING): 0.0}
    assert combine(parts, [], Weights(rules={Rule.REASONING: 0})).score == 1


@pytest.mark.parametrize("wrong", [{"originality": -1}, {"rules": {"no such rule": 1}}, {"more": 1}, {"judge": "x"}])
def test_weights_that_are_none_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Weights.model_validate(wrong)


# Feedback.


def verdict(rule: Rule, score: float, feedback: str = "", judged: bool = False) -> CheckVerdict:
    return CheckVerdict(rule=rule, score=score, feedback=feedback, turn=1, judged=judged)


def test_each_broken_rule_says_what_to_change_and_a_kept_one_is_silent() -> None:
    verdicts = [
        verdict(Rule.FORMAT, 0.5, "one emoji at the end"),
        verdict(Rule.REASONING, 1.0, "all well"),
        verdict(Rule.MATCH, 0.0, "the reply does not ask"),
    ]
    said = combine(rule_parts(verdicts), rule_feedback(verdicts)).feedback.splitlines()
    assert said == [f"{Rule.FORMAT}: one emoji at the end", f"{Rule.MATCH}: the reply does not ask"]


def test_the_same_advice_is_given_once_and_nothing_to_change_is_said() -> None:
    assert combine({ORIGINALITY: 0.5}, ["shorter", "", "shorter"]).feedback == "shorter"
    assert combine({ORIGINALITY: 1.0}, ["", ""]).feedback == "Nothing to change."


def test_verdicts_of_a_rule_are_averaged_and_a_judges_are_a_part_of_their_own() -> None:
    parts = rule_parts([verdict(RULES[0], 1), verdict(RULES[0], 0), verdict(RULES[0], 0.2, judged=True)])
    assert parts == {str(RULES[0]): 0.5, JUDGED: pytest.approx(0.2)}


# Originality.

EXAMPLE = "I promised myself twenty photos a day and then I did it exactly once before the lights went out."


def test_what_is_taken_from_an_example_is_measured_in_degrees() -> None:
    pool = pool_runs([EXAMPLE])
    words = EXAMPLE.split()
    half = " ".join(words[:10]) + " while my neighbour kept shouting about bins and parking all through the long night"
    assert copied_share([EXAMPLE], pool) == 1
    assert 0 < copied_share([half], pool) < 1
    assert copied_share(["Nobody in this house has ever slept past six in the morning."], pool) == 0


def test_case_and_punctuation_hide_no_copy() -> None:
    assert copied_share([EXAMPLE.upper().replace(" ", ", ")], pool_runs([EXAMPLE])) == 1


def test_words_of_the_inputs_may_be_used_again() -> None:
    pool = pool_runs([EXAMPLE])
    assert copied_share([EXAMPLE], pool, [f"Seeker: {EXAMPLE}"]) == 0


@given(st.lists(st.sampled_from(EXAMPLE.split()), max_size=12), st.lists(st.sampled_from(["a", "b", "c"]), max_size=12))
def test_a_share_is_a_share(taken: list[str], own: list[str]) -> None:
    share = copied_share([" ".join(taken), " ".join(own)], pool_runs([EXAMPLE]))
    assert 0 <= share <= 1
    assert copied_share([" ".join(own)], pool_runs([EXAMPLE])) == 0


def test_a_run_across_two_parts_is_no_copy() -> None:
    first, second = "I promised myself", "twenty photos a"
    assert copied_share([first, second], pool_runs([EXAMPLE])) == 0


def test_the_authored_demonstrations_do_not_copy_each_other() -> None:
    demos = list(demonstrations())[:12]
    for demo in demos:
        pool = pool_runs(turn.text for other in demos if other is not demo for turn in other.dialogue.turns)
        assert copied_share([turn.text for turn in demo.dialogue.turns], pool) < 0.05


# Profiles.


def answer(**changes: object) -> dict[str, object]:
    gold = persona()
    given = gold.model_dump(include={"gender", "age", "occupation", "attempts", "goals"})
    given |= gold.personality.model_dump() | {"subtopics": list(gold.subtopics), "emotions": list(gold.emotions)}
    return given | {"inferred": list(gold.inferred)} | changes


def test_the_authored_profile_itself_is_a_perfect_match() -> None:
    parts = match_profile(answer(), persona(), POST)
    assert set(parts) == {
        "gender", "age", "occupation", "personality", "subtopics", "emotions", "inferred", "attempts", "goals",
    }  # fmt: skip
    assert parts == dict.fromkeys(parts, 1.0)


@pytest.mark.parametrize(
    ("part", "changed", "expected"),
    [
        ("gender", {"gender": "Male"}, 0.0),
        ("age", {"age": 39}, 0.75),
        ("age", {"age": 75}, 0.0),
        ("occupation", {"occupation": "Teacher"}, 0.0),
        ("personality", {"openness": "Closedness"}, 0.8),
        ("subtopics", {"subtopics": ["Family Relations"]}, 2 / 3),
        ("emotions", {"emotions": ["Joy"]}, 0.0),
        ("emotions", {"emotions": ["bewildered", "rancour"]}, 1.0),
        ("inferred", {"inferred": ["age"]}, 0.0),
        ("goals", {"goals": "Absolutely nothing whatsoever, thanks."}, 0.0),
    ],
)
def test_each_field_counts_for_itself(part: str, changed: dict[str, object], expected: float) -> None:
    parts = match_profile(answer(**changed), persona(), POST)
    assert parts.pop(part) == pytest.approx(expected)
    assert set(parts.values()) == {1.0}


@given(st.sets(st.integers(0, 8)), st.sets(st.integers(0, 8)))
def test_f1_is_symmetric_and_one_only_for_the_same(found: set[int], wanted: set[int]) -> None:
    left, right = map(str, found), map(str, wanted)
    value = f1(left, right)
    assert 0 <= value <= 1
    assert (value == 1) == (found == wanted)
    assert value == f1(map(str, wanted), map(str, found))


def test_a_field_is_grounded_in_this_post_not_in_any() -> None:
    gold = "I wrote to Flimbury about it and nobody answered me."
    near = grounded("I wrote letters to Flimbury and nobody answered.", POST, gold)
    far = grounded("I tried meditation and breathing exercises every morning.", POST, gold)
    assert far == 0 < near < 1
    assert grounded("", POST, gold) == 0
    assert grounded("My brother Zorblat sold our house.", POST, "") == 1


def test_common_words_carry_no_subject() -> None:
    assert content("I am here because it was the one that we had with them") <= {"here", "one"}
