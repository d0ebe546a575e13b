"""Posts: each format, its detection, and bad input one by one."""

import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from socialsim.errors import InputError
from socialsim.formats.posts import PostFormat, read_posts
from socialsim.formats.rows import clean
from socialsim.formats.table import Columns
from socialsim.schema import Post, Scenario
from socialsim.taxonomy import Topic
from tests.formats.conftest import Save

PSYQA = {"question": "怎么办？", "description": "我睡不着。", "keywords": "情绪,焦虑，睡眠", "questionID": 12}
SITUATION = {"situation": "I failed a test.", "emotion_type": "fear", "problem_type": "school", "init_intensity": 3}


@pytest.mark.parametrize("name", ["p.json", "p.jsonl"])
def test_psyqa(save: Save, name: str) -> None:
    assert list(read_posts(save(name, [PSYQA, PSYQA | {"questionID": 13}]))) == [
        Post(
            id=f"psyqa-{n}",
            source=name,
            question="怎么办？",
            description="我睡不着。",
            keywords=("情绪", "焦虑", "睡眠"),
        )
        for n in (12, 13)
    ]


def test_situations(save: Save) -> None:
    (post,) = read_posts(save("sit.jsonl", [SITUATION]))
    assert post == Post(
        id="sit-1", source="sit.jsonl", description="I failed a test.", emotion="fear", keywords=("school",)
    )


def test_scenarios_of_ours_keep_topic_subtopics_id_and_source(save: Save) -> None:
    scenario = Scenario(
        id="a",
        source="seed",
        question="Q?",
        description="D.",
        topic=Topic.WORK,
        subtopics=("Work Stress",),
        emotion="fear",
    )
    (post,) = read_posts(save("s.jsonl", scenario.model_dump_json() + "\n"))
    assert post.model_dump() == scenario.model_dump(exclude={"language", "original"})


def test_a_post_of_ours_is_read_as_it_was(save: Save) -> None:
    post = Post(id="a", source="s", question="Q?", description="D.", keywords=("k",))
    assert list(read_posts(save("s.jsonl", post.model_dump_json()))) == [post]


def test_csv_with_named_columns(save: Save) -> None:
    text = 'nr,title,body,about,tags\n1,T,"two\nlines, here",work,"a, b"\n,,x,,\n'
    columns = Columns(question="title", description="body", id="nr", topic="about", keywords="tags")
    assert list(read_posts(save("mine.csv", text), columns=columns)) == [
        Post(
            id="table-1",
            source="mine.csv",
            question="T",
            description="two\nlines, here",
            topic=Topic.WORK,
            keywords=("a", "b"),
        ),
        Post(id="mine-2", source="mine.csv", description="x"),
    ]


def test_jsonl_table_with_keyword_lists_and_nulls(save: Save) -> None:
    records = [{"description": "a", "tags": ["x", " "]}, {"description": None, "tags": None}]
    posts = list(read_posts(save("t.jsonl", records), columns=Columns(keywords="tags")))
    assert [(post.description, post.keywords) for post in posts] == [("a", ("x",)), ("", ())]


def test_detection_goes_by_content_not_by_name(save: Save, profile: dict[str, Any]) -> None:
    scenario = {"id": "s", "source": "x", "description": "D."}
    look_alike = {"id": "s", "source": "x", "description": "D.", "keywords": "a, b"}
    kinds = [PSYQA, SITUATION, profile, scenario, look_alike, {"description": "D."}]
    found = [next(read_posts(save("data.txt", json.dumps(kind)))).id for kind in kinds]
    assert found == ["psyqa-12", "data-1", "ssconv-7", "s", "data-1", "data-1"]


@pytest.mark.parametrize("format", list(PostFormat))
def test_a_named_format_is_not_second_guessed(save: Save, format: PostFormat) -> None:
    with pytest.raises(InputError, match=r"record 1|line 1"):
        list(read_posts(save("x.json", [{"nothing": 1}]), format))


def test_repeated_ids_get_a_suffix(save: Save) -> None:
    ids = [post.id for post in read_posts(save("p.json", [PSYQA] * 3))]
    assert ids == ["psyqa-12", "psyqa-12-2", "psyqa-12-3"]


def test_blank_lines_count_as_lines_not_as_records(save: Save) -> None:
    posts = list(read_posts(save("t.jsonl", '\n{"description": "a"}\n\n{"description": "b"}\n')))
    assert [post.id for post in posts] == ["t-1", "t-2"]


def test_an_empty_description_is_not_skipped(save: Save) -> None:
    assert [post.description for post in read_posts(save("t.csv", "description,x\n,1\nb,2\n"))] == ["", "b"]


def test_a_byte_order_mark_is_fine(save: Save) -> None:
    assert [p.description for p in read_posts(save("t.csv", b"\xef\xbb\xbfdescription\r\nhi\r\n"))] == ["hi"]
    assert [p.description for p in read_posts(save("t.json", b'\xef\xbb\xbf[{"description": "hi"}]'))] == ["hi"]


