"""Files of human ratings: every form that is read, every fault that is named with its line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from signatures.rubric import Dimension
from socialsim.errors import InputError, UsageError
from socialsim.labels import Scale, labelled_items, parse_mapping, read_labels, read_scores
from tests.samples import dialogue

Write = Callable[..., Path]
U, S = Dimension.UNDERSTANDING, Dimension.SAFETY


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def file(text: str, name: str = "labels.csv") -> Path:
        path = tmp_path / name
        path.write_text(text, "utf-8")
        return path

    return file


LONG = "id,rater,dimension,score\nd1,ann,understanding,3\nd1,bob,understanding,2\nd2,ann,Human Likeness,0\n"


def test_a_long_table_gives_each_rating_with_its_rater(write: Write) -> None:
    labels = read_labels(write(LONG))
    assert [(r.dialogue_id, r.dimension, r.score, r.rater) for r in labels.ratings] == [
        ("d1", U, 3, "ann"),
        ("d1", U, 2, "bob"),
        ("d2", Dimension.HUMAN_LIKENESS, 0, "ann"),
    ]
    assert labels.dimensions == (U, Dimension.HUMAN_LIKENESS)
    assert labels.of(U) == {"d1": [3, 2]}


def test_a_wide_table_gives_a_rating_a_column_and_blanks_are_none(write: Write) -> None:
    labels = read_labels(write("dialogue_id,understanding,safety\nd1,1,3\nd2,,2\n"))
    assert labels.of(U) == {"d1": [1]}
    assert labels.of(S) == {"d1": [3], "d2": [2]}


def test_json_lines_say_the_same_as_csv(write: Write) -> None:
    lines = [{"id": 1, "understanding": 2, "safety": None}, {"id": "d2", "dimension": "safety", "score": "1.5"}]
    labels = read_labels(write("\n".join(map(json.dumps, lines)), "labels.jsonl"))
    assert labels.of(U) == {"1": [2]}
    assert labels.of(S) == {"d2": [1.5]}


def test_rows_without_a_rater_are_several_raters(write: Write) -> None:
    labels = read_labels(write("id,dimension,score\nd1,safety,1\nd1,safety,3\n"))
    assert labels.of(S) == {"d1": [1, 3]}
    assert [rating.rater for rating in labels.ratings] == ["1", "2"]
    (item,) = labelled_items(labels, {"d1": dialogue(2)})
    assert item.score == 2
    assert item.id == "d1/safety"


def test_another_scale_is_moved_linearly_onto_the_rubrics(write: Write) -> None:
    path = write("id,safety\na,1\nb,2\nc,3\nd,4\ne,5\n")
    labels = read_labels(path, Scale.parse("1-5"))
    assert [rating.score for rating in labels.ratings] == [0, 0.75, 1.5, 2.25, 3]


def test_a_mapping_renames_labels(write: Write) -> None:
    labels = read_labels(write("id,empathy\nd1,2\n"), mapping=parse_mapping(["empathy=understanding"]))
    assert labels.of(U) == {"d1": [2]}


def test_a_record_may_hold_its_dialogue(write: Write) -> None:
    said = dialogue(2)
    record = {"dialogue": json.loads(said.model_dump_json()), "safety": 3}
    labels = read_labels(write(json.dumps(record), "labels.jsonl"))
    (item,) = labelled_items(labels)
    assert item.dialogue == said


def test_the_first_dialogues_are_those_of_the_file(write: Write) -> None:
    labels = read_labels(write("id,dimension,score\nb,safety,1\na,safety,2\nb,understanding,3\nc,safety,1\n"))
    assert {rating.dialogue_id for rating in labels.first(2).ratings} == {"a", "b"}
    assert len(labels.first(2).ratings) == 3
    assert labels.first(None).ratings == labels.ratings


ESCONV = [
    {
        "survey_score": {"seeker": {"empathy": "5", "relevance": "2"}, "supporter": {}},
        "dialog": [{"speaker": "seeker", "annotation": {}, "content": "Hello."}],
    },
    {
        "survey_score": {"seeker": {"initial_emotion_intensity": "5"}, "supporter": {}},
        "dialog": [{"speaker": "seeker", "annotation": {}, "content": "Hi."}],
    },
    {
        "survey_score": {"seeker": {"empathy": "1"}, "supporter": {"relevance": "5"}},
        "dialog": [{"speaker": "seeker", "annotation": {}, "content": "Good day."}],
    },
]


def test_esconvs_ratings_are_the_seekers_beside_their_dialogues(write: Write) -> None:
    path = write(json.dumps(ESCONV), "es.json")
    labels = read_labels(path, mapping=parse_mapping(["empathy=understanding", "relevance=specificity"]))
    assert labels.of(U) == {"es-1": [3], "es-3": [0]}
    assert labels.of(Dimension.SPECIFICITY) == {"es-1": [0.75]}
    assert [item.dialogue.turns[0].text for item in labelled_items(labels)] == ["Hello.", "Good day.", "Hello."]


def test_esconvs_ratings_are_taken_for_nothing_unless_it_is_said(write: Write) -> None:
    path = write(json.dumps(ESCONV), "es.json")
    with pytest.raises(InputError, match="--map empathy=understanding"):
        read_labels(path)
    with pytest.raises(UsageError, match="ESConv's ratings are empathy and relevance"):
        read_labels(path, mapping=parse_mapping(["warmth=understanding"]))


def test_an_esconv_rating_off_its_scale_names_the_record(write: Write) -> None:
    broken = json.loads(json.dumps(ESCONV))
    broken[2]["survey_score"]["seeker"]["empathy"] = "7"
    with pytest.raises(InputError, match=r"record 3, survey_score.*empathy 7 is outside the scale 1-5"):
        read_labels(write(json.dumps(broken), "es.json"), mapping=parse_mapping(["empathy=understanding"]))


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("id,safety\nd1,2\nd2,4\n", 3, "safety 4 is outside the scale 0-3"),
        ("id,safety\nd1,-1\n", 2, "outside the scale"),
        ("id,safety\nd1,good\n", 2, "must be a number from 0 to 3, not 'good'"),
        ("id,safety\nd1,nan\n", 2, "must be a number"),
        ("id,dimension,score\nd1,charm,2\n", 2, "unknown dimension 'charm'"),
        ("id,charm\nd1,2\n", 2, "unknown dimension 'charm'"),
        ("id,score\nd1,2\n", 2, "has no 'dimension'"),
        ("id,dimension\nd1,safety\n", 2, "has no 'score'"),
        ("name,safety\nd1,2\n", 2, "exactly one of id, dialogue_id"),
        ("id,safety\n,2\n", 2, "'id' is empty"),
        ("id\nd1\n", 2, "has no rating"),
        ("id,rater,safety\nd1,ann,2\nd1,ann,3\n", 3, "rater 'ann' rates the safety of 'd1' twice"),
    ],
)
def test_a_fault_is_named_with_its_line(write: Write, text: str, line: int, says: str) -> None:
    path = write(text)
    with pytest.raises(InputError) as caught:
        read_labels(path)
    assert str(caught.value).startswith(f"{path}, line {line}: ")
    assert says in str(caught.value)


@pytest.mark.parametrize("text", ["", "id,safety\n", "id,safety\nd1,\n"])
def test_a_file_without_ratings_is_refused(write: Write, text: str) -> None:
    with pytest.raises(InputError, match=r"labels\.csv"):
        read_labels(write(text))


def test_a_flag_is_no_number(write: Write) -> None:
    with pytest.raises(InputError, match="must be a number"):
        read_labels(write('{"id": "d1", "safety": true}', "labels.jsonl"))


def test_an_unknown_dialogue_is_named_with_its_line(write: Write) -> None:
    labels = read_labels(write("id,safety\nd1,2\nd9,1\n"))
    with pytest.raises(InputError, match=r"line 3: no dialogue 'd9'"):
        labelled_items(labels, {"d1": dialogue(2)})


@pytest.mark.parametrize("text", ["3", "3-0", "a-b", "1-1", "0-3-5", ""])
def test_a_scale_is_a_range(text: str) -> None:
    with pytest.raises(UsageError, match="--scale"):
        Scale.parse(text)


@pytest.mark.parametrize(
    "pairs", [["empathy"], ["empathy=charm"], ["=safety"], ["a=safety", "b=safety"], ["a=safety"] * 2]
)
def test_a_mapping_is_pairs_of_different_names(pairs: list[str]) -> None:
    with pytest.raises(UsageError, match="--map"):
        parse_mapping(pairs)


def test_a_mapped_label_must_be_there_except_in_scores(write: Write) -> None:
    path, mapping = write("id,safety\nd1,2\n"), parse_mapping(["warmth=understanding"])
    with pytest.raises(UsageError, match="warmth"):
        read_labels(path, mapping=mapping)
    assert read_scores(path, mapping=mapping).of(S) == {"d1": [2]}
