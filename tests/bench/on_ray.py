"""One process beside Ray workers: ``python -m tests.bench.on_ray --latency 0.05`` prints a table.

Time and CPU are counted from the moment the workers are there; CPU is the driver's and the workers', not Ray's own.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from socialsim.meter import Meter
from socialsim.runconfig import RunConfig
from socialsim.worker import Maker, Workforce
from tests.bench.endpoint import Weather, endpoint


@dataclass
class Took:
    """What making the items took: wall and CPU seconds."""

    wall: float = 0.0
    cpu: float = 0.0


def measured(workforce: Workforce, took: Took) -> Workforce:
    """The same workforce, measured while it works."""

    @asynccontextmanager
    async def working(config: RunConfig, meter: Meter, before_call: Callable[[], None]) -> AsyncIterator[Maker]:
        async with workforce(config, meter, before_call) as maker:
            wall, cpu = time.perf_counter(), _cpu(config.out)
            yield maker
            took.wall, took.cpu = time.perf_counter() - wall, _cpu(config.out) - cpu

    return working


def _cpu(run: Path) -> float:
    """CPU seconds of this process and of the run's workers so far."""
    return time.process_time() + sum(_cpu_of(lock.read_text()) for lock in run.glob("unfinished/worker-*/.lock"))


def _cpu_of(pid: str) -> float:
    fields = Path(f"/proc/{pid.strip()}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def make(url: str, dialogues: int, concurrency: int, workers: int) -> Took:
    """Simulate dialogues of 24 calls, in this process if there are no workers."""
    from programs.simulate import SimulationOptions
    from socialsim.cluster import on_ray
    from socialsim.lms import parse_spec
    from socialsim.run import Run
    from socialsim.runconfig import Stage, programs_for
    from socialsim.schema import Role
    from socialsim.worker import bound_lms, own_process
    from tests.bench.script import personas

    took = Took()
    with tempfile.TemporaryDirectory() as folder:
        config = RunConfig(
            out=Path(folder) / "run",
            lms=dict.fromkeys(Role, parse_spec(f"{url}/v1#scripted")),
            stages=(Stage.DIALOGUES,),
            simulation=SimulationOptions(exchanges=12),
            concurrency=concurrency,
            demonstrations=3,
        )
        who = on_ray(workers=workers) if workers else own_process(bound_lms(config), programs_for(config))
        manifest = Run(config, workforce=measured(who, took)).execute(personas(dialogues))
        assert manifest.counts["dialogues"] == dialogues, manifest
    return took


def main() -> None:
    """Run what is asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--dialogues", type=int, default=512)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    asked = parser.parse_args()
    table = Table("made by", "dialogues/hour", "calls/s", "CPU ms/call", "efficiency")
    ideal = asked.dialogues * 24 * asked.latency / min(asked.dialogues, asked.in_flight)
    for workers in asked.workers:
        with endpoint(Weather(latency=asked.latency, concurrency=asked.in_flight)) as server:
            took = make(server.url, asked.dialogues, asked.in_flight, workers)
        rate, calls = asked.dialogues / took.wall, 24 * asked.dialogues
        name = f"{workers} Ray workers" if workers else "one process"
        cells = (f"{3600 * rate:,.0f}", f"{24 * rate:.0f}", f"{1000 * took.cpu / calls:.2f}")
        table.add_row(name, *cells, f"{ideal / took.wall:.2f}")
    Console().print(f"{1000 * asked.latency:.0f} ms x {asked.in_flight}, {asked.dialogues} dialogues of 24 calls")
    Console().print(table)


if __name__ == "__main__":
    main()
