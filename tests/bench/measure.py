"""What one loop took: wall time, CPU, memory. Each loop runs in a process of its own."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

ROOT = Path(__file__).parents[2]
CALLS = 24  # of a dialogue


class Load(BaseModel):
    """A workload: ``dialogues`` of 24 sequential calls, ``concurrency`` of them at once.

    The product checks the eight rules while it writes, or does not, in as many processes as are useful, or as named,
    or in Ray's.
    """

    model_config = ConfigDict(extra="forbid")

    url: str
    dialogues: int
    concurrency: int
    latency: float
    shots: int = 3
    rules: bool = True
    workers: int | None = None
    on_ray: bool = False


class Result(BaseModel):
    """What a loop took; seconds, calls, bytes.

    Attributes:
        wall, cpu, rss: its workers' included, where it has some.
        processes: that make calls.
        start: seconds until its workers were there; not in ``wall``, as the start of a loop's own process is not.
    """

    model_config = ConfigDict(extra="forbid")

    wall: float = 0.0
    cpu: float = 0.0
    rss: int = 0
    processes: int = 1
    start: float = 0.0
    rss_at_a_quarter: int = 0
    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0

    def efficiency(self, load: Load) -> float:
        """Ideal wall time by the wall time; ideal is the endpoint's own."""
        ideal = load.dialogues * CALLS * load.latency / min(load.dialogues, load.concurrency)
        return ideal / self.wall


@contextmanager
def measured(result: Result) -> Iterator[None]:
    """Measure a with block of this process and print the result as a line of JSON."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    result.wall += time.perf_counter() - wall - result.start
    result.cpu += time.process_time() - cpu
    result.rss += rss()
    print(result.model_dump_json(), flush=True)


def rss() -> int:
    """The most memory this process had so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def loop(module: str, load: Load) -> Result:
    """Run ``tests.bench.<module>`` in a process of its own."""
    command = [sys.executable, "-m", f"tests.bench.{module}", load.model_dump_json()]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return Result.model_validate_json(ended.stdout.splitlines()[-1])
