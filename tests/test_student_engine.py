"""A student as an LM: specs, requests, schemas, and whole dialogues."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Config, ContextLengthError, InvalidRequestError, Message, Request, Response

from finetune.format import Variant
from programs.simulate import Simulate, SimulationOptions
from programs.turn import Supporter
from signatures.supporter import supporter_signature
from socialsim.adapter import CompactAdapter
from socialsim.ask import ask, role_adapter
from socialsim.doctor import probe
from socialsim.engines.student import AsyncStudentEngine, StudentSettings
from socialsim.errors import LMSpecError, UsageError
from socialsim.lms import build_lm, parse_spec
from socialsim.prices import price
from socialsim.schema import Dialogue, Node, Role, Speaker
from socialsim.student_adapter import StudentAdapter
from tests import samples, students
from tests.scripted import scripted_lm

REASONING = Variant.parse("reasoning")
MOOD = {
    "type": "object",
    "properties": {"mood": {"enum": ["fine", "low"]}},
    "required": ["mood"],
    "additionalProperties": False,
}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="session")
def reasoning(student_base: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"student:{students.write_student(tmp_path_factory.mktemp('reasoning'), student_base, REASONING)}"


@pytest.fixture(scope="session")
def response(student_base: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"student:{students.write_student(tmp_path_factory.mktemp('response'), student_base, Variant())}"


def lm_of(spec: str) -> dspy.LM:
    return build_lm(parse_spec(spec))


def request(text: str = "Hi", **config: Any) -> Request:
    return Request(model="student/test", system="Be kind.", messages=(Message.user(text),), config=Config(**config))


def schema(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "name": "answer", "schema": of, "strict": True}


class TestSpec:
    def test_it_costs_nothing_and_runs_in_process(self, reasoning: str) -> None:
        spec = parse_spec(reasoning)
        cost = price(spec)
        assert spec.in_process
        assert cost is not None
        assert cost.of(1000, 1000) == 0

    def test_settings_reach_the_requests(self, reasoning: str) -> None:
        lm = lm_of(f"{reasoning}?temperature=0.2&top_p=0.5&max_tokens=7&slots=2&min_p=0.1")
        assert {name: lm.kwargs[name] for name in ("temperature", "top_p", "max_tokens")} == {
            "temperature": 0.2,
            "top_p": 0.5,
            "max_tokens": 7,
        }
        assert lm.engine.settings == StudentSettings(slots=2, min_p=0.1)

    @pytest.mark.parametrize("spec", ["student:", "student:DIR?slots=0", "student:DIR?threads=2", "student:nowhere"])
    def test_a_spec_that_cannot_be_is_one_line(self, spec: str) -> None:
        with pytest.raises(LMSpecError) as raised:
            lm_of(spec)
        assert "\n" not in str(raised.value)

    def test_a_missing_extra_is_named(self, reasoning: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("socialsim.engines.student.find_spec", lambda _: None)
        with pytest.raises(LMSpecError, match=r"pip install 'socialsim\[train\]'"):
            lm_of(reasoning)

    def test_the_lms_command_gets_an_answer(self, reasoning: str) -> None:
        health = probe(Role.JUDGE, parse_spec(reasoning))
        assert (health.problem, health.schema) == (None, True)


class TestRequests:
    def test_a_schema_is_followed(self, reasoning: str) -> None:
        made = lm_of(reasoning).engine.complete(request(temperature=1.0, response_format=schema(MOOD)))
        assert json.loads(made.text)["mood"] in ("fine", "low")
        assert made.finish_reason == "stop"

    async def test_those_that_come_together_are_answered_as_one_by_one(self, reasoning: str) -> None:
        engine = lm_of(reasoning).engine
        some = [request(text, temperature=0.0, max_tokens=8) for text in ("Hi", "Hello there", "I am sad today.")]
        many = await asyncio.gather(*(AsyncStudentEngine(engine).complete(one) for one in some))
        assert [one.text for one in many] == [engine.complete(one).text for one in some]

    def test_what_was_read_before_is_counted(self, reasoning: str) -> None:
        engine = lm_of(reasoning).engine
        first, again = (engine.complete(request("A question of mine", max_tokens=2)).usage for _ in range(2))
        assert again.cache_read_tokens == first.input_tokens - 1
        assert again.total_tokens == again.input_tokens + again.output_tokens

    async def test_a_cancelled_one_frees_its_place(self, reasoning: str) -> None:
        engine = lm_of(f"{reasoning}?slots=1").engine
        endless = {"type": "string", "pattern": "[a-z ]*"}
        task = asyncio.create_task(
            AsyncStudentEngine(engine).complete(request(max_tokens=1900, response_format=schema(endless)))
        )
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        answer: Response = await asyncio.wait_for(AsyncStudentEngine(engine).complete(request(max_tokens=2)), 20)
        assert answer.usage.output_tokens is not None
        assert answer.usage.output_tokens <= 2
        async with asyncio.timeout(20):  # on a busy machine it is queued late, and goes at its next token
            while engine.student.decoder._running:
                await asyncio.sleep(0.01)

    def test_what_cannot_be_done_is_an_error_of_dspy(self, reasoning: str) -> None:
        engine = lm_of(reasoning).engine
        with pytest.raises(ContextLengthError, match="2048"):
            engine.complete(request("word " * 3000))
        with pytest.raises(InvalidRequestError):
            engine.complete(request(response_format=schema({"type": "string", "pattern": "(unclosed"})))


class TestRoleAdapter:
    def test_it_goes_where_the_lm_goes(self, reasoning: str) -> None:
        lm = lm_of(reasoning)
        loaded = dspy.LM.load_state(lm.dump_state(), allow_custom_lm_class=True)
        for one in (lm, lm.copy(temperature=0.1), copy.deepcopy(lm), loaded):
            assert role_adapter(one).variant == REASONING

    def test_other_lms_get_the_contexts(self) -> None:
        with dspy.context(adapter=CompactAdapter()) as _:
            assert type(role_adapter(scripted_lm())) is CompactAdapter

    def test_a_student_of_whole_prompts_gets_the_contexts(self, student_base: Path, tmp_path: Path) -> None:
        students.write_student(tmp_path, student_base, None)
        with dspy.context(adapter=CompactAdapter()):
            assert type(role_adapter(lm_of(f"student:{tmp_path}"))) is CompactAdapter


async def spoken(lm: dspy.LM, nodes: tuple[Node, ...], emoji: bool = True) -> Dialogue:
    options = SimulationOptions(nodes=nodes, emoji=emoji, exchanges=2, repair=0)
    with dspy.context(lms={Role.SEEKER: scripted_lm(), Role.SUPPORTER: lm}, adapter=CompactAdapter()):
        made: Dialogue = await Simulate(options).acall(samples.persona(), seed=1)
        return made


class TestSimulation:
    async def test_a_student_supports_a_seeker(self, reasoning: str) -> None:
        made = await spoken(lm_of(reasoning), tuple(Node))
        replies = made.turns[1::2]
        assert len(replies) == 2
        assert all(turn.speaker is Speaker.SUPPORTER and turn.reasoning for turn in replies)
        assert all(turn.reasoning and turn.reasoning.situation and turn.strategies for turn in replies)

    async def test_one_that_only_replies_does_so(self, response: str) -> None:
        made = await spoken(lm_of(response), (), emoji=False)
        assert [turn.reasoning for turn in made.turns] == [None] * 4

    async def test_nodes_that_it_was_not_asked_for_are_dropped(self, reasoning: str) -> None:
        made = await spoken(lm_of(reasoning), (Node.THOUGHT,))
        assert all(turn.reasoning and turn.reasoning.thought for turn in made.turns[1::2])
        assert not any(turn.strategies for turn in made.turns)

    async def test_nodes_that_it_does_not_write_are_named(self, response: str) -> None:
        with pytest.raises(UsageError, match="give --nodes none"):
            await spoken(lm_of(response), tuple(Node))

    async def test_only_the_strategies_of_the_turn_can_be_chosen(self, reasoning: str) -> None:
        with dspy.context(lms={Role.SUPPORTER: lm_of(reasoning)}, adapter=CompactAdapter()):
            inputs = {"dialogue": "Seeker: Hello.", "progress": "the beginning", "correction": ""}
            answer = await ask(Role.SUPPORTER, Supporter(), allowed=("Exploration#Question",), **inputs)
        assert set(answer.strategies) == {"Exploration#Question"}

    async def test_another_role_gets_the_usual_prompt(self, reasoning: str) -> None:
        program = dspy.Predict(dspy.Signature("text: str -> answer: bool"))
        with dspy.context(lms={Role.JUDGE: lm_of(f"{reasoning}?max_tokens=50")}, adapter=CompactAdapter()):
            assert await ask(Role.JUDGE, program, text="hello") in (True, False)


def test_the_prompt_is_the_chat_and_nothing_else() -> None:
    signature = supporter_signature()
    inputs = {"dialogue": "Seeker: Hello.\nSupporter: Hi.\nSeeker: I failed.", "progress": "secret", "correction": "no"}
    made = StudentAdapter(REASONING).format(signature, [], inputs)
    assert [one["content"] for one in made[1:]] == ["Hello.", "Hi.", "I failed."]
    assert not re.search("secret|40 words", str(made))
