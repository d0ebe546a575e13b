"""A word on batches that go on at a provider when their session ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import dspy
from rich.console import Console
from rich.markup import escape

from socialsim.engines.batch_lm import BatchLM

_PAID = "nothing of it is submitted again."


@contextmanager
def named(console: Console, lms: Iterable[dspy.BaseLM]) -> Iterator[None]:
    """Around a session: however it ends, name the batches it leaves at the provider."""
    try:
        yield
    finally:
        left = [batch for lm in lms if isinstance(lm, BatchLM) for batch in lm.batches.under_way]
        if left:
            names = escape(", ".join(left))
            console.print(f"At the provider: {names}. The same command takes the answers; {_PAID}", soft_wrap=True)
