"""Keys and values of several texts at once: a slot a text, and attention that reads and writes them.

A step runs the new tokens of all texts as one row, without padding; each text's tokens attend to its own slot.
So prompts and single tokens mix freely, a text may come or go between two steps, and what a slot holds serves the
next prompt that begins alike.

The library's own continuous batching (transformers 5.23) runs on a CPU too, but has no place for a grammar of each
request, samples or takes the best for all of them alike, shares beginnings in whole pages and does not say how much.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from finetune.attention import packed_attention
from socialsim.errors import LMSpecError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SLOTS: Final = "socialsim_slots"
_KNOWN_LAYERS: Final = {"full_attention", "sliding_attention"}
_FIRST: Final = 256  # tokens a slot has room for at first; it doubles


class Slot:
    """One text and what the model computed for it.

    Attributes:
        tokens: those whose keys and values are held.
    """

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self._layers: list[tuple[torch.Tensor, torch.Tensor]] = []

    def extend(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Add a layer's keys and values of new tokens, shapes (heads, new, size); returns those of all tokens."""
        past = len(self.tokens)
        length = past + key.shape[1]
        if layer == len(self._layers):
            self._layers.append((key[:, :0], value[:, :0]))
        held = self._layers[layer]
        if held[0].shape[1] < length:
            held = self._layers[layer] = (_grown(held[0], past, length), _grown(held[1], past, length))
        held[0][:, past:length] = key
        held[1][:, past:length] = value
        return held[0][:, :length], held[1][:, :length]

    def keep(self, length: int) -> None:
        """Forget all but the first tokens."""
        del self.tokens[length:]

    def copy_from(self, other: Slot, length: int) -> None:
        """Hold the first tokens of another text instead."""
        self.tokens = other.tokens[:length]
        self._layers = [(_grown(key, length, length), _grown(value, length, length)) for key, value in other._layers]


def _grown(held: torch.Tensor, past: int, length: int) -> torch.Tensor:
    room = _FIRST
    while room < length:
        room *= 2
    grown = held.new_empty(held.shape[0], room, held.shape[2])
    grown[:, :past] = held[:, :past]
    return grown


class Span(NamedTuple):
    """Tokens ``start`` to ``stop`` of the row continue the text of ``slot``."""

    slot: Slot
    start: int
    stop: int


def slot_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    spans: Sequence[Span] | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of each span to its slot; without ``spans`` see `packed_attention`.

    Args:
        module: the attention layer; ``layer_idx`` tells which.
        query: shape (1, heads, n, size); key and value have their own number of heads.
        key: see ``query``.
        value: see ``query``.
        attention_mask: only without ``spans``.
        spans: which tokens belong to which text.
        options: scaling, sliding_window.

    Returns:
        Shape (1, n, heads, size), and no weights.
    """
    if spans is None:
        return packed_attention(module, query, key, value, attention_mask, **options)
    done = []
    for slot, start, stop in spans:
        part = slice(start, stop)
        keys, values = slot.extend(int(module.layer_idx), key[0, :, part], value[0, :, part])  # type: ignore[arg-type]
        mask = _visible(stop - start, keys.shape[1], options.get("sliding_window"), query.device)
        causal = mask is None and stop - start > 1
        one = sdpa_attention_forward(
            module, query[:, :, part], keys[None], values[None], mask, is_causal=causal, **options
        )
        done.append(one[0])
    return torch.cat(done, dim=1), None


def _visible(new: int, total: int, window: int | None, device: torch.device) -> torch.Tensor | None:
    """Which token sees which, shape (1, 1, new, total); None: a single token sees all, or the text begins here."""
    narrow = window is not None and total > window
    if not narrow and (new == 1 or new == total):
        return None
    every = torch.ones(new, total, dtype=torch.bool, device=device)
    seen = every.tril(total - new)
    if narrow and window is not None:
        seen &= ~every.tril(total - new - window)
    return seen[None, None]


def use_slots(model: PreTrainedModel) -> None:
    """Make a model understand ``spans`` and `finetune.packing.pack`'s inputs.

    Raises:
        LMSpecError: if it has layers that attend in another way.
    """
    config = model.config.get_text_config()
    layers = set(getattr(config, "layer_types", None) or ())
    if layers - _KNOWN_LAYERS or not model._supports_attention_backend:
        raise LMSpecError(f"models of type {config.model_type} cannot speak in process; serve it and give its address")
    AttentionInterface.register(SLOTS, slot_attention)
    AttentionMaskInterface.register(SLOTS, sdpa_mask)
    model.set_attn_implementation(SLOTS)
