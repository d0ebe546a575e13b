"""The paper's own way: one prompt writes the whole dialogue, both speakers and the reasoning."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import dspy
from pydantic import BaseModel, ConfigDict, Field, create_model

from signatures.limits import prose
from signatures.supporter import answer_fields, strategy_guide
from socialsim.schema import Node
from socialsim.taxonomy import EMOJIS, MAX_UTTERANCES, MEAN_UTTERANCES, MIN_UTTERANCES, SEEKER_MAX_WORDS

_TASK = """Write a chat between a help-seeker, described by the persona, and a peer supporter.

The seeker greets, then tells its situation, and opens up step by step with what the persona holds; it answers before it
adds, may raise one or two related worries after the first suggestion, and keeps the tone of its personality. It stays
below 30 words a line and is not healed by the end of a chat.
The supporter knows only what the seeker has said in the chat: it never mentions anything of the persona that was not
said. {reason}It asks why, since when and with what effect before it comforts, and comforts before it suggests;
suggestions are concrete first steps made for this seeker, with their pros and cons. Advice that fits everyone is left
out. It stays below 40 words a line.
About {mean} utterances in all; both take leave politely."""


class WriteDialogue(dspy.Signature):
    """Write the whole chat."""

    persona: str = dspy.InputField(desc="who the seeker is and what happened")
    correction: str = dspy.InputField(desc="what was wrong with your last try", default="")
    answer: BaseModel = dspy.OutputField()


@lru_cache(maxsize=64)
def onepass_signature(nodes: tuple[Node, ...] = tuple(Node), emoji: bool = True) -> type[dspy.Signature]:
    """The one-pass signature for a subset of nodes."""
    config = ConfigDict(extra="forbid")
    line = {"seeker": (str, prose(f"the seeker's line, at most {SEEKER_MAX_WORDS} words", SEEKER_MAX_WORDS))}
    if emoji:
        line["seeker_emoji"] = (Literal[EMOJIS], ...)  # type: ignore[assignment]
    exchange = create_model("Exchange", __config__=config, **line, **answer_fields(nodes, emoji))  # type: ignore[call-overload]
    exchanges = Field(
        description=f"the seeker's line, then the supporter's {'reasoning and ' if nodes else ''}reply (utterance)",
        min_length=MIN_UTTERANCES // 2,
        max_length=MAX_UTTERANCES // 2,
    )
    answer = create_model("DialogueAnswer", __config__=config, exchanges=(list[exchange], exchanges))  # type: ignore[valid-type]
    reason = f"Before each reply it reasons about the seeker: {', '.join(nodes)}. " if nodes else ""
    task = _TASK.format(reason=reason, mean=MEAN_UTTERANCES) + strategy_guide(nodes)
    return WriteDialogue.with_updated_fields("answer", type_=answer).with_instructions(task)
