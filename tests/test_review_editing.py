"""Edits: what a form sends keeps the schema and the hard rules, or is refused with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from socialsim.schema import Dialogue, Flag, Reasoning
from socialsim.web.review.editing import (
    DialogueForm,
    EditRefused,
    PersonaForm,
    edited_dialogue,
    edited_persona,
    persona_field,
)
from tests import review_runs, samples

DIALOGUE = review_runs.dialogue("d1", flags=1)


def edit(dialogue: Dialogue, number: int, **changes: Any) -> Dialogue:
    turns: list[dict[str, Any]] = [dict(one) for one in review_runs.texts(dialogue.turns)]
    turns[number - 1] |= changes
    return edited_dialogue(dialogue, DialogueForm.model_validate({"turns": turns}))


def test_an_unchanged_form_gives_the_same_dialogue() -> None:
    assert edit(DIALOGUE, 1) == DIALOGUE


def test_words_are_replaced_and_the_flags_of_other_words_go() -> None:
    edited = edit(DIALOGUE, 2, text="  What did Zorblat say\u0000 then?  ")
    assert edited.turns[1].text == "What did Zorblat say  then?"
    assert edited.turns[1].flags == ()
    assert edited.turns[1].reasoning == DIALOGUE.turns[1].reasoning
    assert [turn for n, turn in enumerate(edited.turns) if n != 1] == [
        turn for n, turn in enumerate(DIALOGUE.turns) if n != 1
    ]


def test_a_soft_finding_of_the_new_words_is_flagged() -> None:
    edited = edit(DIALOGUE, 2, text="You could try a journal.")
    assert [flag.kind for flag in edited.turns[1].flags] == ["generic_advice"]


@pytest.mark.parametrize(
    ("number", "changes", "reason"),
    [
        (2, {"text": "word " * 41}, "utterance 2: use at most 40 words"),
        (1, {"text": "word " * 31}, "utterance 1: use at most 30 words"),
        (1, {"text": "  "}, "utterance 1: say something in words"),
        (2, {"text": "Seeker: I am fine."}, "utterance 2: write only the supporter's own words"),
        (2, {"text": "[your reply here]"}, "utterance 2: write real words"),
        (2, {"text": "One line.\nTwo lines."}, "on one line"),
        (2, {"strategies": "Comforting#Question"}, "utterance 2, strategy: .*not a strategy of stage"),
        (2, {"strategies": "Hugging"}, "utterance 2, strategy"),
        (2, {"thought": " "}, "the thought node is missing"),
        (2, {"strategies": ""}, "the strategy node is missing"),
    ],
)
def test_an_edit_that_breaks_a_hard_rule_says_which(number: int, changes: dict[str, str], reason: str) -> None:
    with pytest.raises(EditRefused, match=reason):
        edit(DIALOGUE, number, **changes)


def test_what_was_broken_before_is_no_reason_to_refuse_another_change() -> None:
    turns = (samples.seeker("word " * 60), *DIALOGUE.turns[1:4])
    short = DIALOGUE.model_copy(update={"turns": turns})
    assert edit(short, 3, text="Something new happened on Friday.").turns[2].text == "Something new happened on Friday."


def test_reasoning_is_edited_node_by_node_and_an_imported_text_goes() -> None:
    first = DIALOGUE.turns[1]
    assert first.reasoning
    raw = first.model_copy(update={"reasoning": first.reasoning.model_copy(update={"raw": "as imported"})})
    imported = DIALOGUE.model_copy(update={"turns": (DIALOGUE.turns[0], raw, *DIALOGUE.turns[2:])})
    edited = edit(imported, 2, thought="She fears her brother.", strategies="Exploration#Question + Others").turns[1]
    assert edited.reasoning
    assert edited.reasoning.thought == "She fears her brother."
    assert list(map(str, edited.reasoning.strategies)) == ["Exploration#Question", "Others"]
    assert edited.reasoning.raw is None
    assert edited.flags == first.flags


def test_a_turn_without_reasoning_gets_none() -> None:
    bare = DIALOGUE.model_copy(
        update={"turns": tuple(t.model_copy(update={"reasoning": None}) for t in DIALOGUE.turns)}
    )
    assert edit(bare, 2, text="What happened then?", thought="invented").turns[1].reasoning is None


def test_a_flag_of_the_dialogue_goes_when_the_edit_mends_it() -> None:
    flag = Flag(kind="stage_order", detail="the supporter acts before it explores")
    made = samples.dialogue(9, "Action#Providing Suggestions", "Exploration#Question")
    flagged = made.model_copy(update={"flags": (flag, Flag(kind="other"))})
    assert edit(flagged, 2, strategies="Exploration#Question").flags[0].kind == "other"
    assert edit(flagged, 1, text="Hello, are you there today?").flags[:2] == flagged.flags


def test_a_form_of_another_length_is_refused() -> None:
    with pytest.raises(EditRefused, match="18 utterances, the edit 1"):
        edited_dialogue(DIALOGUE, DialogueForm.model_validate({"turns": [{"text": "x"}]}))


def test_a_persona_is_edited_field_by_field_and_what_a_person_wrote_is_not_inferred() -> None:
    before = samples.persona(inferred=("age", "goals"))
    fields = {"age": "35", "emotions": "fear,  shame ", "question": before.question, "event_time": "in May"}
    after = edited_persona(before, PersonaForm(fields=fields))
    assert (after.age, after.emotions, after.event_time) == (35, ("fear", "shame"), "in May")
    assert after.inferred == ("goals",)
    assert after.question == before.question


def test_an_unchanged_persona_is_the_same() -> None:
    before = samples.persona()
    form = PersonaForm(fields={name: persona_field(before, name) for name in ("age", "emotions", "event_time")})
    assert edited_persona(before, form) == before


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"age": "old"}, "age"),
        ({"age": "7"}, "age"),
        ({"occupation": "Wizard"}, "occupation"),
        ({"goals": ""}, "goals"),
        ({"emotions": " , "}, "emotions"),
        ({"id": "p2"}, "id: not a field that can be edited"),
        ({"provenance": "x"}, "not a field"),
    ],
)
def test_an_edit_that_is_no_persona_says_why(fields: dict[str, str], reason: str) -> None:
    with pytest.raises(EditRefused, match=reason):
        edited_persona(samples.persona(), PersonaForm(fields=fields))


def test_reasoning_without_anything_told_apart_cannot_be_invented() -> None:
    turns = (DIALOGUE.turns[0], DIALOGUE.turns[1].model_copy(update={"reasoning": Reasoning(raw="free text")}))
    imported = DIALOGUE.model_copy(update={"turns": turns})
    assert edit(imported, 2, text="And what then happened?").turns[1].reasoning == Reasoning(raw="free text")
