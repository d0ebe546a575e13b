"""The rows of Table 3 for one test set: what each model said to the same gold replies, scored and compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from metrics.navg import COLUMNS, navg
from metrics.replies import Comparison, compare, reply_scores
from metrics.scored import MetricSources, ReplyMetric, ReplyPair, Scored, Unavailable
from metrics.significance import Interval, paired_bootstrap

LEVEL: Final = 0.05  # the paper's


class Nats(NamedTuple):
    """Negative log-likelihood of one dialogue's gold replies, and the tokens they have for the model."""

    nats: float
    tokens: int


class ModelReplies(NamedTuple):
    """What one model said in a test set.

    Attributes:
        pairs: the same gold replies in the same order for every model; a failure is an empty reply.
        failures: replies that could not be used.
        likelihoods: by dialogue, or why there are none.
    """

    pairs: Sequence[ReplyPair]
    failures: int
    likelihoods: Mapping[str, Nats] | Unavailable


class Row(NamedTuple):
    """One model's row.

    Attributes:
        scores: every metric, or what it lacks.
        navg: against the reference; None unless all seven metrics are there.
        perplexity: of the gold replies, or why there is none.
        words: mean words of a reply.
    """

    scores: Mapping[ReplyMetric, Scored | Unavailable]
    navg: float | None
    perplexity: float | Unavailable
    replies: int
    failures: int
    words: float

    @property
    def values(self) -> dict[ReplyMetric, float]:
        """The metrics that there are."""
        return {name: score.value for name, score in self.scores.items() if isinstance(score, Scored)}


class Gain(NamedTuple):
    """A model against the reference.

    Attributes:
        metrics: those with a value for each reply.
        perplexity: difference of the mean log-perplexity a token, better where negative; None where the two do not
            predict the same tokens.
    """

    metrics: Mapping[ReplyMetric, Comparison]
    perplexity: Interval | None


class ReplyTable(NamedTuple):
    """One test set: its rows, and every other model's gain on the reference."""

    reference: str
    dialogues: int
    rows: Mapping[str, Row]
    gains: Mapping[str, Gain]


def reply_table(models: Mapping[str, ModelReplies], reference: str, sources: MetricSources) -> ReplyTable:
    """Score and compare the models on one test set.

    Args:
        models: name to replies.
        reference: the model of NAvg and of the comparisons.
        sources: see `reply_scores`.

    Raises:
        InputError, UsageError: if a source was named that cannot be used.
    """
    scores = {name: reply_scores(said.pairs, sources) for name, said in models.items()}
    base = models[reference]
    groups = [pair.group for pair in base.pairs]
    rows = {name: _row(said, scores[name], scores[reference]) for name, said in models.items()}
    gains = {
        name: Gain(_comparisons(scores[reference], scores[name], groups), _log_gain(base, said))
        for name, said in models.items()
        if name != reference
    }
    return ReplyTable(reference, len(set(groups)), rows, gains)


def better(comparison: Comparison) -> bool:
    """Whether it carries the paper's star: p < 0.05 in the one-tailed unpaired t-test."""
    return comparison.test is not None and comparison.test.p < LEVEL


def _row(
    said: ModelReplies,
    scores: Mapping[ReplyMetric, Scored | Unavailable],
    reference: Mapping[ReplyMetric, Scored | Unavailable],
) -> Row:
    mine, base = (
        {name: one.value for name, one in each.items() if isinstance(one, Scored)} for each in (scores, reference)
    )
    words = sum(len(pair.reply.split()) for pair in said.pairs) / len(said.pairs)
    return Row(scores, navg(mine, base), _perplexity(said), len(said.pairs), said.failures, words)


def _perplexity(said: ModelReplies) -> float | Unavailable:
    if isinstance(said.likelihoods, Unavailable):
        return said.likelihoods
    tokens = sum(one.tokens for one in said.likelihoods.values())
    if not tokens:
        return Unavailable("no gold reply fits the model's context", "take a base with a longer one")
    return math.exp(math.fsum(one.nats for one in said.likelihoods.values()) / tokens)


def _comparisons(
    first: Mapping[ReplyMetric, Scored | Unavailable],
    second: Mapping[ReplyMetric, Scored | Unavailable],
    groups: Sequence[str],
) -> dict[ReplyMetric, Comparison]:
    found = {}
    for name in (*COLUMNS, ReplyMetric.BERTSCORE):
        before, after = first[name], second[name]
        if isinstance(before, Scored) and isinstance(after, Scored) and (made := compare(before, after, groups)):
            found[name] = made
    return found


def _log_gain(first: ModelReplies, second: ModelReplies) -> Interval | None:
    """Bootstrap over dialogues; every token counts with its dialogue's mean, so that long ones weigh more."""
    before, after = first.likelihoods, second.likelihoods
    if isinstance(before, Unavailable) or isinstance(after, Unavailable):
        return None
    tokens = {name: one.tokens for name, one in before.items() if one.tokens}
    if not tokens or tokens != {name: one.tokens for name, one in after.items() if one.tokens}:
        return None
    groups = [name for name, count in tokens.items() for _ in range(count)]
    means = [{name: each[name].nats / count for name, count in tokens.items()} for each in (before, after)]
    return paired_bootstrap([means[0][name] for name in groups], [means[1][name] for name in groups], groups)
