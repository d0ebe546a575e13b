"""Corpora for training: every format with the paper's preprocessing, splits, and what a variant needs."""

from __future__ import annotations

import csv
import io
import json
import random
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.corpora import default_test, read_corpus, require_nodes
from finetune.format import Variant
from finetune.splits import content_key, digest, split
from socialsim.errors import InputError, UsageError
from socialsim.journal import Journal
from socialsim.resources import read_splits
from socialsim.schema import Dialogue, Speaker, Turn
from tests.samples import dialogue, seeker, supporter

CHAIN = "[SEEKER'S SITUATION] S. [SEEKER'S THOUGHT] T. [SEEKER'S ACTION] A. [SUPPORTER'S STRATEGY] "
CHOICE = "I hereby choose the (Exploration#Question) strategy to ask."
OFFICIAL: list[dict[str, Any]] = [
    {"speaker": "supporter", "annotation": {"strategy": "Other"}, "content": "Welcome\n"},
    {"speaker": "seeker", "annotation": {}, "content": "Hi"},
    {"speaker": "seeker", "annotation": {}, "content": "there"},
    {"speaker": "supporter", "annotation": {"strategy": "Questions"}, "content": "Hello?"},
    {"speaker": "supporter", "annotation": {"strategy": "Other"}, "content": "I am here."},
    {"speaker": "seeker", "annotation": {}, "content": "Bye"},
]
NAMES = {"seeker": "usr", "supporter": "sys"}
HUB = {
    "dialog": [
        {"speaker": NAMES[said["speaker"]], "text": said["content"], "strategy": said["annotation"].get("strategy")}
        for said in OFFICIAL
    ]
}
AUGESC = [[NAMES[said["speaker"]], said["content"]] for said in OFFICIAL]
EXTES = {
    "content": [
        {"AI": "Welcome", "AI Strategy": "Others"},
        {"User": "Hi"},
        {"User": "there"},
        {"AI": "Hello?", "AI Strategy": "Share Information"},
        {"AI": "I am here.", "AI Strategy": "Others"},
        {"User": "Bye"},
    ]
}
SSCONV = {
    "ID": 7,
    "Dialogue": [
        {"Turn": 1, "Seeker": "Hi there"},
        {"Turn": 2, "Supporter Step by Step Reasoning": CHAIN + CHOICE, "Supporter": "Hello? I am here."},
        {"Turn": 3, "Seeker": "Bye"},
    ],
}
RECORDS: dict[str, tuple[Any, list[str]]] = {
    "esconv official": ({"situation": "s", "dialog": OFFICIAL}, ["Question", "Others"]),
    "esconv hub": ({"text": json.dumps(HUB)}, ["Question", "Others"]),
    "augesc hub": ({"text": json.dumps(AUGESC)}, []),
    "augesc list": (AUGESC, []),
    "extes": (EXTES, ["Share Information", "Others"]),
    "ssconv": (SSCONV, ["Exploration#Question"]),
}


