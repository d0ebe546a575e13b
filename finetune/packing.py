"""Several dialogues in one sequence: no padding, no attention across them, logits only where something is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.nn.functional import cross_entropy
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from finetune.tree import Path, TokenTree

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PACKED: Final = "socialsim_packed"


@dataclass(frozen=True)
class Piece:
    """One path of a tree in a packed sequence (see `Path`), as slices of that sequence."""

    own: slice
    before: tuple[slice, ...]


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
        "pieces": [_piece(path, start) for start, tree in placed for path in tree.paths()],
        "logits_to_keep": torch.tensor([start + one.source for start, tree in placed for one in tree.trained]),
        "labels": torch.tensor([[one.token for tree in trees for one in tree.trained]]),
    }


def _piece(path: Path, start: int) -> Piece:
    before = tuple(slice(start + begin, start + end) for begin, end in path.before)
    return Piece(slice(start + path.start, start + path.stop), before)


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    pieces: Sequence[Piece] | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of each piece to itself and to what leads to it, by torch's fused kernel; without ``pieces`` the usual.

    Piece by piece costs a launch each and no wasted product; one mask over the whole sequence would cost its square.

    Args:
        module: the attention layer.
        query: shape (1, heads, n, size); key and value have their own number of heads.
        key: see ``query``.
        value: see ``query``.
        attention_mask: only without ``pieces``.
        pieces: together they cover the sequence, in order.
        options: scaling, dropout.

    Returns:
        Shape (1, n, heads, size), and no weights.
    """
    if pieces is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    done = []
    for piece in pieces:
        mine = query[:, :, piece.own]
        keys, values = _seen(key, piece), _seen(value, piece)
        mask = _causal(mine.shape[2], keys.shape[2], query.device) if piece.before else None
        done.append(sdpa_attention_forward(module, mine, keys, values, mask, is_causal=not piece.before, **options)[0])
    return torch.cat(done, dim=1), None


def _seen(states: torch.Tensor, piece: Piece) -> torch.Tensor:
    if not piece.before:
        return states[:, :, piece.own]
    return torch.cat([states[:, :, part] for part in (*piece.before, piece.own)], dim=2)


def _causal(queries: int, keys: int, device: torch.device) -> torch.Tensor:
    """Which token sees which, shape (1, 1, queries, keys): all that leads there, itself, nothing later."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)[None, None]


def use_packed_attention(model: PreTrainedModel) -> None:
    """Make a model understand `pack`'s inputs; any other input is treated as before."""
    AttentionInterface.register(PACKED, packed_attention)
    AttentionMaskInterface.register(PACKED, sdpa_mask)
    model.set_attn_implementation(PACKED)


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
