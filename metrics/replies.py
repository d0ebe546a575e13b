"""The reply metrics of Tables 3 and 4: a model's replies against the gold replies of a test set.

Each metric is computed by a well-kept library or not at all: one whose library or data is missing is reported as
`Unavailable` with what gets it, never computed in a weaker way under the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from metrics.bertscore import bertscore, find_encoder
from metrics.diversity import distinct
from metrics.extrema import NO_VECTORS, extrema
from metrics.navg import COLUMNS, PUBLISHED, PUBLISHED_ABLATION, PublishedRow, navg
from metrics.overlap import bleu, meteor, rouge_l
from metrics.scored import MetricSources, ReplyMetric, ReplyPair, Scored, Unavailable, clean, library
from metrics.significance import Interval, TTest, paired_bootstrap, unpaired_t
from metrics.vectors import word_vectors
from metrics.wordnet import find_wordnet

__all__ = [
    "COLUMNS",
    "PUBLISHED",
    "PUBLISHED_ABLATION",
    "Comparison",
    "MetricSources",
    "PublishedRow",
    "ReplyMetric",
    "ReplyPair",
    "Scored",
    "Unavailable",
    "compare",
    "missing",
    "navg",
    "reply_scores",
]

_NO_SOURCES: Final = MetricSources()
_Scorer = Callable[[Sequence[ReplyPair], MetricSources], Scored | Unavailable]

_SCORERS: Final[Mapping[ReplyMetric, _Scorer]] = {
    ReplyMetric.BLEU1: lambda pairs, sources: bleu(pairs, 1),
    ReplyMetric.BLEU2: lambda pairs, sources: bleu(pairs, 2),
    ReplyMetric.ROUGE_L: lambda pairs, sources: rouge_l(pairs),
    ReplyMetric.METEOR: lambda pairs, sources: meteor(pairs),
    ReplyMetric.EXTREMA: lambda pairs, sources: extrema(pairs, sources.vectors),
    ReplyMetric.DISTINCT1: lambda pairs, sources: distinct(pairs, 1),
    ReplyMetric.DISTINCT2: lambda pairs, sources: distinct(pairs, 2),
    ReplyMetric.BERTSCORE: bertscore,
}


class Comparison(NamedTuple):
    """How one model's items of a metric differ from another's.

    Attributes:
        gain: mean of the second minus the first, with its paired bootstrap interval over dialogues.
        test: the paper's one-tailed unpaired t-test that the second is better; None where it is undefined.
    """

    gain: Interval
    test: TTest | None


def reply_scores(
    pairs: Sequence[ReplyPair], sources: MetricSources = _NO_SOURCES
) -> dict[ReplyMetric, Scored | Unavailable]:
    """All reply metrics, in the order of the paper's columns, BERTScore last.

    Reply text only is scored; an empty reply counts with 0 and is never dropped.

    Args:
        pairs: one or more; both sides are cleaned first (`metrics.scored.clean`).
        sources: word vectors and encoder.

    Raises:
        ValueError: if there is no pair, or a gold reply is empty: it can be compared with nothing.
        InputError, UsageError: if a source was named that cannot be used.
    """
    cleaned = [ReplyPair(pair.group, clean(pair.reply), clean(pair.gold)) for pair in pairs]
    if not cleaned or not all(pair.gold for pair in cleaned):
        raise ValueError("reply metrics need pairs, each with a gold reply")
    return {name: score(cleaned, sources) for name, score in _SCORERS.items()}


def missing(sources: MetricSources = _NO_SOURCES) -> dict[ReplyMetric, Unavailable]:
    """What `reply_scores` could not compute here, before any reply is generated; loads no data.

    Raises:
        InputError, UsageError: if a source was named that cannot be used.
    """
    sacrebleu = library("sacrebleu")
    found: dict[ReplyMetric, object] = {
        ReplyMetric.BLEU1: sacrebleu,
        ReplyMetric.BLEU2: sacrebleu,
        ReplyMetric.ROUGE_L: library("rouge_score"),
        ReplyMetric.METEOR: library("nltk", "sacrebleu") or find_wordnet(),
        ReplyMetric.EXTREMA: library("numpy", "sacrebleu", "gensim", "nltk")
        or (word_vectors(sources.vectors) if sources.vectors else NO_VECTORS),
        ReplyMetric.DISTINCT1: sacrebleu,
        ReplyMetric.DISTINCT2: sacrebleu,
        ReplyMetric.BERTSCORE: find_encoder(sources),
    }
    return {name: lacking for name, lacking in found.items() if isinstance(lacking, Unavailable)}


def compare(first: Scored, second: Scored, groups: Sequence[str]) -> Comparison | None:
    """Whether the second model's replies score better than the first's to the same gold replies.

    Pairs that are undefined on either side are left out on both. For BLEU the items are sentence BLEU, not the
    corpus value.

    Args:
        first: a metric of the baseline.
        second: the same metric of the other model, computed in the same way.
        groups: dialogue of each pair, shape (pairs,).

    Returns:
        None for a metric without items (Distinct).

    Raises:
        ValueError: if the lengths differ, or the two were computed in different ways.
    """
    if first.items is None or second.items is None:
        return None
    if first.detail != second.detail:
        raise ValueError(f"not comparable: {first.detail} and {second.detail}")
    rows = list(zip(first.items, second.items, groups, strict=True))
    both = [(before, after, group) for before, after, group in rows if before is not None and after is not None]
    befores, afters = [row[0] for row in both], [row[1] for row in both]
    return Comparison(paired_bootstrap(befores, afters, [row[2] for row in both]), unpaired_t(befores, afters))
