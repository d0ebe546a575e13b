"""Hold a judge against people: the card of its agreement with their ratings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from metrics.agreement import RESAMPLES, CalibrationCard, agreement, is_calibrated, summary
from metrics.calibrations import read_card
from socialsim.artifacts import slug
from socialsim.formats import read_dialogues
from socialsim.labels import Labels, mean_rating
from socialsim.lms import LMSpec
from socialsim.runfolder import read_dialogue_records, versions
from socialsim.schema import Dialogue
from socialsim.scoring import Verdict

_LIBRARIES: Final = ("scipy", "scikit-learn", "krippendorff")


def given_scores(labels: Labels, scores: Labels) -> dict[str, Verdict]:
    """A machine's scores from a file, as verdicts on the labelled items; several on one item become their mean."""
    return {
        f"{name}/{dimension}": Verdict(mean_rating(given[name]) if name in given else None)
        for dimension in labels.dimensions
        for given in (scores.of(dimension),)
        for name in labels.of(dimension)
    }


def calibrate(
    labels: Labels,
    verdicts: Mapping[str, Verdict],
    judge: str,
    program: str = "",
    judges: int = 1,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> CalibrationCard:
    """The card of a judge: its agreement with people on each rated dimension.

    Args:
        labels: people's ratings.
        verdicts: item id (``dialogue/dimension``) to what became of it; an absent item is missing.
        judge: spec of the LM, or name of the file of scores.
        program: hash of the judging program.
        judges: verdicts an item.
        seed: decides the bootstrap draws.
        resamples: their number.

    Raises:
        UsageError: if the metrics extra is not installed.
    """
    found = {}
    for dimension in labels.dimensions:
        rated = labels.of(dimension)
        given = [verdicts.get(f"{name}/{dimension}", Verdict(None)) for name in rated]
        human = [mean_rating(ratings) for ratings in rated.values()]
        malformed = sum(verdict.malformed for verdict in given)
        scores = [verdict.score for verdict in given]
        found[str(dimension)] = agreement(human, scores, list(rated.values()), malformed, resamples, seed)
    return CalibrationCard(
        judge=judge,
        program=program,
        labels=labels.path.name,
        labels_sha256=labels.sha256,
        n=len({rating.dialogue_id for rating in labels.ratings}),
        scale=(labels.scale.low, labels.scale.high),
        mapping={name: str(dimension) for name, dimension in labels.mapping.items()},
        dimensions=found,
        judges=judges,
        malformed=sum(one.malformed for one in found.values()),
        missing=sum(one.missing for one in found.values()),
        calibrated=is_calibrated(found),
        summary=summary(found),
        versions=versions() | {name: version(name) for name in _LIBRARIES},
        seed=seed,
        date=datetime.now(UTC).date().isoformat(),
    )


def corpus_dialogues(path: Path) -> dict[str, Dialogue]:
    """The dialogues of a run folder or a corpus file, by id.

    Raises:
        InputError: if it is neither.
    """
    found = read_dialogue_records(path) if path.is_dir() else read_dialogues(path)
    return {dialogue.id: dialogue for dialogue in found}


def judge_name(spec: LMSpec, program: str = "") -> str:
    """A judge in a file name: its LM, the LM's settings if the spec has any, and the hash of a compiled program."""
    settings = re.sub(r"[^\w.]+", "-", spec.text.partition("?")[2]).strip("-.")[:80]
    return "-".join(part for part in (slug(spec), settings, program) if part)


def card_file(folder: Path, judge: str, labels: Labels, n: int) -> Path:
    """Where a card is written: ``<judge>--<labels>.json``, both without folder and ending.

    A card on fewer dialogues does not replace one on more: it goes beside it, as ``<judge>--<labels>--n<N>.json``.

    Args:
        folder: of the cards.
        judge: its name in files (see `judge_name`).
        labels: people's ratings.
        n: dialogues the card rests on.
    """
    path = folder / f"{judge}--{labels.path.stem}.json"
    there = read_card(path)
    return path.with_name(f"{path.stem}--n{n}.json") if there and there["n"] > n else path
