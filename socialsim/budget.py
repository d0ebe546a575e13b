"""What a run may take: USD, tokens."""

from __future__ import annotations

from dataclasses import dataclass

from socialsim.errors import BudgetError, LMSpecError
from socialsim.meter import Meter
from socialsim.schema import Usage


@dataclass(frozen=True)
class Budget:
    """Limits over all sessions of a run; a call under way when one is reached is still answered.

    Attributes:
        max_cost: USD.
        max_tokens: tokens, read and written.
    """

    max_cost: float | None = None
    max_tokens: int | None = None

    def check_prices(self, meter: Meter) -> None:
        """A cost can only be limited where every price is known.

        Raises:
            LMSpecError: naming an LM whose price is not.
        """
        if self.max_cost is None:
            return
        unknown = [name for name, price in meter.prices.items() if price is None]
        if unknown:
            raise LMSpecError(
                f"--max-cost: the price of {unknown[0]} is unknown; limit --max-tokens instead, or use another LM"
            )

    def check(self, earlier: Usage, meter: Meter) -> None:
        """Called before each call.

        Args:
            earlier: usage of earlier sessions.
            meter: that of this one.

        Raises:
            BudgetError: if a limit is reached, or nobody knows whether it is.
        """
        if self.max_cost is not None:
            self._check_cost(self.max_cost, earlier.cost, meter.cost)
        if self.max_tokens is not None:
            self._check_tokens(self.max_tokens, earlier, meter)

    def _check_cost(self, limit: float, earlier: float | None, now: float | None) -> None:
        if earlier is None or now is None:
            when = "earlier sessions" if earlier is None else "this session"
            raise BudgetError(f"--max-cost: what {when} cost is unknown; limit --max-tokens instead")
        if earlier + now >= limit:
            raise BudgetError(f"--max-cost {limit:g}: ${earlier + now:.4f} is spent{_GO_ON}")

    def _check_tokens(self, limit: int, earlier: Usage, meter: Meter) -> None:
        now = meter.prompt_tokens + meter.completion_tokens
        if meter.calls and not now:
            raise BudgetError("--max-tokens: the LM's server does not say how many tokens an answer takes")
        tokens = earlier.prompt_tokens + earlier.completion_tokens + now
        if tokens >= limit:
            raise BudgetError(f"--max-tokens {limit:,}: {tokens:,} tokens are used{_GO_ON}")


@dataclass(frozen=True)
class Purse:
    """What a run may still take.

    Attributes:
        budget: its limits.
        earlier: what earlier sessions spent.
        meter: counts what this one spends.
    """

    budget: Budget
    earlier: Usage
    meter: Meter

    def check(self) -> None:
        """Called before each call.

        Raises:
            BudgetError: if a limit is reached, or nobody knows whether it is.
        """
        self.budget.check(self.earlier, self.meter)


_GO_ON = "; everything answered is kept, run the same command with a higher limit to go on"
