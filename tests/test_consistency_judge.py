import re

import dspy
import pytest
from dspy.lm15 import RateLimitError, Request

from metrics.consistency_judge import JudgedLeaks, LeakJudge, StanceJudge, judged_leaks, judged_stances
from socialsim.adapter import CompactAdapter
from socialsim.ask import RoleError
from socialsim.resources import demonstrations
from socialsim.schema import Dialogue, Role
from tests.leak_plants import PLANTS
from tests.samples import persona, seeker, supporter
from tests.scripted import Answer, Script, scripted_lm, user_text

CLEAN = {
    "discussion": "The reply says only what the chat said.",
    "leaks": False,
    "field": "none",
    "fact": "",
    "quote": "",
}
TALK = Dialogue(
    id="d",
    turns=(
        seeker("Hello there."),
        supporter("Hello, and what brings you here tonight?"),
        seeker("I cannot sleep."),
        supporter("Since your sibling got rid of the place, sleep is hard."),
        seeker("How do you know that?"),
        supporter("You are thirty-four years old, and nobody wrote back, so Zorblat weighs on you."),
    ),
)


def leak_answer(quote: str, fact: str, field: str = "description") -> Answer:
    return {"discussion": "The chat never said so.", "leaks": True, "field": field, "fact": fact, "quote": quote}


async def judged(script: Script, **options: int) -> JudgedLeaks:
    with dspy.context(lms={Role.JUDGE: scripted_lm(script)}, adapter=CompactAdapter()):
        return await judged_leaks(TALK, persona(), LeakJudge(), **options)


def by_turn(script_of: dict[int, Answer]) -> Script:
    """Answers by the number of the reply that is judged."""

    def answer(request: Request) -> Answer:
        text = user_text(request)
        turn = next(n for n in (6, 4, 2) if re.search(re.escape(TALK.turns[n - 1].text), text))
        return script_of.get(turn, CLEAN)

    return answer


async def test_the_judge_adds_paraphrases_the_rules_cannot_see() -> None:
    alone = await judged(by_turn({}))
    assert {leak.turn for leak in alone.leaks} == {6}
    both = await judged(
        by_turn({4: leak_answer("your sibling got rid of the place", "My brother Zorblat sold our house")})
    )
    added = [leak for leak in both.leaks if leak not in alone.leaks]
    assert [(leak.turn, leak.field, leak.found_by) for leak in added] == [(4, "description", ("judge",))]
    assert (both.judged, both.malformed) == (3, ())


async def test_what_the_judge_adds_on_planted_paraphrases(capsys: pytest.CaptureFixture[str]) -> None:
    rules = both = total = 0
    for demonstration in demonstrations():
        about = demonstration.persona
        for words in PLANTS[about.id].paraphrases:
            planted = Dialogue(
                id="d", turns=(seeker("Hello."), supporter(f"It must be hard, {words}, and still you try."))
            )
            lm = scripted_lm([leak_answer(words, about.description)])
            with dspy.context(lms={Role.JUDGE: lm}, adapter=CompactAdapter()):
                found = (await judged_leaks(planted, about, LeakJudge())).leaks
            total += 1
            rules += any("rules" in leak.found_by for leak in found)
            both += any("judge" in leak.found_by for leak in found)
    with capsys.disabled():
        print(f"\nparaphrases planted: {total}; rules {rules}, with a judge that knows {both}")
    assert (both, total) == (total, 2 * len(PLANTS))
    assert rules < total / 2


async def test_a_leak_both_layers_find_is_marked_once_with_both() -> None:
    result = await judged(by_turn({6: leak_answer("Zorblat", "Zorblat", "question")}))
    names = [leak for leak in result.leaks if "Zorblat" in leak.evidence]
    assert [leak.found_by for leak in names] == [("rules", "judge")]
    assert {leak.found_by for leak in result.leaks if leak not in names} == {("rules",)}


@pytest.mark.parametrize(
    "verdict",
    [
        leak_answer("words the reply never had", "My brother Zorblat sold our house"),
        leak_answer("your sibling got rid of the place", "words the persona never had"),
        leak_answer("your sibling got rid of the place", "My brother Zorblat sold our house", "none"),
        leak_answer("", ""),
        "no object at all",
        {"leaks": "maybe"},
    ],
)
async def test_a_malformed_verdict_is_counted_and_the_rules_still_speak(verdict: Answer) -> None:
    result = await judged(by_turn({4: verdict, 6: verdict}))
    assert (result.judged, result.malformed) == (1, (4, 6))
    assert {leak.turn for leak in result.leaks} == {6}
    assert {leak.found_by for leak in result.leaks} == {("rules",)}


async def test_a_second_try_is_told_what_was_wrong() -> None:
    asked: list[str] = []

    def script(request: Request) -> Answer:
        asked.append(user_text(request))
        retry = "copy words that stand in the text" in asked[-1]
        quote = "your sibling got rid of the place" if retry else "something else entirely"
        here = TALK.turns[3].text in asked[-1] and TALK.turns[5].text not in asked[-1]
        return leak_answer(quote, "My brother Zorblat sold our house") if here else CLEAN

    result = await judged(script)
    assert result.malformed == ()
    assert [leak.turn for leak in result.leaks if leak.found_by == ("judge",)] == [4]


async def test_a_judge_sees_the_persona_what_was_said_before_and_the_reply_only() -> None:
    lm = scripted_lm(lambda _: CLEAN)
    with dspy.context(lms={Role.JUDGE: lm}, adapter=CompactAdapter()):
        await judged_leaks(TALK, persona(), LeakJudge())
    texts = [user_text(request) for request in lm.requests]
    second = next(text for text in texts if TALK.turns[3].text in text and TALK.turns[5].text not in text)
    assert "Quxville" in second
    assert TALK.turns[2].text in second
    assert TALK.turns[4].text not in second


async def test_a_judge_that_is_down_is_no_verdict() -> None:
    with pytest.raises(RoleError):
        await judged(lambda _: RateLimitError("slow down"))


async def test_stances_of_both_layers_stand_side_by_side() -> None:
    talk = Dialogue(
        id="d",
        turns=(
            seeker("I am fifty-two and tired."), supporter("Hello."),
            seeker("My sibling got rid of our home."), supporter("I see."),
            seeker("Hm."), supporter("Yes."),
        ),
    )  # fmt: skip

    def script(request: Request) -> Answer:
        line = user_text(request)
        if "Hm." in line:
            return {
                "discussion": "No claim at all.",
                "stance": "supported",
                "field": "age",
                "fact": "34",
                "quote": "me",
            }
        if "got rid" in line:
            fact = "My brother Zorblat sold our house"
            return {"discussion": "The same told otherwise.", "stance": "supported", "field": "description",
                    "fact": fact, "quote": "got rid of our home"}  # fmt: skip
        return {"discussion": "Another age.", "stance": "contradicted", "field": "age", "fact": "34",
                "quote": "fifty-two"}  # fmt: skip

    with dspy.context(lms={Role.JUDGE: scripted_lm(script)}, adapter=CompactAdapter()):
        result = await judged_stances(talk, persona(), StanceJudge())
    assert [stance.stance for stance in result.rules] == ["contradicted", "neutral", "neutral"]
    assert [stance and stance.stance for stance in result.judge] == ["contradicted", "supported", None]
    assert result.malformed == (5,)
