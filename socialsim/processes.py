"""Make a run's items in several processes of this machine: Python uses one core in each, a few hundred calls a second.

Workers are fresh processes, not forks: no thread and no connection of the run's own process comes along. Their socket
tells them when it is gone, so they end with it.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from itertools import count
from typing import Any, Final

import dspy

from socialsim.budget import Budget, Purse
from socialsim.crew import RESTARTS, Crew, Unreachable
from socialsim.crew_worker import Job, Report
from socialsim.errors import UsageError
from socialsim.ledger import new_ledger
from socialsim.loading import Programs
from socialsim.meter import State, add_up
from socialsim.process_worker import next_frame, write_frame
from socialsim.runconfig import RunConfig, roles_needed
from socialsim.schema import Persona, Post, Role, Scenario, Usage
from socialsim.sounding import Sounding
from socialsim.worker import Maker, StepOf, Workforce, endpoints, own_process, steps_with, tuned_interpreter
from socialsim.writers import dismiss

WORKER_FULL: Final = 128  # items in flight that are worth a process: fewer rarely keep a core busy
_WORTH: Final = 32  # the same where an endpoint answers quickly
CALLS: Final = {True: 500.0, False: 1000.0}  # that a process makes in a second, by whether the eight rules are checked
_STARTS: Final = 2  # how often a worker is started again that never came
_GONE: Final = "its process died"


def on_this_machine(lms: dict[Role, dspy.LM], programs: Programs) -> Workforce:
    """Make the items here: in this process, or in several where many are in flight."""
    alone = own_process(lms, programs)

    @asynccontextmanager
    async def working(config: RunConfig, state: State, purse: Purse) -> AsyncIterator[Maker]:
        items = state.total - state.done
        workers = config.workers or useful(config, items)
        async with AsyncExitStack() as opened:
            if workers > 1 and not config.batch:
                yield await opened.enter_async_context(_several(config, state, purse, workers))
            elif config.workers or config.batch or (most := useful(config, items, _WORTH)) == 1:
                yield await opened.enter_async_context(alone(config, state, purse))
            else:
                yield _sounding(opened, lms, programs, config, state, purse, most)

    return working


def _sounding(
    opened: AsyncExitStack,
    lms: dict[Role, dspy.LM],
    programs: Programs,
    config: RunConfig,
    state: State,
    purse: Purse,
    most: int,
) -> Sounding:
    """This process first, and as many as the first answer tells."""
    opened.enter_context(tuned_interpreter())

    def here(before_call: Callable[[], None]) -> Maker:
        return opened.enter_context(steps_with(lms, programs, config, state.meter, before_call))

    def elsewhere(workers: int) -> Awaitable[Maker]:
        return opened.enter_async_context(_several(config, state, purse, workers))

    def quickest() -> float:
        return min((endpoint.quickest for endpoint in endpoints(lms)), default=math.inf)

    calls = CALLS[config.simulation.rules]
    return Sounding(here, elsewhere, most, config.concurrency, calls, quickest, purse.check)


@asynccontextmanager
async def _several(config: RunConfig, state: State, purse: Purse, workers: int) -> AsyncIterator[Maker]:
    """Processes of this machine."""
    with ExitStack() as opened:
        opened.callback(dismiss, config.out)
        limited = purse.budget != Budget()
        spent = opened.enter_context(new_ledger(workers)).fileno() if limited else -1
        job = Job.of(config, share=math.ceil(config.concurrency / workers))
        earlier = add_up([purse.earlier, state.meter.usage()])
        hands = [_Process(job, place, earlier, spent) for place in range(workers)]
        async with (crew := Crew(hands, state, purse)).at_work():
            yield crew


def check_workers(config: RunConfig) -> None:
    """Refuse workers that would only get in each other's way.

    Raises:
        UsageError: where an LM runs in the process that asks it.
    """
    if (config.workers or 1) > 1 and (specs := _in_process(config)):
        raise UsageError(f"--workers {config.workers}: {specs[0]} uses all cores of this machine; leave --workers out")


def _in_process(config: RunConfig) -> list[str]:
    return [spec.text for role in roles_needed(config) if (spec := config.lms[role]).in_process]


def useful(config: RunConfig, items: int, full: int | None = None) -> int:
    """A process for each 128 items in flight (or ``full``), at most one a core; an LM in process uses all of them."""
    if _in_process(config):
        return 1
    return max(1, min(_cores(), min(config.concurrency, items) // (full or WORKER_FULL)))


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Process:
    """Reaches the worker process at a place: questions and answers go by number."""

    def __init__(self, job: Job, place: int, earlier: Usage, spent: int) -> None:
        self._told = (job, place, earlier)
        self._spent = spent
        self._lives = 0
        self._away = False
        self._seen = False  # whether a worker ever said anything
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._numbers = count()
        self._open: dict[int, asyncio.Future[Report]] = {}

    async def make(self, step: StepOf, item: Post | Scenario | Persona) -> Report:
        """An item, and what the worker spent so far."""
        return await self._ask("make", step, item)

    async def beat(self, halted: str) -> Report:
        """What the worker spent so far."""
        return await self._ask("beat", halted)

    async def man(self) -> None:
        """Start a worker where none lives."""
        if self._away:
            raise Unreachable(_GONE, for_good=True)
        if self._writer is not None:
            return
        if self._lives > (RESTARTS if self._seen else _STARTS):
            raise Unreachable(_GONE if self._seen else "its process ended before it began", for_good=True)
        self._end()
        self._lives += 1
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = _started(theirs.fileno(), self._spent)
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._reading = asyncio.create_task(self._read(reader, self._writer))
        write_frame(self._writer, self._told)

    def send_away(self) -> None:
        """End the worker; no other one comes."""
        self._away = True
        if self._reading is not None:
            self._reading.cancel()
        self._end()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def _ask(self, *question: Any) -> Report:
        if self._writer is None:
            raise Unreachable(_GONE)
        number = next(self._numbers)
        answer = self._open[number] = asyncio.get_running_loop().create_future()
        try:
            write_frame(self._writer, (number, *question))
            return await answer
        finally:
            del self._open[number]

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand the answers out until the worker is gone."""
        while (answer := await next_frame(reader)) is not None:
            self._seen = True
            number, said = answer
            self._settle(number, said)
        writer.close()
        self._writer = None
        for number in self._open:
            self._settle(number, Unreachable(_GONE))

    def _settle(self, number: int, said: Report | Exception) -> None:
        waiting = self._open.get(number)
        if waiting is None or waiting.done():
            return  # nobody waits any more
        if isinstance(said, Exception):
            waiting.set_exception(said)
        else:
            waiting.set_result(said)


def _started(channel: int, spent: int) -> subprocess.Popen[bytes]:
    """A worker's process; Ctrl-C is for the run's own, which ends it."""
    # It looks for modules where this process does: not in the folder that a user happens to be in.
    path, command = f"import sys; sys.path[:] = {sys.path!r}", "from socialsim.process_worker import main"
    command = f"{path}; {command}; main({channel}, {spent})"
    with _no_interrupts():
        return subprocess.Popen([sys.executable, "-c", command], pass_fds=[fd for fd in (channel, spent) if fd >= 0])


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """A process that is started here never sees one."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
