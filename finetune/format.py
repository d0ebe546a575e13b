"""What a student is trained to write: variants, and how a dialogue becomes messages.

A supporter turn is written as the SSConv release writes it, tagged reasoning first, then the reply; a variant says
which nodes are written (paper: "Models", Tables 3 and 4).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, Self, TypedDict

from socialsim.errors import UsageError
from socialsim.formats import parse_reasoning, reasoning_text, render_reasoning
from socialsim.schema import Node, Reasoning, Record, Speaker, Turn

REPLY: Final = "[SUPPORTER'S REPLY]"
_REPLY_TAG = re.compile(r"(?i)\[SUPPORTER['’]S REPLY\]")
_REASONED = re.compile(r"(?i)\s*\[(?:SEEKER|SUPPORTER)")  # begins with a tag, or with what is left of one
_NAMED: Final[dict[str, tuple[Node, ...]]] = {
    "response": (),
    "reasoning": tuple(Node),
    "strategy": (Node.STRATEGY,),
}
_FIELDS: Final[dict[Node, tuple[str, ...]]] = {
    Node.SITUATION: ("situation",),
    Node.THOUGHT: ("thought",),
    Node.ACTION: ("action",),
    Node.STRATEGY: ("strategies", "purpose"),
}


class Message(TypedDict):
    """One message of a chat: role system, user (the seeker) or assistant (the supporter)."""

    role: str
    content: str


class History(StrEnum):
    """What earlier replies in a prompt hold."""

    REPLIES = "replies"
    REASONING = "reasoning"


class Variant(Record):
    """What a reply is trained to be.

    Attributes:
        nodes: reasoning nodes written before the reply, in the order of the chain; none: the reply alone.
        history: whether earlier replies in the prompt carry the reasoning that led to them.
    """

    nodes: tuple[Node, ...] = ()
    history: History = History.REPLIES

    @classmethod
    def parse(cls, text: str, history: History = History.REPLIES) -> Self:
        """Read ``response``, ``reasoning``, ``strategy`` or a list of nodes (``situation,strategy``).

        Raises:
            UsageError: if a name is neither.
        """
        name = text.strip().lower()
        if name in _NAMED:
            return cls(nodes=_NAMED[name], history=history)
        nodes = {part.strip() for part in name.split(",")} - {""}
        if not nodes or nodes - set(Node):
            raise UsageError(f"--variant {text}: use {', '.join(_NAMED)} or a list of {','.join(Node)}")
        return cls(nodes=tuple(node for node in Node if node in nodes), history=history)

    @property
    def name(self) -> str:
        """The shortest name `parse` takes."""
        return next((name for name, nodes in _NAMED.items() if nodes == self.nodes), ",".join(self.nodes))


def system_text(variant: Variant) -> str:
    """The system message; it tells the variants apart, so that one base can be trained for several."""
    task = "You are a peer supporter in an online chat with a person who seeks help."
    if not variant.nodes:
        return f"{task} Reply to them warmly and in a few plain sentences."
    return f"{task} First write down the {', '.join(variant.nodes)}, then reply warmly and in a few plain sentences."


def messages(turns: Sequence[Turn], variant: Variant) -> list[Message]:
    """The chat up to the next reply.

    Args:
        turns: what was said so far, the seeker first, in turn.
        variant: decides the system message and what earlier replies hold.
    """
    chat: list[Message] = [{"role": "system", "content": system_text(variant)}]
    for turn in turns:
        if turn.speaker is Speaker.SEEKER:
            chat.append({"role": "user", "content": turn.text})
        else:
            said = target(turn, variant) if variant.history is History.REASONING else turn.text
            chat.append({"role": "assistant", "content": said})
    return chat


def target(turn: Turn, variant: Variant) -> str:
    """What the model is to write for a supporter turn; nodes that the turn lacks are left out."""
    thought = chosen_reasoning(turn, variant.nodes)
    return f"{thought}\n{REPLY} {turn.text}" if thought else turn.text


def chosen_reasoning(turn: Turn, nodes: Sequence[Node]) -> str:
    """The chosen nodes of a turn's reasoning as tagged text, "" where it has none of them.

    All four are written to the letter as they were imported; a subset is rendered from what was parsed.
    """
    if turn.reasoning is None or not nodes:
        return ""
    if set(nodes) == set(Node):
        return reasoning_text(turn.reasoning)
    kept = {name for node in nodes for name in _FIELDS[node]}
    return render_reasoning(Reasoning(**{name: getattr(turn.reasoning, name) for name in kept}))


def lacking(turn: Turn, variant: Variant) -> tuple[Node, ...]:
    """The nodes of a variant that a supporter turn does not have."""
    thought = turn.reasoning or Reasoning()
    return tuple(node for node in variant.nodes if not getattr(thought, _FIELDS[node][0]))


def read_target(text: str, variant: Variant) -> Turn:
    """The supporter turn that a model's text stands for; never fails.

    The reply is what follows the reply tag. Text without the tag is the reply itself, unless the model only
    reasoned: then the reply is "…", so that it stays visible as an empty one.
    """
    head, *rest = _REPLY_TAG.split(text, maxsplit=1)
    if rest:
        thought, reply = head.strip(), rest[0].strip()
    elif variant.nodes and _REASONED.match(head):
        thought, reply = head.strip(), ""
    else:
        thought, reply = "", head.strip()
    return Turn(speaker=Speaker.SUPPORTER, text=reply or "…", reasoning=parse_reasoning(thought) if thought else None)
