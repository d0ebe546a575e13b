"""Verdict files as `socialsim judge` leaves them, without a judge."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from metrics.rubric import Dimension, RubricVerdict, Score, text_digest
from socialsim.journal import Journal
from socialsim.schema import Dialogue


def write_verdicts(file: Path, dialogues: Iterable[Dialogue], score: int, judge: str = "made-up/judge") -> Path:
    """A verdict on each dialogue that gives every dimension one score."""
    with Journal(file, RubricVerdict) as journal:
        for one in dialogues:
            scores = tuple(Score(dimension=d, sample=1, score=score, discussion="made up") for d in Dimension)
            journal.append(
                RubricVerdict(
                    id=one.id, text=text_digest(one), judge=judge, program="p", k=1, calibrated=False, scores=scores
                )
            )
    return file
