"""The whole dialogue in one answer: the same form as turn by turn, and the same checks."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request

from programs.demonstrations import onepass_example
from programs.onepass import OnePass, exchange_turns
from programs.simulate import SimulationOptions
from signatures.dialogue import onepass_signature
from socialsim.adapter import CompactAdapter
from socialsim.ask import Exhausted
from socialsim.resources import demonstrations
from socialsim.schema import Dialogue, Node, Role, Speaker
from tests.samples import persona
from tests.scripted import ScriptedLM, scripted_lm, sentences, system_text, user_text, valid_answers
from tests.test_validation import COVERING

DEMOS = list(demonstrations())


async def write(lm: ScriptedLM, pool: Any = (), persona_id: str = "p1", seed: int = 0, **options: Any) -> Dialogue:
    with dspy.context(lms={Role.SUPPORTER: lm}, adapter=CompactAdapter()):
        made: Dialogue = await OnePass(SimulationOptions(**options), pool).acall(persona(id=persona_id), seed=seed)
        return made


def covering(exchanges: int = 12, **changes: dict[str, Any]) -> Callable[[Request], dict[str, Any]]:
    """Answers that cover every strategy; ``e3={"utterance": ...}`` changes fields of the third exchange, once."""
    valid, left = valid_answers(), [changes]

    def answer(request: Request) -> dict[str, Any]:
        made = [exchange for _ in range(3) for exchange in valid(request)["exchanges"]][:exchanges]
        said = sentences()
        for index, exchange in enumerate(made):
            exchange |= {"seeker": next(said), "utterance": next(said)}
            if "strategies" in exchange:
                exchange["strategies"] = [COVERING[min(index, len(COVERING) - 1)]]
        for name, fields in (left.pop() if left else {}).items():
            made[int(name[1:]) - 1] |= fields
        return {"exchanges": made}

    return answer


async def test_a_dialogue_has_the_same_form_as_one_written_turn_by_turn() -> None:
    made = await write(scripted_lm(covering()))
    assert [turn.speaker for turn in made.turns] == [Speaker.SEEKER, Speaker.SUPPORTER] * 12
    assert (made.id, made.persona_id, made.all_flags()) == ("p1", "p1", ())
    assert all(turn.reasoning and turn.reasoning.situation and turn.strategies for turn in made.turns[1::2])
    assert all(turn.reasoning is None and turn.text.endswith("🙂") for turn in made.turns[::2])


@pytest.mark.parametrize("nodes", [subset for size in range(5) for subset in combinations(Node, size)])
def test_an_exchange_has_just_the_chosen_nodes_between_the_two_lines(nodes: tuple[Node, ...]) -> None:
    answer = onepass_signature(nodes, emoji=False).output_fields["answer"].annotation
    (exchange,) = answer.model_fields["exchanges"].annotation.__args__
    expected = [name for node in nodes for name in ([node] if node is not Node.STRATEGY else ["strategies", "purpose"])]
    assert list(exchange.model_fields) == ["seeker", *expected, "utterance"]


def test_the_prompt_explains_the_strategies_where_one_is_chosen() -> None:
    assert "Share Information (Action)" in onepass_signature().instructions
    assert "Share Information" not in onepass_signature((Node.THOUGHT,)).instructions


async def test_without_nodes_there_are_replies_only() -> None:
    made = await write(scripted_lm(covering()), nodes=(), emoji=False)
    assert all(turn.reasoning is None for turn in made.turns)


@pytest.mark.parametrize("exchanges", [8, 21])
async def test_a_dialogue_of_a_wrong_length_is_asked_again_with_the_reason(exchanges: int) -> None:
    lm = scripted_lm(covering(exchanges))
    with pytest.raises(Exhausted):
        await write(lm, tries=2)
    assert "exchanges: List should have at" in user_text(lm.requests[1])


async def test_an_answer_cut_off_in_the_middle_is_not_taken_for_a_short_dialogue() -> None:
    lm = scripted_lm(lambda request: _cut(covering()(request)))
    with pytest.raises(Exhausted, match=r"exchanges\.11\."):
        await write(lm, tries=1)


def _cut(answer: dict[str, Any]) -> str:
    return json.dumps(answer)[:-300]


async def test_a_hard_fault_is_asked_again_with_the_utterance_it_is_in() -> None:
    lm = scripted_lm(covering(e3={"utterance": "Seeker: no. " + "word " * 40}))
    made = await write(lm)
    assert "utterance 6: use at most 40 words" in user_text(lm.requests[1])
    assert made.all_flags() == ()


async def test_a_hard_fault_that_stays_ends_in_exhaustion() -> None:
    lm = scripted_lm(valid_answers(utterance=""))
    with pytest.raises(Exhausted) as caught:
        await write(lm, tries=3)
    assert len(caught.value.reasons) == len(lm.requests) == 3
    assert caught.value.reasons[0] == "utterance 2: say something in words"


async def test_a_soft_fault_is_asked_again_once_with_the_utterance_it_is_in() -> None:
    lm = scripted_lm(covering(e3={"utterance": "You could meditate."}))
    made = await write(lm)
    assert "utterance 6: 'meditate' fits anyone" in user_text(lm.requests[1])
    assert (len(lm.requests), made.all_flags()) == (2, ())


async def test_soft_faults_that_stay_are_kept_as_flags() -> None:
    lm = scripted_lm(valid_answers(strategies=["Exploration#Question"]))
    made = await write(lm)
    assert [flag.kind for flag in made.flags] == ["strategy_missing"]
    assert len(lm.requests) == 2


async def test_an_unusable_second_answer_keeps_the_first_with_its_flags() -> None:
    first = covering(e3={"utterance": "You could meditate."})
    lm = scripted_lm(lambda request: "no object" if "## Correction" in user_text(request) else first(request))
    made = await write(lm)
    assert [flag.kind for flag in made.all_flags()] == ["generic_advice"]


async def test_strict_rejects_what_would_be_flagged() -> None:
    with pytest.raises(Exhausted, match="strategy_missing"):
        await write(scripted_lm(valid_answers(strategies=["Exploration#Question"])), strict=True, tries=2)


async def test_each_dialogue_draws_one_demonstration_by_seed_and_persona() -> None:
    pool = [onepass_example(demo) for demo in DEMOS[:9]]

    async def drawn(persona_id: str, seed: int) -> str:
        lm = scripted_lm(covering())
        await write(lm, pool, persona_id, seed)
        assert [message.role for message in lm.requests[0].messages] == ["user", "assistant", "user"]
        return lm.requests[0].messages[0].text or ""

    assert await drawn("p1", 0) == await drawn("p1", 0)
    assert len({await drawn(f"p{number}", 0) for number in range(12)}) > 3
    assert len({await drawn("p1", seed) for seed in range(12)}) > 3


async def test_a_compiled_programs_own_demonstrations_come_first() -> None:
    program = OnePass(pool=[onepass_example(DEMOS[0])])
    program.onepass.write.demos = [onepass_example(DEMOS[1])]
    lm = scripted_lm(covering())
    with dspy.context(lm=lm, adapter=CompactAdapter()):
        await program.acall(persona())
    assert DEMOS[1].dialogue.turns[0].text.split(".")[0] in (lm.requests[0].messages[1].text or "")


async def test_text_copied_from_the_demonstration_is_flagged() -> None:
    copied = next(turn.text for turn in DEMOS[0].dialogue.turns[3::2] if len(turn.text.split()) > 12)
    lm = scripted_lm(lambda request: covering(e5={"utterance": copied})(request))
    made = await write(lm, [onepass_example(DEMOS[0])])
    assert [flag.kind for flag in made.all_flags()] == ["copied"]


async def test_the_task_stands_in_the_system_message_and_the_persona_in_the_request() -> None:
    lm = scripted_lm(covering())
    await write(lm)
    assert "Zorblat" not in system_text(lm.requests[0])
    assert "Zorblat" in user_text(lm.requests[0])


def test_an_authored_dialogue_comes_back_from_its_answer() -> None:
    for demo in DEMOS[:9]:
        assert tuple(exchange_turns(onepass_example(demo).answer)) == demo.dialogue.turns
