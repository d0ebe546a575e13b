"""A worker of a run: a process that makes many items at once in its event loop, on this machine or another.

It builds programs and LMs itself, as a run in one process does, and writes nothing but the answers of unfinished
items; journals are the run's. This file does not know how it is reached.
"""

from __future__ import annotations

import asyncio
import os
import platform
import uuid
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from socialsim.errors import BudgetError, ClusterError, SocialSimError
from socialsim.ledger import Ledger
from socialsim.meter import Meter, State
from socialsim.openfiles import files_of_item, room_for
from socialsim.runconfig import RunConfig, programs_for
from socialsim.runfolder import versions
from socialsim.schema import Persona, Post, Scenario, Usage
from socialsim.steps import Steps
from socialsim.worker import Made, StepOf, bound_lms, endpoints, run_prices, steps_with, tuned_interpreter
from socialsim.writers import appoint, take_place


@dataclass(frozen=True)
class Job:
    """What a worker is told when it starts.

    Attributes:
        config: the run's; its paths are absolute.
        token: of the session.
        home: where relative paths in LM specs begin.
        versions, programs: what makes the items; a worker that has others would make other items.
        share: items that a worker has at most.
    """

    config: RunConfig
    token: str
    home: str
    versions: dict[str, str]
    programs: dict[str, str]
    share: int

    @classmethod
    def of(cls, config: RunConfig, share: int | None = None) -> Job:
        """What this process would do itself, in a new session with workers."""
        states = tuple(path.absolute() for path in config.states)
        config = replace(config, out=config.out.absolute(), states=states)
        hashes, token = programs_for(config).hashes, appoint(config.out)
        return cls(config, token, os.getcwd(), versions(), hashes, share or config.concurrency)


class Asked(NamedTuple):
    """How patiently a worker asks: requests sent again, and how many may be under way while others wait."""

    retried: int = 0
    at_once: int | None = None


class Report(NamedTuple):
    """What a worker says when it made an item, and when it is asked.

    Attributes:
        life: tells a worker from the one before it at the same place.
        usage: all its calls so far.
        asked: how patiently.
        made: the item, or why it was not made.
    """

    life: str
    usage: Usage
    asked: Asked = Asked()
    made: Made | SocialSimError | None = None


class Worker:
    """Makes items.

    Args:
        job: what it works on.
        place: its number; the worker before it at this place must have died.
        ledger: where workers of this machine see at once what all of them spend.
    """

    def __init__(self, job: Job, place: int, ledger: Ledger | None = None) -> None:
        self._life = uuid.uuid4().hex
        self._state = State(Meter({}))
        self._ledger = ledger
        self._halted = ""
        self._making: dict[tuple[StepOf, str], asyncio.Task[Made | SocialSimError]] = {}
        self._held = ExitStack()  # what it has until its process ends
        self._unfit: SocialSimError | None = None  # kept, since an actor that fails to start loses its error's class
        try:
            self._open(job, place)
        except SocialSimError as error:
            self._unfit = error

    def _open(self, job: Job, place: int) -> None:
        node = platform.node()
        if os.path.isdir(job.home):
            os.chdir(job.home)
        self._held.enter_context(take_place(job.config.out, place, job.token, node))
        _check_same("versions", node, job.versions, versions())
        programs, lms = programs_for(job.config), bound_lms(job.config)
        self._state = State(run_prices(job.config, lms), endpoints=endpoints(lms))
        room_for(job.share, files_of_item(len(self._state.endpoints)))
        _check_same("programs", node, job.programs, programs.hashes)
        meter = self._state.meter
        self._steps: Steps = self._held.enter_context(steps_with(lms, programs, job.config, meter, self._check))
        self._held.enter_context(tuned_interpreter())
        self._context = copy_context()  # each item is made in it: Ray calls from a context of its own

    def close(self) -> None:
        """Give place and programs back, where the process goes on without the worker."""
        self._held.close()

    def _check(self) -> None:
        if self._halted:
            raise BudgetError(self._halted)
        if self._ledger:
            self._ledger.note(self._state.meter)
            self._ledger.check()

    async def beat(self, halted: str = "") -> Report:
        """How many calls were made so far.

        Args:
            halted: if not empty, why no call may be made any more.
        """
        self._halted = halted
        return self._report(self._unfit)

    async def make(self, step: StepOf, item: Post | Scenario | Persona) -> Report:
        """One step for one item; a failure that a user can cause is reported, not raised.

        Asked for again while it is made, as after a fault of the network, it is not made twice.
        """
        if self._unfit:
            return self._report(self._unfit)
        what = (step, item.id)
        if what not in self._making:
            doing = self._done(getattr(self._steps, step), item)
            task = asyncio.get_running_loop().create_task(doing, context=self._context.copy())
            self._making[what] = task
            task.add_done_callback(lambda _: self._making.pop(what))
        return self._report(await asyncio.shield(self._making[what]))

    async def _done(self, do: Callable[[Any], Awaitable[Made]], item: Any) -> Made | SocialSimError:
        try:
            return await do(item)
        except SocialSimError as error:
            return error

    def _report(self, made: Made | SocialSimError | None) -> Report:
        state = self._state
        if self._ledger:
            self._ledger.note(state.meter)
        return Report(self._life, state.meter.usage(), Asked(state.retried, state.at_once), made)


def _check_same(what: str, node: str, wanted: dict[str, str], found: dict[str, str]) -> None:
    for name in wanted:
        if found.get(name) != wanted[name]:
            raise ClusterError(
                f"{node} has other {what} ({name} {found.get(name)}, not {wanted[name]}); "
                "install the same SocialSim on every machine of the cluster"
            )
