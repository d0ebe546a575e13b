"""What the workers of a run take, read from the kernel while they live."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from unittest.mock import patch

from socialsim import cluster, crew, processes
from tests.bench.measure import Result


@contextmanager
def counted(run: Path, result: Result) -> Iterator[None]:
    """Add what a run's workers take to a result, from the moment they are there; a run may come by them late."""

    class Crew(crew.Crew):
        @asynccontextmanager
        async def at_work(self) -> AsyncIterator[None]:
            started = time.perf_counter()
            async with super().at_work():
                result.start = time.perf_counter() - started
                workers = _workers(run)
                before = sum(map(_cpu, workers))
                yield
                result.processes = len(workers)
                result.cpu += sum(map(_cpu, workers)) - before
                result.rss += sum(map(_rss, workers))

    with patch.object(processes, "Crew", Crew), patch.object(cluster, "Crew", Crew):
        yield


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
