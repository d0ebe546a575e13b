"""The programs' prompts as lessons: a student learns the very text that a run sends, and answers that stand."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

import dspy
import pytest

from finetune.dataset import Lesson
from programs.demonstrations import persona_example, seeker_examples, supporter_examples
from programs.persona import PersonaRealism
from programs.simulate import Simulate, SimulationOptions
from programs.turn import Seeker, Supporter
from signatures.persona import persona_signature
from socialsim.adapter import CompactAdapter
from socialsim.lessons import program_lessons
from socialsim.render import persona_text
from socialsim.resources import demonstrations
from socialsim.schema import Demonstration, Role, Scenario, Speaker
from socialsim.taxonomy import STAGED_STRATEGIES
from tests.scripted import ScriptedLM, scripted_lm, system_text, user_text

DEMOS = list(islice(demonstrations(), 6))


def lesson_of(demo: Demonstration, role: Role) -> Lesson:
    (made,) = program_lessons([demo], [role])
    return made


def sent(lm: ScriptedLM) -> list[list[tuple[str, str]]]:
    """What an LM received, a chat a request."""
    assert all(len(request.messages) == 1 for request in lm.requests)  # no examples
    return [[("system", system_text(request)), ("user", user_text(request))] for request in lm.requests]


def learnt(lesson: Lesson) -> list[list[tuple[str, str]]]:
    return [[(message["role"], message["content"]) for message in chat] for chat, _ in lesson.replies]


def parsed(signature: type[dspy.Signature], reply: str) -> Any:
    return CompactAdapter().parse(signature, reply)["answer"]


@pytest.mark.parametrize("demo", DEMOS[:3], ids=lambda demo: demo.dialogue.id)
async def test_speakers_learn_the_prompts_that_a_run_sends(
    demo: Demonstration, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Which strategies may be chosen now reaches the decoder, not the prompt; authors chose freely.
    monkeypatch.setattr("programs.simulate.allowed_strategies", lambda *_: STAGED_STRATEGIES)
    lessons = {role: lesson_of(demo, role) for role in (Role.SEEKER, Role.SUPPORTER)}
    lms = {role: scripted_lm([reply for _, reply in lesson.replies]) for role, lesson in lessons.items()}
    options = SimulationOptions(exchanges=len(demo.dialogue.turns) // 2, repair=0)
    with dspy.context(lms=lms, adapter=CompactAdapter()):
        made = await Simulate(options).acall(demo.persona)
    for role, lesson in lessons.items():
        assert learnt(lesson) == sent(lms[role])
    assert [turn.text for turn in made.turns] == [turn.text for turn in demo.dialogue.turns]


@pytest.mark.parametrize("demo", DEMOS[:3], ids=lambda demo: demo.dialogue.id)
async def test_a_persona_writer_learns_the_prompt_that_a_run_sends(demo: Demonstration) -> None:
    lesson, given = lesson_of(demo, Role.PERSONA), demo.persona
    ((_, reply),) = lesson.replies
    lm = scripted_lm([reply])
    post = Scenario(
        id=given.id, source="test", topic=given.topic, question=given.question, description=given.description
    )
    with dspy.context(lms={Role.PERSONA: lm}, adapter=CompactAdapter()):
        made = await PersonaRealism().acall(post)
    assert learnt(lesson) == sent(lm)
    same = ("gender", "age", "occupation", "personality", "subtopics", "attempts", "goals")
    assert {name: getattr(made, name) for name in same} == {name: getattr(given, name) for name in same}


def test_every_answer_is_one_line_of_json_and_parses_into_what_the_author_wrote() -> None:
    for demo in DEMOS:
        cases = {
            Role.SEEKER: [(Seeker().speak.signature, one) for one in seeker_examples(demo)],
            Role.SUPPORTER: [(Supporter().reply.signature, one) for one in supporter_examples(demo)],
            Role.PERSONA: [(persona_signature(demo.persona.topic), persona_example(demo))],
        }
        for role, examples in cases.items():
            replies = [reply for _, reply in lesson_of(demo, role).replies]
            for (signature, example), reply in zip(examples, replies, strict=True):
                assert "\n" not in reply
                assert isinstance(json.loads(reply), dict)
                assert parsed(signature, reply) == example.answer


def test_no_persona_is_in_a_supporters_lesson() -> None:
    for demo in DEMOS:
        persona, said = demo.persona, " ".join(turn.text for turn in demo.dialogue.turns)
        secrets = [line.partition(": ")[2] for line in persona_text(persona).splitlines()]
        hidden = [text for text in secrets if len(text) > 20 and text not in said]
        assert hidden
        for chat, reply in lesson_of(demo, Role.SUPPORTER).replies:
            text = "\n".join(message["content"] for message in chat) + reply
            assert not [one for one in hidden if one in text]
        seekers = lesson_of(demo, Role.SEEKER).replies
        assert all(persona_text(persona) in chat[-1]["content"] for chat, _ in seekers)


def test_lessons_come_by_demonstration_and_role_as_named() -> None:
    made = list(program_lessons(DEMOS[:2], [Role.PERSONA, Role.SUPPORTER]))
    first, second = (demo.dialogue.id for demo in DEMOS[:2])
    named = [f"{name}/{role}" for name in (first, second) for role in ("persona", "supporter")]
    assert [one.id for one in made] == named
    replies = sum(turn.speaker is Speaker.SUPPORTER for turn in DEMOS[0].dialogue.turns)
    assert [len(one.replies) for one in made[:2]] == [1, replies]
