"""What raters accepted, as `export --only accepted` writes it, and their scores as `calibrate` reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from signatures.rubric import Dimension
from socialsim.accepted import Accepted, accepted
from socialsim.errors import InputError, UsageError
from socialsim.formats import read_dialogues
from socialsim.journal import read_records
from socialsim.labels import Scale, labelled_items, read_labels
from socialsim.reviews import Item, Kind, read_reviews
from socialsim.runfolder import read_dialogue_records
from socialsim.schema import Dialogue, Persona
from socialsim.web.review.index import Index
from socialsim.web.review.store import Store
from tests import review_runs, samples
from tests.command import socialsim

NEW = "What did she say to you then?"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return review_runs.run(tmp_path / "r", 6)


def dialogue(name: str) -> Item:
    return Item(Kind.DIALOGUE, name)


def review(run: Path, rater: str, **decisions: str) -> None:
    """``d01="a"``: accept, r: reject, e: edit; ``p01`` likewise."""
    dialogues = {one.id: one for one in read_dialogue_records(run)}
    with Store(Index(run), rater) as store:
        for name, decision in decisions.items():
            item = Item(Kind.PERSONA if name[0] == "p" else Kind.DIALOGUE, name)
            if decision == "a":
                store.accept(item)
            elif decision == "r":
                store.reject(item)
            elif item.kind is Kind.PERSONA:
                store.edit(item, samples.persona(id=name, age=50))
            else:
                turns = dialogues[name].turns
                new = (turns[0], turns[1].model_copy(update={"text": NEW}), *turns[2:])
                store.edit(item, dialogues[name].model_copy(update={"turns": new}))


def left(run: Path) -> Accepted:
    dialogues = list(read_dialogue_records(run))
    return accepted(dialogues, list(read_records(run / "personas.jsonl", Persona)), read_reviews(run / "reviews"))


def ids(records: list[Any]) -> list[str]:
    return [record.id for record in records]


def test_rejected_and_unreviewed_items_are_left_out_and_counted(run: Path) -> None:
    review(run, "ann", d01="a", d02="r", d03="e")
    found = left(run)
    assert ids(found.dialogues) == ["d01", "d03"]
    assert ids(found.personas) == ["p01", "p03"]
    assert found.edited == 1
    assert found.dialogues[1].turns[1].text == NEW
    assert found.left_out == {"rejected": 1, "not reviewed": 3}


def test_most_raters_win_and_a_tie_is_left_out(run: Path) -> None:
    review(run, "ann", d01="a", d02="a", d03="a")
    review(run, "ben", d01="r", d02="r", d03="e")
    review(run, "eve", d01="e")
    found = left(run)
    assert ids(found.dialogues) == ["d01", "d03"]
    assert [one.turns[1].text for one in found.dialogues] == [NEW, NEW]
    assert found.left_out == {"a tie": 1, "not reviewed": 3}


def test_a_persona_that_is_not_accepted_takes_its_dialogue_with_it(run: Path) -> None:
    review(run, "ann", d01="a", d02="a", p01="r", p02="e", p05="a", p06="r")
    found = left(run)
    assert (ids(found.dialogues), ids(found.personas)) == (["d02"], ["p02", "p05"])
    assert found.personas[0].age == 50
    assert found.left_out == {"its persona is not accepted": 1, "not reviewed": 4}


def test_an_undone_decision_is_none(run: Path) -> None:
    review(run, "ann", d01="a", d02="a")
    with Store(Index(run), "ann") as store:
        assert store.undo() == dialogue("d02")
    assert ids(left(run).dialogues) == ["d01"]


@pytest.mark.parametrize("format", ["jsonl", "ssconv"])
def test_the_export_holds_the_edited_form_and_says_the_counts(run: Path, format: str) -> None:
    review(run, "ann", d01="a", d02="r", d03="e", p03="e")
    ended = socialsim("export", run, "--only", "accepted", "--format", format)
    assert ended.code == 0, ended.err
    assert "raters: ann; 2 items edited; dialogues left out: 1 rejected, 3 not reviewed" in ended.out
    assert "2 dialogues" in ended.out
    suffix = "json" if format == "ssconv" else "jsonl"
    written = list(read_dialogues(run / "accepted" / f"dialogues.{suffix}"))
    assert len(written) == 2
    assert written[1].turns[1].text == NEW
    profiles = (run / "accepted" / ("profiles.json" if format == "ssconv" else "personas.jsonl")).read_text()
    assert "50" in profiles


def test_an_export_without_reviews_or_of_nothing_accepted_is_one_line(run: Path) -> None:
    assert "holds no reviews yet" in socialsim("export", run, "--only", "accepted").problem
    review(run, "ann", d01="r")
    problem = socialsim("export", run, "--only", "accepted").problem
    assert "no dialogue is accepted (1 rejected, 5 not reviewed)" in problem
    assert not (run / "accepted").exists()
    assert "--only goes with" in socialsim("export", run, "--only", "accepted", "--format", "sharegpt").problem


def test_reviews_of_a_run_that_was_made_anew_do_not_count(run: Path) -> None:
    review(run, "ann", d01="a", d02="a")
    score(run, "ann", d01=3, d02=0)
    file = run / "dialogues.jsonl"
    file.write_text(file.read_text().replace('"id":"d01"', '"id":"d01","flags":[{"kind":"new"}]'))
    ended = socialsim("export", run, "--only", "accepted")
    assert "2 records are about items that have changed since; they do not count" in ended.out
    assert "1 dialogues" in ended.out
    assert set(read_labels(run / "reviews").of(Dimension.SAFETY)) == {"d02"}


def test_a_plain_export_is_as_before(run: Path) -> None:
    review(run, "ann", d01="e")
    assert socialsim("export", run, "--format", "jsonl").code == 0
    assert [one.turns[1].text for one in read_records(run / "export" / "dialogues.jsonl", Dialogue)].count(NEW) == 0


def score(run: Path, rater: str, **scores: int) -> None:
    with Store(Index(run), rater) as store:
        for name, points in scores.items():
            store.score(dialogue(name), {Dimension.SAFETY: points, Dimension.HUMAN_LIKENESS: 3 - points})


def test_scores_are_labels_of_several_raters(run: Path) -> None:
    score(run, "ann", d01=3, d02=0)
    score(run, "ben", d01=2)
    review(run, "ann", d01="e")
    labels = read_labels(run / "reviews")
    assert labels.dimensions == (Dimension.SAFETY, Dimension.HUMAN_LIKENESS)
    assert labels.of(Dimension.SAFETY) == {"d01": [3, 2], "d02": [0]}
    items = labelled_items(labels, {one.id: one for one in read_dialogue_records(run)})
    assert {item.id: item.score for item in items}["d01/human-likeness"] == 0.5
    digest = labels.sha256
    score(run, "ben", d02=1)
    assert read_labels(run / "reviews").sha256 != digest


def test_a_run_is_read_by_its_reviews(run: Path) -> None:
    score(run, "ann", d01=3)
    assert read_labels(run).path == run / "reviews"


def test_what_reviews_cannot_be_is_one_line(run: Path) -> None:
    review(run, "ann", d01="a")
    with pytest.raises(InputError, match="holds no rating"):
        read_labels(run / "reviews")
    with pytest.raises(UsageError, match="leave out --map and --scale"):
        read_labels(run / "reviews", Scale(1, 5))
    (run / "empty").mkdir()
    with pytest.raises(InputError, match="holds no reviews yet"):
        read_labels(run / "empty")


def test_calibrate_reads_the_reviews_of_a_run(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("krippendorff")
    score(run, "ann", d01=3, d02=0, d03=1, d04=2)
    scores = tmp_path / "scores.csv"
    scores.write_text("id,safety\nd01,3\nd02,0\nd03,1\nd04,2\n")
    ended = socialsim("calibrate", run / "reviews", "--scores", scores, "--out", tmp_path / "cards")
    assert ended.code == 0, ended.err
    card = json.loads((tmp_path / "cards" / "scores--reviews.json").read_text())
    assert (card["labels"], card["n"], card["dimensions"]["safety"]["n"]) == ("reviews", 4, 4)


def test_calibrate_takes_the_dialogues_from_the_reviewed_run(run: Path) -> None:
    from socialsim.cli.calibrate import _dialogues

    score(run, "ann", d01=3)
    assert set(_dialogues(read_labels(run / "reviews"), None)) == {f"d{number:02}" for number in range(1, 7)}
