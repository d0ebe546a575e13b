"""Human ratings of dialogues on the rubric's dimensions, and scores of a machine in the same form.

A table (CSV, JSON, JSON Lines) is long, one rating a row (``id, dimension, score[, rater]``), or
wide, one column a dimension (``id, understanding, safety[, rater]``). ``id`` (or ``dialogue_id``)
names a dialogue of a corpus; a record may hold the ``dialogue`` itself instead. An empty cell is
no rating. Rows without a rater that rate the same thing are several raters, in their order.

ESConv's official file is read as it is published: the seeker's own 1-5 ``empathy`` and
``relevance`` stand beside each dialogue. They are no ratings by the rubric, so a mapping must say
what they are taken for: ``empathy`` ("understood my feelings") is close to understanding;
nothing in the rubric asks for ``relevance`` ("to my situation"), specificity comes nearest.

``RUN/reviews``, what `socialsim review` leaves behind, is read as a folder: its scores are by the rubric.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from signatures.rubric import Dimension
from socialsim.errors import InputError, UsageError
from socialsim.formats import esconv, read_dialogues
from socialsim.formats.files import read_rows
from socialsim.formats.rows import Row
from socialsim.ratings import (
    RUBRIC_SCALE,
    LabelledItem,
    Labels,
    Rating,
    Scale,
    as_dimension,
    labelled_items,
    mean_rating,
    parse_mapping,
)
from socialsim.reviews import FOLDER, read_reviews
from socialsim.schema import Dialogue

__all__ = [
    "LabelledItem",
    "Labels",
    "Rating",
    "Scale",
    "labelled_items",
    "mean_rating",
    "parse_mapping",
    "read_labels",
    "read_scores",
]

ESCONV_SCALE: Final = Scale(1, 5)
ESCONV_RATINGS: Final = ("empathy", "relevance")
_IDS: Final = ("id", "dialogue_id", "dialogue")
_ESCONV_HINT: Final = "--map empathy=understanding (and --map relevance=specificity)"


def read_labels(path: Path, scale: Scale | None = None, mapping: Mapping[str, Dimension] | None = None) -> Labels:
    """Read a file of ratings.

    Args:
        path: a table, ESConv's official file, or a run that was reviewed, or its folder of reviews.
        scale: what the ratings were given on; None is 0-3 for a table, 1-5 for ESConv.
        mapping: label name to dimension, for names that are not the rubric's.

    Raises:
        InputError: naming file and line, for a rating outside the scale or no number, an unknown
            dimension, a thing one rater rated twice, or a file without ratings.
        UsageError: if the mapping names a label that is not there.
    """
    if (path / "dialogues.jsonl").is_file():  # the run itself
        path /= FOLDER
    if path.is_dir():
        return _nonempty(_read_reviews(path, scale, mapping or {}))
    names, rows = dict(mapping or {}), list(read_rows(path))
    if esconv.recognises(rows[0]):
        return _nonempty(_read_esconv(path, rows, scale or ESCONV_SCALE, names))
    table = _Table(scale or RUBRIC_SCALE, names)
    labels = table.read(path, rows)
    if unused := names.keys() - table.names:
        raise UsageError(f"--map {sorted(unused)[0]}=…: {path} has no label of this name")
    return labels


def read_scores(path: Path, scale: Scale = RUBRIC_SCALE, mapping: Mapping[str, Dimension] | None = None) -> Labels:
    """Read a table of a machine's scores; labels of the mapping may be absent.

    Raises:
        InputError: as `read_labels`.
    """
    return _Table(scale, mapping or {}).read(path, list(read_rows(path)))


def _read_reviews(folder: Path, scale: Scale | None, mapping: Mapping[str, Dimension]) -> Labels:
    """The scores that stand in the raters' files; an edit changes nothing, for they are of the original."""
    if mapping or scale not in (None, RUBRIC_SCALE):
        raise UsageError(f"{folder}: reviews are by the rubric, 0-3; leave out --map and --scale")
    ratings = [
        Rating(review.item, dimension, score, rater, Row(folder / f"{rater}.jsonl", review.id, number))
        for rater, standing in read_reviews(folder).items()
        for number, review in enumerate(standing.reviews(), 1)
        for dimension, score in review.scores.items()
    ]
    return Labels(folder, RUBRIC_SCALE, {}, tuple(ratings))


def _nonempty(labels: Labels) -> Labels:
    if not labels.ratings:
        raise InputError(labels.path, "holds no rating; name a file with at least one")
    return labels


