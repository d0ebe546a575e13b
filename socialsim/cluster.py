"""Make a run's items on several machines: Ray starts workers, restarts those that die and gives them their items again.

Workers are async actors and not tasks on blocks of rows (Ray Data): a dialogue is a conversation of dozens of calls
one after the other, a block ends with its slowest one, and each item must be journalled when it ends. The run stays
the only one that hands out items and writes journals; `socialsim.cluster_worker` is the other side.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, Final, cast

from socialsim.cluster_worker import Job, Report, StepOf, Worker
from socialsim.errors import BudgetError, ClusterError, SocialSimError
from socialsim.meter import Meter
from socialsim.runconfig import RunConfig, roles_needed
from socialsim.schema import Dialogue, Persona, Post, Rejection, Scenario, Usage
from socialsim.worker import Maker, Workforce
from socialsim.writers import appoint

RETRIES: Final = 2  # how often an item is given out again after its worker died
_RESTARTS: Final = 20  # deaths after which a place stays empty
_CPU: Final = 0.01  # held by a worker: a lost machine's workers must find room on those that are left
_BEAT: Final = 0.5  # seconds between two looks at what the workers spent
_AWAY: Final = 600.0  # seconds that a worker may take to start, or to start again
_WORKER_FULL: Final = 16  # items in flight that are worth another worker
# No reports to Ray's makers, no lines of its own among ours: what matters to a user ends in one line anyway.
_QUIET: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_KEPT: Final = "everything answered is kept, run the same command again to go on"


def on_ray(address: str | None = None, workers: int | None = None) -> Workforce:
    """Make the items on a Ray cluster.

    Args:
        address: of the cluster, ``HOST:PORT`` or ``auto``; None for ``RAY_ADDRESS``, or else a Ray of this machine's
            cores that lives as long as the run.
        workers: how many; None for as many as are useful.
    """

    @asynccontextmanager
    async def working(config: RunConfig, meter: Meter, before_call: Callable[[], None]) -> AsyncIterator[Maker]:
        with _connected(address) as ray:
            states = tuple(path.absolute() for path in config.states)
            job = Job.of(replace(config, out=config.out.absolute(), states=states), appoint(config.out))
            crew = _Crew(ray, job, workers or _useful(ray, config), meter, before_call)
            async with crew.at_work():
                yield crew

    return working


@dataclass
class _Place:
    """Where a worker is.

    Attributes:
        actor: Ray's handle, the same for every worker that is ever at this place.
        life: of the last worker that was seen there.
        busy: items it has.
        waiting: held while one of them waits for a worker.
    """

    actor: Any
    life: str = ""
    busy: int = 0
    waiting: asyncio.Lock = field(default_factory=asyncio.Lock)


class _Crew:
    """The workers, as the run sees them: a `Maker`."""

    def __init__(self, ray: ModuleType, job: Job, workers: int, meter: Meter, before_call: Callable[[], None]) -> None:
        self._ray = ray
        self._meter = meter
        self._before_call = before_call
        self._counted: dict[str, Usage] = {}
        self._halted = ""
        actor = ray.remote(Worker).options(
            num_cpus=_CPU,
            scheduling_strategy="SPREAD",
            max_concurrency=job.config.concurrency + 8,
            max_restarts=_RESTARTS,
        )
        self._places = [_Place(actor.remote(job, number)) for number in range(workers)]

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Wait until all are there; look after them; send them away at the end."""
        beating: list[asyncio.Task[None]] = []
        try:
            await asyncio.gather(*(self._manned(place) for place in self._places))
            beating = [asyncio.create_task(self._look_after(place)) for place in self._places]
            yield
        finally:
            for task in beating:
                task.cancel()
            for place in self._places:
                self._ray.kill(place.actor)
            await asyncio.gather(*beating, return_exceptions=True)

    async def scenario(self, post: Post) -> Scenario | Rejection:
        """Screen and translate a post."""
        return cast(Scenario | Rejection, await self._made("scenario", post))

    async def persona(self, scenario: Scenario) -> Persona | Rejection:
        """Build a scenario's persona."""
        return cast(Persona | Rejection, await self._made("persona", scenario))

    async def dialogue(self, persona: Persona) -> Dialogue | Rejection:
        """Simulate a persona's dialogue."""
        return cast(Dialogue | Rejection, await self._made("dialogue", persona))

    async def _made(self, step: StepOf, item: Post | Scenario | Persona) -> object:
        place = min(self._places, key=lambda one: one.busy)
        place.busy += 1
        try:
            report = await self._given_to(place, step, item)
        finally:
            place.busy -= 1
        self._check_budget()
        return report.made

    async def _given_to(self, place: _Place, step: StepOf, item: Post | Scenario | Persona) -> Report:
        """What a place's worker made of an item, or the next one after its death.

        Ray's own ``max_task_retries`` would do where a process dies; where a machine does, they are used up before
        Ray knows of it.
        """
        deaths = 0
        while True:
            life = place.life
            try:
                return await self._told(place.actor.make.remote(step, item))
            except self._ray.exceptions.RayTaskError:
                raise  # a bug, told with its traceback as in one process
            except self._ray.exceptions.RayError as error:
                await self._manned(place)
                deaths += place.life != life
                if deaths > RETRIES:
                    raise ClusterError(
                        f"{step} {item.id!r}: {deaths} workers died while they made it, out of memory? {_KEPT}"
                    ) from error

    async def _manned(self, place: _Place) -> None:
        """Wait until a worker is at a place: should it be another one, the one before it is surely dead."""
        until = time.monotonic() + _AWAY
        async with place.waiting:
            while True:
                try:
                    place.life = (await self._told(place.actor.beat.remote(self._halted))).life
                    return
                except self._ray.exceptions.RayError as error:
                    gone = isinstance(error, self._ray.exceptions.ActorDiedError)
                    if gone or time.monotonic() > until:
                        raise ClusterError(_lost(error)) from error
                await asyncio.sleep(_BEAT)

    async def _told(self, reference: Any) -> Report:
        """A worker's report, counted.

        Raises:
            SocialSimError: what the worker failed with.
            ray.exceptions.RayError: if it cannot be reached.
        """
        report: Report = await reference
        # Reports may overtake one another; one with fewer calls is old.
        before = self._counted.get(report.life, Usage())
        if report.usage.calls > before.calls:
            self._counted[report.life] = report.usage
            self._meter.recount(report.usage.since(before))
        if isinstance(report.made, SocialSimError):
            raise report.made
        return report

    async def _look_after(self, place: _Place) -> None:
        """Count a worker's calls while it works; where it is away or unfit, its items tell."""
        while True:
            await asyncio.sleep(_BEAT)
            with suppress(SocialSimError, self._ray.exceptions.RayError):
                await self._told(place.actor.beat.remote(self._halted))
            self._check_budget()

    def _check_budget(self) -> None:
        """All workers stop where the run may spend no more; each keeps what is being answered."""
        if self._halted:
            return
        try:
            self._before_call()
        except BudgetError as spent:
            self._halted = str(spent)
            for place in self._places:
                place.actor.beat.remote(self._halted)


