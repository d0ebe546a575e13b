"""Does a judge score dialogues as people do? Agreement of its scores with human ratings, 0 to 3.

The coefficients are those of scipy (Spearman), scikit-learn (quadratic-weighted kappa) and
krippendorff (alpha); each has a percentile bootstrap interval over items. What is undefined is
None with a reason, so that a judge that always gives one score cannot look good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import Field

from metrics.coefficients import AGAINST_PEOPLE, MAX_SCORE, ONE_SCORE, Coefficient, alpha
from metrics.significance import need, percentiles
from socialsim.schema import Record

MIN_ITEMS: Final = 30  # below, a correlation says next to nothing
RESAMPLES: Final = 1_000
_UNDEFINED_DRAWS: Final = 0.05  # above this share of draws without a value there is no interval

NO_ITEM: Final = "no item has both a human rating and a verdict"


class Statistic(Record):
    """One coefficient with its 95% bootstrap interval.

    Attributes:
        value: None where it is undefined; ``reason`` then says why.
        low: lower end; None where too many draws have no value.
        high: upper end.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""


class Agreement(Record):
    """A judge against people on one dimension.

    Attributes:
        n: items with a human rating and a verdict; every statistic but ``alpha`` is over these.
        spearman: rank correlation, -1 to 1.
        kappa: quadratic-weighted, of scores rounded to whole points (halves up), at most 1.
        exact: share of items with the same whole score, 0 to 1.
        within_one: share of items at most one point apart; human means are not rounded here.
        pairwise: of the pairs of items that people rate differently, the share that the judge orders
            the same way; a pair it scores alike counts half. 0.5 is chance.
        bias: mean of judge minus human, in points; above 0 is generous.
        alpha: Krippendorff's ordinal alpha among the raters, over items with several ratings.
        raters: most ratings an item has.
        malformed: labelled items whose verdict could not be read.
        missing: labelled items without a verdict for another reason.
    """

    n: int
    spearman: Statistic
    kappa: Statistic
    exact: Statistic
    within_one: Statistic
    pairwise: Statistic
    bias: Statistic
    alpha: Statistic
    raters: int = 1
    malformed: int = 0
    missing: int = 0

    @property
    def calibrated(self) -> bool:
        """Whether at least `MIN_ITEMS` items show a rank correlation whose interval lies above zero."""
        return self.n >= MIN_ITEMS and self.spearman.low is not None and self.spearman.low > 0


class CalibrationCard(Record):
    """What a judge is worth, next to what was measured with.

    Attributes:
        judge: spec of the LM, or the file its scores came from.
        program: hash of the judging program; empty for scores from a file.
        labels: name of the file of human ratings.
        labels_sha256: its content.
        n: dialogues with a rating.
        scale: lowest and highest rating; ratings are moved linearly onto 0 to 3.
        mapping: label name to rubric dimension, where they differ.
        dimensions: rubric dimension to agreement.
        judges: verdicts asked for an item.
        calibrated: whether every dimension is (see `Agreement.calibrated`).
        summary: one line.
        date: day of the calibration, ISO 8601, UTC.
    """

    judge: str
    program: str = ""
    labels: str
    labels_sha256: str
    n: int
    scale: tuple[float, float] = (0, MAX_SCORE)
    mapping: dict[str, str] = Field(default_factory=dict)
    dimensions: dict[str, Agreement]
    judges: int = 1
    malformed: int = 0
    missing: int = 0
    calibrated: bool
    summary: str
    versions: dict[str, str] = Field(default_factory=dict)
    seed: int = 0
    date: str


def judge_score(gold: float, answered: float | None) -> float:
    """How near one verdict is to people's rating: 1 the same, 0 three points off or missing."""
    return 0.0 if answered is None else max(0.0, 1 - abs(gold - answered) / MAX_SCORE)


