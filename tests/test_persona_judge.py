"""Leaks and contradictions that a judge LM finds become verdicts on their rules."""

from __future__ import annotations

from typing import Any

import dspy

from metrics.persona_judge import judge_by_persona
from metrics.verdicts import Rule
from socialsim.adapter import CompactAdapter
from socialsim.resources import demonstrations
from socialsim.schema import Role, Speaker
from tests.scripted import schema_of, scripted_lm, user_text, valid_answers

DEMO = next(demonstrations())
REPLIES = sum(turn.speaker is Speaker.SUPPORTER for turn in DEMO.dialogue.turns)
NOTHING = {"field": "none", "fact": "", "quote": ""}
HINT = "That must be hard for somebody of your trade."


def judge(leaks: bool = False, broken: bool = False) -> Any:
    """Finds nothing, or a leak in the reply that holds `HINT`; broken: quotes what nobody said."""
    valid = valid_answers()

    def answer(request: Any) -> Any:
        given: dict[str, Any] = dict(valid(request))
        if "leaks" in schema_of(request)["properties"]:
            hit = leaks and f"## Reply\n{HINT}" in user_text(request)
            quote = "nobody said so" if broken else HINT
            told = {"field": "occupation", "fact": DEMO.persona.occupation, "quote": quote} if hit else NOTHING
            return given | told | {"leaks": hit}
        return given | NOTHING | {"stance": "neutral"}

    return scripted_lm(answer)


def planted() -> Any:
    turns = list(DEMO.dialogue.turns)
    turns[3] = turns[3].model_copy(update={"text": HINT})
    return DEMO.dialogue.model_copy(update={"turns": tuple(turns)})


async def judged(lm: Any, dialogue: Any) -> Any:
    with dspy.context(lms={Role.JUDGE: lm}, adapter=CompactAdapter()):
        return await judge_by_persona(dialogue, DEMO.persona)


async def test_a_clean_dialogue_keeps_both_rules() -> None:
    found = await judged(judge(), DEMO.dialogue)
    assert all(verdict.judged and verdict.score == 1 for verdict in found.verdicts)
    assert sum(verdict.rule is Rule.CONTROL for verdict in found.verdicts) == REPLIES
    assert found.errors == ()


async def test_a_leak_in_other_words_is_a_verdict_at_its_turn() -> None:
    found = await judged(judge(leaks=True), planted())
    low = [verdict for verdict in found.verdicts if verdict.score == 0]
    assert [(verdict.rule, verdict.turn) for verdict in low] == [(Rule.CONTROL, 4)]
    assert HINT.rstrip(".") in low[0].feedback


async def test_a_verdict_without_real_quotes_is_an_error_and_no_score() -> None:
    found = await judged(judge(leaks=True, broken=True), planted())
    assert [(error.rule, error.turn) for error in found.errors] == [(Rule.CONTROL, 4)]
    assert 4 not in {verdict.turn for verdict in found.verdicts if verdict.rule is Rule.CONTROL}