def _lost(error: Exception) -> str:
    said = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
    if "ModuleNotFoundError" in str(error):
        return f"a worker cannot start ({said}); install 'socialsim[cluster]' on every machine of the cluster"
    return f"a worker cannot be started, or not again (Ray: {said}); {_KEPT}"


def _useful(ray: ModuleType, config: RunConfig) -> int:
    """One worker for every few items in flight, at least one a machine, at most one a CPU."""
    nodes, cpus = sum(node["Alive"] for node in ray.nodes()), int(ray.cluster_resources().get("CPU", 0))
    if any(config.lms[role].in_process for role in roles_needed(config)):
        return min(nodes, config.concurrency)  # each loads the model and uses all cores
    return max(1, min(cpus, config.concurrency, max(nodes, math.ceil(config.concurrency / _WORKER_FULL))))


@contextmanager
def _connected(address: str | None) -> Iterator[ModuleType]:
    """Ray, connected; nothing of it is printed.

    Raises:
        ClusterError: if it is not installed or no cluster answers.
    """
    ray, where = _quiet_ray(), address or os.environ.get("RAY_ADDRESS") or "local"
    _check_reachable(where)
    own: dict[str, Any] = {"include_dashboard": False, "object_store_memory": 100 << 20} if where == "local" else {}
    try:
        ray.init(address=where, log_to_driver=False, logging_level=logging.CRITICAL, **own)
    except (Exception, SystemExit) as error:  # Ray raises half a dozen unrelated classes
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ClusterError(f"--ray-address {where}: {said}; start it with `ray start --head`") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _quiet_ray() -> ModuleType:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise ClusterError("--engine ray needs Ray: pip install 'socialsim[cluster]'") from error
    return cast(ModuleType, ray)


def _check_reachable(address: str) -> None:
    """Ray itself would try for two minutes and end the process."""
    if address in ("local", "auto"):
        return
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()) or "://" in address:
        raise ClusterError(f"--ray-address {address}: use HOST:PORT of a Ray head, or auto on one of its machines")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"--ray-address {address}: nothing answers there ({error}); start it with `ray start --head`"
        ) from error
