"""What raters' records add up to: the latest counts, an undo brings back the one before, votes are majorities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from signatures.rubric import Dimension
from socialsim.errors import InputError, UsageError
from socialsim.journal import Journal
from socialsim.reviews import Decision, Item, Kind, Review, Standing, rater_slug, read_reviews, votes
from tests import samples

HEAD = {"at": "2026", "original": "0" * 12}
DIALOGUE = samples.dialogue(9)
_ACTIONS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(["accept", "reject", "note", "undo"])), max_size=40
)


def item(name: str) -> Item:
    return Item(Kind.DIALOGUE, name)


def review(standing: Standing, name: str, **says: Any) -> Review:
    about = item(name)
    return Review.model_validate({"id": standing.next_id(about), "kind": "dialogue", "item": name} | HEAD | says)


def say(standing: Standing, name: str, **says: Any) -> Review:
    record = review(standing, name, **says)
    standing.add(record)
    return record


def records_of(actions: list[tuple[str, str]]) -> list[Review]:
    standing, made = Standing(), []
    for number, (name, action) in enumerate(actions):
        says: dict[str, Any] = {"decision": action} if action in list(Decision) else {"note": f"note {number}"}
        made.append(say(standing, name, **({"undo": True} if action == "undo" else says)))
    return made


def expected(records: list[Review]) -> dict[str, Review]:
    """The plain definition: strike out what an undo takes back, then the last line of each item counts."""
    lines: list[Review] = []
    for record in records:
        if not record.undo:
            lines.append(record)
        elif mine := [line for line in lines if line.item == record.item]:
            lines.remove(mine[-1])
    return {line.item: line for line in lines}


@given(_ACTIONS)
def test_the_latest_counts_and_an_undo_brings_back_the_one_before(actions: list[tuple[str, str]]) -> None:
    records = records_of(actions)
    standing = Standing(records)
    assert {one.item: one for one in standing.reviews()} == expected(records)
    assert len({record.id for record in records}) == len(records)


@given(_ACTIONS)
def test_undoing_everything_leaves_nothing_newest_first(actions: list[tuple[str, str]]) -> None:
    standing = Standing(records_of(actions))
    left = sum(1 for _ in standing.reviews())
    for _ in range(len(actions)):
        if (newest := standing.latest()) is None:
            break
        assert standing.of(newest) is not None
        say(standing, newest.id, undo=True)
    assert left == 0 or standing.latest() is None
    assert not list(standing.reviews())


@given(actions=_ACTIONS, cut=st.integers(0, 10_000))
def test_a_file_cut_anywhere_stands_as_its_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, str]], cut: int
) -> None:
    path = tmp_path_factory.mktemp("reviews") / "ann.jsonl"
    records = records_of(actions)
    with Journal(path, Review) as journal:
        for record in records:
            journal.append(record)
    whole = path.read_bytes()
    path.write_bytes(whole[: cut % (len(whole) + 1)])
    with Journal(path, Review) as journal:
        kept = list(journal)
    assert kept == records[: len(kept)]
    assert Standing(kept).latest() == Standing(records[: len(kept)]).latest()


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ({"undo": True, "note": "x"}, "an undo says nothing else"),
        ({"decision": "edit"}, "holds the edited item"),
        ({"decision": "accept", "dialogue": DIALOGUE}, "holds the edited item"),
        ({"decision": "edit", "dialogue": DIALOGUE.model_copy(update={"id": "d2"})}, "another item"),
        ({"decision": "edit", "persona": samples.persona(id="d1")}, "another item"),
        ({"scores": {"safety": 4}}, "less than or equal to 3"),
        ({"scores": {"charm": 1}}, "scores.charm"),
        ({"note": "x" * 4001}, "at most 4000"),
        ({"kind": "persona", "scores": {"safety": 1}}, "scores dialogues"),
        ({"mood": 1}, "Extra inputs"),
    ],
)
def test_a_record_that_does_not_hang_together_is_refused(says: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        review(Standing(), "d1", **says)


def test_most_of_those_who_decided_win_and_a_tie_is_open() -> None:
    ann, ben, eve = Standing(), Standing(), Standing()
    for standing, decisions in ((ann, "aar"), (ben, "arr"), (eve, "a-r")):
        for name, letter in zip("xyz", decisions, strict=True):
            if letter != "-":
                say(standing, name, decision={"a": "accept", "r": "reject"}[letter])
    say(eve, "only scored", scores={"safety": 2})
    found = votes({"ann": ann, "ben": ben, "eve": eve})
    assert {about.id: (vote.kept, vote.raters) for about, vote in found.items()} == {
        "x": (True, 3),
        "y": (None, 2),
        "z": (False, 3),
    }


def test_the_newest_edit_of_those_who_accept_counts() -> None:
    def edited(text: str) -> dict[str, Any]:
        turns = (samples.seeker(text), *DIALOGUE.turns[1:])
        return {"decision": "edit", "dialogue": DIALOGUE.model_copy(update={"turns": turns})}

    ann, ben, eve = Standing(), Standing(), Standing()
    say(ann, "d1", at="2026-01-02", **edited("Second."))
    say(ben, "d1", at="2026-01-01", **edited("First."))
    say(eve, "d1", at="2026-01-03", decision="accept")
    vote = votes({"ann": ann, "ben": ben, "eve": eve})[item("d1")]
    assert vote.kept
    assert isinstance(vote.edited, type(DIALOGUE))
    assert vote.edited.turns[0].text == "Second."


def test_scores_are_kept_by_dimension(tmp_path: Path) -> None:
    with Journal(tmp_path / "ann.jsonl", Review) as journal:
        journal.append(review(Standing(), "d1", scores={"safety": 3, "human-likeness": 0}))
    found = read_reviews(tmp_path, {item("d1"): HEAD["original"]})["ann"].of(item("d1"))
    assert found is not None
    assert found.scores == {Dimension.SAFETY: 3, Dimension.HUMAN_LIKENESS: 0}


def test_what_was_said_of_other_words_does_not_count() -> None:
    old = Standing()
    records = [say(old, "d1", decision="accept"), say(old, "d1", undo=True), say(old, "d2", decision="reject")]
    now = Standing(records, {item("d1"): "f" * 12, item("d2"): HEAD["original"]})
    assert [one.item for one in now.reviews()] == ["d2"]
    assert now.stale == 2
    assert now.next_id(item("d1")) == "dialogue/d1#3"
    say(now, "d1", original="f" * 12, note="new words")
    assert now.latest() == item("d1")


def test_a_folder_without_reviews_and_a_corrupt_file_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no reviews yet"):
        read_reviews(tmp_path)
    (tmp_path / "ann.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(InputError, match=r"ann\.jsonl, line 1: not a Review"):
        read_reviews(tmp_path)


@pytest.mark.parametrize(
    ("name", "slug"), [("Ann Lee", "ann-lee"), (" ../../etc/passwd ", "etc-passwd"), ("张伟", "张伟"), ("B.", "b")]
)
def test_a_name_becomes_a_file_name(name: str, slug: str) -> None:
    assert rater_slug(name) == slug


@pytest.mark.parametrize("name", ["", "..", "/", "x" * 41])
def test_a_name_that_cannot_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--rater"):
        rater_slug(name)
