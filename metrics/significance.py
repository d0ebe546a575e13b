"""Is a difference more than chance? Bootstrap intervals over whole groups of items, and the paper's t-test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple

from socialsim.errors import UsageError

RESAMPLES: Final = 10_000
_PERCENTILES: Final = (2.5, 97.5)  # the middle 95%
_CELLS: Final = 2_000_000  # random numbers in memory at once


class Interval(NamedTuple):
    """An estimate with its 95% interval, in the unit of what is estimated.

    Attributes:
        value: the estimate; None where it is undefined.
        low: lower end; None where there is nothing to resample.
        high: upper end.
        n: items the estimate rests on.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    @property
    def excludes_zero(self) -> bool:
        """Whether both ends lie on the same side of zero; False where there is no interval."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


class TTest(NamedTuple):
    """A one-tailed t-test: the statistic, positive where the second is better, and its probability by chance."""

    t: float
    p: float


def need(module: str) -> Any:
    """Import a module of the ``metrics`` extra.

    Raises:
        UsageError: if the extra is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        missing = module.partition(".")[0]
        raise UsageError(f"{missing} is not installed; run: pip install 'socialsim[metrics]'") from error


def paired_bootstrap(
    before: Sequence[float],
    after: Sequence[float],
    groups: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The mean of ``after - before`` with its percentile bootstrap interval (95%).

    Args:
        before: score of each item before, shape (n,).
        after: score of the same item after, shape (n,).
        groups: group of each item, shape (n,); whole groups (scenarios) are drawn, since dialogues
            of one scenario are alike. None draws single items.
        resamples: draws.
        seed: decides the draws.

    Returns:
        The interval; all None without items, ends None with one group only: one cannot say how much
        another would differ.

    Raises:
        ValueError: if the lengths differ or a score is no finite number.
        UsageError: if the metrics extra is not installed.
    """
    differences = _differences(before, after, groups)
    names = range(len(differences)) if groups is None else groups
    if not differences:
        return Interval(None, None, None, 0)
    sums: dict[object, float] = {}
    counts: dict[object, int] = {}
    for name, difference in zip(names, differences, strict=True):
        sums[name] = sums.get(name, 0.0) + difference
        counts[name] = counts.get(name, 0) + 1
    mean = math.fsum(differences) / len(differences)
    if len(sums) < 2:
        return Interval(mean, None, None, len(differences))
    low, high = percentiles(_drawn_means(list(sums.values()), list(counts.values()), resamples, seed))
    return Interval(mean, low, high, len(differences))


def unpaired_t(before: Sequence[float], after: Sequence[float]) -> TTest | None:
    """Is the mean after greater than before? The paper's one-tailed unpaired t-test (Table 3).

    Welch's form (``scipy.stats.ttest_ind(equal_var=False, alternative="greater")``): the paper does not say which,
    nothing says that two models' scores spread equally, and for equally many scores the statistic is the same. Items
    of one dialogue are alike and both models answer the same turns, neither of which this test knows:
    `paired_bootstrap` does.

    Args:
        before: score of each item before, shape (n,).
        after: score of each item after, shape (m,).

    Returns:
        None where it is undefined: fewer than two items on a side, or no spread on either.

    Raises:
        ValueError: if a score is no finite number.
        UsageError: if the metrics extra is not installed.
    """
    if not all(map(math.isfinite, (*before, *after))):
        raise ValueError("a t-test takes finite numbers; leave out items without a score")
    if min(len(before), len(after)) < 2 or (len(set(before)) == 1 and len(set(after)) == 1):
        return None
    found = need("scipy.stats").ttest_ind(after, before, equal_var=False, alternative="greater")
    return TTest(float(found.statistic), float(found.pvalue))


def percentiles(draws: Any) -> tuple[float, float]:
    """The ends of the middle 95% of the draws."""
    low, high = need("numpy").percentile(draws, _PERCENTILES)
    return float(low), float(high)


def _differences(before: Sequence[float], after: Sequence[float], groups: Sequence[str] | None) -> list[float]:
    if len(before) != len(after) or (groups is not None and len(groups) != len(before)):
        sizes = f"{len(before)} before, {len(after)} after" + (f", {len(groups)} groups" if groups is not None else "")
        raise ValueError(f"a paired comparison needs one score of each kind an item; given {sizes}")
    differences = [float(new) - float(old) for old, new in zip(before, after, strict=True)]
    if not all(map(math.isfinite, differences)):
        raise ValueError("a paired comparison takes finite numbers; leave out items without a score")
    return differences


def _drawn_means(sums: list[float], counts: list[int], resamples: int, seed: int) -> Any:
    """The mean difference over all items of each draw of groups, shape (resamples,)."""
    numpy = need("numpy")
    rng = numpy.random.default_rng(seed)
    totals, sizes = numpy.asarray(sums), numpy.asarray(counts)
    step, means = max(1, _CELLS // len(sums)), []
    for start in range(0, resamples, step):
        drawn = rng.integers(len(sums), size=(min(step, resamples - start), len(sums)))
        means.append(totals[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    return numpy.concatenate(means)
