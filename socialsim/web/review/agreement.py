"""How far raters agree: aggregates only, and none over a few items, so that nobody can work out another's decision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from metrics.agreement import Statistic, rater_alpha
from signatures.rubric import Dimension
from socialsim.reviews import Decision, Item, Kind, Review, Standing, read_reviews

MIN_SHARED: Final = 10  # items that two have rated, below which no figure is shown
_RESAMPLES: Final = 300  # a page is waited for; `socialsim calibrate` draws more
_GRADES: Final = {Decision.REJECT: 0.0, Decision.EDIT: 1.0, Decision.ACCEPT: 2.0}


class Agreed(NamedTuple):
    """One line of the page: what was rated, on how many items by two or more, and Krippendorff's alpha."""

    name: str
    shared: int
    alpha: Statistic


def agreed(folder: Path, known: Mapping[Item, str]) -> tuple[dict[str, int], list[Agreed]]:
    """Items reviewed by each rater, and the agreement among them.

    Args:
        folder: ``RUN/reviews``.
        known: digest of each item of the run.

    Raises:
        InputError: if a rater's file is corrupt.
        UsageError: if the metrics extra is not installed.
    """
    raters = read_reviews(folder, known)
    counts = {name: sum(review.decision is not None for review in raters[name].reviews()) for name in raters}
    return counts, [_agreed(name, ratings) for name, ratings in _ratings(raters)]


def _ratings(raters: Mapping[str, Standing]) -> Iterable[tuple[str, list[list[float]]]]:
    for kind in Kind:
        yield f"{kind} decisions", _by_item(raters, kind, lambda review: _GRADES.get(review.decision))  # type: ignore[arg-type]
    for dimension in Dimension:
        yield dimension, _by_item(raters, Kind.DIALOGUE, _scorer(dimension))


def _scorer(dimension: Dimension) -> Callable[[Review], float | None]:
    return lambda review: review.scores.get(dimension)


def _by_item(raters: Mapping[str, Standing], kind: Kind, grade: Callable[[Review], float | None]) -> list[list[float]]:
    """The ratings of each item that two or more rated."""
    found: dict[Item, list[float]] = {}
    for standing in raters.values():
        for review in standing.reviews():
            if review.kind is kind and (given := grade(review)) is not None:
                found.setdefault(review.about, []).append(float(given))
    return [ratings for ratings in found.values() if len(ratings) > 1]


def _agreed(name: str, ratings: list[list[float]]) -> Agreed:
    if len(ratings) < MIN_SHARED:
        return Agreed(name, len(ratings), Statistic(reason=f"fewer than {MIN_SHARED} items rated by two"))
    return Agreed(name, len(ratings), rater_alpha(ratings, _RESAMPLES))
