"""``dspy.Predict``, and a module around one, for runs of thousands of dialogues."""

from __future__ import annotations

from typing import Any

import dspy

from socialsim.adapter import CompactAdapter

_OVERRIDES = frozenset({"config", "demos", "lm"})


def _is_watched(module: dspy.Module) -> bool:
    told = dspy.settings
    traced = told.max_trace_size > 0 and told.trace is not None
    return bool(traced or told.track_usage or module.callbacks or told.callbacks)


class Predict(dspy.Predict):
    """A ``dspy.Predict`` in every way: traced, compiled, saved and watched as such.

    Where nobody watches, as in a run, and LM and adapter allow it, it asks without what DSPy does for those who do.
    """

    # DSPy's looks at every name, for a warning to those who call ``forward``.
    __getattribute__ = object.__getattribute__

    async def acall(self, *args: Any, **inputs: Any) -> dspy.Prediction:
        """Ask, and read the answer."""
        adapter, lm = dspy.settings.adapter, self.lm or dspy.settings.lm
        if isinstance(adapter, CompactAdapter) and not (args or _is_watched(self) or _OVERRIDES & inputs.keys()):
            signature = inputs.pop("signature", self.signature)
            answer = await adapter.answer(lm, self.config, signature, self.demos, inputs)
            if answer is not None:
                return dspy.Prediction(**answer)
            inputs["signature"] = signature
        return await super().acall(*args, **inputs)


class Leaf(dspy.Module):
    """A module around one `Predict`, called without what DSPy does for those who watch where nobody does."""

    __getattribute__ = object.__getattribute__

    async def acall(self, *args: Any, **inputs: Any) -> dspy.Prediction:
        """The same as ``__call__``, asynchronously."""
        if _is_watched(self):
            return await super().acall(*args, **inputs)
        return await self.aforward(*args, **inputs)