@pytest.mark.parametrize("name", ["big.csv", "big.jsonl", "big.json"])
def test_ten_megabytes_in_one_description(save: Save, name: str) -> None:
    long = "word " * 2_000_000 + "end"
    content: object = f"description\n{long}\n" if name.endswith("csv") else [{"description": long}]
    started = time.monotonic()
    (post,) = read_posts(save(name, content))
    assert post.description == long
    assert time.monotonic() - started < 10  # seconds; takes well below one


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.csv", "description\na\x07b\x1bc\x7fd\n"),
        ("c.jsonl", '{"description": "a\\u0007b\\u0000c\\ud800d"}\n'),
        ("raw.jsonl", '{"description": "a\x07b\x1bc\\u0085d"}\n'),
        ("raw.json", '[{"description": "a\x07b\x1bc\\rd"}]'),
    ],
)
def test_control_characters_become_spaces(save: Save, name: str, content: str) -> None:
    (post,) = read_posts(save(name, content))
    assert post.description == "a b c d"


def test_tabs_and_newlines_stay() -> None:
    assert clean(" a\tb\r\nc\n") == "a\tb\nc"


BAD: list[tuple[str, object, str]] = [
    ("empty.csv", b"", r"empty\.csv: is empty; name a file with records"),
    ("blank.jsonl", b"\xef\xbb\xbf \n\n", r"blank\.jsonl: is empty"),
    ("list.json", "[]", r"list\.json: holds no records"),
    ("head.csv", "description\n", r"head\.csv: a header without rows \(description\)"),
    ("pic.csv", b"\x89PNG\r\n\x1a\n\x00", r"pic\.csv, line 1: not UTF-8 text"),
    ("nul.jsonl", b'{"description": "a"}\n\x00\n', r"nul\.jsonl, line 2: a binary file"),
    ("utf16.csv", "description\na".encode("utf-16"), r"utf16\.csv, line 1: not UTF-8"),
    ("seven.jsonl", '{"description": "a"}\n' * 6 + '{"description": \n', r"seven\.jsonl, line 7: invalid JSON \("),
    (
        "seven.json",
        "[\n" + '{"description": "a"},\n' * 5 + '{"description": oops}\n]',
        r"seven\.json, line 7: invalid JSON",
    ),
    ("open.json", '[\n{"description": "a}\n]', r"open\.json, line 2: invalid JSON"),
    ("deep.json", "[" * 200_000, r"deep\.json.*: invalid JSON"),
    ("digits.jsonl", '{"description": ' + "9" * 5000 + "}", r"digits\.jsonl, line 1: invalid JSON"),
    ("words.jsonl", "just words\n", r"words\.jsonl, line 1: invalid JSON"),
    ("other.csv", "a,b\n1,2\n", r"other\.csv, line 2: no post format has the columns a, b"),
    ("scalar.jsonl", "3\n", r"scalar\.jsonl, line 1: expected a JSON object, found int"),
    (
        "key.jsonl",
        '{"description": "a"}\n{"text": "b"}\n',
        r"key\.jsonl, line 2: no column 'description'; columns there: text",
    ),
    ("key.json", [PSYQA, {"questionID": 1}], r"key\.json: record 2: has no 'question', only questionID"),
    ("type.jsonl", [{"description": "a"}, {"description": 3}], r"line 2: 'description' must be text, not int"),
    ("ragged.csv", "description,x\na,b\nc\n", r"ragged\.csv, line 3: 1 cells in a table of 2 columns"),
    ("quote.csv", 'description\n"a" b\n', r"quote\.csv, line 2: invalid CSV"),
    ("unclosed.csv", 'description\nok\n"a\nb\n', r"unclosed\.csv, line 3: invalid CSV"),
    ("twice.csv", "description,description\na,b\n", r"twice\.csv, line 1: a column is named twice"),
    ("id.json", [PSYQA | {"questionID": [1]}], r"id\.json: record 1: an id must be a number or text, not list"),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD, ids=[name for name, _, _ in BAD])
def test_bad_input_is_one_line_that_says_where(save: Save, name: str, content: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        list(read_posts(save(name, content)))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 800


def test_a_missing_file_and_a_folder_fail_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: no such file"):
        read_posts(tmp_path / "none.csv")
    with pytest.raises(InputError, match="is a folder"):
        read_posts(tmp_path)


def test_a_missing_column_names_the_file_and_the_columns_there(save: Save) -> None:
    with pytest.raises(InputError, match=r"t\.csv.*no column 'titel', 'body'; columns there: title, text"):
        list(read_posts(save("t.csv", "title,text\na,b\n"), columns=Columns(question="titel", description="body")))


def test_an_unknown_topic_is_refused(save: Save) -> None:
    with pytest.raises(InputError, match="line 2: unknown topic 'Cars'"):
        list(read_posts(save("t.csv", "description,topic\na,Cars\n"), columns=Columns(topic="topic")))


def test_good_lines_before_a_bad_one_are_streamed(save: Save) -> None:
    posts = read_posts(save("s.jsonl", '{"description": "a"}\n{"description": "b"}\n{'))
    assert [next(posts).description, next(posts).description] == ["a", "b"]
    with pytest.raises(InputError, match="line 3"):
        next(posts)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    content=st.binary(max_size=60) | st.text(alphabet='[]{}",:\n a1', max_size=40).map(str.encode),
    suffix=st.sampled_from([".csv", ".json", ".jsonl", ""]),
)
def test_whatever_is_in_a_file_only_input_errors_come_out(save: Save, content: bytes, suffix: str) -> None:
    with contextlib.suppress(InputError):
        list(read_posts(save(f"any{suffix}", content)))
