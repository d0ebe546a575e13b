"""Attention over the pieces of a packed sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward


@dataclass(frozen=True)
class Piece:
    """A stretch of a sequence and what it sees besides itself.

    Attributes:
        size: tokens of the stretch.
        before: beginnings of earlier pieces: the piece's number and how many of its tokens.
    """

    size: int
    before: tuple[tuple[int, int], ...]


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

    Piece by piece wastes no product; one mask over the whole sequence would cost its square.

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

    Raises:
        ValueError: if the layer has sinks, which the kernel does not know.
    """
    if pieces is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    if options.get("s_aux") is not None:
        raise ValueError("attention sinks cannot be packed")
    # Split, not sliced: the gradient of each slice would be as long as the whole sequence.
    queries, keys, values = (states.split([piece.size for piece in pieces], dim=2) for states in (query, key, value))
    done = []
    for number, piece in enumerate(pieces):
        seen = _seen(keys, number, piece), _seen(values, number, piece)
        mask = _causal(piece.size, seen[0].shape[2], query.device) if piece.before else None
        given: Any = {"is_causal": not piece.before, **options}
        done.append(sdpa_attention_forward(module, queries[number], *seen, mask, **given)[0])
    return torch.cat(done, dim=1), None


def _seen(states: Sequence[torch.Tensor], number: int, piece: Piece) -> torch.Tensor:
    if not piece.before:
        return states[number]
    return torch.cat([*(states[other][:, :, :count] for other, count in piece.before), states[number]], dim=2)


def _causal(queries: int, keys: int, device: torch.device) -> torch.Tensor:
    """Which token sees which, shape (1, 1, queries, keys): all that leads there, itself, nothing later."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)[None, None]
