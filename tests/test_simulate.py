"""Two speakers in turn: what each is shown, when an answer stands, and how long a dialogue is."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from statistics import mean
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request

from programs.demonstrations import seeker_examples, supporter_examples
from programs.keep import demonstration_runs, parroted
from programs.simulate import Simulate, SimulationOptions, planned_exchanges
from socialsim.adapter import CompactAdapter
from socialsim.ask import Exhausted
from socialsim.resources import demonstrations
from socialsim.schema import Dialogue, Node, Role, Speaker
from socialsim.taxonomy import Strategy
from socialsim.validation import check_utterance
from tests.samples import persona
from tests.scripted import Answer, ScriptedLM, scripted_lm, system_text, user_text, valid_answers

PERSONA = persona()
UNIQUE = re.compile("Zorblat|Quxville|Flimbury|Wuggins|Rancour|Bewilderment|Family Trauma|34", re.IGNORECASE)


def lms(seeker: ScriptedLM | None = None, supporter: ScriptedLM | None = None) -> dict[Role, ScriptedLM]:
    """LMs for both roles; their sentences come from one stream, so that nobody echoes anybody."""
    answer = valid_answers()
    return {Role.SEEKER: seeker or scripted_lm(answer), Role.SUPPORTER: supporter or scripted_lm(answer)}


async def simulate(roles: dict[Role, ScriptedLM], program: Simulate | None = None, **options: Any) -> Dialogue:
    with dspy.context(lms=roles, adapter=CompactAdapter()):
        made: Dialogue = await (program or Simulate(SimulationOptions(**options))).acall(PERSONA, seed=1)
        return made


def whole(request: Request) -> str:
    return system_text(request) + "\n".join(message.text or "" for message in request.messages)


def faulty(*texts: str | dict[str, Any], at: int = 3, raw: bool = False) -> Callable[[Request], Answer]:
    """Valid answers, but from the ``at``-th request on, first the given utterances (raw: texts) or objects."""
    valid, left, count = valid_answers(), list(texts), [0]

    def answer(request: Request) -> Answer:
        count[0] += 1
        good = valid(request)
        if count[0] < at or not left:
            return good
        fault = left.pop(0)
        return good | {"utterance": fault} if isinstance(fault, str) and not raw else fault

    return answer


async def corrected(script: Callable[[Request], Answer]) -> tuple[list[str], Dialogue]:
    """The corrections a supporter with this script was shown, and the dialogue."""
    roles = lms(supporter=scripted_lm(script))
    made = await simulate(roles)
    texts = [user_text(request).partition("## Correction\n")[2] for request in roles[Role.SUPPORTER].requests]
    return [text for text in texts if text], made


async def test_a_dialogue_alternates_from_the_seeker_to_the_supporter() -> None:
    made = await simulate(lms())
    assert [turn.speaker for turn in made.turns] == [Speaker.SEEKER, Speaker.SUPPORTER] * planned_exchanges("p1", 1)
    assert (made.id, made.persona_id) == ("p1", "p1")


async def test_every_strategy_appears_and_every_reply_is_reasoned() -> None:
    made = await simulate(lms())
    assert {choice.strategy for turn in made.turns for choice in turn.strategies} == set(Strategy)
    assert all(turn.reasoning and turn.reasoning.thought for turn in made.turns[1::2])
    assert made.flags == ()


async def test_a_seeker_has_no_reasoning() -> None:
    assert all(turn.reasoning is None for turn in (await simulate(lms())).turns[::2])


async def test_what_the_seeker_did_not_say_is_in_no_supporter_request() -> None:
    roles = lms()
    await simulate(roles)
    assert all(UNIQUE.search(whole(request)) for request in roles[Role.SEEKER].requests)
    assert [request for request in roles[Role.SUPPORTER].requests if UNIQUE.search(whole(request))] == []


async def test_nothing_of_a_demonstrations_persona_is_in_a_supporter_request() -> None:
    demo = next(demonstrations())
    hidden = demo.model_copy(update={"persona": PERSONA})
    program = Simulate()
    program.seeker.speak.demos = list(seeker_examples(hidden))
    program.supporter.reply.demos = list(supporter_examples(hidden))
    roles = lms()
    await simulate(roles, program)
    assert [request for request in roles[Role.SUPPORTER].requests if UNIQUE.search(whole(request))] == []
    assert demo.dialogue.turns[0].text in whole(roles[Role.SUPPORTER].requests[0])


async def test_corrections_carry_nothing_of_the_persona_to_the_supporter() -> None:
    roles = lms(supporter=scripted_lm(faulty("Supporter: yes.", "{text}", {"utterance": "x"})))
    await simulate(roles)
    corrected = [request for request in roles[Role.SUPPORTER].requests if "## Correction" in user_text(request)]
    assert len(corrected) == 3
    assert not any(UNIQUE.search(whole(request)) for request in corrected)


async def test_what_the_seeker_says_is_shown_to_the_supporter_at_once() -> None:
    roles = lms(seeker=scripted_lm(faulty("My brother is called Zorblat, you know.", at=2)))
    await simulate(roles)
    assert "Seeker: My brother is called Zorblat, you know." in user_text(roles[Role.SUPPORTER].requests[1])


async def test_the_supporters_prompt_grows_by_appending() -> None:
    roles = lms()
    await simulate(roles)
    requests = roles[Role.SUPPORTER].requests
    shown = [user_text(request).split("\n\n## Progress")[0] for request in requests]
    assert all(later.startswith(earlier + "\n") for earlier, later in pairwise(shown))
    assert len({system_text(request) for request in requests}) == 1


async def test_the_seekers_prompt_begins_with_the_persona_and_grows_by_appending() -> None:
    roles = lms()
    await simulate(roles)
    shown = [user_text(request).split("\n\n## Now")[0] for request in roles[Role.SEEKER].requests]
    assert all(text.startswith("## Persona\nGender: Female") for text in shown)
    assert all(later.startswith(earlier + "\n") for earlier, later in pairwise(shown[1:]))


async def test_reasoning_is_never_shown_to_anybody() -> None:
    roles = lms(supporter=scripted_lm(valid_answers(thought="She secretly blames the plumber.")))
    await simulate(roles)
    requests = roles[Role.SEEKER].requests + roles[Role.SUPPORTER].requests
    assert not any("plumber" in whole(request) for request in requests)


async def test_without_a_fault_nothing_is_asked_twice_and_no_correction_is_shown() -> None:
    roles = lms()
    made = await simulate(roles)
    requests = roles[Role.SEEKER].requests + roles[Role.SUPPORTER].requests
    assert len(requests) == len(made.turns)
    assert not any("Correction" in user_text(request) for request in requests)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("word " * 41 + ".", "use at most 40 words, not 41"),
        ("", "say something in words"),
        ("I see. Seeker: And now?", "write only the supporter's own words, on one line"),
        ({"utterance": "Hm."}, "situation: Field required"),
        ({"strategies": ["Action#Providing Suggestions"]}, "strategies.0: Input should be"),
    ],
)
async def test_a_hard_fault_is_asked_again_with_its_reason(fault: str | dict[str, Any], reason: str) -> None:
    corrections, made = await corrected(faulty(fault))
    assert len(corrections) == 1
    assert reason in corrections[0]
    assert made.all_flags() == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the answer was not the JSON object that was asked for"),
        ("I am here for you.", "the answer was not the JSON object that was asked for"),
        ('{"situation": "She lost a ho', "utterance: Field required"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_asked_again_with_its_reason(text: str, reason: str) -> None:
    corrections, _ = await corrected(faulty(text, raw=True))
    assert len(corrections) == 1
    assert reason in corrections[0]


async def test_hard_faults_end_in_exhaustion_with_every_reason() -> None:
    roles = lms(supporter=scripted_lm(faulty("", "{text}", "Seeker: no.")))
    with pytest.raises(Exhausted) as caught:
        await simulate(roles, tries=3)
    assert len(caught.value.reasons) == 3
    assert caught.value.reasons[0] == "say something in words"
    assert len(roles[Role.SUPPORTER].requests) == 5


async def test_a_soft_fault_is_asked_again_once_and_the_better_answer_stands() -> None:
    roles = lms(supporter=scripted_lm(faulty("You could meditate.", "Who else was in the kitchen then?")))
    made = await simulate(roles)
    assert made.turns[5].text.startswith("Who else was in the kitchen then?")
    assert made.all_flags() == ()


async def test_a_soft_fault_that_comes_again_is_kept_with_its_flag() -> None:
    roles = lms(supporter=scripted_lm(faulty("You could meditate.", "Perhaps try journaling")))
    made = await simulate(roles)
    assert made.turns[5].text.startswith("You could meditate.")
    assert [flag.kind for flag in made.turns[5].flags] == ["generic_advice"]
    assert len(roles[Role.SUPPORTER].requests) == len(made.turns) // 2 + 1


async def test_a_correction_that_is_said_aloud_is_flagged() -> None:
    parrot = "Well, the supporter said this before; say something new, please."
    first = "You could meditate."
    roles = lms(
        supporter=scripted_lm(faulty(first, "'meditate' fits anyone; be specific to this seeker, I say.", parrot))
    )
    made = await simulate(roles)
    kinds = [flag.kind for turn in made.turns for flag in turn.flags]
    assert kinds == ["generic_advice"]  # the answer with the fewer faults stands, not the one that also parrots
    said = [parroted(text, "the supporter said this before; say something new") for text in (parrot, "Say something.")]
    assert [len(found) for found in said] == [1, 0]


async def test_an_unusable_second_answer_keeps_the_first_with_its_flag() -> None:
    roles = lms(supporter=scripted_lm(faulty("You could meditate.", "")))
    made = await simulate(roles)
    assert [flag.kind for flag in made.turns[5].flags] == ["generic_advice"]
    assert len(roles[Role.SUPPORTER].requests) == len(made.turns) // 2 + 1


async def test_strict_rejects_what_would_be_flagged() -> None:
    roles = lms(supporter=scripted_lm(faulty(*["You could meditate."] * 3)))
    with pytest.raises(Exhausted, match="fits anyone"):
        await simulate(roles, strict=True, tries=3)


async def test_a_text_copied_from_a_demonstration_is_flagged() -> None:
    demo = next(demonstrations())
    copied = next(turn.text for turn in demo.dialogue.turns[1::2] if len(turn.text.split()) > 12)
    program = Simulate()
    program.supporter.reply.demos = list(supporter_examples(demo))
    made = await simulate(lms(supporter=scripted_lm(faulty(copied, copied))), program)
    assert [flag.kind for flag in made.turns[5].flags] == ["copied"]


def test_texts_of_an_answer_are_recognised_whatever_quotes_they_hold() -> None:
    text = "He said \"it's only the kitchen's old door\" and laughed at me."
    typed = next(iter(seeker_examples(next(demonstrations()))))
    answer = type(typed.answer)(utterance=text, emoji="🙂")
    for demo in (typed.copy(answer=answer), {"answer": answer.model_dump()}):
        found = check_utterance(text, Speaker.SEEKER, (), demonstration_runs([demo]))
        assert [finding.kind for finding in found] == ["copied"]


async def test_without_nodes_there_are_replies_only() -> None:
    made = await simulate(lms(), nodes=(), emoji=False)
    assert all(turn.reasoning is None for turn in made.turns)


async def test_without_the_strategy_node_none_is_chosen_or_missed() -> None:
    roles = lms()
    made = await simulate(roles, nodes=(Node.SITUATION,))
    assert all(turn.reasoning and turn.reasoning.situation and not turn.strategies for turn in made.turns[1::2])
    assert made.all_flags() == ()
    assert not any("Used so far" in whole(request) for request in roles[Role.SUPPORTER].requests)


@pytest.mark.parametrize("emoji", [True, False])
async def test_every_utterance_ends_with_an_emoji_where_that_is_on(emoji: bool) -> None:
    made = await simulate(lms(), emoji=emoji)
    assert {turn.text.endswith("🙂") for turn in made.turns} == {emoji}


def test_lengths_are_9_to_20_exchanges_and_12_on_average() -> None:
    lengths = [planned_exchanges(f"p{number}", 0) for number in range(3000)]
    assert set(lengths) <= set(range(9, 21))
    assert mean(lengths) == pytest.approx(12, abs=0.15)
    assert len(set(lengths)) > 6


def test_a_length_depends_on_the_seed_and_the_persona_only() -> None:
    ids = [f"p{number}" for number in range(50)]
    assert [planned_exchanges(name, 1) for name in ids] == [planned_exchanges(name, 1) for name in ids]
    assert [planned_exchanges(name, 1) for name in ids] != [planned_exchanges(name, 2) for name in ids]
