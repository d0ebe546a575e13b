"""A DSPy LM that is patient with its endpoint, and spends no more CPU time on a call than it needs.

DSPy's own path turns a call's messages into a canonical request and back, prices it from a catalogue and visits a
worker thread three times: 5 ms a call. Where nobody watches (no cache, callbacks, history or stream) and the engine
takes messages as they are, this one hands them over. Everywhere else, as while compiling, DSPy's path is taken.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import dspy
from dspy.clients.errors import error_boundary
from dspy.utils.exceptions import LMProviderError

from socialsim.engines.chat import TAKEN, Answer, AsyncChatEngine
from socialsim.engines.patience import Patience
from socialsim.lm_errors import UNUSABLE


class PatientLM(dspy.LM):
    """A ``dspy.LM`` whose retries are `Patience`'s.

    Args:
        patience: shared by all LMs of one endpoint.
        model, options: as for ``dspy.LM``.
    """

    def __init__(self, model: str, patience: Patience | None = None, **options: Any) -> None:
        super().__init__(model, **options | {"num_retries": 0})
        self.patience = patience or Patience()

    @cached_property
    def supports_response_schema(self) -> bool:
        """Asked for each request; it hangs on the model alone."""
        supported: bool = super().supports_response_schema
        return supported

    def __call__(self, prompt: Any = None, *, messages: Any = None, **options: Any) -> Any:
        """Ask, and wait for the answer."""
        ask = super().__call__
        return self.patience.ask_blocking(lambda: ask(prompt, messages=messages, **options))

    async def acall(self, prompt: Any = None, *, messages: Any = None, **options: Any) -> Any:
        """The same, asynchronously."""
        ask = super().acall
        return await self.patience.ask(lambda: ask(prompt, messages=messages, **options))

    def takes_plainly(self, options: dict[str, Any]) -> bool:
        """Whether nobody watches this LM, and the engine takes a request's settings as they are."""
        told = dspy.settings
        watched = self.cache or self.callbacks or not told.disable_history or told.send_stream
        plain = isinstance(self._async_engine_spec, AsyncChatEngine)
        return plain and not watched and {**self.kwargs, **options}.keys() <= TAKEN

    async def answer(self, messages: list[dict[str, Any]], options: dict[str, Any]) -> str:
        """Answer messages of text, where `takes_plainly` allows it.

        Raises:
            dspy.utils.exceptions.LMError: as for any DSPy LM, and for an answer that was cut off or filtered
                (its code says which).
        """
        settings = {key: value for key, value in {**self.kwargs, **options}.items() if value is not None}
        answer = await self.patience.ask(lambda: self._once(messages, settings))
        return counted(self.model, answer)

    async def _once(self, messages: list[dict[str, Any]], settings: dict[str, Any]) -> Answer:
        try:
            made: Answer = await self._async_engine_spec.answer(messages, settings)
        except Exception:
            with error_boundary(self.model, unexpected=True):
                raise
        return made


def counted(model: str, answer: Answer) -> str:
    """The text of an answer, its usage counted.

    Raises:
        dspy.utils.exceptions.LMProviderError: for one that was cut off or filtered (its code says which).
    """
    if tracker := dspy.settings.usage_tracker:
        tracker.add_usage(model, answer.usage)  # of one that cannot be used, too: it is paid for
    if answer.fault:
        raise LMProviderError(message=UNUSABLE[answer.fault], model=model, provider_code=answer.fault)
    return answer.text
