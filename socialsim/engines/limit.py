"""How many requests may be under way: additive increase, multiplicative decrease, as in TCP.

A refusal for load lowers the limit, at most once for those that were under way together, and only while that helps
(`Refusals`); each answer raises it a little, more where it is far below where it fell from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from socialsim.engines.refusals import BACK_OFF, Refusals

_WELL_BELOW: Final = 0.9  # of where it fell from
_CATCH_UP: Final = 8.0  # part of the way back that it climbs while all its requests are answered once
_FORGETS: Final = 120.0  # seconds without a refusal after which it climbs at full speed


@dataclass
class Limit:
    """The limit of one endpoint.

    Attributes:
        ceiling: the most it may be.
        now: requests that may be under way.
    """

    ceiling: float
    now: float = field(init=False)
    _fell_at: float = -math.inf  # seconds
    _fell_from: float = 0.0
    _care: float = 1.0  # how much slower than usual it climbs there
    _refusals: Refusals = field(default_factory=Refusals, repr=False)

    def __post_init__(self) -> None:
        self.now = self.ceiling

    def answered(self, started: float, at: float) -> None:
        """A request was answered.

        Args:
            started: when it was sent, in seconds.
            at: when it was answered.
        """
        self._ought_to_fall(started, refused=False)
        self.now = min(self.now + self._step(at) / self.now, self.ceiling)

    def refused(self, started: float, at: float, under_way: int, waits: float) -> bool:
        """A request was refused for load.

        Args:
            started: when it was sent, in seconds.
            at: when it was refused.
            under_way: requests under way with it, itself included.
            waits: what the endpoint wants to be left alone for, in usual answers; 0 where it does not say.

        Returns:
            Whether it tells of an overload, as those do that were sent before the limit fell; if not, of itself alone.
        """
        if self._ought_to_fall(started, refused=True):
            self.fall(started, at, under_way, waits)
        return started <= self._fell_at

    def fall(self, started: float, at: float, under_way: int, waits: float = 0.0) -> None:
        """The endpoint is overloaded: fewer requests, but for one that was sent before the last fall."""
        if started > self._fell_at:
            self._fell_from, self._fell_at = min(self.now, under_way), at
            self._care = 1 + 4 * waits
            self.now = max(1.0, BACK_OFF * self._fell_from)
            self._refusals.fell()

    def _ought_to_fall(self, started: float, refused: bool) -> bool:
        below = self.now < _WELL_BELOW * self._fell_from
        return started > self._fell_at and self._refusals.tell(refused, below)

    def _step(self, at: float) -> float:
        """How fast it climbs: carefully where the endpoint refused last, if a refusal holds all back for long."""
        if self.now < self._fell_from - 1:
            return max(1.0, (self._fell_from - self.now) / _CATCH_UP)
        return min(1.0, 1 / self._care + ((at - self._fell_at) / _FORGETS) ** 3)
