"""``dspy.Predict`` for runs of thousands of dialogues."""

from __future__ import annotations

from typing import Any

import dspy

from socialsim.adapter import CompactAdapter

_OVERRIDES = frozenset({"config", "demos", "lm"})


class Predict(dspy.Predict):
    """A ``dspy.Predict`` in every way: traced, compiled, saved and watched as such.

    Where nobody watches, as in a run, and LM and adapter allow it, it asks without what DSPy does for those who do.
    """

    async def acall(self, *args: Any, **inputs: Any) -> dspy.Prediction:
        """Ask, and read the answer."""
        adapter, lm = dspy.settings.adapter, self.lm or dspy.settings.lm
        if isinstance(adapter, CompactAdapter) and not (args or self._is_watched() or _OVERRIDES & inputs.keys()):
            signature = inputs.pop("signature", self.signature)
            answer = await adapter.answer(lm, self.config, signature, self.demos, inputs)
            if answer is not None:
                return dspy.Prediction(**answer)
            inputs["signature"] = signature
        return await super().acall(*args, **inputs)

    def _is_watched(self) -> bool:
        told = dspy.settings
        return bool(self.callbacks or told.callbacks or (told.trace is not None and told.max_trace_size > 0))
