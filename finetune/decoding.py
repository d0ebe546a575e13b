"""Writing texts: one thread owns the model and runs all that are being written, step by step."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import torch

from finetune.grammar import Follower
from finetune.slots import Slot, Span

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_CHUNK: Final = 512  # tokens of a prompt read in one step, so that long prompts do not hold up the others


class Sampling(NamedTuple):
    """How the next token is chosen.

    Attributes:
        temperature: 0 takes the best.
        top_p: share of the probability that is left.
        min_p: least probability, as a share of the best token's.
        max_tokens: tokens written at most.
        seed: makes it repeatable; None draws one.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    min_p: float = 0.0
    max_tokens: int = 256
    seed: int | None = None


class Written(NamedTuple):
    """A text.

    Attributes:
        ids: its tokens, without the one that ends it.
        prompt: tokens of the prompt; ``cached`` of them were known from before.
        tokens: tokens written, the end included.
        finish: stop, or length where it was cut.
    """

    ids: tuple[int, ...]
    prompt: int
    cached: int
    tokens: int
    finish: Literal["stop", "length"]


@dataclass(eq=False)
class _Job:
    """A text being written: ``pending`` tokens are chosen or given, but not yet in the slot."""

    prompt: tuple[int, ...]
    sampling: Sampling
    follower: Follower | None
    future: Future[Written] = field(default_factory=Future)
    slot: Slot = field(default_factory=Slot)
    cached: int = 0
    pending: list[int] = field(default_factory=list)
    written: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        seed = self.sampling.seed
        self.generator = torch.Generator().manual_seed(secrets.randbits(62) if seed is None else seed)


class Decoder:
    """Writes with one model.

    Args:
        model: a model that `use_slots` was called for.
        ends: tokens that end a text.
        places: texts written side by side; as many finished ones are kept for the prompts that go on from them.
    """

    def __init__(self, model: PreTrainedModel, ends: frozenset[int], places: int = 4) -> None:
        self._model = model
        self._ends = ends
        self._places = places
        self._waiting: deque[_Job] = deque()
        self._running: list[_Job] = []
        self._free: list[Slot] = []  # finished texts, the oldest first
        self._lock = threading.Lock()
        self._busy = False

    def submit(
        self, prompt: Sequence[int], sampling: Sampling | None = None, follower: Follower | None = None
    ) -> Future[Written]:
        """Write what follows a prompt of at least one token; a future that is cancelled frees its place."""
        job = _Job(tuple(prompt), sampling or Sampling(), follower)
        with self._lock:
            self._waiting.append(job)
            if not self._busy:  # the thread ends when there is nothing to do: nothing is left behind at exit
                self._busy = True
                threading.Thread(target=self._work, name="student", daemon=True).start()
        return job.future

    def _work(self) -> None:
        while True:
            with self._lock:
                self._admit()
                if not self._running:
                    self._busy = False
                    return
            try:
                self._step()
            except Exception as error:
                for job in self._running:
                    if job.future.set_running_or_notify_cancel():
                        job.future.set_exception(error)
                self._running.clear()
                self._free.clear()

    def _admit(self) -> None:
        for job in [one for one in self._running if one.future.cancelled()]:
            self._leave(job)
        while self._waiting and len(self._running) < self._places:
            job = self._waiting.popleft()
            if not job.future.cancelled():
                self._seat(job)
                self._running.append(job)

    def _seat(self, job: _Job) -> None:
        """Find the slot that knows most of the prompt; a text that goes on elsewhere is copied, not taken."""
        # The last token must be computed: it tells the first one to be written.
        prompt = job.prompt[:-1]
        known = [*self._free, *(other.slot for other in self._running)]
        best = max(known, key=lambda one: _common(prompt, one.tokens), default=None)
        shared = _common(prompt, best.tokens) if best else 0
        if best is not None and best in self._free and shared > len(best.tokens) / 2:
            self._free.remove(best)
            best.keep(shared)
            job.slot = best
        elif best is not None:
            job.slot.copy_from(best, shared)
        job.cached = shared
        job.pending = list(job.prompt[shared:])

    def _leave(self, job: _Job) -> None:
        self._running.remove(job)
        self._free.append(job.slot)
        del self._free[: -self._places]

    @torch.inference_mode()
    def _step(self) -> None:
        ids: list[int] = []
        places: list[int] = []
        spans: list[Span] = []
        for job in self._running:
            new = job.pending[:_CHUNK]
            spans.append(Span(job.slot, len(ids), len(ids) + len(new)))
            places += range(len(job.slot.tokens), len(job.slot.tokens) + len(new))
            ids += new
        device = self._model.device
        logits = self._model(
            input_ids=torch.tensor([ids], device=device),
            position_ids=torch.tensor([places], device=device),
            logits_to_keep=torch.tensor([span.stop - 1 for span in spans], device=device),
            attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device),  # four dimensions: none is made
            spans=spans,
            use_cache=False,
        ).logits[0]
        for job, span, row in zip(list(self._running), spans, logits.float().cpu(), strict=True):
            job.slot.tokens += ids[span.start : span.stop]
            del job.pending[: span.stop - span.start]
            if not job.pending:
                self._advance(job, row)

    def _advance(self, job: _Job, logits: torch.Tensor) -> None:
        try:
            token = _choose(logits, job)
            forced = job.follower.take(token) if job.follower else []
        except Exception as error:  # of one text's grammar; the others go on
            self._running.remove(job)
            if job.future.set_running_or_notify_cancel():
                job.future.set_exception(error)
            return
        job.pending = [token, *forced][: job.sampling.max_tokens - len(job.written)]
        job.written += job.pending
        over = [index for index, one in enumerate(job.written) if one in self._ends]
        ended = bool(over) or (job.follower is not None and job.follower.done)
        if ended or len(job.written) >= job.sampling.max_tokens:
            text = job.written[: over[0]] if over else job.written
            self._finish(job, tuple(text), "stop" if ended else "length")

    def _finish(self, job: _Job, ids: tuple[int, ...], finish: Literal["stop", "length"]) -> None:
        self._leave(job)
        if job.future.set_running_or_notify_cancel():
            job.future.set_result(Written(ids, len(job.prompt), job.cached, len(job.written), finish))


def _choose(logits: torch.Tensor, job: _Job) -> int:
    """The next token from its logits of shape (vocabulary,)."""
    temperature, top_p, min_p = job.sampling[:3]
    if job.follower:
        logits = logits.masked_fill(~job.follower.allowed(len(logits)), -torch.inf)
    if temperature <= 0:
        return int(logits.argmax())
    chances = torch.softmax(logits / temperature, dim=-1)
    if min_p > 0:
        chances[chances < min_p * chances.max()] = 0
    if top_p < 1:
        ordered, order = chances.sort(descending=True)
        chances[order[ordered.cumsum(0) - ordered > top_p * ordered.sum()]] = 0
    return int(torch.multinomial(chances, 1, generator=job.generator))


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    length = min(len(one), len(other))
    if one[:length] == tuple(other[:length]):
        return length
    return next(index for index in range(length) if one[index] != other[index])