def agreement(
    human: Sequence[float],
    judge: Sequence[float | None],
    ratings: Sequence[Sequence[float]] = (),
    malformed: int = 0,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Agreement:
    """Compare verdicts with ratings on one dimension.

    Args:
        human: rating of each item, 0 to 3, shape (n,); the mean where several people rated it.
        judge: verdict on each item, 0 to 3; None where there is none.
        ratings: each item's single ratings, for alpha; may differ in number.
        malformed: how many of the missing verdicts could not be read.
        resamples: bootstrap draws.
        seed: decides the draws.

    Raises:
        UsageError: if the metrics extra is not installed.
    """
    numpy = need("numpy")
    scored = [(rating, verdict) for rating, verdict in zip(human, judge, strict=True) if verdict is not None]
    people, machine = numpy.array(scored, dtype=float).reshape(-1, 2).T
    draws = _Draws(len(scored), resamples, seed)
    found = {name: draws.of(statistic, people, machine) for name, statistic in AGAINST_PEOPLE.items()}
    return Agreement(
        n=len(scored),
        **found,
        alpha=rater_alpha(ratings, resamples, seed),
        raters=max(map(len, ratings), default=1),
        malformed=malformed,
        missing=len(judge) - len(scored) - malformed,
    )


def rater_alpha(ratings: Sequence[Sequence[float]], resamples: int = RESAMPLES, seed: int = 0) -> Statistic:
    """Krippendorff's ordinal alpha among people, over the items that several rated.

    Args:
        ratings: each item's ratings, in any order; they may differ in number.
        resamples: bootstrap draws over items.
        seed: decides the draws.
    """
    several = [item for item in ratings if len(item) > 1]
    if not several:
        return Statistic(reason="no item has two ratings")
    numpy = need("numpy")
    levels = sorted({score for item in several for score in item})
    counts = numpy.array([[item.count(level) for level in levels] for item in map(list, several)])
    return _Draws(len(several), resamples, seed).of(lambda drawn: alpha(drawn, levels), counts)


class _Draws:
    """Bootstrap draws of the same items for every coefficient."""

    def __init__(self, n: int, resamples: int, seed: int) -> None:
        self._n, self._resamples, self._seed = n, resamples, seed

    def of(self, coefficient: Coefficient, *columns: Any) -> Statistic:
        """A coefficient of arrays whose first axis is the items, with its interval."""
        value = coefficient(*columns) if self._n else NO_ITEM
        if isinstance(value, str):
            return Statistic(reason=value)
        low, high = self._ends(coefficient, columns)
        return Statistic(value=_plain(value), low=_plain(low), high=_plain(high))

    def _ends(self, coefficient: Coefficient, columns: Sequence[Any]) -> tuple[float | None, float | None]:
        rng = need("numpy").random.default_rng(self._seed)
        values = []
        for _ in range(self._resamples if self._n > 1 else 0):
            drawn = rng.integers(self._n, size=self._n)
            values.append(coefficient(*(column[drawn] for column in columns)))
        defined = [value for value in values if not isinstance(value, str)]
        if len(defined) < (1 - _UNDEFINED_DRAWS) * len(values) or not defined:
            return None, None
        return percentiles(defined)


def _plain(value: float | None) -> float | None:
    # Six digits: what lies beyond is noise of the last bit, and cards are compared. + 0.0 turns -0.0 into 0.0.
    return None if value is None else round(value, 6) + 0.0


def summary(dimensions: Mapping[str, Agreement]) -> str:
    """One line on what a judge is worth, from its agreement on each dimension."""
    scored = [found for found in dimensions.values() if found.n]
    failed = {name: found for name, found in dimensions.items() if not found.calibrated}
    if not scored:
        said = NO_ITEM
    elif all(found.spearman.reason == ONE_SCORE for found in scored):
        said = f"cannot tell items apart: {ONE_SCORE}"
    elif failed:
        said = f"agreement with people is not shown on {', '.join(_failure(*item) for item in failed.items())}"
    else:
        shown = ", ".join(f"{name} {found.spearman.value:.2f}" for name, found in dimensions.items())
        said = f"agrees with people beyond chance on every dimension (Spearman: {shown})"
    return said + _unread(dimensions.values())


def _failure(name: str, found: Agreement) -> str:
    rho = found.spearman
    if rho.reason == ONE_SCORE:
        why = f"cannot tell items apart: {ONE_SCORE}"
    elif rho.value is None:
        why = rho.reason
    elif found.n < MIN_ITEMS:
        why = f"{found.n} items, {MIN_ITEMS} are needed"
    elif rho.low is None:
        why = f"Spearman {rho.value:.2f}, scores too alike for an interval"
    else:
        why = f"Spearman {rho.value:.2f} [{rho.low:.2f}, {rho.high:.2f}]"
    return f"{name} ({why})"


def _unread(found: Iterable[Agreement]) -> str:
    given = list(found)
    malformed, missing = sum(one.malformed for one in given), sum(one.missing for one in given)
    counts = [f"{count:,} {what}" for count, what in ((malformed, "malformed"), (missing, "missing")) if count]
    return f"; verdicts left out: {' and '.join(counts)}" if counts else ""


def is_calibrated(dimensions: Mapping[str, Agreement]) -> bool:
    """Whether a judge may be relied on: every judged dimension is calibrated, and there is one."""
    return bool(dimensions) and all(found.calibrated for found in dimensions.values())
