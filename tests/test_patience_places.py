"""Places among the requests under way: who waits, who goes on, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import NamedTuple

import pytest
from dspy.utils.exceptions import LMError
from hypothesis import given, settings
from hypothesis import strategies as st

from socialsim.engines.patience import Patience
from tests.patient import Endpoint, asking, failure, gone, heard, patient, refusal, together
from tests.virtual_time import VirtualTime

ENDED: dict[str, Callable[[], LMError]] = {"429": refusal, "500": failure, "gone": gone}


@pytest.fixture
def clock() -> VirtualTime:
    return VirtualTime()


class TestTurns:
    def test_first_come_first_served(self, clock: VirtualTime) -> None:
        patience, served = patient(clock, ceiling=2.0), list[int]()

        async def one(number: int) -> None:
            async def attempt() -> None:
                served.append(number)
                await asyncio.sleep(1)

            await patience.ask(attempt)

        async def work() -> None:
            await asyncio.gather(*(one(number) for number in range(12)))

        clock.run(work())
        assert served == list(range(12))

    def test_one_given_up_at_the_moment_it_was_let_in_passes_its_place_on(self, clock: VirtualTime) -> None:
        patience, endpoint = patient(clock, ceiling=1.0), Endpoint(clock)

        async def work() -> str:
            async def first() -> None:
                await patience.ask(endpoint)
                second.cancel()  # it has its turn, and has not gone on yet

            one = asyncio.create_task(first())
            await asyncio.sleep(0)
            second, third = (asyncio.create_task(patience.ask(endpoint)) for _ in range(2))
            await one
            return await third

        assert clock.run(work()) == "answer"
        assert (len(endpoint.sent), patience.under_way) == (2, 0)

    def test_a_slow_request_does_not_hold_up_others_even_where_one_may_be_under_way(self, clock: VirtualTime) -> None:
        patience = heard(clock, ceiling=1.0)

        async def work() -> float:
            slow = asyncio.create_task(patience.ask(Endpoint(clock, latency=120)))
            await asyncio.sleep(0)
            await asking(patience, Endpoint(clock, latency=0.1), 10)
            others = clock()
            await slow
            return others

        assert clock.run(work()) < 60
        assert (patience.under_way, patience._slow) == (0, 0)

    def test_where_all_are_slow_at_most_twice_the_limit_is_under_way(self, clock: VirtualTime) -> None:
        patience, endpoint = heard(clock, ceiling=4.0), Endpoint(clock, latency=110)
        most = 0

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, endpoint.open)
                await asyncio.sleep(0.25)

        async def work() -> None:
            watcher = asyncio.create_task(watch())
            await together(patience, endpoint, 30)
            watcher.cancel()

        clock.run(work())
        assert most == 8


class Request(NamedTuple):
    """When it comes, what happens to its tries, when it is given up."""

    comes: float
    tries: tuple[tuple[str, float], ...]
    leaves: float | None


TIMES = st.floats(0.0, 12.0, allow_nan=False)
TRIES = st.lists(st.tuples(st.sampled_from(["429", "500", "gone", "wait"]), st.floats(0.0, 9.0)), max_size=4).map(tuple)
REQUESTS = st.lists(st.builds(Request, TIMES, TRIES, st.none() | TIMES), min_size=1, max_size=14)


@settings(max_examples=150, deadline=None)
@given(requests=REQUESTS, ceiling=st.integers(1, 5), seed=st.integers(0, 3))
def test_whatever_happens_places_are_counted_right_and_nobody_waits_beside_a_free_one(
    requests: list[Request], ceiling: int, seed: int
) -> None:
    clock = VirtualTime()
    patience = Patience(clock=clock, ceiling=float(ceiling), _random=random.Random(seed))
    running: set[int] = set()

    async def one(number: int, request: Request) -> None:
        tries = iter(request.tries)

        async def attempt() -> None:
            running.add(number)
            try:
                ends, seconds = next(tries, ("answered", 0.3))
                await asyncio.sleep(seconds)
            finally:
                running.discard(number)
            if ends == "wait":
                raise refusal(2.0)
            if ends in ENDED:
                raise ENDED[ends]()

        await asyncio.sleep(request.comes)
        await patience.ask(attempt)

    async def watch() -> None:
        while True:
            await asyncio.sleep(0.0371)
            held = clock() < patience._not_before
            waiting = sum(not turn.done() for turn in patience._waiting)
            assert len(running) <= patience.under_way
            assert held or len(running) == patience.under_way
            assert not (waiting and patience._has_room())
            assert patience._slow <= patience.under_way
            assert 1 <= patience.limit <= ceiling

    async def work() -> None:
        tasks = [asyncio.create_task(one(number, request)) for number, request in enumerate(requests)]
        watcher = asyncio.create_task(watch())
        for task, request in zip(tasks, requests, strict=True):
            if request.leaves is not None:
                asyncio.get_running_loop().call_later(request.leaves, task.cancel)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(end is None or isinstance(end, asyncio.CancelledError) for end in ended), ended
        assert not watcher.done(), watcher.exception()
        watcher.cancel()

    clock.run(work())
    assert (patience.under_way, patience._slow, len(running)) == (0, 0, 0)
    assert not any(not turn.done() for turn in patience._waiting)
    assert clock() < 600
