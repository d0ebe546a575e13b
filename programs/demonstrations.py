"""Authored demonstrations as labelled examples for each leaf program.

A dialogue gives one example a turn: the inputs are what the program would have been shown at
that point, the answer is what the author wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import TypeVar

import dspy

from programs.persona import inferred_fields
from programs.turn import ALL_NODES
from signatures.cues import Pace, may_raise_concern, seeker_cue, supporter_cue
from signatures.dialogue import onepass_signature
from signatures.persona import persona_signature
from signatures.seeker import seeker_signature
from signatures.supporter import supporter_signature
from socialsim.render import persona_text, transcript
from socialsim.schema import Demonstration, Node, Scenario, Speaker, Turn
from socialsim.text import split_emoji

T = TypeVar("T")


def _closed(turn: Turn, emoji: bool) -> dict[str, object]:
    text, mark = split_emoji(turn.text)
    return {"utterance": text, **({"emoji": mark} if emoji else {})}


def _supporter_answer(turn: Turn, nodes: tuple[Node, ...], emoji: bool) -> dict[str, object]:
    reasoning = turn.reasoning
    assert reasoning is not None, "an authored supporter turn has reasoning"
    given: dict[str, object] = {n.value: getattr(reasoning, n.value) for n in nodes if n is not Node.STRATEGY}
    if Node.STRATEGY in nodes:
        given["strategies"] = [str(choice) for choice in reasoning.strategies]
        given["purpose"] = reasoning.purpose
    return given | _closed(turn, emoji)


def seeker_examples(demo: Demonstration, emoji: bool = True) -> Iterator[dspy.Example]:
    """One example for each seeker turn."""
    answer = seeker_signature(emoji).output_fields["answer"].annotation
    turns, total, concerns = demo.dialogue.turns, len(demo.dialogue.turns) // 2, 0
    for index, turn in enumerate(turns):
        if turn.speaker is not Speaker.SEEKER:
            continue
        now = seeker_cue(Pace(index // 2 + 1, total), turns[:index], concerns)
        concerns += may_raise_concern(turns[:index], concerns)
        yield dspy.Example(
            persona=persona_text(demo.persona),
            dialogue=transcript(turns[:index]),
            now=now,
            correction="",
            answer=answer.model_validate(_closed(turn, emoji)),
        ).with_inputs("persona", "dialogue", "now", "correction")


def supporter_examples(
    demo: Demonstration, nodes: tuple[Node, ...] = ALL_NODES, emoji: bool = True
) -> Iterator[dspy.Example]:
    """One example for each supporter turn; the persona is in none of them."""
    answer = supporter_signature(nodes, emoji).output_fields["answer"].annotation
    turns, total = demo.dialogue.turns, len(demo.dialogue.turns) // 2
    for index, turn in enumerate(turns):
        if turn.speaker is not Speaker.SUPPORTER:
            continue
        yield dspy.Example(
            dialogue=transcript(turns[:index]),
            progress=supporter_cue(Pace(index // 2 + 1, total), turns[:index], Node.STRATEGY in nodes),
            correction="",
            answer=answer.model_validate(_supporter_answer(turn, nodes, emoji)),
        ).with_inputs("dialogue", "progress", "correction")


def onepass_example(demo: Demonstration, nodes: tuple[Node, ...] = ALL_NODES, emoji: bool = True) -> dspy.Example:
    """The whole dialogue as one example."""
    answer = onepass_signature(nodes, emoji).output_fields["answer"].annotation
    turns = demo.dialogue.turns
    exchanges = []
    for seeker, supporter in zip(turns[::2], turns[1::2], strict=True):
        said = _closed(seeker, emoji)
        line = {"seeker": said["utterance"], **({"seeker_emoji": said["emoji"]} if emoji else {})}
        exchanges.append(line | _supporter_answer(supporter, nodes, emoji))
    return dspy.Example(
        persona=persona_text(demo.persona), correction="", answer=answer.model_validate({"exchanges": exchanges})
    ).with_inputs("persona", "correction")


def persona_example(demo: Demonstration) -> dspy.Example:
    """The persona as the answer to the post it was written from."""
    persona = demo.persona
    answer = persona_signature(persona.topic).output_fields["answer"].annotation
    given = persona.model_dump(include={"gender", "age", "occupation", "question", "attempts", "goals"})
    given |= persona.personality.model_dump() | {"subtopics": list(persona.subtopics)}
    given |= {"emotions": list(persona.emotions), "inferred": ["attempts", "goals"]}
    post = Scenario(id=persona.id, source="demonstration", question=persona.question, description=persona.description)
    given["inferred"] = list(inferred_fields(post, given))
    return dspy.Example(
        topic=str(persona.topic),
        question=persona.question,
        description=persona.description,
        correction="",
        answer=answer.model_validate(given),
    ).with_inputs("topic", "question", "description", "correction")


def few_shot(pool: Sequence[T], k: int, seed: int) -> list[T]:
    """``k`` items spread over a pool, the same for the whole run.

    The same few examples in every prompt let a prompt cache hold them.
    """
    if k <= 0 or not pool:
        return []
    random = Random(f"{seed}:few-shot")
    size, k = len(pool), min(k, len(pool))
    return [pool[random.randrange(index * size // k, (index + 1) * size // k)] for index in range(k)]


def early_example(examples: Sequence[T], index: int) -> T:
    """The example a dialogue gives an uncompiled prompt: an early turn (their transcripts are short), not the greeting.

    Args:
        examples: those of all turns of one speaker, in order; or the only one there is.
        index: number of the dialogue in the prompt; another one gives a later turn.
    """
    early = examples[1:7] or examples
    return early[(2 * index) % len(early)]
