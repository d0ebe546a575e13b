"""Which refusals are about how many requests are under way, and which come whatever their number.

A limit lowered to 0.7 of the requests under way ends an overload that refuses up to 0.3 of them. What is refused
after it all the same comes from elsewhere: a gateway drops some at random, others take the room. Fewer requests
do not help there, and a limit that falls at each such refusal ends near nothing (with one in a hundred refused, a
quarter of 64; see ``EXPERIMENTS.md``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BACK_OFF: Final = 0.7  # of the requests under way remain when the limit falls
_CURED: Final = 1 - BACK_OFF  # of the requests refused: an overload of that size is over
_FEW: Final = 3  # refusals that say nothing yet
_MEASURED: Final = 50  # requests after a fall that tell what it did not cure
_KEPT: Final = 0.8  # of the weight of earlier measurements, at each new one
_TRUST: Final = 10.0  # requests taken for answered before anything was measured
_RECENT: Final = 1 / 50  # weight of a request in the share refused of late
_LONG: Final = 1 / 500  # and in that of a longer while
_RARE: Final = 0.004  # a share that is none
_MARGIN: Final = 0.04  # beyond twice the share that remains whatever the limit: by chance


@dataclass
class Refusals:
    """What the requests of one endpoint tell, in the order they end.

    Attributes:
        tolerated: share of refusals that does not lower the limit, 0 to 1; 0: the first one does.
    """

    tolerated: float = 0.0
    _measuring: bool = False
    _seen: int = 0  # since the limit fell, as long as it is measured
    _refused: int = 0
    _weight: float = 0.0  # of all measurements: requests, and those refused
    _remained: float = 0.0
    _recent: float = 0.0  # share refused
    _long: float = 0.0

    def tell(self, refused: bool, below: bool) -> bool:
        """Take in how a request ended that was sent since the limit fell.

        Args:
            refused: whether it was refused for load.
            below: whether the limit is still well below where it fell from.

        Returns:
            Whether the limit ought to fall.
        """
        if self._measuring and not below:
            self._settle()
        if self._measuring:
            return self._measure(refused)
        self._recent += _RECENT * (refused - self._recent)
        self._long += _LONG * (refused - self._long)
        self.tolerated = min(self.tolerated, _tolerated(self._long))
        return refused and self._recent > self.tolerated

    def fell(self) -> None:
        """The limit fell: what is refused now?"""
        self._measuring, self._seen, self._refused = True, 0, 0

    def _measure(self, refused: bool) -> bool:
        self._seen, self._refused = self._seen + 1, self._refused + refused
        if refused and self._refused > _FEW + _CURED * self._seen:
            return True
        if self._seen >= _MEASURED:
            self._settle()
        return False

    def _settle(self) -> None:
        self._measuring = False
        self._weight = _KEPT * self._weight + self._seen
        self._remained = _KEPT * self._remained + self._refused
        self._recent = self._long = self._remained / (self._weight + _TRUST)
        self.tolerated = _tolerated(self._recent)


def _tolerated(remaining: float) -> float:
    return 2 * remaining + _MARGIN if remaining > _RARE else 0.0
