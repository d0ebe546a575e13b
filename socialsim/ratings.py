"""Human ratings as values: on which scale, of what, by whom, and as items a judge can be held against."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from signatures.rubric import Dimension
from socialsim.errors import UsageError
from socialsim.formats.rows import Row
from socialsim.schema import Dialogue

RUBRIC_MAX: Final = 3


class Scale(NamedTuple):
    """Lowest and highest rating; ratings are moved linearly onto the rubric's 0 to 3."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:g}-{self.high:g}"

    @classmethod
    def parse(cls, text: str) -> Scale:
        """Read ``0-3`` or ``1-5``.

        Raises:
            UsageError: if it is no such range.
        """
        try:
            low, high = map(float, text.split("-"))
        except ValueError:
            low = high = math.nan
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise UsageError(f"--scale {text}: write the lowest and the highest rating, as in 0-3 or 1-5")
        return cls(low, high)

    def to_rubric(self, score: float) -> float:
        """A rating on 0 to 3."""
        return (score - self.low) / (self.high - self.low) * RUBRIC_MAX


RUBRIC_SCALE: Final = Scale(0, RUBRIC_MAX)


class Rating(NamedTuple):
    """What one rater gave one dialogue on one dimension, 0 to 3; ``row`` is where it stands."""

    dialogue_id: str
    dimension: Dimension
    score: float
    rater: str
    row: Row


class LabelledItem(NamedTuple):
    """A dialogue, one dimension and people's mean rating on it, 0 to 3. ``id`` names both."""

    dialogue: Dialogue
    dimension: Dimension
    score: float
    id: str


@dataclass(frozen=True)
class Labels:
    """The ratings of a file.

    Attributes:
        path: the file.
        scale: what its ratings were given on.
        mapping: label name to the dimension it is taken for.
        ratings: in the order of the file.
        dialogues: the dialogues the file itself holds, by id.
    """

    path: Path
    scale: Scale
    mapping: Mapping[str, Dimension]
    ratings: tuple[Rating, ...]
    dialogues: Mapping[str, Dialogue] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """Digest of the file; of a folder of reviews, of its files one after another."""
        digest = hashlib.sha256()
        for path in sorted(self.path.glob("*.jsonl")) if self.path.is_dir() else (self.path,):
            digest.update(path.read_bytes())
        return digest.hexdigest()

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The rated dimensions in the order of the rubric."""
        rated = {rating.dimension for rating in self.ratings}
        return tuple(dimension for dimension in Dimension if dimension in rated)

    def of(self, dimension: Dimension) -> dict[str, list[float]]:
        """Dialogue id to its ratings on a dimension, 0 to 3."""
        found: dict[str, list[float]] = {}
        for rating in self.ratings:
            if rating.dimension is dimension:
                found.setdefault(rating.dialogue_id, []).append(rating.score)
        return found

    def first(self, limit: int | None) -> Labels:
        """The ratings of the first dialogues only; None keeps all."""
        wanted = set(list(dict.fromkeys(rating.dialogue_id for rating in self.ratings))[:limit])
        kept = tuple(rating for rating in self.ratings if rating.dialogue_id in wanted)
        return Labels(self.path, self.scale, self.mapping, kept, self.dialogues)


def mean_rating(ratings: Iterable[float]) -> float:
    """The mean; equal means are equal to the last bit, for they are ranked."""
    given = list(ratings)
    return round(math.fsum(given) / len(given), 9)


def labelled_items(labels: Labels, dialogues: Mapping[str, Dialogue] | None = None) -> list[LabelledItem]:
    """The labelled dialogues, one item a dimension, with the raters' mean.

    Args:
        labels: the ratings.
        dialogues: id to dialogue; None takes those in the file of the ratings.

    Raises:
        InputError: if a rating names a dialogue that is not there.
    """
    known = labels.dialogues if dialogues is None else dialogues
    check_known(labels, known)
    return [
        LabelledItem(known[name], dimension, mean_rating(given), f"{name}/{dimension}")
        for dimension in labels.dimensions
        for name, given in labels.of(dimension).items()
    ]


def check_known(labels: Labels, dialogues: Mapping[str, Dialogue]) -> None:
    """Check that every rated dialogue is there.

    Raises:
        InputError: naming the first row whose dialogue is not.
    """
    for rating in labels.ratings:
        if rating.dialogue_id not in dialogues:
            some = ", ".join(list(dialogues)[:3]) or "none"
            raise rating.row.error(f"no dialogue {rating.dialogue_id!r} in the corpus (it has {some}, …); correct it")


def parse_mapping(pairs: Iterable[str]) -> dict[str, Dimension]:
    """Read ``label=dimension`` pairs.

    Raises:
        UsageError: if one is no such pair, or two labels stand for one dimension.
    """
    found: dict[str, Dimension] = {}
    for pair in pairs:
        name, equals, target = (part.strip() for part in pair.partition("="))
        dimension = as_dimension(target)
        if not (name and equals and dimension):
            raise UsageError(f"--map {pair}: write LABEL=DIMENSION; dimensions: {', '.join(Dimension)}")
        if name in found or dimension in found.values():
            raise UsageError(f"--map {pair}: a label or a dimension is named twice")
        found[name] = dimension
    return found


def as_dimension(name: str) -> Dimension | None:
    """The dimension of a name in any case, with blank, hyphen or underscore; None if it is none."""
    plain = "-".join(name.strip().lower().replace("_", " ").replace("-", " ").split())
    return Dimension(plain) if plain in list(Dimension) else None
