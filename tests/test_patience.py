"""How an endpoint is asked: retries, backoff, adaptive concurrency, in virtual time."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from dspy.utils.exceptions import (
    LMAuthError,
    LMBillingError,
    LMError,
    LMRateLimitError,
    LMServerError,
    LMTransportError,
)

from socialsim.engines.patience import Patience
from socialsim.lm_errors import UNANSWERED
from tests.patient import Endpoint, asking, asking_at_once, failure, gone, heard, hung, patient, refusal, together
from tests.virtual_time import VirtualTime


@pytest.fixture
def clock() -> VirtualTime:
    return VirtualTime()


class Prompt:
    """What a request holds."""


def waits(endpoint: Endpoint) -> list[float]:
    return [later - earlier - endpoint.latency for earlier, later in pairwise(endpoint.sent)]


class TestOneRequest:
    def test_an_answer_needs_no_second_try(self, clock: VirtualTime) -> None:
        patience, endpoint = patient(clock), Endpoint(clock)
        assert clock.run(patience.ask(endpoint)) == "answer"
        assert (len(endpoint.sent), patience.retried, patience.under_way) == (1, 0, 0)

    @pytest.mark.parametrize("error", [refusal, failure, gone, hung])
    def test_what_passes_is_sent_again(self, clock: VirtualTime, error: Callable[[], LMError]) -> None:
        patience, endpoint = patient(clock), Endpoint(clock, iter([error(), error()]))
        assert clock.run(patience.ask(endpoint)) == "answer"
        assert (len(endpoint.sent), patience.retried) == (3, 2)

    @pytest.mark.parametrize("kind", [LMAuthError, LMBillingError])
    def test_what_does_not_pass_is_told_at_once(self, clock: VirtualTime, kind: Any) -> None:
        endpoint = Endpoint(clock, iter([kind(message="no", model="m")]))
        with pytest.raises(kind):
            clock.run(heard(clock).ask(endpoint))
        assert len(endpoint.sent) == 1

    @pytest.mark.parametrize("seed", range(20))
    def test_each_wait_is_twice_the_last_but_for_its_jitter(self, clock: VirtualTime, seed: int) -> None:
        patience = Patience(clock=clock, retries=9, patience=0, _random=random.Random(seed))
        endpoint = Endpoint(clock, iter([failure() for _ in range(9)]))
        clock.run(patience.ask(endpoint))
        for number, wait in enumerate(waits(endpoint)):
            longest = min(0.5 * 2**number, 30.0)
            assert longest / 2 - 1e-9 <= wait <= longest + 1e-9
        assert len({round(wait % 0.25, 6) for wait in waits(endpoint)}) > 4, "no jitter"

    def test_one_that_never_answered_is_given_up_after_its_retries(self, clock: VirtualTime) -> None:
        endpoint = Endpoint(clock, (gone() for _ in iter(int, 1)), latency=0.0)
        with pytest.raises(LMTransportError):
            clock.run(patient(clock, retries=5, patience=180).ask(endpoint))
        assert len(endpoint.sent) == 6
        assert clock() < 20

    @pytest.mark.parametrize("patience", [30.0, 180.0])
    def test_one_that_has_answered_is_waited_for_as_long_as_patience(self, clock: VirtualTime, patience: float) -> None:
        asked, endpoint = heard(clock, patience=patience), Endpoint(clock, (gone() for _ in iter(int, 1)), latency=0.0)
        began = clock()
        with pytest.raises(LMTransportError) as raised:
            clock.run(asked.ask(endpoint))
        assert patience <= clock() - began < patience + 30
        assert len(endpoint.sent) < 20
        assert raised.value.provider_code != UNANSWERED  # nobody is answered: it is about the endpoint

    def test_a_minute_away_is_waited_for(self, clock: VirtualTime) -> None:
        patience, began = heard(clock), clock()

        async def attempt() -> str:
            if clock() < began + 60:
                raise gone()
            return "answer"

        assert clock.run(patience.ask(attempt)) == "answer"
        assert clock() - began < 60 + 30

    def test_without_retries_nothing_is_sent_again(self, clock: VirtualTime) -> None:
        endpoint = Endpoint(clock, iter([failure()]))
        with pytest.raises(LMServerError):
            clock.run(heard(clock, retries=0).ask(endpoint))
        assert len(endpoint.sent) == 1

    def test_one_that_fails_while_others_are_answered_is_said_to_be_alone(self, clock: VirtualTime) -> None:
        patience = heard(clock, patience=60)

        async def work() -> LMError:
            others = asyncio.create_task(asking(patience, Endpoint(clock), 200))
            with pytest.raises(LMServerError) as raised:
                await patience.ask(Endpoint(clock, (failure() for _ in iter(int, 1))))
            others.cancel()
            return raised.value

        assert clock.run(work()).provider_code == UNANSWERED

    def test_nothing_of_a_failure_is_left_to_the_garbage_collector(self, clock: VirtualTime) -> None:
        prompts: list[weakref.ref[Prompt]] = []

        async def attempt() -> str:
            if len(prompts) == 3:
                return "answer"
            prompt = Prompt()
            prompts.append(weakref.ref(prompt))
            try:
                raise TimeoutError
            except TimeoutError as cause:
                error = refusal()  # as in DSPy: a frame of the traceback holds the error
                raise error from cause

        gc.disable()
        try:
            assert clock.run(patient(clock).ask(attempt)) == "answer"
            assert [prompt() for prompt in prompts] == [None] * 3
        finally:
            gc.enable()

    def test_time_in_the_queue_is_not_counted(self, clock: VirtualTime) -> None:
        patience = heard(clock, ceiling=1.0, patience=40)

        async def work() -> str:
            others = [asyncio.create_task(asking(patience, Endpoint(clock, latency=0.9), 100)) for _ in range(10)]
            made = await patience.ask(Endpoint(clock, iter([failure() for _ in range(7)]), latency=0.0))
            for other in others:
                other.cancel()
            return made

        assert clock.run(work()) == "answer"
        assert clock() > 60

    def test_a_thread_is_as_patient(self, clock: VirtualTime, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("socialsim.engines.patience.time.sleep", clock.sleep)
        patience, ends = patient(clock), iter([refusal(7.0), failure(), None])

        def attempt() -> float:
            if error := next(ends):
                raise error
            return clock()

        assert 7.0 + 0.5 <= patience.ask_blocking(attempt) <= 7.0 + 1.0
        assert patience.retried == 2


class TestRetryAfter:
    def test_it_holds_back_all_new_requests(self, clock: VirtualTime) -> None:
        patience, endpoint = patient(clock), Endpoint(clock, iter([refusal(20.0)]))

        async def work() -> None:
            first = asyncio.create_task(patience.ask(endpoint))
            await asyncio.sleep(5)
            await asyncio.gather(first, *(patience.ask(endpoint) for _ in range(4)))

        clock.run(work())
        assert len(endpoint.sent) == 6
        assert min(endpoint.sent[1:]) >= 1.0 + 20.0

    def test_more_than_patience_is_not_waited_for(self, clock: VirtualTime) -> None:
        endpoint = Endpoint(clock, iter([refusal(3600.0)]))
        with pytest.raises(LMRateLimitError):
            clock.run(heard(clock, patience=180).ask(endpoint))
        assert clock() < 10

    @pytest.mark.parametrize("nonsense", [-1.0, float("nan"), float("inf"), None])
    def test_what_is_no_time_is_left_to_backoff(self, clock: VirtualTime, nonsense: Any) -> None:
        endpoint = Endpoint(clock, iter([refusal(nonsense)]))
        clock.run(patient(clock).ask(endpoint))
        assert waits(endpoint)[0] <= 0.5


class TestLimit:
    def test_it_falls_once_for_those_under_way_together(self, clock: VirtualTime) -> None:
        patience, endpoint = patient(clock), Endpoint(clock, iter([refusal() for _ in range(20)]))
        clock.run(together(patience, endpoint, 20, until=1.5))
        assert patience.limit == pytest.approx(0.7 * 20)

    def test_it_falls_again_for_those_sent_later(self, clock: VirtualTime) -> None:
        patience, endpoint = patient(clock), Endpoint(clock, (refusal() for _ in iter(int, 1)))
        clock.run(together(patience, endpoint, 20, until=3.0))
        assert patience.limit <= 0.7 * 0.7 * 20

    def test_it_never_falls_below_one(self, clock: VirtualTime) -> None:
        patience, endpoint = patient(clock), Endpoint(clock, (refusal() for _ in iter(int, 1)))
        clock.run(together(patience, endpoint, 20, until=150.0))
        assert patience.limit == 1.0
        assert patience.under_way == 0

    def test_it_climbs_to_its_ceiling_and_no_further(self, clock: VirtualTime) -> None:
        patience, endpoint = patient(clock, ceiling=8.0), Endpoint(clock, iter([refusal() for _ in range(8)]))
        clock.run(together(patience, endpoint, 8))
        fallen = patience.limit
        assert fallen < 7
        clock.run(asking_at_once(patience, endpoint, 16, 20))
        assert fallen < patience.limit == 8.0

    @pytest.mark.parametrize(("retry_after", "slower"), [(None, 1), (10.0, 41)])
    def test_what_costs_a_long_wait_is_risked_less_often(
        self, clock: VirtualTime, retry_after: float | None, slower: int
    ) -> None:
        patience, endpoint = patient(clock), Endpoint(clock, iter([refusal(retry_after) for _ in range(10)]))
        patience._usual = endpoint.latency
        clock.run(together(patience, endpoint, 10, until=1.5))
        patience._limit.now, patience._limit._fell_at = 10.0, clock()
        patience._answered(clock())
        assert patience.limit - 10 == pytest.approx(0.1 / slower)
        clock.sleep(121.0)  # and after a while without a refusal the limit climbs as usual
        before = patience.limit
        patience._answered(clock())
        assert patience.limit - before == pytest.approx(0.1, rel=0.01)

    def test_no_more_than_it_says_are_under_way(self, clock: VirtualTime) -> None:
        patience, most = patient(clock, ceiling=5.0), 0

        async def attempt() -> str:
            nonlocal most
            most = max(most, patience.under_way)
            await asyncio.sleep(0.5)
            return "answer"

        clock.run(asking_at_once(patience, attempt, 30, 2))
        assert most == 5

    def test_time_outs_lower_it_where_nobody_is_answered_meanwhile(self, clock: VirtualTime) -> None:
        patience = heard(clock)
        clock.run(together(patience, Endpoint(clock, iter([hung() for _ in range(20)]), latency=30), 20, until=31))
        assert patience.limit == pytest.approx(0.7 * 20)

    def test_a_time_out_among_answers_does_not(self, clock: VirtualTime) -> None:
        patience = heard(clock)

        async def work() -> None:
            others = asyncio.create_task(asking(patience, Endpoint(clock), 60))
            await patience.ask(Endpoint(clock, iter([hung()]), latency=30))
            await others

        clock.run(work())
        assert patience.limit == patience.ceiling
