"""How long work shows itself: a live bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from socialsim.meter import State

PLAIN_INTERVAL = 10.0  # seconds between plain lines


def details(state: State) -> str:
    """Failures, speed, tokens and cost in one short text; what endpoints refuse, if they do."""
    meter = state.meter
    rate = meter.calls / state.seconds if state.seconds > 0 else 0.0
    tokens = meter.prompt_tokens + meter.completion_tokens
    cost = "cost unknown" if meter.cost is None else f"${meter.cost:.2f}"
    told = f"{state.failed} rejected · {rate:.1f} calls/s · {tokens:,} tokens · {cost}"
    told += f" · {state.retried:,} retried" if state.retried else ""
    told += "" if state.at_once is None else f" · {state.at_once:,} at once"
    return f"{told} · {state.note}" if state.note else told


@contextmanager
def shown(console: Console, what: str) -> Iterator[Callable[[State], None]]:
    """Yield a callback that shows how far the work is.

    Args:
        console: where to show it.
        what: the plural of what is made, such as "dialogues".
    """
    if not console.is_terminal:
        yield _PlainLines(console, what)
        return
    columns = (
        TextColumn("[bold]{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("ETA"), TimeRemainingColumn(), TextColumn("[dim]{task.fields[details]}"),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(what, total=None, details="loading")

        def update(state: State) -> None:
            progress.update(task, completed=state.done, total=state.total, details=details(state))

        yield update


class _PlainLines:
    """One line at the first state, at most one each interval, and one for each tenth of the way."""

    def __init__(self, console: Console, what: str) -> None:
        self._console = console
        self._what = what
        self._last = 0.0
        self._tenth = -1

    def __call__(self, state: State) -> None:
        tenth = 10 * state.done // state.total if state.total else 0
        if tenth == self._tenth and time.monotonic() - self._last < PLAIN_INTERVAL:
            return
        self._tenth, self._last = tenth, time.monotonic()
        self._console.print(
            f"{self._what}: {state.done}/{state.total} · {details(state)} · {state.seconds:.0f} s", soft_wrap=True
        )
