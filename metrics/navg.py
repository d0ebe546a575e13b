"""NAvg, the paper's one figure for a row of Table 3 or 4, and the rows it printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from metrics.scored import ReplyMetric
from socialsim.schema import Node

COLUMNS: Final = (
    ReplyMetric.BLEU1,
    ReplyMetric.BLEU2,
    ReplyMetric.ROUGE_L,
    ReplyMetric.METEOR,
    ReplyMetric.EXTREMA,
    ReplyMetric.DISTINCT1,
    ReplyMetric.DISTINCT2,
)


class PublishedRow(NamedTuple):
    """A printed row.

    Attributes:
        scores: by metric, 0 to 100.
        navg: as printed, three decimals.
        significant: whether it carries the star: better than the baselines, p < 0.05, one-tailed unpaired t-test.
    """

    scores: Mapping[ReplyMetric, float]
    navg: float
    significant: bool = False


def navg(row: Mapping[ReplyMetric, float], reference: Mapping[ReplyMetric, float]) -> float | None:
    """Mean over the paper's seven metrics of the row's value by the reference's (paper: "Metrics").

    Args:
        row: by metric; BERTScore and others beside the seven do not count.
        reference: the same of the model trained on ESConv, on the same test set.

    Returns:
        1.0 for the reference itself; None where one of the seven is missing on either side or 0 in the reference: the
        mean of fewer is another figure.
    """
    if any(name not in row or not reference.get(name) for name in COLUMNS):
        return None
    return sum(row[name] / reference[name] for name in COLUMNS) / len(COLUMNS)


def _row(*values: float, significant: bool = False) -> PublishedRow:
    *scores, printed = values
    return PublishedRow(dict(zip(COLUMNS, scores, strict=True)), printed, significant)


_FULL: Final = _row(32.19, 18.34, 26.02, 25.85, 50.96, 3.55, 23.52, 1.390, significant=True)
_REPLY_ONLY: Final = _row(31.44, 17.20, 24.65, 24.75, 49.96, 3.55, 22.77, 1.338, significant=True)

# Table 3 of the paper: test set, then the corpus trained on (Llama-2-7b with LoRA). "°" is trained on replies alone,
# "•" writes its reasoning first.
PUBLISHED: Final[Mapping[str, Mapping[str, PublishedRow]]] = {
    "SSConv-test": {
        "ESConv°": _row(22.05, 8.96, 18.27, 15.67, 47.90, 3.47, 22.15, 1.000),
        "ExTES°": _row(28.56, 14.54, 23.02, 23.32, 49.04, 2.90, 19.00, 1.198),
        "AugESC°": _row(19.15, 7.21, 16.50, 13.73, 47.04, 3.47, 23.24, 0.926),
        "SSConv°": _REPLY_ONLY,
        "SSConv•": _FULL,
    },
    "ESConv-test": {
        "ESConv°": _row(18.82, 7.90, 18.89, 15.94, 49.54, 4.41, 25.39, 1.000),
        "ExTES°": _row(23.32, 9.19, 18.66, 17.98, 48.28, 3.79, 22.02, 1.031),
        "AugESC°": _row(15.00, 5.88, 16.94, 13.63, 47.91, 4.55, 26.34, 0.904),
        "SSConv°": _row(21.47, 7.93, 17.57, 17.10, 47.15, 4.08, 25.08, 1.002),
        "SSConv•": _row(21.73, 8.00, 17.36, 16.36, 47.26, 4.57, 25.87, 1.017),
    },
}

_SITUATION, _THOUGHT, _ACTION, _STRATEGY = Node

# Table 4 of the paper: the reasoning nodes written before the reply, on SSConv-test; NAvg against Table 3's ESConv°.
PUBLISHED_ABLATION: Final[Mapping[tuple[Node, ...], PublishedRow]] = {
    (): _REPLY_ONLY._replace(significant=False),
    (_THOUGHT, _ACTION, _STRATEGY): _row(31.97, 17.76, 25.56, 25.69, 50.39, 3.61, 24.12, 1.379),
    (_SITUATION, _ACTION, _STRATEGY): _row(31.96, 17.74, 25.48, 25.47, 50.35, 3.53, 24.10, 1.372),
    (_SITUATION, _THOUGHT, _STRATEGY): _row(32.00, 17.71, 25.37, 25.47, 50.44, 3.59, 24.41, 1.376),
    (_SITUATION, _THOUGHT, _ACTION): _row(32.40, 18.18, 25.74, 25.80, 50.59, 3.45, 23.01, 1.378),
    tuple(Node): _FULL._replace(significant=False),
}
