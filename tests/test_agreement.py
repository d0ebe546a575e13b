"""Agreement with people: what good, bad and useless judges must look like."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from metrics.agreement import (
    MIN_ITEMS,
    Agreement,
    Statistic,
    agreement,
    is_calibrated,
    judge_score,
    rater_alpha,
    summary,
)
from metrics.coefficients import pairwise, whole
from socialsim.errors import UsageError

numpy = pytest.importorskip("numpy", reason="needs socialsim[metrics]")
stats = pytest.importorskip("scipy.stats", reason="needs socialsim[metrics]")
krippendorff = pytest.importorskip("krippendorff", reason="needs socialsim[metrics]")

RNG = random.Random(7)
PEOPLE = [RNG.randint(0, 3) for _ in range(80)]
PAIRS = st.lists(st.tuples(st.sampled_from([0, 0.75, 1.5, 2.25, 3]), st.integers(0, 3)), min_size=3, max_size=40)


def compare(human: Sequence[float], judge: Sequence[float | None], malformed: int = 0) -> Agreement:
    return agreement(human, judge, malformed=malformed, resamples=200)


def test_a_perfect_judge_agrees_in_everything() -> None:
    found = compare(PEOPLE, list(PEOPLE))
    for name in ("spearman", "kappa", "exact", "within_one", "pairwise"):
        assert getattr(found, name) == Statistic(value=1, low=1, high=1), name
    assert found.bias == Statistic(value=0, low=0, high=0)
    assert found.calibrated
    assert "beyond chance on every dimension" in summary({"safety": found})


@pytest.mark.parametrize("score", [0, 2, 3])
def test_a_judge_of_one_score_is_exposed(score: int) -> None:
    found = compare(PEOPLE, [score] * len(PEOPLE))
    assert found.spearman == Statistic(reason="the judge gives one score only")
    assert found.kappa.value == 0
    assert found.pairwise.value == 0.5
    assert not found.calibrated
    assert "cannot tell items apart" in summary({"safety": found, "helpfulness": found})


def test_a_judge_that_is_flat_on_one_dimension_is_exposed_there() -> None:
    good = compare(PEOPLE, list(PEOPLE))
    flat = compare(PEOPLE, [3] * len(PEOPLE))
    assert not is_calibrated({"helpfulness": good, "safety": flat})
    said = summary({"helpfulness": good, "safety": flat})
    assert "safety (cannot tell items apart" in said
    assert "helpfulness" not in said


def test_a_random_judge_is_not_calibrated() -> None:
    rng = random.Random(2)
    found = compare(PEOPLE, [rng.randint(0, 3) for _ in PEOPLE])
    assert not found.calibrated
    assert found.spearman.value is not None
    assert found.spearman.low is not None
    assert found.spearman.high is not None
    assert found.spearman.low < 0 < found.spearman.high
    assert "agreement with people is not shown on safety" in summary({"safety": found})


def test_an_inverse_judge_is_not_calibrated() -> None:
    found = compare(PEOPLE, [3 - rating for rating in PEOPLE])
    assert found.spearman.value == -1
    assert found.pairwise.value == 0
    assert not found.calibrated


def test_a_generous_judge_keeps_its_ranks_and_shows_its_bias() -> None:
    human = [0.0, 1.0, 2.0] * 12
    found = compare(human, [score + 1 for score in human])
    assert found.spearman.value == 1
    assert found.bias == Statistic(value=1, low=1, high=1)
    assert found.exact.value == 0
    assert found.within_one.value == 1


def test_missing_scores_are_counted_and_left_out() -> None:
    human, judge = [0.0, 1.0, 2.0, 3.0, 3.0, 0.0], [0, 1, None, 3, None, None]
    found = compare(human, judge, malformed=2)
    assert (found.n, found.malformed, found.missing) == (3, 2, 1)
    assert found.exact.value == 1
    assert found.bias.value == 0
    assert "2 malformed and 1 missing" in summary({"safety": found})


def test_a_judge_whose_every_verdict_is_malformed_has_no_statistic() -> None:
    found = compare([0.0, 1.0, 2.0], [None] * 3, malformed=3)
    assert found.n == 0
    assert found.malformed == 3
    assert found.missing == 0
    for name in ("spearman", "kappa", "exact", "within_one", "pairwise", "bias"):
        statistic = getattr(found, name)
        assert statistic.value is None, name
        assert statistic.reason
    assert not found.calibrated
    assert "no item has both" in summary({"safety": found})


def test_one_item_shows_no_correlation_and_no_interval() -> None:
    found = compare([2.0], [2])
    assert found.spearman.value is None
    assert found.kappa.value is None
    assert found.pairwise.value is None
    assert found.exact == Statistic(value=1)
    assert "fewer than three items" in summary({"safety": found})


def test_too_few_items_do_not_calibrate_a_perfect_judge() -> None:
    human = [float(index % 4) for index in range(MIN_ITEMS)]
    assert compare(human, list(human)).calibrated
    few = compare(human[1:], list(human[1:]))
    assert not few.calibrated
    assert f"{MIN_ITEMS - 1} items" in summary({"safety": few})


def test_people_of_one_rating_show_nothing() -> None:
    found = compare([2.0] * 40, [index % 4 for index in range(40)])
    assert found.spearman.reason == "people gave one score only"
    assert found.pairwise.value is None
    assert not found.calibrated


def test_a_correlation_of_one_odd_score_has_no_interval() -> None:
    human = [float(index % 4) for index in range(40)]
    found = compare(human, [3] + [2] * 39)
    assert found.spearman.value is not None
    assert found.spearman.low is None
    assert not found.calibrated


@given(PAIRS)
@settings(max_examples=60, deadline=None)
def test_pairwise_is_somers_d_and_the_count_over_all_pairs(pairs: list[tuple[float, int]]) -> None:
    human, judge = (list(column) for column in zip(*pairs, strict=True))
    assume(len(set(human)) > 1)
    found = pairwise(numpy.array(human), numpy.array(judge))
    credits = [
        1.0 if judge[j] > judge[i] else 0.5 if judge[j] == judge[i] else 0.0
        for i in range(len(human))
        for j in range(len(human))
        if human[j] > human[i]
    ]
    assert found == pytest.approx(sum(credits) / len(credits))
    if len(set(judge)) > 1:
        assert found == pytest.approx((1 + stats.somersd(human, judge).statistic) / 2)


@given(PAIRS)
@settings(max_examples=25, deadline=None)
def test_statistics_keep_their_ranges_and_their_order(pairs: list[tuple[float, int]]) -> None:
    human, judge = (list(column) for column in zip(*pairs, strict=True))
    found = agreement(human, judge, resamples=30)
    assert found == agreement(human, judge, resamples=30)
    shares = (found.exact.value, found.within_one.value)
    assert None not in shares
    assert 0 <= shares[0] <= shares[1] <= 1  # type: ignore[operator]
    for name in ("spearman", "kappa"):
        value = getattr(found, name).value
        assert value is None or -1 <= value <= 1
        assert (value is None) == bool(getattr(found, name).reason)
    if len(set(judge)) == 1:
        assert found.spearman.value is None


def test_ranks_do_not_depend_on_the_scale() -> None:
    rng = random.Random(4)
    judge = [rng.randint(0, 3) for _ in PEOPLE]
    plain = compare(PEOPLE, judge)
    squeezed = compare([rating / 2 for rating in PEOPLE], judge)
    assert squeezed.spearman == plain.spearman
    assert squeezed.pairwise == plain.pairwise


def test_halves_are_rounded_up_and_stay_on_the_scale() -> None:
    assert whole([0, 0.49, 0.5, 0.75, 1.5, 2.25, 2.5, 3]).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_alpha_is_krippendorffs_over_items_with_several_ratings() -> None:
    ratings = [[0, 1], [2, 2, 3], [1], [3, 3], [0, 0], [1, 2, 1]]
    table = [[item[rater] if rater < len(item) else numpy.nan for item in ratings] for rater in range(3)]
    expected = krippendorff.alpha(reliability_data=table, level_of_measurement="ordinal")
    found = rater_alpha(ratings, resamples=200)
    assert found.value == pytest.approx(expected, abs=1e-6)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= expected <= found.high


def test_alpha_needs_two_raters_and_two_scores() -> None:
    assert rater_alpha([[1], [2]]).reason == "no item has two ratings"
    assert rater_alpha([[1, 1], [1, 1]]).reason == "people gave one score only"


@pytest.mark.parametrize(
    ("gold", "answered", "expected"), [(3, 3, 1), (0, 3, 0), (1.5, 0, 0.5), (2, None, 0), (2, 1, 2 / 3)]
)
def test_a_verdict_is_worth_its_nearness(gold: float, answered: int | None, expected: float) -> None:
    assert judge_score(gold, answered) == pytest.approx(expected)


def test_nothing_is_not_calibrated() -> None:
    assert not is_calibrated({})


def test_a_missing_extra_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(UsageError, match=r"scipy is not installed; run: pip install 'socialsim\[metrics\]'"):
        compare([0.0, 1.0, 2.0], [0, 1, 2])
