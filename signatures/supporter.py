"""The supporter: reasons over four nodes, then replies. It is never shown the persona."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import dspy
from pydantic import BaseModel, ConfigDict, Field, create_model

from signatures.limits import prose
from socialsim.adapter import UNLISTED
from socialsim.schema import Node
from socialsim.taxonomy import EMOJIS, STAGED_STRATEGIES, SUPPORTER_MAX_WORDS

_TASK = """You are a warm, experienced peer supporter in an online chat. About the seeker you know only what the chat
says.

{reason}Then write one reply of at most 40 words, as one person to another, in plain and natural words.
- Early on, find out: ask what exactly happened, why, since when, with what effect. Follow the last thing the seeker
  said.
- Then comfort: name the feeling beneath the words, value what the seeker has tried or shown.
- Then help to act: a concrete first step made for this seeker (a sentence to say, a time, a place), its pros and
  cons, a fact or another way of looking. Correct a thought that is unfair to the seeker or to others, kindly.
- If they say that they talked and it ended in a quarrel, ask what was said and where it turned.
- Leave out advice that fits everyone (meditate, keep a diary, breathe, stay positive) and do not send the seeker
  to a professional, unless life or health is at risk.
- Never mention a name, number, place or event that the seeker has not told."""

_STRATEGIES = """

Strategies, with the stages they serve:
- Question (Exploration): ask for what the seeker has not told and you need in order to understand.
- Restatement or Paraphrasing (Exploration): put what was said more briefly and clearly, in other words.
- Reflection of Feelings (Exploration, Comforting): name what the seeker feels, also what is only implied.
- Self-disclosure (Exploration, Comforting, Action): tell something like it from your own life, in a sentence.
- Affirmation and Reassurance (Comforting, Action): point to a strength, an effort, a reason for hope.
- Providing Suggestions (Action): offer a step the seeker may take; leave the choice to them.
- Share Information (Action): give a fact, an explanation or another way of looking at it.
- Others: greetings, thanks, farewells."""

_REASON = {
    Node.SITUATION: prose("what the seeker has told and feels by now, in one sentence", 25, 4, end="[.]"),
    Node.THOUGHT: prose("what the seeker probably thinks or believes, in one sentence", 25, 4, end="[.]"),
    Node.ACTION: prose("what the seeker does, or may do because of it, in one sentence", 25, 4, end="[.]"),
}


def supporter_task(nodes: tuple[Node, ...]) -> str:
    """The instructions for a subset of reasoning nodes."""
    names = [node.value for node in nodes]
    reason = f"Before you reply, reason about the seeker, in this order: {', '.join(names)}. " if names else ""
    if Node.STRATEGY in nodes:
        reason += "Choose the strategy (stage#strategy) for this moment and let the reply carry it out. "
    return _TASK.format(reason=reason) + strategy_guide(nodes)


def strategy_guide(nodes: tuple[Node, ...]) -> str:
    """What each strategy is for, where one is to be chosen."""
    return _STRATEGIES if Node.STRATEGY in nodes else ""


def answer_fields(nodes: tuple[Node, ...], emoji: bool, allowed: tuple[str, ...] = STAGED_STRATEGIES) -> dict[str, Any]:
    """The fields of a supporter's answer: the chosen nodes in order, then the reply."""
    fields: dict[str, Any] = {node.value: (str, _REASON[node]) for node in nodes if node is not Node.STRATEGY}
    if Node.STRATEGY in nodes:
        # Which ones are allowed changes from turn to turn; the prompt must not, or no cache could hold it.
        about = Field(
            description="stage#strategy, one, seldom two; a list",
            min_length=1,
            max_length=2,
            json_schema_extra={UNLISTED: True},
        )
        fields["strategies"] = (list[Literal[allowed]], about)  # type: ignore[valid-type]
        fields["purpose"] = (str, prose("why this strategy now, beginning with 'to'", 20, 4, start="to", end=""))
    fields["utterance"] = (str, prose(f"your reply, at most {SUPPORTER_MAX_WORDS} words", SUPPORTER_MAX_WORDS, 2))
    if emoji:
        fields["emoji"] = (Literal[EMOJIS], ...)
    return fields


class ReplyAsSupporter(dspy.Signature):
    """Reason about the seeker, then reply."""

    dialogue: str = dspy.InputField(desc="the chat so far")
    progress: str = dspy.InputField(desc="how far the chat is and which strategies were used")
    correction: str = dspy.InputField(desc="what was wrong with your last try", default="")
    answer: BaseModel = dspy.OutputField()


@lru_cache(maxsize=64)
def supporter_signature(nodes: tuple[Node, ...] = tuple(Node), emoji: bool = True) -> type[dspy.Signature]:
    """The supporter's signature for a subset of nodes (Tables 2 and 4: the ablations)."""
    fields = answer_fields(nodes, emoji)
    answer = create_model("SupporterAnswer", __config__=ConfigDict(extra="forbid"), **fields)
    signature = ReplyAsSupporter.with_updated_fields("answer", type_=answer)
    return signature.with_instructions(supporter_task(nodes))


@lru_cache(maxsize=1024)
def narrowed(
    signature: type[dspy.Signature], nodes: tuple[Node, ...], emoji: bool, allowed: tuple[str, ...]
) -> type[dspy.Signature]:
    """The same prompt with an answer that may only choose ``allowed`` strategies."""
    fields = answer_fields(nodes, emoji, allowed)
    answer = create_model("SupporterAnswer", __config__=ConfigDict(extra="forbid"), **fields)
    return signature.with_updated_fields("answer", type_=answer)
