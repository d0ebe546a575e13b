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
            BudgetError: if a limit is reached.
        """
        cost = (earlier.cost or 0.0) + (meter.cost or 0.0)
        if self.max_cost is not None and cost >= self.max_cost:
            raise BudgetError(f"--max-cost {self.max_cost:g}: ${cost:.4f} is spent{_GO_ON}")
        tokens = earlier.prompt_tokens + earlier.completion_tokens + meter.prompt_tokens + meter.completion_tokens
        if self.max_tokens is not None and tokens >= self.max_tokens:
            raise BudgetError(f"--max-tokens {self.max_tokens:,}: {tokens:,} tokens are used{_GO_ON}")


_GO_ON = "; everything answered is kept, run the same command with a higher limit to go on"
