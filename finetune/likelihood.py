"""How well a model predicts replies that people or a corpus gave: perplexity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn.functional import cross_entropy

from finetune.packing import pack
from finetune.tree import TokenTree

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Likelihood(NamedTuple):
    """Negative log-likelihood (nats) of the trained tokens of one dialogue, and how many they are."""

    nats: float
    tokens: int


def likelihoods(model: PreTrainedModel, trees: Iterable[TokenTree], batch: int = 4) -> list[Likelihood]:
    """The likelihood of each dialogue's replies under a model that `use_packed_attention` was called for.

    Args:
        model: the model, with or without an adapter.
        trees: one a dialogue.
        batch: dialogues packed into one pass.
    """
    training, found = model.training, []
    model.eval()
    left = iter(trees)
    try:
        with torch.no_grad():
            while some := list(islice(left, batch)):
                found += _of(model, some)
    finally:
        model.train(training)
    return found


def _of(model: PreTrainedModel, trees: Sequence[TokenTree]) -> list[Likelihood]:
    inputs = {name: value.to(model.device) if hasattr(value, "to") else value for name, value in pack(trees).items()}
    labels = inputs.pop("labels")
    nats = cross_entropy(model(**inputs, use_cache=False).logits[0].float(), labels[0], reduction="none")
    parts = nats.split([len(tree.trained) for tree in trees])
    return [Likelihood(float(part.double().sum()), len(part)) for part in parts]


def perplexity(found: Sequence[Likelihood]) -> float | None:
    """Perplexity over all tokens; None without any."""
    tokens = sum(one.tokens for one in found)
    return math.exp(math.fsum(one.nats for one in found) / tokens) if tokens else None
