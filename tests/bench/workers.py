"""What the workers of a run take, read from the kernel while they live."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from socialsim.budget import Purse
from socialsim.meter import State
from socialsim.runconfig import RunConfig
from socialsim.worker import Maker, Workforce
from tests.bench.measure import Result


def counted(workforce: Workforce, result: Result) -> Workforce:
    """The same workforce; what its workers take from the moment they are there is added to a result."""

    @asynccontextmanager
    async def working(config: RunConfig, state: State, purse: Purse) -> AsyncIterator[Maker]:
        started = time.perf_counter()
        async with workforce(config, state, purse) as maker:
            result.start = time.perf_counter() - started
            workers = _workers(config.out)
            before = sum(map(_cpu, workers))
            yield maker
            result.processes = len(workers) or 1
            result.cpu += sum(map(_cpu, workers)) - before
            result.rss += sum(map(_rss, workers))

    return working


def _workers(run: Path) -> list[int]:
    return [int(lock.read_text()) for lock in run.glob("unfinished/worker-*/.lock")]


def _cpu(pid: int) -> float:
    """Seconds so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss(pid: int) -> int:
    """Bytes at the most so far."""
    told = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(told["VmHWM"].split()[0]) * 1024
