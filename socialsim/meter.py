"""What calls cost (tokens and USD, per item and for all the work), and how far the work is that makes them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from socialsim.prices import Price
from socialsim.schema import Usage

_COUNTED = ("calls", "prompt_tokens", "cached_tokens", "completion_tokens", "cost")


@dataclass
class Meter:
    """Counts the calls of one item; DSPy feeds it as its ``usage_tracker``.

    Attributes:
        prices: price of each LM by the model name DSPy reports; None where it is unknown.
        parent: a meter that counts the same calls for the whole run.
    """

    prices: dict[str, Price | None]
    parent: Meter | None = None
    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = field(default=0.0)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def __deepcopy__(self, _: object) -> Self:
        """DSPy gives each thread of an optimiser a copy of its tracker; all of them count here."""
        return self

    def add_usage(self, model: str, usage: dict[str, Any]) -> None:
        """Count one answered call (DSPy's tracker protocol)."""
        prompt, completion = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        self._count(self.prices.get(model), prompt, completion, cached)

    def _count(self, price: Price | None, prompt: int, completion: int, cached: int) -> None:
        with self._lock:
            self.calls += 1
            self.prompt_tokens += prompt
            self.completion_tokens += completion
            self.cached_tokens += cached
            # One unknown price makes the sum unknown; it must not read as cheap.
            known = price is not None and self.cost is not None
            self.cost = self.cost + price.of(prompt, completion, cached) if known else None  # type: ignore[operator, union-attr]
        if self.parent is not None:
            self.parent._count(price, prompt, completion, cached)

    def recount(self, usage: Usage) -> None:
        """Count calls that were made elsewhere: for this item by an earlier session, or by another process."""
        with self._lock:
            self.calls += usage.calls
            self.prompt_tokens += usage.prompt_tokens
            self.cached_tokens += usage.cached_tokens
            self.completion_tokens += usage.completion_tokens
            known = self.cost is not None and usage.cost is not None
            self.cost = self.cost + usage.cost if known else None  # type: ignore[operator]

    def counts(self) -> dict[str, float | None]:
        """The counts as they are now, by the names of a `Usage`."""
        return {name: getattr(self, name) for name in _COUNTED}

    def usage(self, seconds: float = 0.0) -> Usage:
        """The counts as a record."""
        return Usage(
            calls=self.calls,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            completion_tokens=self.completion_tokens,
            cost=self.cost,
            seconds=round(seconds, 3),
        )


class Asking(Protocol):
    """How patiently something is asked."""

    @property
    def retried(self) -> int:
        """Requests sent again."""

    @property
    def at_once(self) -> int | None:
        """Requests that may be under way while others wait; None where none do."""


@dataclass
class State:
    """How far a long piece of work is (a run, an evaluation, an arena, a judging); a display reads it.

    Attributes:
        meter: calls, tokens and cost of this session.
        total: all items, as far as is known yet.
        done: those that are made, earlier sessions' included.
        failed: items set aside or given up in this session.
        started: when, by the monotonic clock.
        note: what else there is to tell.
        endpoints: how patiently each endpoint is asked, where that is known.
    """

    meter: Meter
    total: int = 0
    done: int = 0
    failed: int = 0
    started: float = field(default_factory=time.monotonic)
    note: str = ""
    endpoints: tuple[Asking, ...] = ()

    @property
    def retried(self) -> int:
        """Requests sent again because an endpoint refused, failed or was gone."""
        return sum(endpoint.retried for endpoint in self.endpoints)

    @property
    def at_once(self) -> int | None:
        """Requests that may be under way at an endpoint that refused some while others wait; None where none do."""
        return min((most for endpoint in self.endpoints if (most := endpoint.at_once) is not None), default=None)

    @property
    def seconds(self) -> float:
        """Wall time of this session."""
        return time.monotonic() - self.started


def since(before: dict[str, float | None], now: dict[str, float | None]) -> dict[str, float | None]:
    """What was counted between two `Meter.counts`; unknown where one is."""
    pairs = {name: (before[name], value) for name, value in now.items()}
    return {name: None if one is None or other is None else other - one for name, (one, other) in pairs.items()}


def add_up(usages: list[Usage]) -> Usage:
    """The sum of usages; its cost is unknown if one is."""
    costs = [usage.cost for usage in usages]
    return Usage(
        calls=sum(usage.calls for usage in usages),
        prompt_tokens=sum(usage.prompt_tokens for usage in usages),
        cached_tokens=sum(usage.cached_tokens for usage in usages),
        completion_tokens=sum(usage.completion_tokens for usage in usages),
        cost=None if any(cost is None for cost in costs) else sum(cost for cost in costs if cost is not None),
        seconds=round(sum(usage.seconds for usage in usages), 3),
    )