def table(record: dict[str, str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([record.keys(), record.values(), record.values()])
    return out.getvalue()


def jsonl(path: Path, *dialogues: Dialogue) -> Path:
    with Journal(path, Dialogue) as journal:
        for each in dialogues:
            journal.append(each)
    return path


def bare(name: str, *texts: str) -> Dialogue:
    """A dialogue without reasoning, the seeker first."""
    speakers = [Speaker.SEEKER, Speaker.SUPPORTER] * len(texts)
    turns = (Turn(speaker=who, text=text) for who, text in zip(speakers, texts, strict=False))
    return Dialogue(id=name, turns=tuple(turns))


def many(count: int) -> list[Dialogue]:
    return [bare(f"d{number}", f"seeker {number}", f"reply {number}") for number in range(count)]


@pytest.mark.parametrize(
    ("name", "suffix"), [*product(RECORDS, ["json", "jsonl"]), ("esconv hub", "csv"), ("augesc hub", "csv")]
)
def test_every_format_is_merged_and_trimmed(tmp_path: Path, name: str, suffix: str) -> None:
    record, strategies = RECORDS[name]
    path = tmp_path / f"corpus.{suffix}"
    content = {"json": json.dumps([record] * 2, indent=1), "jsonl": f"{json.dumps(record)}\n" * 2}
    path.write_text(table(record) if suffix == "csv" else content[suffix], "utf-8")
    corpus = read_corpus(path)
    assert (len(corpus), corpus.left_out) == (2, 0)
    asked, answered = corpus[0].turns
    assert (asked.speaker, asked.text) == (Speaker.SEEKER, "Hi there")
    assert (answered.speaker, answered.text) == (Speaker.SUPPORTER, "Hello? I am here.")
    assert [str(choice) for choice in answered.strategies] == strategies


def test_a_run_and_what_it_exports_are_the_same_corpus(tmp_path: Path) -> None:
    jsonl(tmp_path / "dialogues.jsonl", dialogue(3))
    run = read_corpus(tmp_path)
    assert run.dialogues == (dialogue(3),)
    assert read_corpus(str(tmp_path / "dialogues.jsonl")).digest == run.digest


def test_a_run_that_is_still_writing_can_be_read(tmp_path: Path) -> None:
    with jsonl(tmp_path / "dialogues.jsonl", dialogue(3)).open("a") as file:
        file.write('{"id": "half')
    assert len(read_corpus(tmp_path)) == 1


def test_dialogues_without_an_exchange_are_left_out_and_counted(tmp_path: Path) -> None:
    lone = Dialogue(id="lone", turns=(seeker("Anybody?"),))
    backwards = Dialogue(id="backwards", turns=(supporter("Hello?"), seeker("Bye")))
    corpus = read_corpus(jsonl(tmp_path / "some.jsonl", lone, dialogue(2), backwards))
    assert [each.id for each in corpus] == ["d1"]
    assert corpus.left_out == 2


def test_the_demonstrations_by_name() -> None:
    sets = read_splits()
    assert len(read_corpus("demonstrations")) == 50
    assert [each.id for each in read_corpus("demonstrations:held_out")] == list(sets.held_out)
    assert {each.id for each in read_corpus("demonstrations:train")} == set(sets.train)
    with pytest.raises(UsageError, match=r"^demonstrations:test: use demonstrations:train, .*:held_out$"):
        read_corpus("demonstrations:test")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("[]", "holds no records"),
        ('[{"a": 1}]', "no dialogue format has the keys a"),
        ('[{"dialog": [{"speaker": "usr", "text": "Hi"}]}]', "none of its 1 dialogues has an exchange"),
    ],
)
def test_a_file_that_is_no_corpus(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read_corpus(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a run folder: it has no dialogues\.jsonl"):
        read_corpus(tmp_path)
    (tmp_path / "dialogues.jsonl").touch()
    with pytest.raises(InputError, match="holds no dialogue yet"):
        read_corpus(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read_corpus(tmp_path / "none")


def test_the_digest_knows_ids_words_reasoning_and_order() -> None:
    one, two = dialogue(1), dialogue(2).model_copy(update={"id": "d2"})
    thought = one.model_copy(update={"turns": (one.turns[0], one.turns[1].model_copy(update={"reasoning": None}))})
    others = [[one], [two, one], [one, two.model_copy(update={"id": "x"})], [thought, two]]
    assert digest([one, two]) == digest([one, two])
    assert len({digest(each) for each in [[one, two], *others]}) == 5


# ---------------------------------------------------------------- splits


@given(st.integers(2, 60), st.integers(0, 5), st.data())
def test_a_split_has_the_asked_size_and_loses_nothing(size: int, seed: int, data: st.DataObject) -> None:
    dialogues, test = many(size), data.draw(st.integers(1, size - 1))
    parts = split(dialogues, test, seed)
    assert len(parts.test) == test
    assert sorted(each.id for each in parts.train + parts.test) == sorted(each.id for each in dialogues)
    mixed = random.Random(seed).sample(dialogues, size)
    assert {each.id for each in split(mixed, test, seed).test} == {each.id for each in parts.test}


@given(st.lists(st.integers(0, 7), min_size=2, max_size=30), st.integers(0, 3))
def test_copies_are_never_on_both_sides(contents: list[int], seed: int) -> None:
    dialogues = [bare(str(n), f"Hello {content}!", f"Yes? {content}") for n, content in enumerate(contents)]
    try:
        parts = split(dialogues, 0.5, seed)
    except UsageError:
        assert all(contents.count(content) > len(contents) / 2 - 1 for content in contents)
        return
    assert {content_key(each) for each in parts.train}.isdisjoint(content_key(each) for each in parts.test)
    assert len(parts.test) <= round(len(contents) / 2)


def test_copies_are_those_of_the_same_words() -> None:
    first = bare("a", "Hello, you!", "Yes?")
    assert content_key(first) == content_key(bare("b", "hello  YOU", "yes"))
    assert content_key(first) != content_key(bare("c", "hello", "you yes"))


def test_another_seed_is_another_split() -> None:
    drawn = {tuple(each.id for each in split(many(40), 10, seed).test) for seed in range(5)}
    assert len(drawn) == 5


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (0, "--test 0 of 3 dialogues leaves none to test on"),
        (0.1, "--test 0.1 of 3 dialogues leaves none to test on"),
        (3, "--test 3 of 3 dialogues leaves none to train on"),
        (0.9, "--test 0.9 of 3 dialogues leaves none to train on"),
        (1.0, "--test 1.0: give a number of dialogues, or a share between 0 and 1"),
        (float("nan"), "--test nan: give a number"),
        (-1, "--test -1: give a number"),
    ],
)
def test_a_side_without_anything_is_refused(test: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        split(many(3), test, 0)


def test_a_corpus_of_copies_cannot_be_split() -> None:
    with pytest.raises(UsageError, match="every dialogue has more than 1 copies"):
        split([bare("a", "Hi", "Hey"), bare("b", "Hi", "Hey")], 1, 0)


def test_esconv_holds_out_200_and_others_a_tenth(tmp_path: Path) -> None:
    files = {}
    for name in ("esconv official", "esconv hub", "extes", "ssconv", "augesc hub"):
        files[name] = tmp_path / f"{name}.json"
        files[name].write_text(json.dumps([RECORDS[name][0]]))
    run = jsonl(tmp_path / "run" / "dialogues.jsonl", dialogue(2))
    assert default_test(files["esconv official"], 1053) == default_test(files["esconv hub"], 400) == 200
    sources: list[str | Path] = [
        files["extes"],
        files["ssconv"],
        files["augesc hub"],
        run,
        run.parent,
        "demonstrations",
    ]
    assert [default_test(source, 1000) for source in sources] == [0.1] * 6
    with pytest.raises(UsageError, match=r"more than half of these 399; say how many with --test"):
        default_test(files["esconv hub"], 399)


# ---------------------------------------------------------------- what a variant needs


def strategic(name: str) -> Dialogue:
    turn = supporter("Hello?", "Question", situation=None, thought=None, action=None, purpose=None)
    return Dialogue(id=name, turns=(seeker("Hi"), turn))


def test_a_dialogue_with_one_bare_reply_is_left_out() -> None:
    whole, holed = dialogue(2), dialogue(2)
    holed = holed.model_copy(update={"turns": (*holed.turns, seeker("So"), supporter("Oh", "Others", action=None))})
    usable = require_nodes([whole, holed], Variant.parse("reasoning"), "x.json")
    assert (usable.dialogues, usable.left_out) == ([whole], 1)
    assert require_nodes([whole, holed], Variant.parse("situation,strategy"), "x.json").left_out == 0


@pytest.mark.parametrize(
    ("corpus", "variant", "missing", "use"),
    [
        ([bare("a", "Hi", "Hey")], "reasoning", "situation, thought, action, strategy", "response"),
        ([bare("a", "Hi", "Hey")], "strategy", "strategy", "response"),
        ([strategic("a"), bare("b", "Hi", "Hey")], "reasoning", "situation, thought, action, strategy", "strategy"),
        ([strategic("a")], "situation,strategy", "situation", "response or strategy"),
    ],
)
def test_a_corpus_without_the_reasoning(corpus: list[Dialogue], variant: str, missing: str, use: str) -> None:
    with pytest.raises(InputError) as caught:
        require_nodes(corpus, Variant.parse(variant), "runs/x")
    message = str(caught.value)
    assert message.startswith(f"runs/x: no dialogue has {missing} before every reply (")
    assert f"--variant {variant}" in message
    assert message.endswith(use)
    assert "\n" not in message


def test_response_needs_nothing() -> None:
    assert require_nodes([bare("a", "Hi", "Hey")], Variant(), "x").left_out == 0
