"""Make a run's items in workers: each item goes to the one with the fewest, and again to the next one if it dies.

A worker is a process that makes many items at once (`socialsim.crew_worker`), on this machine (`socialsim.processes`)
or on others (`socialsim.cluster`). The run stays the only one that hands out items and writes journals.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

from socialsim.budget import Purse
from socialsim.crew_worker import Asked, Report
from socialsim.errors import BudgetError, ClusterError, SocialSimError
from socialsim.meter import State
from socialsim.schema import Persona, Post, Scenario, Usage
from socialsim.worker import Made, StepMaker, StepOf

RETRIES: Final = 2  # how often an item is given out again after its worker died
RESTARTS: Final = 20  # deaths after which a place stays empty
KEPT: Final = "everything answered is kept, run the same command again to go on"
_BEAT: Final = 0.5  # seconds between two looks at what the workers spent
_AWAY: Final = 600.0  # seconds that a worker may take to start, or to start again


class Unreachable(Exception):
    """A worker died or cannot be asked.

    Args:
        said: what is known of it.
        for_good: no other one will come.
    """

    def __init__(self, said: str, for_good: bool = False) -> None:
        super().__init__(said)
        self.said = said
        self.for_good = for_good


class Hand(Protocol):
    """Reaches the worker at a place, whichever it is; each call may raise `Unreachable`."""

    async def make(self, step: StepOf, item: Post | Scenario | Persona) -> Report: ...  # noqa: D102
    async def beat(self, halted: str) -> Report: ...  # noqa: D102

    async def man(self) -> None:
        """See to it that a worker comes to the place, where the last one is gone."""

    def send_away(self) -> None:
        """End the worker."""


@dataclass
class _Place:
    """Where a worker is.

    Attributes:
        hand: reaches every worker that is ever at this place.
        life: of the last worker that was seen there.
        busy: items it has.
        waiting: held while one of them waits for a worker.
    """

    hand: Hand
    life: str = ""
    busy: int = 0
    waiting: asyncio.Lock = field(default_factory=asyncio.Lock)


class Crew(StepMaker):
    """The workers, as the run sees them: a `Maker`.

    Args:
        hands: one a place.
        state: where their calls are counted.
        purse: what the run may spend.
    """

    def __init__(self, hands: Sequence[Hand], state: State, purse: Purse) -> None:
        self._meter = state.meter
        self._purse = purse
        self._counted: dict[str, Usage] = {}
        self._halted = ""
        self._places = [_Place(hand) for hand in hands]
        self._asked: dict[str, Asked] = {}
        self._telling: list[asyncio.Task[None]] = []
        state.endpoints = (_Elsewhere(self._asked, self._places),)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Wait until all are there; look after them; send them away at the end."""
        beating: list[asyncio.Task[None]] = []
        try:
            await asyncio.gather(*(self._manned(place) for place in self._places))
            beating = [asyncio.create_task(self._look_after(place)) for place in self._places]
            yield
        finally:
            beating += self._telling
            for task in beating:
                task.cancel()
            for place in self._places:
                place.hand.send_away()
            await asyncio.gather(*beating, return_exceptions=True)

    async def _made(self, step: StepOf, item: Post | Scenario | Persona) -> Made:
        place = min(self._places, key=lambda one: one.busy)
        place.busy += 1
        try:
            report = await self._given_to(place, step, item)
        finally:
            place.busy -= 1
        self._check_budget()
        return cast(Made, report.made)

    async def _given_to(self, place: _Place, step: StepOf, item: Post | Scenario | Persona) -> Report:
        """What a place's worker made of an item, or the next one after its death."""
        deaths = 0
        while True:
            life = place.life
            try:
                return self._told(await place.hand.make(step, item))
            except Unreachable as gone:
                await self._manned(place)
                deaths += place.life != life
                if deaths > RETRIES:
                    raise ClusterError(
                        f"{step} {item.id!r}: {deaths} workers died while they made it, out of memory? {KEPT}"
                    ) from gone

    async def _manned(self, place: _Place) -> None:
        """Wait until a worker is at a place: should it be another one, the one before it is surely dead."""
        until = time.monotonic() + _AWAY
        async with place.waiting:
            while True:
                try:
                    await place.hand.man()
                    place.life = self._told(await place.hand.beat(self._halted)).life
                    return
                except Unreachable as gone:
                    if gone.for_good or time.monotonic() > until:
                        raise ClusterError(f"a worker cannot be started, or not again ({gone.said}); {KEPT}") from gone
                await asyncio.sleep(_BEAT)

    def _told(self, report: Report) -> Report:
        """A worker's report, counted.

        Raises:
            SocialSimError: what the worker failed with.
        """
        # Reports may overtake one another; one with fewer calls is old.
        before = self._counted.get(report.life, Usage())
        if report.usage.calls > before.calls:
            self._counted[report.life] = report.usage
            self._meter.recount(report.usage.since(before))
        self._asked[report.life] = report.asked
        if isinstance(report.made, SocialSimError):
            raise report.made
        return report

    async def _look_after(self, place: _Place) -> None:
        """Count a worker's calls while it works; where it is away or unfit, its items tell."""
        while True:
            await asyncio.sleep(_BEAT)
            await self._beat(place)
            self._check_budget()

    async def _beat(self, place: _Place) -> None:
        with suppress(SocialSimError, Unreachable):
            self._told(await place.hand.beat(self._halted))

    def _check_budget(self) -> None:
        """All workers stop where the run may spend no more; each keeps what is being answered."""
        if self._halted:
            return
        try:
            self._purse.check()
        except BudgetError as spent:
            self._halted = str(spent)
            self._telling = [asyncio.create_task(self._beat(place)) for place in self._places]


class _Elsewhere:
    """How patiently all workers ask, as far as they told: what a `State` shows of endpoints."""

    def __init__(self, asked: dict[str, Asked], places: Sequence[_Place]) -> None:
        self._asked = asked
        self._places = places

    @property
    def retried(self) -> int:
        """Requests that were sent again."""
        return sum(one.retried for one in self._asked.values())

    @property
    def at_once(self) -> int | None:
        """Requests that may be under way, where each worker is held back; None where one is not."""
        limits = [self._asked[place.life].at_once for place in self._places if place.life in self._asked]
        return sum(most for most in limits if most is not None) if limits and None not in limits else None
