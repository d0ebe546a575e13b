"""The DSPy LM of a role whose requests can wait (`socialsim.engines.batch`)."""

from __future__ import annotations

from typing import Any

import dspy
from dspy.clients.errors import error_boundary

from socialsim.engines.batch import AsyncBatchEngine, NobodyWaits
from socialsim.engines.chat import ChatServer
from socialsim.engines.patient_lm import counted


class BatchLM(dspy.LM):
    """A ``dspy.LM`` that answers when a batch has ended.

    Args:
        model: its name in the meter and in messages.
        server: whose Batch API is used.
        retries: how often a request that failed is put into another batch.
        options: as for ``dspy.LM``.
    """

    def __init__(self, model: str, server: ChatServer, retries: int, **options: Any) -> None:
        self.batches = AsyncBatchEngine(server, retries)
        super().__init__(model, engine=NobodyWaits(), async_engine=self.batches, num_retries=0, **options)

    @property
    def news(self) -> str:
        """How far the batches are that have not ended, in a few words; empty if there is none."""
        under_way = self.batches.under_way
        done, of = (sum(counts) for counts in zip(*under_way.values(), strict=True)) if under_way else (0, 0)
        name = f"{len(under_way)} batches" if len(under_way) > 1 else "".join(under_way)
        return f"{name}: {done:,}/{of:,} requests" if under_way else ""

    def takes_plainly(self, _: dict[str, Any]) -> bool:
        """A chat completion's body takes each setting as it is."""
        return True

    async def answer(self, messages: list[dict[str, Any]], options: dict[str, Any]) -> str:
        """Answer messages of text.

        Raises:
            dspy.utils.exceptions.LMError: as for any DSPy LM.
            BudgetError: if what the run may take was spent before the request was submitted.
        """
        settings = {key: value for key, value in {**self.kwargs, **options}.items() if value is not None}
        with error_boundary(self.model):
            answer = await self.batches.answer(messages, settings)
        return counted(self.model, answer)
