"""What several workers spend counts together, whoever of them dies, and is never less than what was noted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialsim.budget import Budget
from socialsim.errors import BudgetError
from socialsim.ledger import Ledger, new_ledger
from socialsim.meter import Meter
from socialsim.schema import Usage

# (worker, tokens read, tokens written, USD, whether the worker dies then)
CALLS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 10**6), st.integers(0, 10**5), st.floats(0, 9.0), st.booleans())
)


def spent(calls: int, read: int, written: int, cost: float | None) -> Meter:
    return Meter({}, calls=calls, prompt_tokens=read, completion_tokens=written, cost=cost)


@given(CALLS)
def test_the_total_is_what_all_workers_noted_the_dead_ones_too(calls: list[tuple[int, int, int, float, bool]]) -> None:
    with new_ledger(4) as file:
        ledgers = [Ledger(file.fileno(), place, Budget(), Usage()) for place in range(4)]
        meters = [Meter({}) for _ in range(4)]
        for place, read, written, cost, dies in calls:
            meters[place].recount(Usage(calls=1, prompt_tokens=read, completion_tokens=written, cost=cost))
            ledgers[place].note(meters[place])
            if dies:
                ledgers[place], meters[place] = Ledger(file.fileno(), place, Budget(), Usage()), Meter({})
        for ledger in ledgers:
            total = ledger.total()
            assert total.calls == len(calls)
            assert total.prompt_tokens == sum(read for _, read, *_ in calls)
            assert total.completion_tokens == sum(written for _, _, written, *_ in calls)
            assert total.cost == pytest.approx(sum(cost for *_, cost, _ in calls))


def test_each_worker_stops_at_what_all_have_spent() -> None:
    with new_ledger(2) as file:
        budget, earlier = Budget(max_tokens=1_000), Usage(prompt_tokens=300)
        one, other = (Ledger(file.fileno(), place, budget, earlier) for place in range(2))
        one.note(spent(1, 300, 99, 0.0))
        one.check()
        other.note(spent(1, 300, 1, 0.0))
        for ledger in (one, other):
            with pytest.raises(BudgetError, match="--max-tokens 1,000: 1,000 tokens are used"):
                ledger.check()


def test_a_cost_that_one_worker_does_not_know_is_known_to_none() -> None:
    with new_ledger(2) as file:
        one, other = (Ledger(file.fileno(), place, Budget(max_cost=1.0), Usage(cost=0.0)) for place in range(2))
        one.note(spent(1, 1, 1, None))
        with pytest.raises(BudgetError, match="what this session cost is unknown"):
            other.check()
