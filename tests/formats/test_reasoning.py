"""The reasoning string of the release: rendering, tolerant parsing, nothing lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialsim.formats.reasoning import parse_reasoning, reasoning_text, render_reasoning, strategy_only
from socialsim.schema import Reasoning, StagedStrategy
from socialsim.taxonomy import Stage, Strategy
from tests.formats.strategies import reasonings

QUESTION = StagedStrategy(strategy=Strategy.QUESTION, stage=Stage.EXPLORATION)
REFLECTION = StagedStrategy(strategy=Strategy.REFLECTION, stage=Stage.COMFORTING)


def test_the_four_parts_render_as_the_release_writes_them() -> None:
    full = Reasoning(situation="S.", thought="T.", action="A.", strategies=(QUESTION,), purpose="to ask.")
    assert render_reasoning(full) == (
        "[SEEKER'S SITUATION] S. [SEEKER'S THOUGHT] T. [SEEKER'S ACTION] A. "
        "[SUPPORTER'S STRATEGY] I hereby choose the (Exploration#Question) strategy to ask."
    )


@pytest.mark.parametrize(
    ("reasoning", "text"),
    [
        (Reasoning(), ""),
        (Reasoning(action="A."), "[SEEKER'S ACTION] A."),
        (
            Reasoning(strategies=(QUESTION,)),
            "[SUPPORTER'S STRATEGY] I hereby choose the (Exploration#Question) strategy.",
        ),
        (
            Reasoning(strategies=(QUESTION, REFLECTION), purpose="to ask."),
            (
                "[SUPPORTER'S STRATEGY] I hereby choose the (Exploration#Question) and "
                "(Comforting#Reflection of Feelings) strategies to ask."
            ),
        ),
    ],
)
def test_subsets_and_several_strategies(reasoning: Reasoning, text: str) -> None:
    assert render_reasoning(reasoning) == text
    assert parse_reasoning(text) == reasoning


@pytest.mark.parametrize(
    ("choice", "strategies"),
    [
        ("(Others)", ["Others"]),
        ("(Action#Question)", ["Question"]),  # a stage that does not fit
        ("(Healing#Question)", ["Question"]),  # a stage that does not exist
        ("(Exploration/Comforting#Reflection of Feelings)", ["Reflection of Feelings"]),
        ("(Exploration#Hypnosis)", []),
        ("(Exploration#Hypnosis) and (Others)", ["Others"]),
        (
            "(Comforting#Affirmation and Reassurance, Action#Share Information)",
            ["Comforting#Affirmation and Reassurance", "Action#Share Information"],
        ),
        (
            "(Exploration#Question and Comforting#Self-disclosure)",
            ["Exploration#Question", "Comforting#Self-disclosure"],
        ),
    ],
)
def test_what_the_release_may_write_instead(choice: str, strategies: list[str]) -> None:
    text = f"[SEEKER'S ACTION] A. [SUPPORTER'S STRATEGY] I hereby choose the {choice} strategy to go (on)."
    parsed = parse_reasoning(text)
    assert [str(strategy) for strategy in parsed.strategies] == strategies
    assert parsed.action == "A."
    assert reasoning_text(parsed) == text
    if strategies:
        assert parsed.purpose == "to go (on)."


@pytest.mark.parametrize(
    "text", ["free words", "[SEEKER’S THOUGHT] T.", " [SEEKER'S THOUGHT] T.", "x [SEEKER'S ACTION] A."]
)
def test_raw_is_kept_where_rendering_differs(text: str) -> None:
    parsed = parse_reasoning(text)
    assert parsed.raw == text
    assert render_reasoning(parsed) != text


def test_curly_apostrophes_are_understood() -> None:
    assert parse_reasoning("[SEEKER’S THOUGHT] T.").thought == "T."


def test_a_bare_strategy_has_no_stage_and_an_unknown_one_fails() -> None:
    assert strategy_only("Questions") == Reasoning(strategies=(StagedStrategy(strategy=Strategy.QUESTION),))
    assert strategy_only(" ") is None
    with pytest.raises(ValueError, match="Hypnosis"):
        strategy_only("Hypnosis")


@given(reasonings())
def test_reasoning_to_text_and_back(reasoning: Reasoning) -> None:
    assert parse_reasoning(render_reasoning(reasoning)) == reasoning


MARKS = st.sampled_from(
    [
        "[SEEKER'S SITUATION]",
        "[SUPPORTER'S STRATEGY]",
        " ",
        "(Others)",
        "(Action#Question)",
        " and ",
        "strategy to",
        ".",
    ]
)


@given(st.lists(st.text(max_size=5) | MARKS, max_size=8).map("".join))
def test_any_text_comes_back_to_the_letter(text: str) -> None:
    parsed = parse_reasoning(text)
    assert reasoning_text(parsed) == text
    assert (parsed.raw is None) == (render_reasoning(parsed) == text)


def test_a_long_hostile_chain_is_parsed_in_linear_time() -> None:
    text = "[SUPPORTER'S STRATEGY] " + "(" * 50_000 + " " * 50_000 + "(x) and " * 20_000
    assert reasoning_text(parse_reasoning(text)) == text
