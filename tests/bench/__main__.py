"""``make bench``: the product beside a bare aiohttp loop and a bare AsyncOpenAI loop, in one table.

They run one after another against the same kind of endpoint, each by itself. The product runs three times: as it is,
in two processes (which it takes by itself where 256 or more are in flight, or the endpoint answers quickly, and there
are cores for them), and without the eight rules, which it checks while it writes (validation and journals stay on).
Wall times on shared machines drift: what stays is the ratio to the bare aiohttp loop of the same run ("of bare").
"""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.endpoint import Weather, endpoint
from tests.bench.measure import Load, Result, loop

# latency in seconds, in flight, dialogues; the last is a run of the paper's size
CASES = ((0.2, 64, 64), (0.05, 64, 64), (1.0, 512, 512), (0.0, 64, 3229))
BARE = "bare aiohttp"
# the module of each loop, and what it is told besides the load
LOOPS: dict[str, tuple[str, dict[str, object]]] = {
    "product": ("product", {}),
    "product --workers 2": ("product", {"workers": 2}),
    "product --no-rules": ("product", {"rules": False}),
    BARE: ("aiohttp_loop", {}),
    "bare AsyncOpenAI": ("openai_loop", {}),
}


def main() -> None:
    """Run what is asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", type=int, choices=range(len(CASES)), action="append", help="a case only")
    parser.add_argument("--loop", choices=LOOPS, action="append", help="a loop only")
    asked = parser.parse_args()
    columns = ("endpoint", "loop", "processes", "efficiency", "of bare", "CPU ms/call", "calls/s", "RSS MB", "cached")
    table = Table(*columns, title=f"24 calls a dialogue, {_python()}")
    for index in asked.case or range(len(CASES) - 1):
        load = _load(index)
        results = {name: _measured(name, load) for name in asked.loop or LOOPS}
        for name, result in results.items():
            table.add_row(_name(load), name, *_cells(result, load, results.get(BARE)))
    Console(width=110).print(table)


def _python() -> str:
    """Which one: some are built without optimisations and need a quarter more."""
    return f"Python {platform.python_version()} ({Path(sys.executable).resolve()})"


def _load(index: int) -> Load:
    latency, concurrency, dialogues = CASES[index]
    return Load(url="", dialogues=dialogues, concurrency=concurrency, latency=latency)


def _name(load: Load) -> str:
    return f"{load.latency * 1000:.0f} ms x {load.concurrency}"


def _measured(name: str, load: Load) -> Result:
    print(f"{_name(load)}, {load.dialogues} dialogues: {name} …", end=" ", flush=True)
    with endpoint(Weather(latency=load.latency, concurrency=load.concurrency)) as server:
        module, told = LOOPS[name]
        result = loop(module, load.model_copy(update={"url": server.url, **told}))
        assert server.stats()["calls"] == result.calls, (server.stats(), result)
    print(f"{result.efficiency(load):.2f}", flush=True)  # the table comes at the end, after a quarter of an hour
    return result


def _cells(result: Result, load: Load, bare: Result | None) -> tuple[str, ...]:
    early = result.rss_at_a_quarter if load.dialogues > load.concurrency else 0
    quarter = f" ({early / 2**20:.0f} at a quarter)" if early else ""
    efficiency = result.efficiency(load)
    return (
        f"{result.processes}",
        f"{efficiency:.2f}",
        f"{efficiency / bare.efficiency(load):.2f}" if bare and load.latency else "",
        f"{1000 * result.cpu / result.calls:.2f}",
        f"{result.calls / result.wall:.0f}",
        f"{result.rss / 2**20:.0f}{quarter}",
        f"{result.cached_tokens / result.prompt_tokens:.0%}" if result.prompt_tokens else "",
    )


if __name__ == "__main__":
    main()
