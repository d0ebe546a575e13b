"""A persona's prompt that shows the examples nearest to the post."""

from __future__ import annotations

import json
from pathlib import Path

import dspy
import pytest

from programs.demonstrations import persona_example
from programs.nearest import nearest
from programs.persona import PersonaWriter
from programs.turn import Seeker
from socialsim.adapter import CompactAdapter
from socialsim.artifacts import load_state, save_state
from socialsim.errors import InputError
from socialsim.loading import program_hash
from socialsim.resources import training_demonstrations
from tests.scripted import scripted_lm

DEMOS = [persona_example(demo) for demo in training_demonstrations()]


def inputs(index: int) -> dict[str, str]:
    given: dict[str, str] = DEMOS[index].inputs().toDict()
    return given


@pytest.mark.parametrize("index", range(len(DEMOS)))
def test_a_post_is_nearest_to_itself(index: int) -> None:
    assert nearest(DEMOS, inputs(index), 1) == [DEMOS[index]]


def test_examples_of_the_same_topic_come_before_all_others() -> None:
    post = inputs(0) | {"question": "", "description": DEMOS[-1].description}
    two = nearest(DEMOS, post, 2)
    assert [demo.topic for demo in two] == [DEMOS[0].topic] * 2
    assert DEMOS[-1].topic != DEMOS[0].topic


def test_none_asked_for_shows_all_in_their_order() -> None:
    assert nearest(DEMOS, inputs(3), 0) == DEMOS


def prompt(leaf: PersonaWriter, index: int) -> list[str]:
    """The user messages of a call, examples included."""
    lm = scripted_lm()
    with dspy.context(lm=lm, adapter=CompactAdapter()):
        leaf(**inputs(index))
    return [message.text or "" for message in lm.requests[0].messages if message.role == "user"]


def test_only_the_nearest_stand_in_the_prompt() -> None:
    leaf = PersonaWriter()
    leaf.write.demos = DEMOS
    leaf.nearest = 2
    shown = prompt(leaf, 5)
    assert len(shown) == 3
    assert DEMOS[5].description in shown[1]
    leaf.nearest = 0
    assert len(prompt(leaf, 5)) == len(DEMOS) + 1


def test_a_state_keeps_how_many_are_shown(tmp_path: Path) -> None:
    leaf, path = PersonaWriter(), tmp_path / "state.json"
    leaf.write.demos = DEMOS
    unlimited = program_hash(leaf)
    leaf.nearest = 1
    assert program_hash(leaf) != unlimited
    save_state(leaf, "persona", path)
    loaded = PersonaWriter()
    load_state(loaded, path, "persona")
    assert loaded.nearest == 1
    assert prompt(loaded, 4) == prompt(leaf, 4)


@pytest.mark.parametrize("value", [-1, "2", True, None, 1.5])
def test_a_state_that_says_it_wrongly_is_refused(tmp_path: Path, value: object) -> None:
    leaf, path = PersonaWriter(), tmp_path / "state.json"
    leaf.write.demos = DEMOS[:1]
    save_state(leaf, "persona", path)
    state = json.loads(path.read_text())
    state["metadata"]["nearest"] = value
    path.write_text(json.dumps(state))
    with pytest.raises(InputError, match="nearest"):
        load_state(PersonaWriter(), path, "persona")


def test_other_leaves_know_nothing_of_it(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    save_state(Seeker(), "seeker", path)
    assert "nearest" not in path.read_text()
