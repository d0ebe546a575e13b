"""What a supporter turn is written as, and read back from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.format import REPLY, History, Variant, lacking, messages, read_target, system_text, target
from socialsim.errors import UsageError
from socialsim.formats import parse_reasoning, reasoning_text
from socialsim.schema import Node, Reasoning, Speaker, StagedStrategy, Turn
from socialsim.taxonomy import STAGED_STRATEGIES
from tests import samples

REASONING = Variant.parse("reasoning")
# Prose of any script and mark; brackets make tags, of which what a person writes is held not to be one.
PROSE = (
    st.text(st.characters(exclude_characters="[]()", exclude_categories=["C", "Z"]) | st.just(" "), min_size=1)
    .map(str.strip)
    .filter(bool)
)
CHOICES = st.lists(st.sampled_from(STAGED_STRATEGIES), min_size=1, max_size=3, unique=True).map(
    lambda names: tuple(StagedStrategy.parse(name) for name in names)
)
NODES = st.sets(st.sampled_from(list(Node)))
REASONINGS = st.builds(
    Reasoning, situation=PROSE, thought=PROSE, action=PROSE, strategies=CHOICES, purpose=PROSE.map("to {}".format)
)


def _turn(text: str, reasoning: Reasoning | None) -> Turn:
    return Turn(speaker=Speaker.SUPPORTER, text=text, reasoning=reasoning)


# ---------------------------------------------------------------- variants


@pytest.mark.parametrize(
    ("text", "nodes", "name"),
    [
        ("response", (), "response"),
        ("reasoning", tuple(Node), "reasoning"),
        ("strategy", (Node.STRATEGY,), "strategy"),
        (" Strategy , SITUATION ", (Node.SITUATION, Node.STRATEGY), "situation,strategy"),
        ("situation,thought,action,strategy", tuple(Node), "reasoning"),
        ("thought,thought", (Node.THOUGHT,), "thought"),
    ],
)
def test_a_variant_is_named_by_a_word_or_its_nodes(text: str, nodes: tuple[Node, ...], name: str) -> None:
    variant = Variant.parse(text)
    assert (variant.nodes, variant.name) == (nodes, name)
    assert Variant.parse(variant.name) == variant


@pytest.mark.parametrize("text", ["", "answer", "situation,mood", ",", "response,strategy"])
def test_an_unknown_variant_is_one_line_with_the_choices(text: str) -> None:
    with pytest.raises(UsageError, match="use response, reasoning, strategy or a list of situation") as caught:
        Variant.parse(text)
    assert "\n" not in str(caught.value)
    assert f"--variant {text}" in str(caught.value)


def test_each_variant_has_a_system_text_of_its_own() -> None:
    names = ["response", "reasoning", "strategy", "situation", "situation,thought", "thought,action,strategy"]
    assert len({system_text(Variant.parse(name)) for name in names}) == len(names)


# ---------------------------------------------------------------- messages


def test_a_chat_alternates_after_the_system_message_and_holds_replies_alone() -> None:
    turns = samples.dialogue(2, "Exploration#Question").turns[:3]
    chat = messages(turns, REASONING)
    assert [message["role"] for message in chat] == ["system", "user", "assistant", "user"]
    assert [message["content"] for message in chat[1:]] == [turn.text for turn in turns]


def test_history_with_reasoning_holds_what_was_trained() -> None:
    turns = samples.dialogue(2, "Exploration#Question").turns[:3]
    shown = messages(turns, Variant.parse("reasoning", History.REASONING))
    assert shown[2]["content"] == target(turns[1], REASONING)
    only = messages(turns, Variant.parse("thought", History.REASONING))[2]["content"]
    assert "She feels betrayed." in only
    assert "She lost a house." not in only
    assert messages(turns, Variant.parse("response", History.REASONING))[2]["content"] == turns[1].text


# ---------------------------------------------------------------- what is written, and read back


@given(REASONINGS, PROSE, NODES)
def test_what_is_written_is_read_back(reasoning: Reasoning, said: str, nodes: set[Node]) -> None:
    variant = Variant(nodes=tuple(node for node in Node if node in nodes))
    turn = _turn(said, reasoning)
    written = target(turn, variant)
    read = read_target(written, variant)
    assert read.text == said
    assert target(read, variant) == written
    if set(nodes) == set(Node):
        assert read.reasoning is not None
        assert read.reasoning.model_copy(update={"raw": None}) == reasoning
    elif not nodes:
        assert (written, read.reasoning) == (said, None)


@given(REASONINGS, st.sets(st.sampled_from(list(Node)), min_size=1))
def test_a_subset_holds_its_nodes_and_no_other(reasoning: Reasoning, nodes: set[Node]) -> None:
    variant = Variant(nodes=tuple(node for node in Node if node in nodes))
    written = target(_turn("Hello.", reasoning), variant)
    tags = {node: f"{'SUPPORTER' if node is Node.STRATEGY else 'SEEKER'}'S {node.upper()}]" for node in Node}
    assert {node for node, tag in tags.items() if tag in written} == nodes
    assert written.endswith(f"\n{REPLY} Hello.")
    assert lacking(_turn("Hello.", reasoning), variant) == ()


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(lambda text: f"[SEEKER'S SITUATION]{text}"))
def test_imported_reasoning_is_kept_to_the_letter(raw: str) -> None:
    raw = raw.strip()
    written = target(_turn("I see.", parse_reasoning(raw)), REASONING)
    assert written == f"{raw}\n{REPLY} I see."
    read = read_target(written, REASONING)
    assert read.reasoning is not None
    assert (reasoning_text(read.reasoning), read.text) == (raw, "I see.")


def test_a_node_that_a_turn_lacks_is_named_and_left_out() -> None:
    bare = _turn("Hello.", None)
    assert target(bare, REASONING) == "Hello."
    assert lacking(bare, REASONING) == tuple(Node)
    half = samples.supporter("Hello.", "Exploration#Question", thought=None)
    assert lacking(half, REASONING) == (Node.THOUGHT,)
    assert "THOUGHT" not in target(half, REASONING)


# ---------------------------------------------------------------- what models really write

CUT = "[SEEKER'S SITUATION] She lost a house. [SEEKER'S THOUGHT] She fee"


@pytest.mark.parametrize("variant", ["reasoning", "strategy", "situation,thought"])
def test_reasoning_cut_before_the_reply_is_an_empty_reply(variant: str) -> None:
    read = read_target(CUT, Variant.parse(variant))
    assert read.text == "…"
    assert read.reasoning is not None
    assert read.reasoning.situation == "She lost a house."
    assert reasoning_text(read.reasoning) == CUT
    assert read_target(CUT[:12], Variant.parse(variant)).text == "…"
    assert read_target(f"{CUT}\n[SUPPORTER'S REP", Variant.parse(variant)).text == "…"


@pytest.mark.parametrize("said", ["I hear you.", "[smiles] I hear you.", "Well [laughs] yes.", "我在听。"])
def test_a_reply_without_tags_is_the_reply(said: str) -> None:
    for name in ("response", "reasoning", "strategy"):
        read = read_target(f" {said}\n", Variant.parse(name))
        assert (read.text, read.reasoning) == (said, None)


@pytest.mark.parametrize("tag", [REPLY, "[supporter's reply]", "[SUPPORTER’S REPLY]"])
def test_the_reply_tag_may_be_spelt_otherwise(tag: str) -> None:
    read = read_target(f"[SEEKER'S ACTION] She waits.\n{tag}\nI hear you. ", REASONING)
    assert read.text == "I hear you."
    assert read.reasoning is not None
    assert read.reasoning.action == "She waits."


@given(st.text())
def test_reading_never_fails_and_never_gives_an_empty_reply(text: str) -> None:
    for name in ("response", "reasoning", "action"):
        assert read_target(text, Variant.parse(name)).text.strip()
