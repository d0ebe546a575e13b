"""The index of a run and the queue: what is looked at first, what comes next, what a broken file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from socialsim.errors import InputError
from socialsim.reviews import Item, Kind, Review, Standing
from socialsim.web.review.index import Index
from socialsim.web.review.queue import LISTED, Query, queue
from tests import review_runs


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return Index(review_runs.run(tmp_path_factory.mktemp("runs") / "r"))


def dialogue(name: str) -> Item:
    return Item(Kind.DIALOGUE, name)


def decided(**decisions: str) -> Standing:
    standing = Standing()
    for name, decision in decisions.items():
        says: dict[str, Any] = {"note": "look again"} if decision == "note" else {"decision": decision}
        about = {"id": standing.next_id(dialogue(name)), "kind": "dialogue", "item": name}
        standing.add(Review.model_validate(about | {"at": "2026", "original": "0"} | says))
    return standing


def names(index: Index, standing: Standing | None = None, **query: Any) -> list[str]:
    found = queue(index, standing or Standing(), Query(**query))
    return [listed.entry.item.id for listed in found.items]


def test_failed_checks_and_flags_come_first_then_the_order_of_the_run(index: Index) -> None:
    assert names(index)[:4] == ["d05", "d03", "d01", "d02"]
    assert names(index, order="run")[:4] == ["d01", "d02", "d03", "d04"]


def test_topic_search_and_kind_filter(index: Index) -> None:
    assert names(index, topic="Work") == ["d02"]
    assert names(index, q="D1") == ["d10", "d11", "d12"]
    assert names(index, kind="persona", topic="Work") == ["p02"]
    assert names(index, q="x") == []


def test_the_filter_by_decision(index: Index) -> None:
    standing = decided(d01="accept", d02="reject", d04="note")
    assert names(index, standing, show="accept") == ["d01"]
    assert names(index, standing, show="reject") == ["d02"]
    assert names(index, standing, show="note") == ["d04"]
    assert names(index, standing, show="edit") == []
    assert len(names(index, standing, show="all")) == 12
    assert set(names(index, standing)) == {f"d{number:02}" for number in range(1, 13)} - {"d01", "d02"}


def test_an_item_that_no_longer_fits_keeps_its_place(index: Index) -> None:
    found = queue(index, decided(d03="accept"), Query(), dialogue("d03"))
    assert found.position is None
    assert found.current
    assert (found.current.item.id, found.before, found.after) == ("d03", dialogue("d05"), dialogue("d01"))


def test_the_first_has_none_before_it_and_the_last_none_after(index: Index) -> None:
    first, last = queue(index, Standing(), Query(), dialogue("d05")), queue(index, Standing(), Query(), dialogue("d12"))
    assert (first.position, first.before) == (1, None)
    assert (last.position, last.after) == (12, None)


def test_an_unknown_item_shows_the_first_that_fits(index: Index) -> None:
    found = queue(index, Standing(), Query(), dialogue("nobody"))
    assert found.current
    assert found.current.item.id == "d05"


def test_a_long_queue_lists_the_part_around_the_item(tmp_path: Path) -> None:
    index = Index(review_runs.write(tmp_path, [review_runs.dialogue(f"d{n:03}", exchanges=1) for n in range(200)]))
    found = queue(index, Standing(), Query(), dialogue("d150"))
    assert len(found.window) == LISTED
    assert "d150" in [listed.entry.item.id for listed in found.window]


def test_an_item_is_read_as_it_was_written(index: Index) -> None:
    assert index.dialogue("d07") == review_runs.dialogue("d07", persona_id="p07")
    assert index.persona("p07").id == "p07"
    assert [verdict.turn for verdict in index.verdicts("d05")] == [1, 2, 3, None]
    assert index.verdicts("d07") == ()
    post = index.post("p01")
    assert post
    assert post.description == "The post that p01 was made from."
    assert index.post("p02") is None


def test_half_a_last_line_is_not_there_yet(tmp_path: Path) -> None:
    run = review_runs.write(tmp_path, [review_runs.dialogue("d1"), review_runs.dialogue("d2")])
    file = run / "dialogues.jsonl"
    file.write_bytes(file.read_bytes()[:-40])
    assert [entry.item.id for entry in Index(run).of(Kind.DIALOGUE)] == ["d1"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "dialogues.jsonl, line 2: not a record"),
        ("[]", "line 2: not a record"),
        ("{}", "line 2: not a record .it has no id"),
        ('{"id": 3, "turns": []}', "its id is no text"),
        ('{"id": "d"}', "it has no turns"),
        ("\udc80", "line 2: not a record"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    run = review_runs.write(tmp_path, [review_runs.dialogue("d1")])
    with (run / "dialogues.jsonl").open("ab") as file:
        file.write(line.encode(errors="surrogateescape") + b"\n")
    with pytest.raises(InputError, match=problem):
        Index(run)


def test_a_line_that_is_no_dialogue_of_ours_is_named_when_it_is_shown(tmp_path: Path) -> None:
    run = review_runs.write(tmp_path, [review_runs.dialogue("d1")])
    with (run / "dialogues.jsonl").open("a") as file:
        file.write('{"id": "d2", "turns": [], "mood": 1}\n')
    with pytest.raises(InputError, match=r"dialogues\.jsonl, line 2: not a Dialogue"):
        Index(run).dialogue("d2")


def test_a_file_that_changed_meanwhile_is_said(tmp_path: Path) -> None:
    run = review_runs.write(tmp_path, [review_runs.dialogue(name, exchanges=1) for name in ("d1", "d2")])
    index, file = Index(run), run / "dialogues.jsonl"
    file.write_bytes(b"".join(reversed(file.read_bytes().splitlines(keepends=True))))
    with pytest.raises(InputError, match="the file has changed"):
        index.dialogue("d1")


def test_a_folder_that_is_no_run_or_holds_nothing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run folder"):
        Index(tmp_path)
    with pytest.raises(InputError, match="holds no dialogue yet"):
        Index(review_runs.write(tmp_path, []))
