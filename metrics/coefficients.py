"""The coefficients of agreement, each a function of ratings and verdicts.

The first argument is what people rated, the second what the judge scored: numpy arrays of shape
(n,), 0 to 3. Where a coefficient is undefined the function returns the reason, a text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from metrics.significance import need

MAX_SCORE: Final = 3  # of the rubric (paper: Table 2)
ONE_SCORE: Final = "the judge gives one score only"
ONE_RATING: Final = "people gave one score only"
FEW_ITEMS: Final = "fewer than three items"

Coefficient = Callable[..., float | str]


def spearman(people: Any, machine: Any) -> float | str:
    """Rank correlation (scipy), -1 to 1."""
    if len(people) < 3:
        return FEW_ITEMS
    if (machine == machine[0]).all():
        return ONE_SCORE
    if (people == people[0]).all():
        return ONE_RATING
    return float(need("scipy.stats").spearmanr(people, machine).statistic)


def kappa(people: Any, machine: Any) -> float | str:
    """Quadratic-weighted kappa (scikit-learn) of whole points, at most 1; 0 for a judge of one score."""
    if len(people) < 3:
        return FEW_ITEMS
    left, right = whole(people), whole(machine)
    if (left == left[0]).all() and (right == left[0]).all():
        return "people and judge give one and the same score only"
    labels = list(range(MAX_SCORE + 1))
    return float(need("sklearn.metrics").cohen_kappa_score(left, right, labels=labels, weights="quadratic"))


def whole(scores: Any) -> Any:
    """Scores as whole points, halves rounded up: 0.5 is 1, 1.5 is 2. Shape (n,) to (n,)."""
    numpy = need("numpy")
    return numpy.clip(numpy.floor(numpy.asarray(scores) + 0.5), 0, MAX_SCORE).astype(int)


def exact(people: Any, machine: Any) -> float:
    """Share of items with the same whole points."""
    return float((whole(people) == whole(machine)).mean())


def within_one(people: Any, machine: Any) -> float:
    """Share of items at most one point apart, nothing rounded."""
    return float((abs(people - machine) <= 1 + 1e-9).mean())  # 1e-9: a third has no exact number


def bias(people: Any, machine: Any) -> float:
    """Mean of judge minus human, in points."""
    return float((machine - people).mean())


def pairwise(people: Any, machine: Any) -> float | str:
    """Share of the pairs people rate differently that the judge orders alike; its ties count half.

    This is (1 + D) / 2 with Somers' D of the verdicts given the ratings, from the table of both.
    """
    numpy = need("numpy")
    rows, row = numpy.unique(people, return_inverse=True)
    columns, column = numpy.unique(machine, return_inverse=True)
    table = numpy.zeros((len(rows), len(columns)))
    numpy.add.at(table, (row, column), 1)
    rated_lower = table.cumsum(axis=0) - table
    ordered = (table.sum(axis=1) * rated_lower.sum(axis=1)).sum()
    if not ordered:
        return ONE_RATING if len(people) > 1 else "one item makes no pair"
    scored_lower = rated_lower.cumsum(axis=1) - rated_lower
    return float((table * (scored_lower + rated_lower / 2)).sum() / ordered)


def alpha(counts: Any, levels: Sequence[float]) -> float | str:
    """Krippendorff's ordinal alpha (krippendorff).

    Args:
        counts: how many raters gave each level, shape (items, levels).
        levels: the levels in ascending order.
    """
    numpy, krippendorff = need("numpy"), need("krippendorff")
    used = counts.sum(axis=0) > 0
    if used.sum() < 2:
        return ONE_RATING
    domain = numpy.array(levels)[used]
    value = krippendorff.alpha(value_counts=counts[:, used], value_domain=domain, level_of_measurement="ordinal")
    return float(value)


AGAINST_PEOPLE: Final[Mapping[str, Coefficient]] = {
    "spearman": spearman,
    "kappa": kappa,
    "exact": exact,
    "within_one": within_one,
    "pairwise": pairwise,
    "bias": bias,
}
