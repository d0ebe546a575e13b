"""What breaks a control rule lowers its score: mechanical corruptions of the authored demonstrations."""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import fmean

import pytest

from metrics.checks import check_dialogue
from metrics.verdicts import CheckVerdict, Rule
from socialsim.resources import demonstrations
from socialsim.schema import Demonstration, Dialogue, Node, Persona, Reasoning, Speaker, StagedStrategy, Turn

NODES = tuple(Node)
DEMONSTRATIONS = tuple(demonstrations())


def mean(found: list[CheckVerdict], rule: Rule) -> float:
    return fmean(item.score for item in found if item.rule is rule)


Corrupt = Callable[[Demonstration, random.Random], tuple[Dialogue, Persona]]


def changed(demo: Demonstration, change: Callable[[int, Turn], Turn]) -> Dialogue:
    turns = tuple(change(index, turn) for index, turn in enumerate(demo.dialogue.turns))
    return demo.dialogue.model_copy(update={"turns": turns})


def replies(demo: Demonstration) -> list[Turn]:
    return [turn for turn in demo.dialogue.turns if turn.speaker is Speaker.SUPPORTER]


def another(demo: Demonstration, rng: random.Random) -> Demonstration:
    return rng.choice([other for other in DEMONSTRATIONS if other is not demo])


