"""One process beside several, and beside Ray workers: ``python -m tests.bench.on_ray --latency 0.05`` prints a table.

Time and CPU are counted from the moment the workers are there; CPU is the run's own and the workers', not Ray's.
"""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from tests.bench.endpoint import Weather, endpoint
from tests.bench.measure import Load, loop


def main() -> None:
    """Run what is asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--dialogues", type=int, default=512)
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--workers", type=int, nargs="*", default=[2], help="Ray's")
    asked = parser.parse_args()
    table = Table("made by", "dialogues/hour", "calls/s", "CPU ms/call", "efficiency")
    load = Load(url="", dialogues=asked.dialogues, concurrency=asked.in_flight, latency=asked.latency)
    ways = [(count, False) for count in asked.processes] + [(count, True) for count in asked.workers]
    for load.workers, load.on_ray in ways:
        with endpoint(Weather(latency=asked.latency, concurrency=asked.in_flight)) as server:
            load.url = server.url
            took = loop("product", load)
        rate, calls = asked.dialogues / took.wall, took.calls
        cells = (f"{3600 * rate:,.0f}", f"{24 * rate:.0f}", f"{1000 * took.cpu / calls:.2f}")
        name = "Ray workers" if load.on_ray else "processes"
        table.add_row(f"{name}: {load.workers}", *cells, f"{took.efficiency(load):.2f}")
    Console().print(f"{1000 * asked.latency:.0f} ms x {asked.in_flight}, {asked.dialogues} dialogues of 24 calls")
    Console().print(table)


if __name__ == "__main__":
    main()
