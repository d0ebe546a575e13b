"""What a reply metric takes and gives, and the one way replies are cut into tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from statistics import fmean
from typing import Any, Final, NamedTuple

from socialsim.text import split_emoji, with_emoji

INSTALL: Final = "pip install 'socialsim[eval]'"
_QUOTES: Final = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"'})


class ReplyMetric(StrEnum):
    """The columns of Table 3 by the paper's names, and BERTScore beside them."""

    BLEU1 = "B-1"
    BLEU2 = "B-2"
    ROUGE_L = "R-L"
    METEOR = "METEOR"
    EXTREMA = "Extrema"
    DISTINCT1 = "D-1"
    DISTINCT2 = "D-2"
    BERTSCORE = "BERTScore"


class ReplyPair(NamedTuple):
    """A model's reply and the reply of the corpus, never with reasoning.

    A closing emoji is part of the text on both sides: the supporters of SSConv write them, and a student that
    learned to is scored for it. (ROUGE-L and Extrema read words only, so there it counts for nothing.)

    Attributes:
        group: id of the dialogue, for intervals over whole dialogues.
        reply: what the model said; empty where it said nothing.
        gold: what the corpus has.
    """

    group: str
    reply: str
    gold: str


class Scored(NamedTuple):
    """One metric over all pairs.

    Attributes:
        value: as the paper prints it: 0 to 100 (Extrema and BERTScore rest on cosines: -100 to 100).
        items: the metric of each pair, same scale, shape (pairs,); None within where it is undefined for a pair.
            None for metrics of the whole set (Distinct).
        detail: how it was computed: settings, or the encoder that BERTScore stands on. Values with different
            details are not comparable.
    """

    value: float
    items: tuple[float | None, ...] | None
    detail: str

    @property
    def left_out(self) -> int:
        """Pairs the metric is undefined for; they count neither as 0 nor as anything else."""
        return sum(item is None for item in self.items or ())


class Unavailable(NamedTuple):
    """A metric that was not computed: why, and the command that gets what it needs."""

    reason: str
    command: str

    def __str__(self) -> str:
        return f"{self.reason}; {self.command}"


@dataclass(frozen=True)
class MetricSources:
    """Where the metrics find what does not come with their libraries.

    Attributes:
        vectors: word vectors for Extrema: a text file of word2vec or GloVe, plain or .gz.
        encoder: BERTScore's: a folder, a hub id that is on this machine already, or "minilm" for the encoder of
            the eval extra. None is bert-score's default for English, roberta-large.
        layers: the encoder's layer to read; None takes the one bert-score recommends where it knows the encoder.
    """

    vectors: Path | None = None
    encoder: Path | str | None = None
    layers: int | None = None


def library(*modules: str) -> Unavailable | None:
    """None if the modules of the eval extra can be imported, else what to install."""
    for module in modules:
        try:
            import_module(module)
        except ImportError:
            return Unavailable(f"{module.partition('.')[0]} is not installed", f"run: {INSTALL}")
    return None


def clean(text: str) -> str:
    """A text as both sides are scored: straight quotes, single spaces, a space before the closing emoji.

    Typography is no part of what a model learned to say, and "day😊" would be one token.
    """
    return with_emoji(*split_emoji(" ".join(text.translate(_QUOTES).split())))


@lru_cache(maxsize=2**16)
def tokens(text: str) -> tuple[str, ...]:
    """Lower-case tokens by sacrebleu's 13a rules (mteval-v13a): punctuation is tokens, "don't" is one.

    BLEU, METEOR, Extrema and Distinct share them; needs sacrebleu, see `library`.
    """
    return tuple(_tokenizer()(text.lower()).split())


def averaged(items: Sequence[float | None], detail: str) -> Scored:
    """The mean of the defined items, of which there must be one."""
    return Scored(fmean(item for item in items if item is not None), tuple(items), detail)


@lru_cache(maxsize=1)
def _tokenizer() -> Any:
    return import_module("sacrebleu.tokenizers.tokenizer_13a").Tokenizer13a()
