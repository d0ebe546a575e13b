"""How many processes a run can use, told by the first answer: one item begins alone, the others wait that long.

An endpoint that answers quickly takes more requests a second than one process can send. How quickly it answers,
only an answer tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, cast

from socialsim.schema import Persona, Post, Scenario
from socialsim.worker import Made, Maker, StepMaker, StepOf

_LEAST: Final = 0.0001  # seconds


class _Outgrown(Exception):
    """The item goes on in another process, which is given the answers that it has."""


class Sounding(StepMaker):
    """Lets one item begin in this process, then all go on here or in others: a `Maker`.

    Args:
        here: opens the steps of this process; they call what they are given before each call.
        elsewhere: opens so many processes.
        most: processes that may be opened.
        in_flight: items at once.
        calls: that one process makes in a second, about.
        quickest: seconds of the quickest answer so far; infinite before the first.
        check: called before each call; it may raise.
    """

    def __init__(
        self,
        here: Callable[[Callable[[], None]], Maker],
        elsewhere: Callable[[int], Awaitable[Maker]],
        most: int,
        in_flight: int,
        calls: float,
        quickest: Callable[[], float],
        check: Callable[[], None],
    ) -> None:
        self._here = here(self._before_call)
        self._elsewhere = elsewhere
        self._most = most
        self._full = in_flight / calls  # seconds of an answer that keep one process busy
        self._quickest = quickest
        self._check = check
        self._begun = False
        self._found: asyncio.Future[Maker] = asyncio.get_running_loop().create_future()

    async def _made(self, step: StepOf, item: Post | Scenario | Persona) -> Made:
        if not self._begun:
            self._begun = True
            return await self._first(step, item)
        return await _make(await asyncio.shield(self._found), step, item)

    async def _first(self, step: StepOf, item: Post | Scenario | Persona) -> Made:
        made: Made | None = None
        # An answer that takes longer leaves nothing to do for a second process.
        late = asyncio.get_running_loop().call_later(self._full, self._stay)
        try:
            made = await _make(self._here, step, item)
        except _Outgrown:
            pass
        except BaseException:
            self._stay()
            raise
        finally:
            late.cancel()
        if not self._found.done():
            await self._settle()
        return made or await _make(await self._found, step, item)

    def _before_call(self) -> None:
        self._check()
        if not self._found.done() and self._wanted() > 1:
            raise _Outgrown

    def _wanted(self) -> int:
        """Processes that it takes to ask as often as the endpoint can answer; 1 before its first answer."""
        return max(1, min(self._most, round(self._full / max(self._quickest(), _LEAST))))

    def _stay(self) -> None:
        if not self._found.done():
            self._found.set_result(self._here)

    async def _settle(self) -> None:
        """Decide; whoever waits shares what comes of it."""
        if (wanted := self._wanted()) == 1:
            return self._stay()
        try:
            self._found.set_result(await self._elsewhere(wanted))
        except Exception as error:
            self._found.set_exception(error)
            self._found.exception()  # nobody else may be waiting to see it
        except asyncio.CancelledError:
            self._found.cancel()
            raise


async def _make(maker: Maker, step: StepOf, item: Post | Scenario | Persona) -> Made:
    return cast(Made, await getattr(maker, step)(item))
