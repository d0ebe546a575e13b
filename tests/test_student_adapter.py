"""The supporter in a student's format: transcripts read back, limits as a pattern, answers parsed."""

from __future__ import annotations

import re
from typing import Any

import dspy
import pytest
from dspy.utils.exceptions import AdapterParseError
from hypothesis import given
from hypothesis import strategies as st

from finetune.format import History, Variant, target
from programs.turn import supporter_turn
from signatures.seeker import seeker_signature
from signatures.supporter import narrowed, supporter_signature
from socialsim.errors import UsageError
from socialsim.render import talk, transcript
from socialsim.schema import Node, Speaker, Turn
from socialsim.student_adapter import StudentAdapter, is_supporter, read_transcript, text_schema
from socialsim.taxonomy import EMOJIS, STAGED_STRATEGIES
from tests import samples

NODES = {"situation": "They failed an exam.", "thought": "They think all is lost.", "action": "They stay at home now."}
UTTERANCE = "That sounds hard. What happened?"
PURPOSE = "to learn what happened"


def signature(nodes: tuple[Node, ...], emoji: bool, *allowed: str) -> type[dspy.Signature]:
    return narrowed(supporter_signature(nodes, emoji), nodes, emoji, allowed or STAGED_STRATEGIES)  # type: ignore[arg-type]


def answer(nodes: tuple[Node, ...], emoji: bool, *strategies: str) -> dict[str, Any]:
    fields: dict[str, Any] = {node.value: NODES[node.value] for node in nodes if node is not Node.STRATEGY}
    if Node.STRATEGY in nodes:
        fields |= {"strategies": list(strategies), "purpose": PURPOSE}
    return fields | {"utterance": UTTERANCE} | ({"emoji": EMOJIS[0]} if emoji else {})


subsets = st.sets(st.sampled_from(list(Node))).map(lambda found: tuple(node for node in Node if node in found))
chosen = st.lists(st.sampled_from(STAGED_STRATEGIES), min_size=1, max_size=2, unique=True)


@given(subsets, st.booleans(), chosen)
def test_what_a_student_is_trained_to_write_is_allowed_and_read_as_the_answer(
    nodes: tuple[Node, ...], emoji: bool, strategies: list[str]
) -> None:
    wanted = answer(nodes, emoji, *strategies)
    text = target(supporter_turn(wanted), Variant(nodes=nodes))
    asked = signature(nodes, emoji)
    assert re.fullmatch(text_schema(asked, Variant(nodes=nodes))["pattern"], text)
    assert StudentAdapter(Variant(nodes=nodes)).parse(asked, text)["answer"].model_dump() == wanted


@pytest.mark.parametrize(
    "change",
    [
        ("Exploration#Question", "Action#Others"),
        ("[SEEKER'S THOUGHT]", "[SEEKER'S THOUGHTS]"),
        (UTTERANCE, UTTERANCE + "\nSeeker: Yes."),
        (UTTERANCE, "word " * 50 + "end."),
        (" " + EMOJIS[0], ""),
        (PURPOSE, "because I like it"),
    ],
)
def test_what_is_beyond_the_limits_is_not_allowed(change: tuple[str, str]) -> None:
    variant, nodes = Variant.parse("reasoning"), tuple(Node)
    text = target(supporter_turn(answer(nodes, True, "Exploration#Question")), variant)
    pattern = text_schema(signature(nodes, True, "Exploration#Question"), variant)["pattern"]
    assert re.fullmatch(pattern, text)
    assert not re.fullmatch(pattern, text.replace(*change))


def test_an_answer_that_lacks_a_node_is_malformed() -> None:
    with pytest.raises(AdapterParseError):
        StudentAdapter(Variant.parse("reasoning")).parse(signature(tuple(Node), False), UTTERANCE)


def test_a_node_it_cannot_write_is_named_with_those_it_can() -> None:
    with pytest.raises(UsageError, match="not trained to write strategy; give --nodes situation,thought"):
        StudentAdapter(Variant.parse("situation,thought")).check_nodes((Node.THOUGHT, Node.STRATEGY))


def test_only_the_supporters_signature_is_taken_over() -> None:
    assert is_supporter(supporter_signature((), False))
    assert not is_supporter(seeker_signature(True))


lines = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\n"), min_size=1, max_size=40)
said = lines.map(str.strip).filter(bool)


@given(st.lists(said, max_size=6))
def test_a_transcript_is_read_back(texts: list[str]) -> None:
    turns = tuple(
        Turn(speaker=(Speaker.SEEKER, Speaker.SUPPORTER)[index % 2], text=text) for index, text in enumerate(texts)
    )
    assert read_transcript(transcript(turns)) == turns


def test_a_line_break_stays_within_its_turn() -> None:
    turns = (samples.seeker("I failed.\nTwice."), samples.supporter("Oh."))
    assert [turn.text for turn in read_transcript(transcript(turns))] == ["I failed.\nTwice.", "Oh."]


def test_turns_of_the_context_keep_their_reasoning() -> None:
    variant = Variant(nodes=(Node.THOUGHT,), history=History.REASONING)
    turns = (samples.seeker("Hello."), samples.supporter("Hi.", thought="They greet."), samples.seeker("I failed."))
    inputs = {"dialogue": transcript(turns), "progress": "", "correction": ""}
    with talk(turns):
        kept = StudentAdapter(variant).format(signature((Node.THOUGHT,), False), [], inputs)
    with talk(turns[:1]):  # of another moment
        read = StudentAdapter(variant).format(signature((Node.THOUGHT,), False), [], inputs)
    assert "They greet." in kept[2]["content"]
    assert read[2]["content"] == "Hi."
