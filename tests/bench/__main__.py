"""``make bench``: the product beside a bare aiohttp loop and a bare AsyncOpenAI loop, in one table.

They run one after another against the same kind of endpoint, each in a process of its own. The product runs twice:
as it is, and without the eight rules, which it checks while it writes (validation and journals stay on).
"""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from tests.bench.endpoint import Weather, endpoint
from tests.bench.measure import Load, Result, loop

# latency in seconds, in flight, dialogues; the last is a run of the paper's size
CASES = ((0.2, 64, 64), (0.05, 64, 64), (1.0, 512, 512), (0.0, 64, 3229))
NO_RULES = "product --no-rules"
LOOPS = {"product": "product", NO_RULES: "product", "bare aiohttp": "aiohttp_loop", "bare AsyncOpenAI": "openai_loop"}


def main() -> None:
    """Run what is asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", type=int, choices=range(len(CASES)), action="append", help="a case only")
    parser.add_argument("--loop", choices=LOOPS, action="append", help="a loop only")
    asked = parser.parse_args()
    table = Table(
        "endpoint", "loop", "efficiency", "CPU ms/call", "calls/s", "RSS MB", "cached", title="24 calls a dialogue"
    )
    for index in asked.case or range(len(CASES) - 1):
        latency, concurrency, dialogues = CASES[index]
        for name in asked.loop or LOOPS:
            print(f"{latency * 1000:.0f} ms x {concurrency}, {dialogues} dialogues: {name} …", flush=True)
            with endpoint(Weather(latency=latency, concurrency=concurrency)) as server:
                load = Load(url=server.url, dialogues=dialogues, concurrency=concurrency, latency=latency)
                load.rules = name != NO_RULES
                result = loop(LOOPS[name], load)
                assert server.stats()["calls"] == result.calls, (server.stats(), result)
            table.add_row(f"{latency * 1000:.0f} ms x {concurrency}", name, *_cells(result, load))
    Console(width=100).print(table)


def _cells(result: Result, load: Load) -> tuple[str, ...]:
    quarter = f" ({result.rss_at_a_quarter / 2**20:.0f} at a quarter)" if result.rss_at_a_quarter else ""
    cached = f"{result.cached_tokens / result.prompt_tokens:.0%}" if result.prompt_tokens else ""
    return (
        f"{result.efficiency(load):.2f}",
        f"{1000 * result.cpu / result.calls:.2f}",
        f"{result.calls / result.wall:.0f}",
        f"{result.rss / 2**20:.0f}{quarter}",
        cached,
    )


if __name__ == "__main__":
    main()
