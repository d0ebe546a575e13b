from __future__ import annotations

from typing import Any

import dspy
import pytest

from socialsim.meter import Meter, add_up
from socialsim.prices import Price
from socialsim.schema import Usage
from tests.scripted import scripted_lm

DOLLAR = Price(prompt=1.0, completion=10.0, cached=0.1)


def usage(prompt: int, completion: int, cached: int = 0) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "prompt_tokens_details": {"cached_tokens": cached} if cached else None,
    }


def test_calls_and_tokens_are_summed() -> None:
    meter = Meter({"m": DOLLAR})
    meter.add_usage("m", usage(3, 2, cached=1))
    meter.add_usage("m", usage(5, 4))
    assert (meter.calls, meter.prompt_tokens, meter.cached_tokens, meter.completion_tokens) == (2, 8, 1, 6)


def test_cached_tokens_cost_their_own_price() -> None:
    meter = Meter({"m": DOLLAR})
    meter.add_usage("m", usage(10, 2, cached=4))
    assert meter.cost == pytest.approx(6 * 1.0 + 4 * 0.1 + 2 * 10.0)


def test_one_unknown_price_makes_the_whole_cost_unknown() -> None:
    meter = Meter({"m": DOLLAR, "free": None})
    meter.add_usage("free", usage(1, 1))
    meter.add_usage("m", usage(1, 1))
    assert meter.cost is None


def test_a_model_that_was_never_priced_is_unknown_not_free() -> None:
    meter = Meter({})
    meter.add_usage("m", usage(1, 1))
    assert meter.cost is None


def test_a_meter_without_calls_has_cost_nothing() -> None:
    assert Meter({}).usage().cost == 0


def test_an_answer_without_usage_counts_as_a_call() -> None:
    meter = Meter({"m": DOLLAR})
    meter.add_usage("m", {})
    assert (meter.calls, meter.cost) == (1, 0)


def test_a_parent_counts_the_calls_of_its_children() -> None:
    run = Meter({"m": DOLLAR})
    for _ in range(2):
        Meter(run.prices, parent=run).add_usage("m", usage(1, 1))
    assert run.calls == 2
    assert run.cost == pytest.approx(22.0)


def test_dspy_feeds_the_meter_of_the_current_context() -> None:
    meter, lm = Meter({"scripted/test": DOLLAR}), scripted_lm(["one two three"])
    with dspy.context(usage_tracker=meter):
        lm("a b c d")
    assert (meter.calls, meter.prompt_tokens, meter.cached_tokens, meter.completion_tokens) == (1, 4, 2, 3)


def test_usages_add_up() -> None:
    whole = add_up([Usage(calls=1, prompt_tokens=2, cost=0.5, seconds=1), Usage(calls=2, cached_tokens=3, cost=0.25)])
    assert whole == Usage(calls=3, prompt_tokens=2, cached_tokens=3, cost=0.75, seconds=1)


def test_a_sum_with_an_unknown_cost_is_unknown() -> None:
    assert add_up([Usage(cost=0.5), Usage(cost=None)]).cost is None


def test_no_usages_add_up_to_nothing() -> None:
    assert add_up([]) == Usage()
