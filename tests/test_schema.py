"""Records that cross a file: what they refuse, and what they keep over JSON."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from socialsim.schema import Dialogue, Flag, Persona, Personality, Scenario, Speaker, StagedStrategy, Turn
from socialsim.taxonomy import Stage, Strategy, Topic
from tests.samples import dialogue, persona


@pytest.mark.parametrize("age", [12, 60])
def test_the_bounds_of_age_are_allowed(age: int) -> None:
    assert persona(age=age).age == age


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"age": 11}, "age"),
        ({"age": 61}, "age"),
        ({"gender": "Other"}, "gender"),
        ({"occupation": "Astronaut"}, "occupation 'Astronaut' is not one of"),
        ({"subtopics": ()}, "subtopics"),
        ({"subtopics": ("Family Relations",) * 2}, "a subtopic is named twice"),
        ({"subtopics": ("Divorce",)}, "none of the subtopics Divorce belongs to topic Family"),
        ({"subtopics": ("Astrology",)}, "unknown subtopic 'Astrology'"),
        ({"emotions": ()}, "emotions"),
        ({"attempts": "  "}, "attempts"),
        ({"inferred": ("shoe_size",)}, "inferred names unknown fields: shoe_size"),
        ({"hobby": "chess"}, "hobby"),
    ],
)
def test_a_persona_that_breaks_a_rule_is_refused_with_the_field(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        persona(**changes)


def test_occupation_and_subtopics_are_kept_under_their_canonical_names() -> None:
    made = persona(
        occupation=" software DEVELOPER ", topic=Topic.EMOTION, subtopics=("emotional regulation", "guilt or shame")
    )
    assert (made.occupation, made.subtopics) == ("Software developer", ("Emotion Regulation", "Guilt or Shame"))


def test_a_persona_is_the_same_after_json() -> None:
    made = persona(inferred=("age",), event_time="in May")
    assert Persona.model_validate_json(made.model_dump_json()) == made


def test_a_dialogue_is_the_same_after_json() -> None:
    made = dialogue(9, "Others", "Comforting#Self-disclosure")
    assert Dialogue.model_validate_json(made.model_dump_json()) == made


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        persona().age = 20


def test_poles_are_read_in_any_order_and_case() -> None:
    poles = ["antagonism", "emotional  stability", "Extraversion", "UNCONSCIENTIOUSNESS", "Closedness"]
    assert Personality.from_poles(poles).poles() == (
        "Closedness",
        "Unconscientiousness",
        "Extraversion",
        "Emotional Stability",
        "Antagonism",
    )


@pytest.mark.parametrize(
    ("poles", "named"),
    [
        (["Grit"], "unknown personality pole 'Grit'"),
        (["Openness", "Closedness"], "two poles for openness: Openness and Closedness"),
        (["Openness"], "conscientiousness"),
    ],
)
def test_wrong_poles_are_refused(poles: list[str], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Personality.from_poles(poles)


@pytest.mark.parametrize(
    ("name", "strategy", "stage"),
    [
        ("Exploration#Question", Strategy.QUESTION, Stage.EXPLORATION),
        ("action # information", Strategy.INFORMATION, Stage.ACTION),
        ("Others", Strategy.OTHERS, None),
        ("Questions", Strategy.QUESTION, None),
    ],
)
def test_a_staged_strategy_is_read_with_or_without_its_stage(
    name: str, strategy: Strategy, stage: Stage | None
) -> None:
    assert StagedStrategy.parse(name) == StagedStrategy(strategy=strategy, stage=stage)


@pytest.mark.parametrize("name", ["Action#Question", "Healing#Question", "Exploration#Hypnosis", "Action#Others", ""])
def test_a_strategy_outside_its_stages_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"unknown strategy|is not a strategy of|is not a valid Stage"):
        StagedStrategy.parse(name)


def test_the_flags_of_a_dialogue_are_its_own_and_those_of_its_turns() -> None:
    turn = Turn(speaker=Speaker.SEEKER, text="Hi.", flags=(Flag(kind="echoed"),))
    made = Dialogue(id="d", turns=(turn,), flags=(Flag(kind="strategy_missing"),))
    assert [flag.kind for flag in made.all_flags()] == ["strategy_missing", "echoed"]


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="mood"):
        Scenario.model_validate({"id": "s", "source": "t", "description": "d", "mood": "low"})
