"""Hear an answer while an LM writes it: DSPy streams to whatever is set as ``send_stream``.

What is heard is a draft. A reply is valid only when it is whole and checked; it may be asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import dspy

from socialsim.chat.incremental import fields_so_far
from socialsim.schema import Node

_REPLY = "utterance"
_PHASES = {node.value: node.value for node in Node} | {
    "strategies": Node.STRATEGY.value,
    "purpose": Node.STRATEGY.value,
    _REPLY: "reply",
}


class Heard(NamedTuple):
    """What a listener is told.

    Attributes:
        phase: reading (the LM reads the prompt), a reasoning node, reply, or checking (whole, not yet valid).
        draft: the reply as far as it is written; it may still be asked again.
    """

    phase: str
    draft: str = ""


Listener = Callable[[Heard], None]


def can_stream(lm: dspy.BaseLM) -> bool:
    """Whether an LM hands on its answer piece by piece: llama.cpp in process and DSPy's own clients do."""
    engine = getattr(lm, "_async_engine_spec", None)
    return engine is None or hasattr(engine, "stream")


class Ear:
    """What DSPy sends pieces of an answer to: tells the listener each phase and the reply's draft."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._written = ""
        self._last: Heard | None = None

    async def send(self, chunk: Any) -> None:
        """Take a piece (DSPy's stream protocol); thoughts of a reasoning LM are no part of the answer."""
        for choice in chunk.choices:
            if text := getattr(choice.delta, "content", None):
                self._written += text
                self._look()
            if getattr(choice, "finish_reason", None) and self._last:
                self._tell(Heard("checking", self._last.draft))
                self._written = ""  # what comes next is another answer

    def _look(self) -> None:
        fields = [field for field in fields_so_far(self._written) if field.name in _PHASES]
        if fields:
            last = fields[-1]
            self._tell(Heard(_PHASES[last.name], last.text if last.name == _REPLY else ""))

    def _tell(self, heard: Heard) -> None:
        if heard != self._last:
            self._last = heard
            self._listener(heard)


@contextmanager
def heard_by(listener: Listener | None, lm: dspy.BaseLM) -> Iterator[None]:
    """Let a listener hear what an LM writes meanwhile; an LM that cannot stream is waited for."""
    if listener is None:
        yield
        return
    listener(Heard("reading"))
    if not can_stream(lm):
        yield
        return
    with dspy.context(send_stream=Ear(listener)):
        yield
