"""What each turn is told it is for, and which strategies it may choose."""

from __future__ import annotations

from random import Random

import pytest

from signatures.cues import Pace, allowed_strategies, due_strategies, may_raise_concern, seeker_cue, supporter_cue
from socialsim.schema import StagedStrategy, Turn
from socialsim.taxonomy import STAGED_STRATEGIES, Stage, Strategy
from socialsim.validation import check_dialogue
from tests.samples import dialogue, seeker, supporter

SUGGESTION = "Action#Providing Suggestions"


def history(*strategies: str) -> list[Turn]:
    return [turn for name in strategies for turn in (seeker("Well."), supporter("Hm.", name))]


def played(total: int, choose: Random) -> list[str]:
    """A dialogue in which the supporter chooses freely among what it may."""
    chosen: list[str] = []
    for exchange in range(1, total + 1):
        allowed = allowed_strategies(Pace(exchange, total), history(*chosen))
        assert allowed
        chosen.append(choose.choice(allowed))
    return chosen


def test_stages_follow_one_another() -> None:
    stages = [Pace(exchange, 12).stage for exchange in range(1, 13)]
    assert stages == sorted(stages, key=list(Stage).index)
    assert set(stages) == set(Stage)


@pytest.mark.parametrize("total", range(9, 21))
def test_all_eight_strategies_appear_whatever_is_chosen(total: int) -> None:
    for seed in range(60):
        used = {StagedStrategy.parse(name).strategy for name in played(total, Random(seed))}
        assert used >= set(Strategy)


@pytest.mark.parametrize("total", range(9, 21))
def test_exploration_comes_before_action_whatever_is_chosen(total: int) -> None:
    for seed in range(60):
        made = dialogue(total, *played(total, Random(seed)))
        assert check_dialogue(made, ()) == []
        stages = [choice.stage for turn in made.turns for choice in turn.strategies]
        assert Stage.ACTION not in stages or Stage.EXPLORATION in stages[: stages.index(Stage.ACTION)]


def test_no_strategy_is_used_three_times_in_a_row_while_none_is_due() -> None:
    turns = history("Exploration#Reflection of Feelings", "Comforting#Reflection of Feelings")
    allowed = allowed_strategies(Pace(8, 20), turns)
    assert allowed
    assert not [name for name in allowed if name.endswith("Reflection of Feelings")]


def test_action_is_not_allowed_while_exploring() -> None:
    allowed = allowed_strategies(Pace(3, 12), history("Others", "Exploration#Question"))
    assert {name.split("#")[0] for name in allowed} == {"Exploration"}


def test_an_earlier_stage_may_return() -> None:
    allowed = allowed_strategies(Pace(9, 20), history("Exploration#Question"))
    assert "Exploration#Question" in allowed


def test_a_strategy_becomes_due_when_it_can_wait_no_longer() -> None:
    used = [name for name in STAGED_STRATEGIES if name not in (SUGGESTION, "Action#Share Information")]
    assert due_strategies(Pace(9, 12), history(*used)) == []
    assert due_strategies(Pace(10, 12), history(*used)) == [Strategy.SUGGESTIONS, Strategy.INFORMATION]


def test_the_farewell_is_for_others_where_it_was_not_used() -> None:
    assert allowed_strategies(Pace(12, 12), history("Exploration#Question")) == ("Others",)


def test_what_is_due_fits_the_stage_first() -> None:
    assert set(allowed_strategies(Pace(3, 9), history("Others", "Exploration#Question"))) == {
        "Exploration#Restatement or Paraphrasing",
        "Exploration#Reflection of Feelings",
        "Exploration#Self-disclosure",
    }


def test_the_supporters_cue_names_what_is_due() -> None:
    used = [name for name in STAGED_STRATEGIES if name != SUGGESTION]
    assert supporter_cue(Pace(11, 12), history(*used), True).endswith("Use now: Providing Suggestions.")


@pytest.mark.parametrize("exchange", range(1, 13))
def test_the_supporters_cue_names_nothing_that_is_not_allowed(exchange: int) -> None:
    turns = history(*played(12, Random(3))[: exchange - 1])
    pace = Pace(exchange, 12)
    allowed = {StagedStrategy.parse(name).strategy for name in allowed_strategies(pace, turns)}
    cue = supporter_cue(pace, turns, True)
    proposed = cue.partition("Not used yet: ")[2] or cue.partition("Use now: ")[2]
    assert {strategy for strategy in Strategy if strategy in proposed} <= allowed


def test_the_supporters_cue_counts_what_was_used() -> None:
    cue = supporter_cue(Pace(4, 12), history("Others", "Exploration#Question", "Exploration#Question"), True)
    assert "Exchange 4 of 12. Stage: exploration. Used so far: Question 2, Others 1." in cue


def test_without_the_strategy_node_the_cue_names_no_strategy() -> None:
    cue = supporter_cue(Pace(4, 12), history("Others", "Exploration#Question"), False)
    assert cue == "Exchange 4 of 12. Stage: exploration."


def test_the_first_cues_are_a_greeting_and_then_the_situation() -> None:
    assert "greeting" in seeker_cue(Pace(1, 12), [], 0)
    assert "what brings you here" in seeker_cue(Pace(2, 12), history("Others"), 0)
    assert supporter_cue(Pace(1, 12), [], False).endswith("Greet the seeker and ask what brings them here.")


def test_the_last_cues_are_a_farewell() -> None:
    turns = history("Others", SUGGESTION)
    assert "leave" in seeker_cue(Pace(12, 12), turns, 0)
    assert "goodbye" in supporter_cue(Pace(12, 12), turns, False)


def test_a_new_concern_is_invited_after_a_suggestion_only() -> None:
    assert "worry" in seeker_cue(Pace(9, 12), history("Others", SUGGESTION), 0)
    assert "worry" not in seeker_cue(Pace(9, 12), history(SUGGESTION, "Exploration#Question"), 0)


def test_a_new_concern_is_invited_twice_at_most() -> None:
    concerns, invited = 0, 0
    for exchange in range(1, 21):
        turns = history(*[SUGGESTION] * (exchange - 1))
        invited += "worry" in seeker_cue(Pace(exchange, 20), turns, concerns)
        concerns += may_raise_concern(turns, concerns)
    assert (invited, concerns) == (2, 2)
