"""The paired bootstrap: what must hold for every pair of score lists."""

from __future__ import annotations

import random
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.significance import Interval, paired_bootstrap
from socialsim.errors import UsageError

pytest.importorskip("scipy", reason="needs socialsim[metrics]")

SCORES = st.lists(st.integers(0, 12).map(lambda quarter: quarter / 4), min_size=2, max_size=30)
PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=30)


@given(SCORES, st.integers(-12, 12).map(lambda quarter: quarter / 4))
@settings(max_examples=40)
def test_a_constant_shift_is_found_exactly(before: list[float], shift: float) -> None:
    after = [score + shift for score in before]
    assert paired_bootstrap(before, after, resamples=200) == Interval(shift, shift, shift, len(before))


@given(PAIRS)
@settings(max_examples=40)
def test_swapping_the_sides_mirrors_the_interval(pairs: list[tuple[int, int]]) -> None:
    before, after = zip(*pairs, strict=True)
    there, back = paired_bootstrap(before, after, resamples=200), paired_bootstrap(after, before, resamples=200)
    assert None not in there
    assert (back.value, back.low, back.high) == pytest.approx(
        (-there.value, -there.high, -there.low)  # type: ignore[operator]
    )


@given(PAIRS, st.integers(0, 5))
@settings(max_examples=20)
def test_a_seed_decides_the_interval_and_the_mean_lies_within(pairs: list[tuple[int, int]], seed: int) -> None:
    before, after = zip(*pairs, strict=True)
    first = paired_bootstrap(before, after, resamples=500, seed=seed)
    assert first == paired_bootstrap(before, after, resamples=500, seed=seed)
    assert first.low is not None
    assert first.high is not None
    assert first.low <= first.high


def test_another_seed_draws_otherwise() -> None:
    rng = random.Random(1)
    before, after = [rng.random() for _ in range(30)], [rng.random() for _ in range(30)]
    assert paired_bootstrap(before, after, seed=1) != paired_bootstrap(before, after, seed=2)


def test_copies_within_a_group_add_no_certainty() -> None:
    rng = random.Random(3)
    before = [0.0] * 20
    after = [rng.gauss(0.3, 1) for _ in before]
    names = [f"s{number}" for number in range(20)]
    once = paired_bootstrap(before, after, names)
    grouped = paired_bootstrap(before * 5, after * 5, names * 5)
    alone = paired_bootstrap(before * 5, after * 5)
    assert (grouped.value, grouped.low, grouped.high) == pytest.approx((once.value, once.low, once.high))
    assert grouped.n == 100
    assert _width(alone) < 0.6 * _width(grouped)


def test_groups_of_one_item_are_as_no_groups() -> None:
    before, after = [0.0, 1.0, 2.0, 1.0], [1.0, 1.5, 2.0, 3.0]
    assert paired_bootstrap(before, after, ["a", "b", "c", "d"]) == paired_bootstrap(before, after)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = random.Random(0)
    covered = 0
    for _ in range(200):
        found = paired_bootstrap([0.0] * 40, [rng.gauss(0.5, 1) for _ in range(40)], resamples=500)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.5 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


@pytest.mark.parametrize("groups", [None, []])
def test_nothing_gives_an_interval_of_none(groups: list[str] | None) -> None:
    assert paired_bootstrap([], [], groups) == Interval(None, None, None, 0)


def test_one_group_has_a_mean_but_no_interval() -> None:
    assert paired_bootstrap([1, 1], [2, 4], ["a", "a"]) == Interval(2.0, None, None, 2)
    assert not paired_bootstrap([1], [2]).excludes_zero


@pytest.mark.parametrize(("low", "high", "excludes"), [(0.1, 0.4, True), (-0.4, -0.1, True), (-0.1, 0.1, False)])
def test_an_interval_says_whether_it_excludes_zero(low: float, high: float, excludes: bool) -> None:
    assert Interval(0.2, low, high, 9).excludes_zero is excludes


def test_unequal_lengths_and_missing_scores_are_refused() -> None:
    with pytest.raises(ValueError, match="2 before, 1 after"):
        paired_bootstrap([1, 2], [1])
    with pytest.raises(ValueError, match="1 groups"):
        paired_bootstrap([1, 2], [1, 2], ["a"])
    with pytest.raises(ValueError, match="finite"):
        paired_bootstrap([1, float("nan")], [1, 2])


def test_a_missing_extra_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(UsageError, match=r"pip install 'socialsim\[metrics\]'"):
        paired_bootstrap([1, 2], [2, 3])


def _width(interval: Interval) -> float:
    assert interval.low is not None
    assert interval.high is not None
    return interval.high - interval.low
