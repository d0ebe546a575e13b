"""The plan of a conversation with a person slides, and ends when the person takes leave."""

from __future__ import annotations

import pytest

from signatures.cues import Pace, allowed_strategies, supporter_cue
from socialsim.chat.pace import AHEAD, PLAN, pace_of, takes_leave
from socialsim.schema import Turn
from socialsim.taxonomy import Stage
from tests.samples import seeker, supporter

OPENING = "I lost my job last week and I cannot tell my wife about it."


def talk(exchanges: int, first: str = "Hello", last: str = "And then nothing happened.") -> list[Turn]:
    """So many exchanges, and a message more."""
    turns: list[Turn] = []
    for number in range(exchanges):
        turns += [seeker(first if number == 0 else f"It goes on, part {number}."), supporter("I see.", "Others")]
    return [*turns, seeker(last if exchanges else first)]


def test_it_begins_as_a_run_of_the_papers_mean_length() -> None:
    assert pace_of(talk(0)) == Pace(1, PLAN)
    assert pace_of(talk(3)) == Pace(4, PLAN)


def test_who_opens_with_the_trouble_is_past_the_greeting() -> None:
    assert pace_of(talk(0, OPENING)) == Pace(2, PLAN)
    assert "Greet" not in supporter_cue(pace_of(talk(0, OPENING)), talk(0, OPENING), True)


@pytest.mark.parametrize("exchanges", [0, 5, 11, 12, 30, 150])
def test_the_supporter_never_says_goodbye_first(exchanges: int) -> None:
    pace = pace_of(talk(exchanges))
    assert not pace.last
    assert pace.total - pace.exchange >= AHEAD
    assert allowed_strategies(pace, talk(exchanges))


def test_the_stages_come_in_order() -> None:
    stages = [pace_of(talk(exchanges)).stage for exchanges in range(40)]
    assert stages == sorted(stages, key=list(Stage).index)
    assert set(stages) == set(Stage)


@pytest.mark.parametrize(
    "message",
    [
        "Bye!",
        "Thank you so much, goodbye.",
        "I have to go now",
        "good night 🙂",
        "OK, talk to you later.",
        "That's all for today.",
        "再见",
        "我先走了，谢谢",
    ],
)
def test_a_farewell_is_the_last_exchange_of_the_plan(message: str) -> None:
    assert takes_leave(message)
    assert pace_of(talk(4, last=message)).last


@pytest.mark.parametrize(
    "message",
    [
        "I have to go to work every day.",
        "She never said goodbye to me, and " + "that still hurts. " * 20,
        "My night was good.",
        "I bought a new car.",
        "He left.",
    ],
)
def test_other_messages_are_none(message: str) -> None:
    assert not takes_leave(message)


def test_whoever_talks_on_after_a_farewell_is_not_sent_away() -> None:
    turns = [*talk(4, last="Bye!"), supporter("Take care.", "Others"), seeker("Wait, one more thing.")]
    assert not pace_of(turns).last
