"""What an evaluation is asked to do and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from metrics.reply_table import ModelReplies, Nats, ReplyTable
from metrics.scored import MetricSources, ReplyPair, Unavailable
from socialsim.lms import LMSpec
from socialsim.predicting import STUDENT
from socialsim.predictions import EvaluationSettings, GoldLikelihood, ModelRecord, Prediction
from socialsim.runfolder import versions
from socialsim.schema import Node

_NOT_LOCAL: Final = Unavailable(
    "perplexity: an LM behind a prompt does not say how likely a gold reply is", "name a local student: NAME=student:…"
)
_REASONS_FIRST: Final = Unavailable(
    "perplexity: a student that reasons first, or knows the programs' prompts only, predicts no reply on its own",
    "train one with --variant response",
)


@dataclass(frozen=True)
class EvaluationConfig:
    """What an evaluation is asked to do; a folder's own models and tests are kept.

    Attributes:
        out: its folder.
        models: name to spec.
        tests: name to corpus; of a split folder the test side is taken.
        reference: the model of NAvg and of the comparisons; "" for the folder's, else the first.
        sources: of the metrics; None for those the folder remembers.
        limit: dialogues of each test, from the first; it may grow.
        nodes: reasoning asked of prompted LMs.
        shots: authored examples in their prompts.
        concurrency: dialogues in flight at once; None: what suits each model.
    """

    out: Path
    models: Mapping[str, LMSpec] = field(default_factory=dict)
    tests: Mapping[str, str] = field(default_factory=dict)
    reference: str = ""
    sources: MetricSources | None = None
    limit: int | None = None
    nodes: tuple[Node, ...] | None = None
    shots: int | None = None
    concurrency: int | None = None


class EvaluationResult(NamedTuple):
    """What an evaluation found.

    Attributes:
        settings: what it was made with.
        tables: by test set.
        predictions: every prediction.
    """

    settings: EvaluationSettings
    tables: dict[str, ReplyTable]
    predictions: list[Prediction]


def model_replies(
    predictions: Sequence[Prediction], told: Sequence[GoldLikelihood], model: ModelRecord
) -> ModelReplies:
    """What is scored of a model: replies only."""
    pairs = [ReplyPair(one.dialogue, one.reply, one.gold) for one in predictions]
    failures = sum(bool(one.failure) for one in predictions)
    if model.likelihoods:
        return ModelReplies(pairs, failures, {one.dialogue: Nats(one.nats, one.tokens) for one in told})
    return ModelReplies(pairs, failures, _REASONS_FIRST if model.spec.startswith(STUDENT) else _NOT_LOCAL)


def sources_of(settings: EvaluationSettings) -> MetricSources:
    """What the metrics are computed with."""
    vectors = Path(settings.vectors) if settings.vectors else None
    return MetricSources(vectors, settings.encoder or None, settings.layers)


def remembered(sources: MetricSources | None) -> dict[str, object]:
    """The settings that name what is given; what is not stays as it was."""
    if sources is None:
        return {}
    given: dict[str, object] = {}
    if sources.vectors is not None:
        given["vectors"] = str(sources.vectors)
    if sources.encoder is not None:
        given |= {"encoder": str(sources.encoder), "layers": sources.layers}
    elif sources.layers is not None:
        given["layers"] = sources.layers
    return given


def all_versions() -> dict[str, str]:
    """Versions of what can change a reply or a metric, where it is installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = versions()
    for name in ("sacrebleu", "rouge-score", "nltk", "gensim", "bert-score", "torch", "transformers", "peft"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