def _read_esconv(path: Path, rows: list[Row], scale: Scale, names: Mapping[str, Dimension]) -> Labels:
    if unknown := names.keys() - set(ESCONV_RATINGS):
        raise UsageError(f"--map {sorted(unknown)[0]}=…: ESConv's ratings are {' and '.join(ESCONV_RATINGS)}")
    if not names:
        raise InputError(path, f"seekers rated empathy and relevance; say what they stand for: {_ESCONV_HINT}")
    ratings: list[Rating] = []
    dialogues = {}
    for row, dialogue in zip(rows, read_dialogues(path), strict=True):
        given = list(_survey(row, dialogue.id, scale, names))
        ratings += given
        if given:
            dialogues[dialogue.id] = dialogue
    return Labels(path, scale, names, tuple(ratings), dialogues)


def _survey(row: Row, dialogue_id: str, scale: Scale, names: Mapping[str, Dimension]) -> Iterator[Rating]:
    record = row if row.has("dialog") else row.decoded("text")
    survey = record.fields.get("survey_score")
    given = survey.get("seeker") if isinstance(survey, dict) else None
    seeker = replace(record, value=given or {}, part="survey_score of the seeker")
    for name, dimension in names.items():
        if seeker.has(name) and (score := _number(seeker, name, scale)) is not None:
            yield Rating(dialogue_id, dimension, scale.to_rubric(score), "seeker", row)


class _Table:
    """Reads the rows of one table."""

    def __init__(self, scale: Scale, mapping: Mapping[str, Dimension]) -> None:
        self.scale = scale
        self.names: set[str] = set()  # labels seen
        self.dialogues: dict[str, Dialogue] = {}
        self._mapping = mapping
        self._seen: set[tuple[str, Dimension, str]] = set()
        self._unnamed: dict[tuple[str, Dimension], int] = {}

    def read(self, path: Path, rows: Sequence[Row]) -> Labels:
        """All ratings of the table."""
        ratings = tuple(rating for row in rows for rating in self.ratings(row))
        return _nonempty(Labels(path, self.scale, self._mapping, ratings, self.dialogues))

    def ratings(self, row: Row) -> Iterator[Rating]:
        """The ratings of one row: one if it is long, one a dimension if it is wide."""
        item = self._item(row)
        rater = _label(row, "rater") if row.has("rater") else ""
        for name, key in self._cells(row):
            dimension = self._dimension(row, name)
            score = _number(row, key, self.scale)
            if score is not None:
                yield Rating(
                    item, dimension, self.scale.to_rubric(score), self._rater(row, item, dimension, rater), row
                )

    def _cells(self, row: Row) -> list[tuple[str, str]]:
        """Label name and the key of its score."""
        if row.has("score") or row.has("dimension"):
            row.needed("score")
            return [(row.text("dimension").strip(), "score")]
        names = [key for key in row.fields if key not in (*_IDS, "rater")]
        if not names:
            raise row.error("has no rating; add the columns dimension and score, or one column a dimension")
        return [(name, name) for name in names]

    def _item(self, row: Row) -> str:
        key = row.one_of(*_IDS)
        if key != "dialogue":
            if name := _label(row, key):
                return name
            raise row.error(f"{key!r} is empty; name the dialogue")
        dialogue = row.read(lambda row: Dialogue.model_validate(row.needed("dialogue")))
        if self.dialogues.setdefault(dialogue.id, dialogue) != dialogue:
            raise row.error(f"another dialogue has the id {dialogue.id!r} too; rename one")
        return dialogue.id

    def _dimension(self, row: Row, name: str) -> Dimension:
        self.names.add(name)
        dimension = self._mapping.get(name) or as_dimension(name)
        if dimension is None:
            known = ", ".join(Dimension)
            raise row.error(f"unknown dimension {name!r}; known: {known}; or say --map {name}=DIMENSION")
        return dimension

    def _rater(self, row: Row, item: str, dimension: Dimension, given: str) -> str:
        if not given:
            number = self._unnamed[item, dimension] = self._unnamed.get((item, dimension), 0) + 1
            return str(number)
        if (item, dimension, given) in self._seen:
            raise row.error(f"rater {given!r} rates the {dimension} of {item!r} twice; keep one row")
        self._seen.add((item, dimension, given))
        return given


def _label(row: Row, key: str) -> str:
    """A name, which JSON may write as a whole number."""
    value = row.fields[key]
    return str(value) if type(value) is int else row.optional(key).strip()


def _number(row: Row, key: str, scale: Scale) -> float | None:
    value = row.fields[key]
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        raise row.error(f"{key} must be a number from {scale.low:g} to {scale.high:g}, not {value!r}; correct it")
    if not scale.low <= number <= scale.high:
        raise row.error(f"{key} {value} is outside the scale {scale}; correct it, or name the scale with --scale")
    return number
