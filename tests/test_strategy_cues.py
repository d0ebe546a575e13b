"""The cues by which a reply shows its strategy: they tell examples apart, and hardly miss an authored one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.strategy_cues import UNCLEAR, carries_out, fires
from socialsim.resources import demonstrations
from socialsim.schema import Speaker
from socialsim.taxonomy import Strategy

SEEKER = ("Hello.", "My brother Zorblat sold our house in May and told nobody. I found the keys changed.")

SHOWN = [
    (Strategy.QUESTION, "What did your brother say when you found the keys changed?"),
    (Strategy.QUESTION, "Tell me more about the day in May."),
    (Strategy.RESTATEMENT, "So your brother sold the house, and you only learned it from changed keys."),
    (Strategy.RESTATEMENT, "In other words, in May the house was gone before anyone had asked you."),
    (Strategy.REFLECTION, "That sounds like a betrayal, and you must feel lonely in it."),
    (Strategy.REFLECTION, "I’d guess there’s anger, and some grief under it."),
    (Strategy.SELF_DISCLOSURE, "My sister once sold my piano, and I did not speak to her for a year."),
    (Strategy.SELF_DISCLOSURE, "I used to drive past our old flat every Sunday."),
    (Strategy.AFFIRMATION, "It isn't foolish to mourn a house. You kept it for years, and that took care."),
    (Strategy.AFFIRMATION, "You were brave to go there at all."),
    (Strategy.SUGGESTIONS, "You could ask him for one hour on Sunday, and write down what you want to know."),
    (Strategy.SUGGESTIONS, "Ring him tonight and say: I saw the keys, I want to hear why."),
    (Strategy.INFORMATION, "People often sell in a hurry because of debts they have told nobody about."),
    (Strategy.INFORMATION, "In many countries a house in two names cannot be sold by one of them."),
    (Strategy.OTHERS, "Take care, and good night."),
    (Strategy.OTHERS, "Hello, and welcome!"),
]

BROKEN = [
    (Strategy.QUESTION, "That house meant a lot to you.", "asks nothing"),
    (Strategy.RESTATEMENT, "Splendid weather brings tourists.", "nothing the seeker said comes back"),
    (Strategy.REFLECTION, "Splendid weather brings tourists.", "no feeling is named"),
    (Strategy.SELF_DISCLOSURE, "I'm sorry to hear that, and I can imagine the shock.", "nothing of your own"),
    (Strategy.AFFIRMATION, "It's all your own fault, you should have asked.", "blames"),
    (Strategy.AFFIRMATION, "Why did you go there?", "only asks"),
    (Strategy.SUGGESTIONS, "Was the door blue?", "offer one step"),
    (Strategy.INFORMATION, "Was the door blue?", "states nothing"),
]


@pytest.mark.parametrize(("strategy", "reply"), SHOWN)
def test_a_reply_that_carries_out_its_strategy_scores_high(strategy: Strategy, reply: str) -> None:
    assert carries_out(strategy, reply, SEEKER).score >= 0.85


@pytest.mark.parametrize(("strategy", "reply", "said"), BROKEN)
def test_a_reply_that_does_something_else_scores_low_and_is_told_why(strategy: Strategy, reply: str, said: str) -> None:
    cue = carries_out(strategy, reply, SEEKER)
    assert cue.score < 0.5
    assert said in cue.feedback


def test_the_feedback_names_what_the_seeker_said() -> None:
    assert "brother" in carries_out(Strategy.QUESTION, "That was hard.", SEEKER).feedback


def test_words_handed_to_the_seeker_are_no_self_disclosure() -> None:
    assert not fires(
        Strategy.SELF_DISCLOSURE, "Tell him: I saw my keys were changed and I cried at my old door.", SEEKER
    )


def test_politeness_about_oneself_is_no_self_disclosure() -> None:
    assert not fires(Strategy.SELF_DISCLOSURE, "I understand, I think I hear how much it hurts, and I'm here.", SEEKER)


def authored() -> Iterator[tuple[set[Strategy], str, list[str]]]:
    for demo in demonstrations():
        seeker: list[str] = []
        for turn in demo.dialogue.turns:
            if turn.speaker is Speaker.SEEKER:
                seeker.append(turn.text)
            else:
                yield {choice.strategy for choice in turn.strategies}, turn.text, list(seeker)


@pytest.mark.parametrize("strategy", list(Strategy))
def test_a_cue_hardly_ever_misses_an_authored_reply(strategy: Strategy) -> None:
    shown = [fires(strategy, reply, seeker) for chosen, reply, seeker in authored() if strategy in chosen]
    assert len(shown) >= 40
    assert sum(shown) / len(shown) >= 0.9


@pytest.mark.parametrize("strategy", list(Strategy))
def test_a_cue_scores_its_own_replies_higher_than_the_others(strategy: Strategy) -> None:
    own: list[float] = []
    others: list[float] = []
    for chosen, reply, seeker in authored():
        (own if strategy in chosen else others).append(carries_out(strategy, reply, seeker).score)
    assert sum(own) / len(own) > sum(others) / len(others) + 0.08


@given(st.sampled_from(list(Strategy)), st.text(max_size=200), st.lists(st.text(max_size=80), max_size=4))
def test_any_text_has_a_score_and_a_low_one_a_reason(strategy: Strategy, reply: str, seeker: list[str]) -> None:
    cue = carries_out(strategy, reply, seeker)
    assert 0 <= cue.score <= 1
    assert cue.feedback or cue.score > UNCLEAR
