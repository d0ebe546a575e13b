"""The SSConv release, read and written."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialsim.errors import InputError
from socialsim.formats import ssconv
from socialsim.formats.dialogues import read_dialogues
from socialsim.formats.posts import read_posts
from socialsim.formats.rows import Row
from socialsim.schema import Dialogue, Persona
from tests.formats.conftest import Save
from tests.formats.strategies import TEXT, dialogues, personas

HERE = Path("release.json")


def test_a_dialogue_is_read(save: Save, release: dict[str, Any]) -> None:
    (dialogue,) = read_dialogues(save("r.json", [release]))
    assert (dialogue.id, dialogue.persona_id) == ("ssconv-7", "ssconv-7")
    assert [turn.speaker.value for turn in dialogue.turns] == ["seeker", "supporter"] * 3
    first = dialogue.turns[1].reasoning
    assert first is not None
    assert first.raw is None
    assert first.purpose == "to learn more."
    assert dialogue.turns[3].reasoning is not None
    assert dialogue.turns[5].reasoning is None


def test_files_are_written_as_they_were_read(save: Save, release: Any, profile: Any) -> None:
    written = "".join(ssconv.dialogues_text(read_dialogues(save("r.json", [release]))))
    assert json.loads(written) == [release]
    assert list(json.loads(written)[0]["Dialogue"][1]) == list(release["Dialogue"][1])
    assert json.loads("".join(ssconv.profiles_text(ssconv.read_personas(save("q.json", [profile]))))) == [profile]


@given(st.lists(dialogues(), max_size=3))
def test_a_file_in_parts_is_the_array_as_a_whole(some: list[Dialogue]) -> None:
    whole = json.dumps([ssconv.dialogue_record(one) for one in some], ensure_ascii=False, indent=2)
    assert "".join(ssconv.dialogues_text(some)) == whole + "\n"


def test_a_profile_as_post_and_as_persona(save: Save, profile: dict[str, Any]) -> None:
    path = save("p.json", [profile])
    (post,) = read_posts(path)
    (persona,) = ssconv.read_personas(path)
    assert post.id == persona.id == "ssconv-7"
    assert post.question == persona.question == profile["Situation"]
    assert post.description == persona.description == profile["Event Description"]
    assert (post.topic, post.subtopics) == (persona.topic, persona.subtopics)
    assert persona.emotions == ("Grief", "Shame")
    assert (persona.situation, persona.event_time, persona.event_location) == (None, "Spring", None)


def test_a_situation_of_its_own_needs_one_more_key(profile: dict[str, Any]) -> None:
    persona = ssconv.persona(Row(HERE, profile | {"Question": "How do I start again?"}, 1))
    assert (persona.question, persona.situation) == ("How do I start again?", profile["Situation"])
    assert ssconv.profile_record(persona) == profile | {"Question": "How do I start again?"}
    same = persona.model_copy(update={"situation": persona.question})
    assert len(ssconv.profile_record(same)) == 15


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Age": 70}, "record 1: age: .*60"),
        ({"Topic": "Cars"}, "record 1: unknown topic 'Cars'"),
        ({"Personality": "Openness"}, "record 1: conscientiousness: Field required"),
        ({"Occupation": "Wizard"}, "record 1: occupation: .*Wizard"),
        ({"Event Description": None}, "'Event Description' must be text"),
    ],
)
def test_a_profile_outside_the_paper_is_refused(save: Save, profile: Any, change: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(ssconv.read_personas(save("p.json", [profile | change])))


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        ({"Turn": 1}, "record 1, turn 7: must have exactly one of Seeker, Supporter"),
        ({"Turn": 1, "Seeker": "a", "Supporter": "b"}, "exactly one"),
        ({"Turn": 1, "Supporter": "b", "Reasoning": "c"}, "turn 7: unknown key Reasoning"),
        ({"Turn": 1, "Seeker": 5}, "'Seeker' must be text, not int"),
        ("hello", "turn 7: expected a JSON object"),
    ],
)
def test_an_odd_turn_is_refused(save: Save, release: dict[str, Any], turn: object, message: str) -> None:
    odd = copy.deepcopy(release)
    odd["Dialogue"].append(turn)
    with pytest.raises(InputError, match=message):
        list(read_dialogues(save("r.json", [odd])))


@given(dialogues())
def test_dialogue_to_release_and_back(dialogue: Dialogue) -> None:
    assert ssconv.dialogue(Row(HERE, ssconv.dialogue_record(dialogue), 1)) == dialogue


@given(personas())
def test_persona_to_profile_and_back(persona: Persona) -> None:
    record = ssconv.profile_record(persona)
    assert ssconv.persona(Row(HERE, record, 1)) == persona
    assert len(record) == (16 if persona.situation else 15)


@given(
    st.integers() | TEXT.filter(lambda t: not t.startswith("ssconv-")), st.lists(st.tuples(TEXT, st.none() | st.text()))
)
def test_release_to_dialogue_and_back(name: int | str, turns: list[tuple[str, str | None]]) -> None:
    entries: list[dict[str, object]] = [{"Turn": 1, "Seeker": "Hi"}]
    for number, (text, chain) in enumerate(turns, 2):
        reasoning = {} if chain is None else {ssconv.REASONING: chain}
        entries.append({"Turn": number, **reasoning, "Supporter": text})
    record = {"ID": name, "Dialogue": entries}
    assert ssconv.dialogue_record(ssconv.dialogue(Row(HERE, record, 1))) == record
