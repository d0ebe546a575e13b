"""Several dialogues in one sequence: no padding, no attention across them, logits only where something is trained."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.nn.functional import cross_entropy
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from finetune.attention import Piece, packed_attention
from finetune.chat import Sample
from finetune.tree import TokenTree, build_tree

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

PACKED: Final = "socialsim_packed"


def pack(trees: Sequence[TokenTree]) -> dict[str, Any]:
    """Trees side by side as one row of model inputs.

    Returns:
        ``input_ids`` and ``position_ids`` of shape (1, n); ``pieces``, the paths of all trees; ``logits_to_keep`` of
        shape (m,), the m places that predict something, and ``labels`` of shape (1, m), what they predict.
    """
    starts = [0, *accumulate(len(tree.ids) for tree in trees)]
    placed = list(zip(starts, trees, strict=False))
    return {
        "input_ids": torch.tensor([[token for tree in trees for token in tree.ids]]),
        "position_ids": torch.tensor([[place for tree in trees for place in tree.positions]]),
        # A mask of four dimensions is taken as it is: none of n x n is made.
        "attention_mask": torch.ones(1, 1, 1, 1, dtype=torch.bool),
        "pieces": _pieces(trees),
        "logits_to_keep": torch.tensor([start + one.source for start, tree in placed for one in tree.trained]),
        "labels": torch.tensor([[one.token for tree in trees for one in tree.trained]]),
    }


def _pieces(trees: Sequence[TokenTree]) -> list[Piece]:
    pieces: list[Piece] = []
    for tree in trees:
        paths, first = tree.paths(), len(pieces)
        numbers = {path.start: first + number for number, path in enumerate(paths)}
        for path in paths:
            before = tuple((numbers[begin], end - begin) for begin, end in path.before)
            pieces.append(Piece(path.stop - path.start, before))
    return pieces


def use_packed_attention(model: PreTrainedModel) -> None:
    """Make a model understand `pack`'s inputs; any other input is treated as before."""
    AttentionInterface.register(PACKED, packed_attention)
    AttentionMaskInterface.register(PACKED, sdpa_mask)
    model.set_attn_implementation(PACKED)


def attention_window(config: PretrainedConfig) -> int | None:
    """How many tokens back a model's layers look where some do not look at all: packed attention has no window."""
    text = config.get_text_config()
    window, kinds = getattr(text, "sliding_window", None), getattr(text, "layer_types", None)
    used = any("sliding" in kind for kind in kinds) if kinds else getattr(text, "use_sliding_window", True)
    return window if window and used else None


def packs_alike(model: PreTrainedModel) -> bool:
    """Call `use_packed_attention`; whether the model then predicts what it predicted without.

    Some models compute attention in a way of their own, with sinks or capped scores, or let nobody else do it.
    """
    dialogues = [[Sample((5, 6, 9, 9), 2), Sample((5, 6, 7, 8, 9), 3)], [Sample((8, 7, 6, 5), 1)]]
    try:
        with torch.no_grad():
            alone = torch.cat([_alone(model, sample) for samples in dialogues for sample in samples])
            use_packed_attention(model)
            packed = _together(model, dialogues)
    except (TypeError, ValueError):
        return False
    # The order differs, what is predicted does not; half precision is good for two digits.
    apart = (alone.sort().values - packed.sort().values).norm()
    return model.config._attn_implementation == PACKED and bool(apart < 0.03 * alone.norm())


def _alone(model: PreTrainedModel, sample: Sample) -> torch.Tensor:
    logits = model(input_ids=torch.tensor([sample.ids], device=model.device), use_cache=False).logits
    return _chosen(logits[0, sample.start - 1 : -1], torch.tensor(sample.ids[sample.start :]))


def _together(model: PreTrainedModel, dialogues: Sequence[Sequence[Sample]]) -> torch.Tensor:
    batch = pack([build_tree(samples) for samples in dialogues])
    inputs = {name: one.to(model.device) if hasattr(one, "to") else one for name, one in batch.items()}
    labels = inputs.pop("labels")[0]
    return _chosen(model(**inputs, use_cache=False).logits[0], labels)


def _chosen(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Log-likelihoods of labels, shape (n,)."""
    return -cross_entropy(logits.float(), labels.to(logits.device), reduction="none")


def reply_loss(
    outputs: Any, labels: torch.Tensor, num_items_in_batch: int | torch.Tensor | None = None
) -> torch.Tensor:
    """Mean negative log-likelihood of the trained tokens.

    Args:
        outputs: a model's outputs; ``logits`` of shape (1, m, vocabulary), see `pack`.
        labels: shape (1, m).
        num_items_in_batch: trained tokens of the whole optimiser step; None for those of this input.
    """
    count = labels.numel() if num_items_in_batch is None else num_items_in_batch
    total = cross_entropy(outputs.logits[0].float(), labels[0].to(outputs.logits.device), reduction="sum")
    return total / count
