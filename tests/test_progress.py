"""How a run shows itself: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
import io
import re

import pytest
from rich.console import Console

from socialsim.engines.patience import Patience
from socialsim.meter import Meter, State
from socialsim.prices import Price
from socialsim.progress import details, shown
from tests.patient import Endpoint, patient, refusal, together
from tests.virtual_time import VirtualTime


def state(done: int = 0, total: int = 0, failed: int = 0) -> State:
    return State(Meter({}), total=total, done=done, failed=failed)


def shown_plainly(*states: State) -> list[str]:
    console = Console(file=io.StringIO(), width=60)
    with shown(console, "dialogues") as update:
        for one in states:
            update(one)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_elsewhere_a_state_is_one_plain_line() -> None:
    [line] = shown_plainly(state(3, 8, failed=2))
    assert re.fullmatch(r"dialogues: 3/8 · 2 rejected · 0\.0 calls/s · 0 tokens · \$0\.00 · 0 s", line)


def test_a_thousand_states_are_a_line_for_each_tenth() -> None:
    lines = shown_plainly(*(state(done, 1000) for done in range(1001)))
    assert [line.split(" ")[1] for line in lines] == [f"{100 * tenth}/1000" for tenth in range(11)]


def test_a_slow_run_says_now_and_then_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socialsim.progress.PLAIN_INTERVAL", 0.0)
    assert len(shown_plainly(*[state(0, 5)] * 4)) == 4


def test_nothing_to_do_is_shown_too() -> None:
    assert shown_plainly(state(0, 0), state(0, 0))[0].startswith("dialogues: 0/0 · ")


@pytest.mark.parametrize("total", [0, 8])
def test_a_terminal_gets_a_bar(total: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=160)
    with shown(console, "dialogues") as update:
        update(state(min(3, total), total, failed=1))
    assert isinstance(console.file, io.StringIO)
    out = console.file.getvalue()
    assert "━" in out
    assert f"{min(3, total)}/{total}" in out
    assert "1 rejected" in out
    assert "ETA" in out


def test_details_tell_tokens_and_cost() -> None:
    meter = Meter({"m": Price(0.001, 0.002, 0.001)})
    meter.add_usage("m", {"prompt_tokens": 1000, "completion_tokens": 500})
    assert details(State(meter)).endswith(" · 1,500 tokens · $2.00")


def test_a_cost_that_is_not_known_is_not_shown_as_zero() -> None:
    meter = Meter({})
    meter.add_usage("m", {"prompt_tokens": 1})
    assert details(State(meter)).endswith("cost unknown")


def test_what_an_endpoint_refuses_is_told() -> None:
    clock, calm = VirtualTime(), Patience()
    busy, endpoint = patient(clock), Endpoint(clock, iter([refusal() for _ in range(20)]))
    told: list[str] = []

    async def work() -> None:
        asked = asyncio.create_task(together(busy, endpoint, 20))
        for seconds in (0.5, 1.2, 60.0):  # all are under way; all wait but for those that may; all is done
            await asyncio.sleep(seconds)
            told.append(details(State(Meter({}), endpoints=(calm, busy))))
        await asked

    clock.run(work())
    assert [line.partition(" · $0.00")[2] for line in told] == ["", " · 20 retried · 14 at once", " · 20 retried"]
    assert busy.limit < busy.ceiling
