"""Make a run's items on several machines: Ray starts workers there, and restarts those that die.

Workers are async actors and not tasks on blocks of rows (Ray Data): a dialogue is a conversation of dozens of calls
one after the other, a block ends with its slowest one, and each item must be journalled when it ends.
"""

from __future__ import annotations

import logging
import math
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import ModuleType
from typing import Any, Final, cast

from socialsim.budget import Purse
from socialsim.crew import RESTARTS, Crew, Unreachable
from socialsim.crew_worker import Job, Report, Worker
from socialsim.errors import ClusterError
from socialsim.meter import State
from socialsim.runconfig import RunConfig, roles_needed
from socialsim.schema import Persona, Post, Scenario
from socialsim.worker import Maker, StepOf, Workforce

_CPU: Final = 0.01  # held by a worker: a lost machine's workers must find room on those that are left
_WORKER_FULL: Final = 16  # items in flight that are worth another worker
# No reports to Ray's makers, no lines of its own among ours: what matters to a user ends in one line anyway.
_QUIET: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def on_ray(address: str | None = None, workers: int | None = None) -> Workforce:
    """Make the items on a Ray cluster.

    Args:
        address: of the cluster, ``HOST:PORT`` or ``auto``; None for ``RAY_ADDRESS``, or else a Ray of this machine's
            cores that lives as long as the run.
        workers: how many; None for as many as are useful.
    """

    @asynccontextmanager
    async def working(config: RunConfig, state: State, purse: Purse) -> AsyncIterator[Maker]:
        with _connected(address) as ray:
            job = Job.of(config)
            actor = ray.remote(Worker).options(
                num_cpus=_CPU,
                scheduling_strategy="SPREAD",
                max_concurrency=job.share + 8,
                max_restarts=RESTARTS,
            )
            places = range(workers or _useful(ray, config))
            crew = Crew([_Actor(ray, actor.remote(job, place)) for place in places], state, purse)
            async with crew.at_work():
                yield crew

    return working


class _Actor:
    """A worker of Ray's: it starts another one by itself, with the same handle, where one dies."""

    def __init__(self, ray: ModuleType, actor: Any) -> None:
        self._ray = ray
        self._actor = actor

    async def make(self, step: StepOf, item: Post | Scenario | Persona) -> Report:
        """An item, and what the worker spent so far.

        Ray's own ``max_task_retries`` would do where a process dies; where a machine does, they are used up before
        Ray knows of it.
        """
        return await self._told(self._actor.make.remote(step, item))

    async def beat(self, halted: str) -> Report:
        """What the worker spent so far."""
        return await self._told(self._actor.beat.remote(halted))

    async def man(self) -> None:
        """Ray does it."""

    def send_away(self) -> None:
        """End the worker, and all that would come after it."""
        self._ray.kill(self._actor)

    async def _told(self, reference: Any) -> Report:
        errors = self._ray.exceptions
        try:
            report: Report = await reference
        except errors.RayTaskError:
            raise  # a bug, told with its traceback as in one process
        except errors.RayError as error:
            raise Unreachable(_said(error), for_good=isinstance(error, errors.ActorDiedError)) from error
        return report


def _said(error: Exception) -> str:
    if "ModuleNotFoundError" in str(error):
        return "install 'socialsim[cluster]' on every machine of the cluster"
    return "Ray: " + (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()


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
