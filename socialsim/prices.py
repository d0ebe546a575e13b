"""What the tokens of an LM cost."""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from socialsim.lms import LMSpec

# OpenAI bills what goes through its Batch API at half the price, read and written tokens alike
# (https://platform.openai.com/docs/guides/batch: "50% cost discount compared to synchronous APIs").
_BATCH_FACTOR: Final = 0.5


class Price(NamedTuple):
    """USD a token; ``cached`` is what a cached prompt token costs."""

    prompt: float
    completion: float
    cached: float

    def of(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float:
        """Cost in USD of a number of tokens (cached ones are part of the prompt's)."""
        read = (prompt_tokens - cached_tokens) * self.prompt + cached_tokens * self.cached
        return read + completion_tokens * self.completion

    def times(self, factor: float) -> Price:
        """The price at a discount."""
        return Price(*(factor * part for part in self))


def price(spec: LMSpec, batch: bool = False) -> Price | None:
    """The LM's price from DSPy's bundled list; zero in process and on own servers, None if unknown.

    Args:
        spec: the LM.
        batch: whether its requests go through the provider's Batch API.
    """
    usual = _usual_price(spec)
    return usual.times(_BATCH_FACTOR) if usual and batch else usual


def _usual_price(spec: LMSpec) -> Price | None:
    if spec.in_process or spec.model.startswith(("http://", "https://", "ollama/")):
        return Price(0.0, 0.0, 0.0)
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    from dspy.clients.model_metadata import model_info, rate

    provider, _, model = spec.model.partition("/")
    info = model_info(provider, model)
    prompt, completion = rate(info, "input_cost_per_token"), rate(info, "output_cost_per_token")
    if prompt is None or completion is None:
        return None
    cached = rate(info, "cache_read_input_token_cost")
    return Price(prompt, completion, prompt if cached is None else cached)
