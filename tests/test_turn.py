"""The leaves: what their signatures ask for, what an answer becomes, and life under DSPy's optimisers."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.utils.exceptions import AdapterParseError

from programs.demonstrations import onepass_example, persona_example, seeker_examples, supporter_examples
from programs.onepass import DialogueWriter
from programs.persona import PersonaWriter
from programs.simulate import SimulationOptions
from programs.turn import Seeker, Supporter, seeker_turn, supporter_turn
from signatures.supporter import supporter_signature
from socialsim.adapter import CompactAdapter, response_schema
from socialsim.resources import demonstrations
from socialsim.schema import Node
from tests.scripted import schema_of, scripted_lm, system_text, user_text, valid_answers

SUPPORTER: Any = supporter_signature()
SUBSETS = [subset for size in range(5) for subset in combinations(Node, size)]
DEMOS = list(demonstrations())[:2]
LEAVES: dict[str, tuple[type[dspy.Module], tuple[Any, ...], list[dspy.Example]]] = {
    "seeker": (Seeker, (), list(seeker_examples(DEMOS[0]))),
    "supporter": (Supporter, (), list(supporter_examples(DEMOS[0]))),
    "strategy only": (Supporter, ((Node.STRATEGY,),), list(supporter_examples(DEMOS[0], (Node.STRATEGY,)))),
    "onepass": (DialogueWriter, (SimulationOptions(),), [onepass_example(demo) for demo in DEMOS]),
    "persona": (PersonaWriter, (), [persona_example(demo) for demo in DEMOS]),
}


def leaf(name: str) -> tuple[dspy.Module, list[dspy.Example]]:
    kind, arguments, examples = LEAVES[name]
    return kind(*arguments), examples


def call(module: dspy.Module, example: dspy.Example) -> Any:
    lm = scripted_lm()
    with dspy.context(lm=lm, adapter=CompactAdapter()):
        return module(**example.inputs()).answer, lm.requests[0]


@pytest.mark.parametrize("emoji", [True, False])
@pytest.mark.parametrize("nodes", SUBSETS, ids=lambda nodes: "+".join(nodes) or "none")
def test_an_answer_has_just_the_chosen_nodes_in_order_then_the_reply(nodes: tuple[Node, ...], emoji: bool) -> None:
    names = {Node.STRATEGY: ["strategies", "purpose"]}
    expected = [name for node in nodes for name in names.get(node, [node.value])]
    expected += ["utterance", "emoji"] if emoji else ["utterance"]
    annotation = supporter_signature(nodes, emoji).output_fields["answer"].annotation
    assert list(annotation.model_fields) == expected


@pytest.mark.parametrize("nodes", SUBSETS, ids=lambda nodes: "+".join(nodes) or "none")
def test_the_instructions_name_just_the_chosen_nodes(nodes: tuple[Node, ...]) -> None:
    text = supporter_signature(nodes).instructions
    assert ("in this order: " + ", ".join(nodes) + ". " in text) is bool(nodes)
    assert ("Providing Suggestions" in text) is (Node.STRATEGY in nodes)
    assert ("reason about" in text) is bool(nodes)


def test_the_supporter_has_no_input_for_a_persona() -> None:
    assert list(supporter_signature().input_fields) == ["dialogue", "progress", "correction"]


def test_without_nodes_a_turn_has_no_reasoning() -> None:
    assert supporter_turn({"utterance": "Why?", "emoji": "🙂"}).reasoning is None


def test_an_answer_becomes_a_turn_with_its_reasoning() -> None:
    answer = {
        "situation": "s",
        "strategies": ["Exploration#Question", "Others"],
        "purpose": "to ask",
        "utterance": "Why?",
    }
    turn = supporter_turn(answer)
    assert turn.reasoning is not None
    assert [str(choice) for choice in turn.strategies] == ["Exploration#Question", "Others"]
    assert (turn.text, turn.reasoning.situation, turn.reasoning.purpose) == ("Why?", "s", "to ask")
    assert turn.reasoning.thought is None


def test_a_strategy_named_twice_counts_once() -> None:
    turn = supporter_turn({"strategies": ["Others", "Others"], "purpose": "to greet", "utterance": "Hi."})
    assert len(turn.strategies) == 1


def test_the_emoji_closes_the_utterance_once() -> None:
    assert seeker_turn({"utterance": "Well. 🙂", "emoji": "😔"}).text == "Well. 😔"


def test_an_utterance_of_an_emoji_only_is_seen_to_be_empty() -> None:
    assert seeker_turn({"utterance": " 🙂", "emoji": "😔"}).text == "… 😔"


@pytest.mark.parametrize(
    ("text", "writable"),
    [
        ("word " * 39 + "word.", True),
        ("word " * 40 + "word.", False),
        ("Đường's café — “naïve”… isn't it, at 5:30 (€20/h)?", True),
        ("No end", False),
        ("Two\nlines.", False),
        ("A {placeholder} here.", False),
        ("An emoji 🙂 inside.", False),
        ("Endlesslylongwordendlesslylongword.", False),
    ],
)
def test_a_decoder_can_write_prose_within_the_limit_and_nothing_else(text: str, writable: bool) -> None:
    pattern = response_schema(SUPPORTER)["properties"]["utterance"]["pattern"]
    assert bool(re.search(pattern, text)) is writable


def test_allowed_strategies_limit_the_answer_and_leave_the_prompt_as_it_is() -> None:
    inputs = {"dialogue": "Seeker: Hi.", "progress": "", "correction": ""}
    lm = scripted_lm()
    with dspy.context(lm=lm, adapter=CompactAdapter()):
        narrow = Supporter()(**inputs, allowed=("Others",)).answer
        Supporter()(**inputs)
    assert narrow.strategies == ["Others"]
    assert schema_of(lm.requests[0])["properties"]["strategies"]["items"]["const"] == "Others"
    assert system_text(lm.requests[0]) == system_text(lm.requests[1])


def test_a_strategy_that_is_not_allowed_is_refused() -> None:
    lm = scripted_lm(valid_answers(strategies=["Action#Share Information"]))
    with dspy.context(lm=lm, adapter=CompactAdapter()), pytest.raises(AdapterParseError, match="strategies"):
        Supporter()(dialogue="Seeker: Hi.", progress="", correction="", allowed=("Others",))


@pytest.mark.parametrize("name", LEAVES)
def test_a_saved_leaf_works_after_loading_with_its_demonstrations(name: str, tmp_path: Path) -> None:
    module, examples = leaf(name)
    module.predictors()[0].demos = examples[:2]
    answer, request = call(module, examples[-1])
    module.save(tmp_path / "leaf.json")
    loaded, _ = leaf(name)
    loaded.load(tmp_path / "leaf.json")
    again, same = call(loaded, examples[-1])
    assert [message.text for message in same.messages] == [message.text for message in request.messages]
    assert len(same.messages) == 5
    assert again.model_dump() == answer.model_dump()


@pytest.mark.parametrize("name", LEAVES)
def test_a_loaded_leaf_keeps_optimised_instructions(name: str, tmp_path: Path) -> None:
    module, examples = leaf(name)
    predictor = module.predictors()[0]
    predictor.signature = predictor.signature.with_instructions("Be brief, whatever happens.")
    module.save(tmp_path / "leaf.json")
    loaded, _ = leaf(name)
    loaded.load(tmp_path / "leaf.json")
    assert system_text(call(loaded, examples[0])[1]).startswith("Be brief, whatever happens.")


@pytest.mark.parametrize("name", LEAVES)
def test_labelled_examples_reach_the_prompt(name: str) -> None:
    module, examples = leaf(name)
    compiled = dspy.LabeledFewShot(k=2).compile(module, trainset=examples)
    _, request = call(compiled, examples[0])
    assert len([message for message in request.messages if message.role == "assistant"]) == 2


@pytest.mark.parametrize("name", LEAVES)
def test_a_bootstrapped_leaf_answers(name: str) -> None:
    module, examples = leaf(name)
    with dspy.context(lm=scripted_lm(), adapter=CompactAdapter()):
        optimiser = dspy.BootstrapFewShot(
            metric=lambda *_: 1.0, metric_threshold=0.5, max_bootstrapped_demos=1, max_labeled_demos=0
        )
        compiled = optimiser.compile(module, trainset=examples[:2])
    answer, request = call(compiled, examples[-1])
    assert len([message for message in request.messages if message.role == "assistant"]) == 1
    assert answer is not None
    assert "Not supplied" not in "".join(message.text or "" for message in request.messages)
    assert user_text(request).startswith("## ")
