"""How fast a student trains here, against the two loops that most code of this field is.

All see the same dialogues, base, adapter, precision and loss, and train the same reply tokens; only how many other
tokens they compute differs. The padded loop has a dialogue a row and all replies of it trained; the reply loop has a
reply with its history a row. Where a reply is not what the next prompt holds (``reasoning``), no single row of a
dialogue trains the same, and that loop is left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch
from torch.nn.functional import cross_entropy

from finetune.chat import Sample
from finetune.packing import pack, reply_loss
from finetune.tree import build_tree

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_IGNORED: Final = -100
# Dense bf16/fp16 matrix peak, TFLOP/s, without sparsity (vendors' data sheets).
PEAKS: Final[dict[str, float]] = {"H200": 989, "H100": 989, "A100": 312, "V100": 125, "L40S": 362, "L4": 121, "T4": 65}


class Speed(NamedTuple):
    """One loop.

    Attributes:
        name: which.
        replies: trained reply tokens a second.
        tokens: computed tokens a second, padding included.
        seconds: wall time of a step over ``dialogues``.
        peak: share of the card's matrix peak (0 to 1), counting useful tokens only; None on a CPU.
        memory: highest GPU memory, GiB; None on a CPU.
    """

    name: str
    replies: float
    tokens: float
    seconds: float
    peak: float | None
    memory: float | None


def benchmark(
    model: PreTrainedModel, dialogues: Sequence[Sequence[Sample]], batch: int, repeats: int = 2
) -> list[Speed]:
    """Measure the loops in turn, ``repeats`` times; the best time of each counts.

    Args:
        model: an adapted model that `use_packed_attention` was called for.
        dialogues: the samples of each, in order.
        batch: dialogues (or replies) a step.
        repeats: rounds; the first one also warms up.
    """
    groups = [list(dialogues[start : start + batch]) for start in range(0, len(dialogues), batch)]
    replies = [sample for samples in dialogues for sample in samples]
    reply_groups = [replies[start : start + batch] for start in range(0, len(replies), batch)]
    loops: dict[str, Callable[[], _Work]] = {
        "packed": lambda: _add(_packed(model, group) for group in groups),
        "padded, a dialogue a row": lambda: _add(_padded(model, [_whole(one) for one in group]) for group in groups),
        "padded, a reply a row": lambda: _add(_padded(model, [_one(one) for one in group]) for group in reply_groups),
    }
    if not all(map(_chain, dialogues)):
        del loops["padded, a dialogue a row"]
    model.train()
    found: dict[str, tuple[float, _Work]] = {}
    for _ in range(repeats):
        for name, loop in loops.items():
            _reset(model)
            started = time.perf_counter()
            work = loop()
            _wait()
            seconds = time.perf_counter() - started
            if name not in found or seconds < found[name][0]:
                found[name] = (seconds, work)
    return [_speed(model, name, seconds, work) for name, (seconds, work) in found.items()]


class _Work(NamedTuple):
    trained: int
    computed: int
    useful: int
    memory: float = 0.0


def _add(parts: Any) -> _Work:
    done = list(parts)
    memory = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else 0.0
    trained, computed, useful = (sum(part[i] for part in done) for i in range(3))
    return _Work(trained, computed, useful, memory)


def _packed(model: PreTrainedModel, group: Sequence[Sequence[Sample]]) -> _Work:
    trees = [build_tree(samples) for samples in group]
    inputs = {name: value.to(model.device) if hasattr(value, "to") else value for name, value in pack(trees).items()}
    labels = inputs.pop("labels")
    reply_loss(model(**inputs, use_cache=False), labels).backward()
    return _Work(labels.numel(), inputs["input_ids"].numel(), inputs["input_ids"].numel())


class _Row(NamedTuple):
    ids: tuple[int, ...]
    trained: frozenset[int]  # places of the tokens to be predicted


def _chain(samples: Sequence[Sample]) -> bool:
    """Whether each sample is a beginning of the last one."""
    return all(sample.ids == samples[-1].ids[: len(sample.ids)] for sample in samples)


def _whole(samples: Sequence[Sample]) -> _Row:
    trained = {place for sample in samples for place in range(sample.start, len(sample.ids))}
    return _Row(samples[-1].ids, frozenset(trained))


def _one(sample: Sample) -> _Row:
    return _Row(sample.ids, frozenset(range(sample.start, len(sample.ids))))


def _padded(model: PreTrainedModel, rows: Sequence[_Row]) -> _Work:
    longest = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    labels, seen = torch.full_like(ids, _IGNORED), torch.zeros_like(ids)
    for number, row in enumerate(rows):
        ids[number, : len(row.ids)] = torch.tensor(row.ids)
        seen[number, : len(row.ids)] = 1
        places = sorted(row.trained)
        labels[number, places] = ids[number, places]
    device = model.device
    logits = model(input_ids=ids.to(device), attention_mask=seen.to(device), use_cache=False).logits
    shifted = labels[:, 1:].to(device).flatten()
    cross_entropy(logits[:, :-1].flatten(0, 1).float(), shifted, ignore_index=_IGNORED).backward()
    return _Work(int((shifted != _IGNORED).sum()), ids.numel(), int(seen.sum()))


def _reset(model: PreTrainedModel) -> None:
    model.zero_grad(set_to_none=True)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _speed(model: PreTrainedModel, name: str, seconds: float, work: _Work) -> Speed:
    peak = memory = None
    if torch.cuda.is_available():
        card = torch.cuda.get_device_name()
        most = next((value for key, value in PEAKS.items() if key in card), None)
        # Forward 2, backward through frozen weights 2 more, of each weight and useful token; attention not counted.
        done = 4 * sum(weight.numel() for weight in model.parameters()) * work.useful / seconds
        peak, memory = done / (most * 1e12) if most else None, work.memory
    return Speed(name, work.trained / seconds, work.computed / seconds, seconds, peak, memory)
