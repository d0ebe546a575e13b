"""Scripted judges against the seekers' own ratings of 71 real dialogues."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from metrics.agreement import CalibrationCard
from signatures.rubric import Dimension
from socialsim.calibrating import calibrate
from socialsim.formats import read_dialogues
from socialsim.labels import labelled_items, parse_mapping, read_labels
from socialsim.schema import Dialogue, Speaker
from socialsim.scoring import Verdict
from socialsim.text import count_words

pytest.importorskip("krippendorff", reason="needs socialsim[metrics]")
LABELS = Path(os.environ.get("SOCIALSIM_SHARED", Path(__file__).parents[3] / "shared")) / "data" / "failed_esconv.json"
MAPPING = parse_mapping(["empathy=understanding", "relevance=specificity"])

pytestmark = pytest.mark.skipif(
    not LABELS.is_file(), reason=f"no {LABELS}; set SOCIALSIM_SHARED to the folder that holds data/"
)


def card_of(judge: Callable[[Dialogue], int]) -> CalibrationCard:
    labels = read_labels(LABELS, mapping=MAPPING)
    verdicts = {item.id: Verdict(judge(item.dialogue)) for item in labelled_items(labels)}
    return calibrate(labels, verdicts, "scripted")


def by_length(dialogue: Dialogue) -> int:
    """0 to 3 by the supporter's words, 120 a point."""
    said = (turn.text for turn in dialogue.turns if turn.speaker is Speaker.SUPPORTER)
    return min(3, sum(map(count_words, said)) // 120)


def test_the_seekers_ratings_are_read_beside_their_dialogues() -> None:
    labels = read_labels(LABELS, mapping=MAPPING)
    items, dialogues = labelled_items(labels), {one.id: one for one in read_dialogues(LABELS)}
    assert len(items) == 142
    assert len({item.dialogue.id for item in items}) == 71
    assert all(dialogues[item.dialogue.id] == item.dialogue for item in items)
    counted = [round(item.score / 0.75) + 1 for item in items if item.dimension is Dimension.UNDERSTANDING]
    assert [counted.count(stars) for stars in range(1, 6)] == [13, 29, 11, 13, 5]


def test_a_judge_that_always_says_three_is_exposed() -> None:
    card = card_of(lambda _: 3)
    assert not card.calibrated
    assert card.summary == "cannot tell items apart: the judge gives one score only"
    for found in card.dimensions.values():
        assert found.n == 71
        assert found.spearman.value is None
        assert found.kappa.value == 0
        assert found.pairwise.value == 0.5
        assert found.bias.low is not None
        assert found.bias.low > 1


def test_a_judge_of_length_does_not_pass_for_one_of_empathy() -> None:
    card = card_of(by_length)
    assert not card.calibrated
    for found in card.dimensions.values():
        assert found.n == 71
        assert found.spearman.low is not None
        assert found.spearman.low < 0
        assert found.pairwise.value is not None
        assert found.pairwise.value < 0.55


def test_the_seekers_own_relevance_as_a_judge_of_empathy_is_calibrated() -> None:
    labels = read_labels(LABELS, mapping=parse_mapping(["empathy=understanding"]))
    relevance = read_labels(LABELS, mapping=parse_mapping(["relevance=understanding"])).of(Dimension.UNDERSTANDING)
    verdicts = {f"{name}/understanding": Verdict(given[0]) for name, given in relevance.items()}
    card = calibrate(labels, verdicts, "relevance")
    assert card.calibrated
    found = card.dimensions["understanding"]
    assert found.pairwise.value is not None
    assert found.pairwise.value > 0.7
