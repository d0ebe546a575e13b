"""A bad day: real runs against a simulated endpoint that refuses, fails, hangs, lies, and dies for a while.

All times are scaled down: answers after 5 to 50 ms, a death of three seconds, time-outs after half a second.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import Request

from socialsim.engines.patience import Patience
from socialsim.errors import LMError
from socialsim.journal import read_records
from socialsim.schema import Dialogue, Rejection
from tests.answering_server import AnsweringServer, answering_server
from tests.bench.endpoint import Weather, endpoint
from tests.command import assert_whole, ids, socialsim
from tests.scripted import schema_of, user_text, valid_answers
from tests.simulations import CALLS, assert_none_vanished, simulate


def dialogues(run: Path) -> list[Dialogue]:
    return list(read_records(run / "dialogues.jsonl", Dialogue))


def rejections(run: Path) -> list[Rejection]:
    return list(read_records(run / "rejected.jsonl", Rejection))


def test_on_a_bad_day_every_persona_ends_and_calls_are_bounded(tmp_path: Path) -> None:
    weather = Weather(latency=0.01, rate_limited=0.1, failing=0.05, malformed=0.05, hanging=0.02, hang=1.0)
    with endpoint(weather) as server:
        made = simulate(server, tmp_path, 8, "timeout=0.5")
        seen = server.stats()
    assert_none_vanished(tmp_path, 8)
    assert made.manifest.counts["dialogues"] == 8
    assert made.run.state.failed == 0
    assert min(seen["ended"][fate] for fate in ("rate_limited", "failing", "malformed", "hanging")) > 0
    retried = made.run.state.retried
    assert seen["calls"] == made.manifest.usage.calls + retried  # each is answered, or is sent again and counted
    assert made.manifest.usage.calls == 8 * CALLS + seen["ended"]["malformed"]
    assert seen["calls"] < 1.5 * 8 * CALLS


@pytest.fixture(scope="module")
def on_a_good_day(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    run = tmp_path_factory.mktemp("good")
    with endpoint(Weather(latency=0.005)) as server:
        simulate(server, run, 3)
    return said(run)


@pytest.mark.parametrize(
    "fault",
    [
        {"rate_limited": 0.1},
        {"rate_limited": 0.05, "retry_after": 0.2},
        {"failing": 0.1},
        {"reset": 0.1},
        {"malformed": 0.1},
        {"empty": 0.1},
        {"truncated": 0.1},
        {"refused": 0.1},
        {"hanging": 0.03, "hang": 1.0},
    ],
    ids=lambda fault: "-".join(fault),
)
def test_no_fault_alone_loses_or_alters_a_dialogue(
    tmp_path: Path, fault: dict[str, Any], on_a_good_day: dict[str, list[str]]
) -> None:
    with endpoint(Weather(latency=0.005, **fault)) as server:
        made = simulate(server, tmp_path, 3, "timeout=0.5")
        seen = server.stats()["ended"]
    assert sum(seen.values()) > seen["answered"] == 3 * CALLS
    assert_none_vanished(tmp_path, 3)
    assert said(tmp_path) == on_a_good_day
    assert made.manifest.flags == {}


def said(run: Path) -> dict[str, list[str]]:
    return {one.id: [turn.text for turn in one.turns] for one in dialogues(run)}


def test_an_endpoint_that_dies_and_comes_back_costs_time_and_nothing_else(tmp_path: Path) -> None:
    with endpoint(Weather(latency=0.02, dead_from=0.3, dead_for=3.0)) as server:
        made = simulate(server, tmp_path, 8)
        seen = server.stats()["ended"]
    assert made.manifest.counts["dialogues"] == 8
    assert seen["answered"] == 8 * CALLS
    assert 8 <= seen["dead"] <= 8 * 7  # backoff: a handful of tries each
    assert 3.0 < made.seconds < 12.0


def test_one_that_stays_dead_stops_the_run_in_one_line_and_what_is_done_is_kept(tmp_path: Path) -> None:
    with endpoint(Weather(latency=0.01, dead_from=0.6, dead_for=600)) as server:
        with pytest.raises(LMError) as raised:
            simulate(server, tmp_path, 24, "retries=1&patience=1", concurrency=2)
        done = ids(tmp_path, "dialogues")
    assert "is the server up and the address right? run again then; finished items are kept" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert 0 < len(done) < 24
    assert ids(tmp_path, "rejected") == []


def test_an_endpoint_that_takes_only_some_at_once_is_asked_for_little_more(tmp_path: Path) -> None:
    # Seen: 7 to 10% refused, and 22% where the limit never falls (160 at once, 8 taken).
    with endpoint(Weather(latency=0.05, concurrency=8, busy=True)) as server:
        made = simulate(server, tmp_path, 24)
        seen = server.stats()["ended"]
    assert made.manifest.counts["dialogues"] == 24
    assert seen["answered"] == 24 * CALLS
    assert 0 < seen["rate_limited"] < 0.13 * 24 * CALLS
    (asked,) = made.run.state.endpoints
    assert isinstance(asked, Patience)
    assert asked.limit < 160  # it may stay above 8: so few keep below it by the waits between their tries


def test_a_hanging_call_delays_its_own_dialogue_only(tmp_path: Path) -> None:
    with endpoint(Weather(latency=0.01, hanging=0.004, hang=6.0, seed=4)) as server:
        made = simulate(server, tmp_path, 12)
        seen = server.stats()["ended"]
    assert seen["hanging"] >= 1
    assert made.manifest.counts["dialogues"] == 12
    seconds = sorted(one.provenance.usage.seconds for one in dialogues(tmp_path) if one.provenance)
    assert seconds[-1] > 6.0
    assert seconds[12 - 1 - seen["hanging"]] < 4.0


def test_what_the_filter_refuses_is_asked_again_and_then_rejected_as_that(tmp_path: Path) -> None:
    with endpoint(Weather(refused=1.0)) as server:
        made = simulate(server, tmp_path, 3, tries=4)
        assert server.stats()["calls"] == 3 * 4
    assert_none_vanished(tmp_path, 3)
    assert made.manifest.rejected == {"simulate: refused": 3}
    for rejection in rejections(tmp_path):
        assert rejection.trace == ("the provider's content filter refused to answer",) * 4
        assert rejection.usage.calls == 4


@pytest.mark.parametrize(
    ("fault", "said"),
    [("truncated", "the answer was cut off at max_tokens"), ("empty", "not the JSON object")],
)
def test_what_is_never_whole_is_rejected_with_each_reason(tmp_path: Path, fault: str, said: str) -> None:
    with endpoint(Weather.model_validate({fault: 1.0})) as server:
        made = simulate(server, tmp_path, 2, tries=3)
        assert server.stats()["calls"] == 2 * 3
    assert made.manifest.rejected == {"simulate: invalid": 2}
    assert all(len(one.trace) == 3 and said in one.trace[0] for one in rejections(tmp_path))
    assert made.manifest.usage.calls == 2 * 3  # they are paid for, so they are counted


def patient_spec(server: AnsweringServer, settings: str) -> str:
    return server.spec.replace("retries=0", settings)


def test_a_request_that_alone_is_never_answered_is_an_item_rejected_and_the_run_goes_on(tmp_path: Path) -> None:
    valid = valid_answers()

    def answer(request: Request) -> dict[str, Any]:
        poisoned = "cat" in user_text(request) and "gender" in schema_of(request)["properties"]
        return {"error": 500} if poisoned else valid(request)

    with answering_server(answer, delay=0.02) as server:
        spec = patient_spec(server, "retries=2&patience=1")
        ended = socialsim("run", "--out", tmp_path, "--lm", spec, "--limit", 12, "--no-screen-by-lm")
    assert (ended.code, ended.err) == (0, "")
    assert_whole(tmp_path)
    [rejected] = [one for one in rejections(tmp_path) if one.stage == "persona"]
    assert rejected.reason == "unanswered"
    assert "scripted failure 500" in rejected.detail
    assert len(ids(tmp_path, "dialogues")) == 11


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (429, None, "lower --concurrency or wait, then run again; finished items are kept"),
        (429, "insufficient_quota", "the account has no credit; top it up and run again, finished items are kept"),
        (401, None, "the API key is missing or refused"),
        (500, None, "the server failed; run again later, finished items are kept"),
    ],
)
def test_what_ends_a_run_is_told_in_one_line_and_longer_patience_goes_on_with_it(
    tmp_path: Path, status: int, code: str | None, said: str
) -> None:
    valid, seen = valid_answers(), iter(range(10**9))

    def answer(request: Request) -> dict[str, Any]:
        return valid(request) if next(seen) < 60 else {"error": status, "code": code}

    with answering_server(answer) as server:
        command = ("run", "--out", tmp_path, "--limit", 4, "--concurrency", 2, "--no-screen-by-lm", "--lm")
        problem = socialsim(*command, patient_spec(server, "retries=1&patience=1")).problem
        assert said in problem
        assert ids(tmp_path, "rejected") == []
        server.answer = valid
        assert socialsim(*command, patient_spec(server, "patience=60")).code == 0
    assert len(ids(tmp_path, "dialogues")) == 4
    assert_whole(tmp_path)


def test_a_filter_that_answers_with_status_400_rejects_the_item_too(tmp_path: Path) -> None:
    valid = valid_answers()

    def answer(request: Request) -> dict[str, Any]:
        is_persona = "gender" in schema_of(request)["properties"]
        return valid(request) if is_persona else {"error": 400, "code": "content_filter"}

    with answering_server(answer) as server:
        ended = socialsim("run", "--out", tmp_path, "--lm", server.spec, "--limit", 2, "--no-screen-by-lm")
    assert ended.code == 0
    assert [(one.reason, len(one.trace)) for one in rejections(tmp_path)] == [("refused", 5)] * 2
    assert all("content filter refused the prompt" in one.trace[0] for one in rejections(tmp_path))