def with_texts(demo: Demonstration, texts: list[str]) -> Dialogue:
    def change(index: int, turn: Turn) -> Turn:
        own = turn.speaker is Speaker.SUPPORTER
        return turn.model_copy(update={"text": texts[min(index // 2, len(texts) - 1)]}) if own else turn

    return changed(demo, change)


def with_reasoning(demo: Demonstration, make: Callable[[int, Reasoning], Reasoning]) -> Dialogue:
    def change(index: int, turn: Turn) -> Turn:
        return turn.model_copy(update={"reasoning": make(index // 2, turn.reasoning)}) if turn.reasoning else turn

    return changed(demo, change)


def with_seeker(demo: Demonstration, texts: dict[int, str]) -> Dialogue:
    """The dialogue with some seeker utterances (0-based among the seeker's) said otherwise."""

    def change(index: int, turn: Turn) -> Turn:
        new = texts.get(index // 2) if turn.speaker is Speaker.SEEKER else None
        return turn.model_copy(update={"text": new}) if new else turn

    return changed(demo, change)


def swapped_personas(demo: Demonstration, rng: random.Random) -> tuple[Dialogue, Persona]:
    return demo.dialogue, another(demo, rng).persona


def contradicted_age(demo: Demonstration, rng: random.Random) -> tuple[Dialogue, Persona]:
    age = demo.persona.age + (9 if demo.persona.age < 50 else -9)
    return with_seeker(demo, {1: f"I am {age} years old and it weighs on me."}), demo.persona


def vague_seeker(demo: Demonstration, rng: random.Random) -> tuple[Dialogue, Persona]:
    vague = (
        "I feel bad about everything and I just don't know what to do anymore.",
        "It is all so hard and I feel really sad these days.",
        "Things are difficult and nothing seems to help me at all lately.",
    )
    return with_seeker(demo, {place: vague[place % 3] for place in range(1, 10, 2)}), demo.persona


def told_too_early(demo: Demonstration, rng: random.Random) -> tuple[Dialogue, Persona]:
    persona = demo.persona
    reply = f"Hello! At {persona.age}, and as a {persona.occupation.lower()}: {persona.description.split('. ')[0]}?"
    texts = [turn.text for turn in replies(demo)]
    return with_texts(demo, [reply, *texts[1:]]), persona


def shuffled_replies(demo: Demonstration, rng: random.Random) -> tuple[Dialogue, Persona]:
    texts = [turn.text for turn in replies(demo)]
    rng.shuffle(texts)
    return with_texts(demo, texts), demo.persona


def replies_of_another(demo: Demonstration, rng: random.Random) -> tuple[Dialogue, Persona]:
    return with_texts(demo, [turn.text for turn in replies(another(demo, rng))]), demo.persona


def one_reply_again_and_again(demo: Demonstration, rng: random.Random) -> tuple[Dialogue, Persona]:
    texts = [turn.text for turn in replies(demo)]
    return with_texts(demo, texts[:2] + [texts[1]] * len(texts)), demo.persona


def advice_for_everyone(demo: Demonstration, rng: random.Random) -> tuple[Dialogue, Persona]:
    generic = ["I understand. Take a deep breath.", "I understand. Try mindfulness.", "I understand. Stay positive."]
    return with_texts(demo, [turn.text for turn in replies(demo)][:3] + generic * 8), demo.persona


def seeker_echoed(demo: Demonstration, rng: random.Random) -> tuple[Dialogue, Persona]:
    def change(index: int, turn: Turn) -> Turn:
        echo = turn.speaker is Speaker.SUPPORTER and index % 4 == 1 and index > 4
        return turn.model_copy(update={"text": demo.dialogue.turns[index - 1].text}) if echo else turn

    return changed(demo, change), demo.persona


def duplicated_reasoning(demo: Demonstration, rng: random.Random) -> tuple[Dialogue, Persona]:
    made = with_reasoning(demo, lambda _, r: r.model_copy(update={"thought": r.situation, "action": r.situation}))
    return made, demo.persona


def reasoning_said_once(demo: Demonstration, rng: random.Random) -> tuple[Dialogue, Persona]:
    first = demo.dialogue.turns[1].reasoning
    assert first
    return with_reasoning(demo, lambda _, r: first.model_copy(update={"strategies": r.strategies})), demo.persona


def reasoning_of_another(demo: Demonstration, rng: random.Random) -> tuple[Dialogue, Persona]:
    theirs = [turn.reasoning for turn in replies(another(demo, rng)) if turn.reasoning]
    return with_reasoning(demo, lambda place, _: theirs[min(place, len(theirs) - 1)]), demo.persona


def missing_thought(demo: Demonstration, rng: random.Random) -> tuple[Dialogue, Persona]:
    return with_reasoning(
        demo, lambda place, r: r.model_copy(update={"thought": None} if place % 3 else {})
    ), demo.persona


def all_questions(demo: Demonstration, rng: random.Random) -> tuple[Dialogue, Persona]:
    question = (StagedStrategy.parse("Exploration#Question"),)
    return with_reasoning(demo, lambda _, r: r.model_copy(update={"strategies": question})), demo.persona


def strategies_backwards(demo: Demonstration, rng: random.Random) -> tuple[Dialogue, Persona]:
    chosen = [turn.strategies for turn in replies(demo)][::-1]
    return with_reasoning(demo, lambda place, r: r.model_copy(update={"strategies": chosen[place]})), demo.persona


def strategies_shuffled(demo: Demonstration, rng: random.Random) -> tuple[Dialogue, Persona]:
    chosen = [turn.strategies for turn in replies(demo)]
    rng.shuffle(chosen)
    return with_reasoning(demo, lambda place, r: r.model_copy(update={"strategies": chosen[place]})), demo.persona


def cut_short(demo: Demonstration, rng: random.Random) -> tuple[Dialogue, Persona]:
    return demo.dialogue.model_copy(update={"turns": demo.dialogue.turns[:10]}), demo.persona


def everything_at_once(demo: Demonstration, rng: random.Random) -> tuple[Dialogue, Persona]:
    return with_seeker(demo, {1: f"{demo.persona.description} {demo.persona.attempts}"}), demo.persona


# Each corruption, the rule it breaks, and by how much at least the mean over all demonstrations falls.
CORRUPTIONS: list[tuple[Corrupt, Rule, float]] = [
    (swapped_personas, Rule.CONSISTENCY, 0.1),
    (contradicted_age, Rule.CONSISTENCY, 0.05),
    (vague_seeker, Rule.SPECIFICITY, 0.2),
    (told_too_early, Rule.CONTROL, 0.05),
    (shuffled_replies, Rule.DETAIL, 0.02),
    (shuffled_replies, Rule.MATCH, 0.15),
    (replies_of_another, Rule.DETAIL, 0.05),
    (replies_of_another, Rule.MATCH, 0.1),
    (one_reply_again_and_again, Rule.DETAIL, 0.2),
    (advice_for_everyone, Rule.DETAIL, 0.2),
    (seeker_echoed, Rule.DETAIL, 0.1),
    (duplicated_reasoning, Rule.REASONING, 0.5),
    (reasoning_said_once, Rule.REASONING, 0.4),
    (reasoning_of_another, Rule.REASONING, 0.2),
    (missing_thought, Rule.REASONING, 0.2),
    (missing_thought, Rule.FORMAT, 0.05),
    (all_questions, Rule.STRUCTURE, 0.5),
    (all_questions, Rule.MATCH, 0.3),
    (strategies_backwards, Rule.STRUCTURE, 0.4),
    (strategies_shuffled, Rule.STRUCTURE, 0.2),
    (strategies_shuffled, Rule.MATCH, 0.15),
    (cut_short, Rule.FORMAT, 0.03),
    (everything_at_once, Rule.FORMAT, 0.02),
    (everything_at_once, Rule.DETAIL, 0.02),
]


@pytest.fixture(scope="module")
def kept() -> dict[str, list[CheckVerdict]]:
    return {demo.dialogue.id: check_dialogue(demo.dialogue, demo.persona) for demo in DEMONSTRATIONS}


@pytest.mark.parametrize(("corrupt", "rule", "fall"), CORRUPTIONS, ids=lambda value: getattr(value, "__name__", None))
def test_what_breaks_a_rule_lowers_its_score(
    corrupt: Corrupt, rule: Rule, fall: float, kept: dict[str, list[CheckVerdict]]
) -> None:
    rng = random.Random(7)
    falls = []
    for demo in DEMONSTRATIONS:
        broken, persona = corrupt(demo, rng)
        falls.append(mean(kept[demo.dialogue.id], rule) - mean(check_dialogue(broken, persona, NODES), rule))
    assert sum(one > 0 for one in falls) >= 0.9 * len(falls)
    assert fmean(falls) >= fall
