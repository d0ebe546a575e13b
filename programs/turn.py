"""One turn: speak as the seeker, or reason and reply as the supporter. The leaves to compile."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import dspy

from signatures.seeker import seeker_signature
from signatures.supporter import narrowed, supporter_signature
from socialsim.predict import Leaf, Predict
from socialsim.schema import Node, Reasoning, Speaker, StagedStrategy, Turn
from socialsim.taxonomy import STAGED_STRATEGIES
from socialsim.text import split_emoji, with_emoji

ALL_NODES = tuple(Node)


class Seeker(Leaf):
    """Inputs: persona, dialogue, now, correction; answer: the seeker's next line."""

    def __init__(self, emoji: bool = True) -> None:
        super().__init__()
        self.speak = Predict(seeker_signature(emoji))

    def forward(self, **inputs: Any) -> dspy.Prediction:
        """Say one line."""
        return self.speak(**inputs)

    async def aforward(self, **inputs: Any) -> dspy.Prediction:
        """The same, asynchronously."""
        return await self.speak.acall(**inputs)


class Supporter(Leaf):
    """Inputs: dialogue, progress, correction and nothing else; answer: reasoning and reply.

    ``allowed`` limits the strategies an answer may choose; it reaches the decoder, not the prompt.
    """

    def __init__(self, nodes: tuple[Node, ...] = ALL_NODES, emoji: bool = True) -> None:
        super().__init__()
        self.nodes = nodes
        self.emoji = emoji
        self.reply = Predict(supporter_signature(nodes, emoji))

    def forward(self, allowed: tuple[str, ...] = STAGED_STRATEGIES, **inputs: Any) -> dspy.Prediction:
        """Reply once."""
        return self.reply(signature=self._limited(allowed), **inputs)

    async def aforward(self, allowed: tuple[str, ...] = STAGED_STRATEGIES, **inputs: Any) -> dspy.Prediction:
        """The same, asynchronously."""
        return await self.reply.acall(signature=self._limited(allowed), **inputs)

    def _limited(self, allowed: tuple[str, ...]) -> type[dspy.Signature]:
        return narrowed(self.reply.signature, self.nodes, self.emoji, allowed)


def seeker_turn(answer: Mapping[str, Any]) -> Turn:
    """The turn a seeker's answer (its fields) stands for."""
    return Turn(speaker=Speaker.SEEKER, text=_line(answer))


def supporter_turn(answer: Mapping[str, Any]) -> Turn:
    """The turn a supporter's answer stands for; without nodes it has no reasoning."""
    nodes = {name: value for name, value in answer.items() if name not in ("utterance", "emoji")}
    if not nodes:
        return Turn(speaker=Speaker.SUPPORTER, text=_line(answer))
    strategies = tuple(_staged(name) for name in dict.fromkeys(nodes.pop("strategies", ())))
    reasoning = Reasoning(**nodes, strategies=strategies)
    return Turn(speaker=Speaker.SUPPORTER, text=_line(answer), reasoning=reasoning)


_staged = lru_cache(maxsize=64)(StagedStrategy.parse)  # there are few


def _line(answer: Mapping[str, Any]) -> str:
    # An empty utterance stays visible as one, so that validation can name it; an emoji is not said twice.
    text, emoji = answer["utterance"].strip(), answer.get("emoji")
    return with_emoji((split_emoji(text).text if emoji else text) or "…", emoji)
