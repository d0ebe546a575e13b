"""Dialogues: each corpus format, its detection, merging and trimming."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from socialsim.errors import InputError
from socialsim.formats.dialogues import DialogueFormat, merge_consecutive, read_dialogues, trim_to_exchanges
from socialsim.formats.posts import PostFormat, read_posts
from socialsim.formats.reasoning import parse_reasoning
from socialsim.schema import Dialogue, Flag, Speaker, Turn
from tests.formats.conftest import Save
from tests.formats.strategies import dialogues

OFFICIAL = {
    "situation": "s",
    "emotion_type": "fear",
    "dialog": [
        {"speaker": "seeker", "annotation": {"feedback": "4"}, "content": "Hi\n"},
        {"speaker": "supporter", "annotation": {"strategy": "Questions"}, "content": "Hello?"},
        {"speaker": "supporter", "annotation": {"strategy": "Other"}, "content": " "},
        {"speaker": "listener", "annotation": {"strategy": "Approval and Reassurance"}, "content": "Good."},
        {"speaker": "speaker", "annotation": {}, "content": "Bye"},
    ],
}
HUB = {"dialog": [{"speaker": "usr", "text": "Hi"}, {"speaker": "sys", "strategy": "Information", "text": "Hey"}]}
EXTES = {
    "scene": "x",
    "content": [
        {"User": "Hi"},
        {"AI": "Hey", "AI Strategy": "Share Information"},
        {"User": "Oh"},
        {"AI": "So", "AI Strategy": "Offer Hope"},
        {"AI": ""},
    ],
}
AUGESC = [["usr", "Hi"], ["sys", "Hey"], ["sys", " "]]


def said(dialogue: Dialogue) -> list[tuple[str, str, list[str]]]:
    """Speaker, words and strategies of each turn."""
    return [(turn.speaker.value, turn.text, [str(choice) for choice in turn.strategies]) for turn in dialogue.turns]


def test_esconv_official(save: Save) -> None:
    (dialogue,) = read_dialogues(save("esc.json", [OFFICIAL]))
    assert dialogue.id == "esc-1"
    assert said(dialogue) == [
        ("seeker", "Hi", []),
        ("supporter", "Hello?", ["Question"]),
        ("supporter", "Good.", ["Affirmation and Reassurance"]),
        ("seeker", "Bye", []),
    ]


@pytest.mark.parametrize("row", [{"text": json.dumps(HUB)}, HUB])
def test_esconv_of_the_hub(save: Save, row: object) -> None:
    (dialogue,) = read_dialogues(save("hub.jsonl", [row]))
    assert said(dialogue) == [("seeker", "Hi", []), ("supporter", "Hey", ["Share Information"])]


def test_extes_keeps_only_strategies_the_paper_has(save: Save) -> None:
    (dialogue,) = read_dialogues(save("x.json", [EXTES]))
    assert said(dialogue) == [
        ("seeker", "Hi", []),
        ("supporter", "Hey", ["Share Information"]),
        ("seeker", "Oh", []),
        ("supporter", "So", []),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.jsonl", [{"text": json.dumps(AUGESC)}] * 2),
        ("rows.json", [{"text": json.dumps(AUGESC)}] * 2),
        ("lists.json", [AUGESC] * 2),
        ("lines.txt", f"{json.dumps(AUGESC)}\n{json.dumps(AUGESC)}\n"),
        ("table.csv", 'text\n"[[""usr"", ""Hi""], [""sys"", ""Hey""]]"\n"[[""usr"", ""Hi""], [""sys"", ""Hey""]]"\n'),
    ],
)
def test_augesc(save: Save, name: str, content: object) -> None:
    found = list(read_dialogues(save(name, content)))
    assert [said(dialogue) for dialogue in found] == [[("seeker", "Hi", []), ("supporter", "Hey", [])]] * 2
    assert [dialogue.id.rpartition("-")[2] for dialogue in found] == ["1", "2"]


@given(dialogues())
def test_our_own_records_come_back(tmp_path_factory: pytest.TempPathFactory, dialogue: Dialogue) -> None:
    path = tmp_path_factory.getbasetemp() / "own.jsonl"
    path.write_text(dialogue.model_dump_json() + "\n", "utf-8")
    assert list(read_dialogues(path)) == [dialogue]


def test_a_repeated_id_gets_a_suffix(save: Save, release: dict[str, Any]) -> None:
    assert [dialogue.id for dialogue in read_dialogues(save("r.json", [release] * 2))] == ["ssconv-7", "ssconv-7-2"]


@pytest.mark.parametrize("format", list(DialogueFormat))
def test_a_named_format_is_not_second_guessed(save: Save, format: DialogueFormat) -> None:
    with pytest.raises(InputError, match="record 1"):
        list(read_dialogues(save("x.json", [{"nothing": 1}]), format))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"a": 1}, "record 1: no dialogue format has the keys a; name the format"),
        ({"dialog": [{"speaker": "cat", "content": "x"}]}, "utterance 1: unknown speaker 'cat'"),
        ({"dialog": [{"speaker": "usr"}]}, "utterance 1: must have exactly one of content, text"),
        ({"dialog": [{"content": "x"}]}, "utterance 1: has no 'speaker'"),
        ({"dialog": [{"speaker": "sys", "text": "x", "strategy": "Magic"}]}, "utterance 1: unknown strategy 'Magic'"),
        ({"dialog": [{"speaker": "sys", "text": "x", "annotation": "Magic"}]}, "utterance 1: expected a JSON object"),
        ({"dialog": []}, "record 1: turns: "),
        ({"dialog": "x"}, "record 1: 'dialog' must be a list, not str"),
        ({"text": "[oops"}, "record 1: 'text' is not valid JSON"),
        ({"text": '[["usr", 1]]'}, "utterance 1: expected a pair"),
        ({"content": [{"Bot": "x"}]}, "utterance 1: must have exactly one of User, AI"),
        ({"id": "a", "turns": [], "colour": 1}, "record 1: (turns|colour): "),
    ],
)
def test_odd_records_are_refused(save: Save, record: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        list(read_dialogues(save("odd.json", [record])))
    assert "\n" not in str(caught.value)


def turn(speaker: Speaker, text: str, strategy: str | None = None) -> Turn:
    chain = parse_reasoning(f"[SUPPORTER'S STRATEGY] I hereby choose the ({strategy}) strategy.") if strategy else None
    return Turn(speaker=speaker, text=text, reasoning=chain)


A, B = Speaker.SEEKER, Speaker.SUPPORTER


def test_merging_keeps_each_strategy_once_in_order() -> None:
    turns = (
        turn(A, "a"),
        turn(A, "b"),
        turn(B, "c", "Question"),
        turn(B, "d", "Others"),
        turn(B, "e", "Question"),
        turn(B, "f"),
    )
    merged = merge_consecutive(Dialogue(id="x", turns=turns))
    assert said(merged) == [("seeker", "a b", []), ("supporter", "c d e f", ["Question", "Others"])]
    assert merge_consecutive(merged) == merged


def test_merging_joins_flags_thoughts_and_imported_chains() -> None:
    left = Turn(speaker=B, text="a", reasoning=parse_reasoning("[SEEKER'S THOUGHT] T."), flags=(Flag(kind="x"),))
    right = Turn(speaker=B, text="b", reasoning=parse_reasoning("free words"), flags=(Flag(kind="y"),))
    (merged,) = merge_consecutive(Dialogue(id="x", turns=(left, right))).turns
    assert merged.flags == (Flag(kind="x"), Flag(kind="y"))
    assert merged.reasoning is not None
    assert (merged.reasoning.thought, merged.reasoning.raw) == ("T.", "[SEEKER'S THOUGHT] T. free words")


@pytest.mark.parametrize(
    ("speakers", "kept"),
    [("BABAA", "AB"), ("AB", "AB"), ("BA", None), ("A", None), ("B", None), ("BBAABBA", "AABB")],
)
def test_trimming(speakers: str, kept: str | None) -> None:
    turns = tuple(turn({"A": A, "B": B}[letter], str(n)) for n, letter in enumerate(speakers))
    trimmed = trim_to_exchanges(Dialogue(id="x", turns=turns))
    assert (trimmed and "".join("A" if t.speaker is A else "B" for t in trimmed.turns)) == kept


@given(dialogues())
def test_merged_and_trimmed_dialogues_are_exchanges(dialogue: Dialogue) -> None:
    trimmed = trim_to_exchanges(merge_consecutive(dialogue))
    if trimmed:
        assert [t.speaker for t in trimmed.turns] == [A, B] * (len(trimmed.turns) // 2)


KEYS = ["text", "dialog", "content", "Dialogue", "turns", "id", "speaker", "strategy", "annotation", "User", "AI", "ID"]
KEYS += ["Seeker", "Supporter", "Situation", "Event Description", "situation", "emotion_type", "question", "questionID"]
KEYS += ["description", "source", "keywords", "topic", "Topic", "AI Strategy", "Supporter Step by Step Reasoning"]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["usr", "[1]", "{}"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)
Reader = Callable[[Path], Iterator[object]]
READERS: list[Reader] = [partial(read_dialogues, format=kind) for kind in [None, *DialogueFormat]]
READERS += [partial(read_posts, format=kind) for kind in [None, *PostFormat]]


@settings(max_examples=250)
@given(st.lists(VALUES, max_size=2), st.sampled_from(READERS))
def test_whatever_json_holds_only_input_errors_come_out(
    tmp_path_factory: pytest.TempPathFactory, records: list[object], reader: Reader
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(records), "utf-8")
    problem = None
    try:
        list(reader(path))
    except InputError as exc:
        problem = str(exc)
    assert problem is None or "\n" not in problem
