"""What a run may take: it stops by itself, cleanly, and a higher limit goes on where it stopped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from socialsim.budget import Budget
from socialsim.errors import BudgetError, LMSpecError
from socialsim.journal import read_records
from socialsim.kept import FOLDER
from socialsim.meter import Meter
from socialsim.prices import Price
from socialsim.schema import Dialogue, Persona, Usage
from tests.answering_server import AnsweringServer, answering_server
from tests.command import Ended, assert_whole, ids, manifest_of, socialsim, start

TOKENS = 110  # of a call of the answering server: 100 read, 10 written
CENT = Price(prompt=0.00005, completion=0.0005, cached=0.0)  # so that a call costs a cent
LIMIT = 6


@pytest.fixture
def priced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The local server's LM costs a cent a call."""
    for module in ("worker", "cli.session", "estimate"):
        monkeypatch.setattr(f"socialsim.{module}.price", lambda *_: CENT)


def go(server: AnsweringServer, run: Path, *arguments: object, at_once: int = 3) -> Ended:
    return socialsim(
        "run", "--out", run, "--lm", server.spec, "--limit", LIMIT, "--concurrency", at_once, "--no-screen-by-lm",
        *arguments,
    )  # fmt: skip


def calls_of_items(run: Path) -> int:
    """Calls that went into what a run made."""
    personas = read_records(run / "personas.jsonl", Persona)
    dialogues = read_records(run / "dialogues.jsonl", Dialogue)
    signed = [one.provenance for one in personas] + [one.provenance for one in dialogues]
    return sum(one.usage.calls for one in signed if one)


@pytest.mark.parametrize(("at_once", "workers"), [(1, 1), (5, 1), (5, 2), (6, 3)])
def test_tokens_stop_at_the_limit_and_what_was_in_flight(tmp_path: Path, at_once: int, workers: int) -> None:
    with answering_server(delay=0.005) as server:
        ended = go(server, tmp_path, "--max-tokens", 50 * TOKENS, "--workers", workers, at_once=at_once)
        asked = len(server.requests)
    assert 50 <= asked < 50 + at_once
    assert re.match(r"--max-tokens 5,500: (5,[5-9]\d\d|6,0\d\d) ", ended.problem)
    assert ended.problem.endswith(
        "tokens are used; everything answered is kept, run the same command with a higher limit to go on"
    )
    assert "completion tokens" in ended.out  # the summary
    usage = manifest_of(tmp_path).usage
    assert (usage.calls, usage.prompt_tokens + usage.completion_tokens) == (asked, asked * TOKENS)
    assert_whole(tmp_path)


@pytest.mark.usefixtures("priced")
def test_cost_stops_at_the_limit_and_a_higher_one_makes_exactly_what_is_missing(tmp_path: Path) -> None:
    with answering_server(delay=0.002) as server:
        for cents in (40, 90, 130):
            ended = go(server, tmp_path, "--max-cost", cents / 100)
            assert ended.problem.startswith(f"--max-cost {cents / 100:g}: $")
            assert cents <= len(server.requests) < cents + 3  # in all sessions: what was spent is not forgotten
            assert manifest_of(tmp_path).usage.cost == pytest.approx(0.01 * len(server.requests))
            assert ids(tmp_path, "rejected") == []
        before = len(server.requests)
        assert go(server, tmp_path, "--max-cost", 1.30).code == 1
        assert len(server.requests) == before  # nothing is left of it
        assert go(server, tmp_path, "--max-cost", 100).code == 0
        asked = len(server.requests)
    assert calls_of_items(tmp_path) == asked  # each answer went into an item: none was asked for twice
    assert len(ids(tmp_path, "dialogues")) == LIMIT
    assert not list((tmp_path / FOLDER).glob("*"))
    assert manifest_of(tmp_path).usage.calls == asked
    assert_whole(tmp_path)


def test_what_a_killed_session_spent_on_unfinished_items_counts(tmp_path: Path) -> None:
    with answering_server(delay=0.02) as server:
        child = start("run", "--out", tmp_path, "--lm", server.spec, "--limit", LIMIT, "--no-screen-by-lm")
        while len(server.requests) < 40:
            assert child.poll() is None
        child.kill()
        child.communicate()
        asked = len(server.requests)
        assert ids(tmp_path, "dialogues") == []
        server.delay = 0
        assert go(server, tmp_path, "--max-tokens", 30 * TOKENS).code == 1
        assert len(server.requests) == asked


def test_a_limit_that_is_not_reached_changes_nothing(tmp_path: Path) -> None:
    with answering_server() as server:
        assert go(server, tmp_path, "--max-tokens", 10**9, "--max-cost", 5).code == 0


def test_an_unknown_price_is_refused_at_the_start_with_the_way_out(tmp_path: Path) -> None:
    for more in ((), ("--dry-run",)):
        ended = socialsim("run", "--out", tmp_path / "r", "--lm", "openai/gpt-that-never-was", "--max-cost", 1, *more)
        assert ended.problem == (
            "--max-cost: the price of openai/gpt-that-never-was is unknown; "
            "limit --max-tokens instead, or use another LM"
        )
    assert not (tmp_path / "r").exists()


def test_a_dry_run_sets_the_estimate_against_the_limits(tmp_path: Path) -> None:
    def told(*limits: object) -> str:
        ended = socialsim("run", "--out", tmp_path, "--lm", "openai/gpt-4o-mini", "--limit", 5, "--dry-run", *limits)
        assert ended.code == 0
        return ended.out

    assert "--max-cost $50.00: estimated $0." in told("--max-cost", 50)
    assert told("--max-cost", 50).rstrip().endswith("in all; enough.")
    assert "the run would stop before its end" in told("--max-cost", 0.001)
    assert "--max-tokens 1,000: estimated " in told("--max-tokens", 1000)
    assert "--max-" not in told()


def meter(calls: int, tokens: int, cost: float | None) -> Meter:
    return Meter({}, calls=calls, prompt_tokens=tokens, cost=cost)


@pytest.mark.parametrize(
    ("budget", "earlier", "now", "said"),
    [
        (Budget(max_cost=1), Usage(cost=0.4), meter(1, 1, 0.6), "--max-cost 1: $1.0000 is spent"),
        (Budget(max_cost=1), Usage(cost=None), meter(0, 0, 0.0), "what earlier sessions cost is unknown"),
        (Budget(max_cost=1), Usage(), meter(1, 1, None), "what this session cost is unknown"),
        (Budget(max_tokens=9), Usage(prompt_tokens=4), meter(1, 5, 0.0), "--max-tokens 9: 9 tokens are used"),
        (Budget(max_tokens=9), Usage(), meter(1, 0, 0.0), "does not say how many tokens an answer takes"),
    ],
)
def test_a_limit_reached_or_past_knowing_stops(budget: Budget, earlier: Usage, now: Meter, said: str) -> None:
    with pytest.raises(BudgetError, match=said.replace("$", r"\$")):
        budget.check(earlier, now)


@pytest.mark.parametrize(
    ("budget", "now"),
    [(Budget(), meter(9, 0, None)), (Budget(max_cost=1), meter(9, 9, 0.9)), (Budget(max_tokens=9), meter(9, 8, None))],
)
def test_below_the_limits_it_goes_on(budget: Budget, now: Any) -> None:
    budget.check(Usage(), now)


def test_prices_are_checked_only_where_cost_is_limited() -> None:
    Budget(max_tokens=1).check_prices(Meter({"m": None}))
    with pytest.raises(LMSpecError, match="the price of m is unknown"):
        Budget(max_cost=1).check_prices(Meter({"m": None}))
