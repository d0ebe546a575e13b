"""The limit on what is under way follows an endpoint's load, and nothing else, in virtual time."""

from __future__ import annotations

import pytest

from socialsim.engines.refusals import Refusals
from tests.patient import Crowded, patient
from tests.virtual_time import VirtualTime


@pytest.fixture
def clock() -> VirtualTime:
    return VirtualTime()


class TestRefusedAtRandom:
    @pytest.mark.parametrize("latency", [0.2, 2.0])
    @pytest.mark.parametrize(("dropped", "least"), [(0.01, 0.85), (0.03, 0.8), (0.1, 0.7)])
    def test_others_go_on_at_nearly_full_speed(
        self, clock: VirtualTime, latency: float, dropped: float, least: float
    ) -> None:
        endpoint = Crowded(clock, latency, dropped=lambda _: dropped)
        endpoint.kept_busy(patient(clock), 64, 300 * latency)
        assert endpoint.speed(since=30 * latency) > least * 64 / latency
        assert endpoint.share_refused() == pytest.approx(dropped, rel=0.3)

    @pytest.mark.parametrize(("dropped", "least"), [(0.01, 0.8), (0.1, 0.55)])
    def test_a_wait_they_name_is_their_own(self, clock: VirtualTime, dropped: float, least: float) -> None:
        endpoint = Crowded(clock, 0.2, dropped=lambda _: dropped, retry_after=1.0)
        endpoint.kept_busy(patient(clock), 64, 300.0)
        # At 0.1 each of the 64 waits 0.1 s for an answer that takes 0.2 s.
        assert endpoint.speed(since=30.0) > least * 64 / 0.2

    def test_few_at_once_are_no_exception(self, clock: VirtualTime) -> None:
        endpoint = Crowded(clock, 1.0, dropped=lambda _: 0.1)
        endpoint.kept_busy(patient(clock), 8, 300.0)
        assert endpoint.speed(since=30.0) > 0.8 * 8

    def test_when_it_is_over_an_overload_counts_again(self, clock: VirtualTime) -> None:
        endpoint = Crowded(clock, 0.2, lambda at: 0.1 * (at < 40), room=lambda at: 64 if at < 60 else 32)
        endpoint.kept_busy(patient(clock), 64, 120.0)
        assert endpoint.share_refused(since=60.0) < 0.03
        assert endpoint.speed(since=60.0) > 0.8 * 32 / 0.2

    def test_beside_an_overload_it_is_told_from_it(self, clock: VirtualTime) -> None:
        endpoint = Crowded(clock, 0.2, dropped=lambda _: 0.1, room=lambda _: 32)
        endpoint.kept_busy(patient(clock), 64, 60.0)
        assert endpoint.speed(since=6.0) > 0.75 * 32 / 0.2
        assert endpoint.share_refused(since=6.0) < 0.2  # 0.1 of them at random


class TestOverload:
    @pytest.mark.parametrize(
        ("wanted", "room", "latency", "most"), [(160, 8, 0.05, 0.08), (48, 8, 0.05, 0.08), (512, 400, 1.0, 0.01)]
    )
    def test_its_room_is_used_and_little_is_refused(
        self, clock: VirtualTime, wanted: int, room: int, latency: float, most: float
    ) -> None:
        endpoint = Crowded(clock, latency, room=lambda _: room)
        endpoint.kept_busy(patient(clock), wanted, 120.0)
        assert endpoint.speed() > 0.85 * room / latency
        assert endpoint.share_refused() < most

    def test_room_that_goes_is_given_up_and_taken_again(self, clock: VirtualTime) -> None:
        endpoint = Crowded(clock, 0.2, room=lambda at: 8 if 40 <= at < 80 else 64)
        endpoint.kept_busy(patient(clock), 64, 80.0)
        assert endpoint.share_refused(since=40.0) < 0.1
        endpoint.kept_busy(patient(clock), 64, 20.0)
        assert endpoint.speed(since=90.0) > 0.9 * 64 / 0.2

    @pytest.mark.parametrize(("seconds", "least"), [(1.0, 0.75), (5.0, 0.6)])
    def test_where_each_refusal_stops_all_it_is_risked_seldom(
        self, clock: VirtualTime, seconds: float, least: float
    ) -> None:
        endpoint = Crowded(clock, 0.05, room=lambda _: 8, retry_after=seconds)
        endpoint.kept_busy(patient(clock), 48, 300.0)
        assert endpoint.speed(since=30.0) > least * 8 / 0.05
        assert endpoint.share_refused() < 0.01


class TestRefusals:
    def test_the_first_one_lowers(self) -> None:
        refusals = Refusals()
        assert not any(refusals.tell(False, below=False) for _ in range(1000))
        assert refusals.tell(True, below=False)

    def test_what_a_fall_cured_is_not_tolerated(self) -> None:
        refusals = Refusals()
        refusals.fell()
        assert not any(refusals.tell(False, below=True) for _ in range(60))
        assert refusals.tell(True, below=False)

    def test_most_of_them_refused_after_a_fall_lower_again_soon(self) -> None:
        refusals = Refusals()
        refusals.fell()
        assert [refusals.tell(True, below=True) for _ in range(6)].index(True) == 4
