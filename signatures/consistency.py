"""How a judge compares a dialogue with its persona (paper: appendix, control rules 1 and 3).

The discussion comes before the verdict. Quotes are asked for word for word, so that a verdict
can be checked against the texts it speaks of.
"""

from __future__ import annotations

from typing import Literal

import dspy
from pydantic import BaseModel, ConfigDict, Field

from signatures.limits import prose

PersonaField = Literal[
    "none", "gender", "age", "occupation", "personality", "topic", "subtopics", "question", "description", "emotions",
    "attempts", "goals", "situation", "event_time", "event_location", "event_participants",
]  # fmt: skip
_QUOTE = 1000  # characters
_FACT = "the persona's own words for it, copied; empty where there is none"


class StanceAnswer(BaseModel):
    """A judged stance of one seeker utterance."""

    model_config = ConfigDict(extra="forbid")

    discussion: str = prose("what the line claims and what the persona says about it", 40, 3)
    stance: Literal["supported", "neutral", "contradicted"]
    field: PersonaField = Field(description="persona field of the fact, or none")
    fact: str = Field(max_length=_QUOTE, description=_FACT)
    quote: str = Field(max_length=_QUOTE, description="the words of the line that show it, copied; empty if neutral")


class LeakAnswer(BaseModel):
    """A judged supporter reply: whether it knows what nobody said."""

    model_config = ConfigDict(extra="forbid")

    discussion: str = prose("what the reply takes for known, and where the chat said it", 40, 3)
    leaks: bool
    field: PersonaField = Field(description="persona field of the leaked fact, or none")
    fact: str = Field(max_length=_QUOTE, description=_FACT)
    quote: str = Field(
        max_length=_QUOTE, description="the words of the reply that give it away, copied; empty if none do"
    )


class JudgeStance(dspy.Signature):
    """You compare one line of a help seeker with the persona the seeker is to play.

    supported: the line tells something the persona holds, in these or other words.
    contradicted: the line cannot be true of this persona: another age, gender, occupation, number,
    person or course of events. A detail the persona leaves open is no contradiction, nor is a
    feeling that changes, an exaggeration, or what somebody else is quoted with.
    neutral: anything else, such as a greeting, thanks, or an answer without a claim.
    Copy the persona's words and the words of the line exactly.
    """

    persona: str = dspy.InputField(desc="who the seeker is")
    dialogue: str = dspy.InputField(desc="the chat before the line")
    line: str = dspy.InputField(desc="the seeker's line to judge")
    correction: str = dspy.InputField(desc="what was wrong with your last try", default="")
    answer: StanceAnswer = dspy.OutputField()


class JudgeLeak(dspy.Signature):
    """You check whether a supporter's reply shows knowledge of the persona that the chat has not given away.

    The supporter never saw the persona. A leak is a fact of the persona, even in other words ("your
    younger sibling" for a little brother), that the reply takes for known although neither speaker
    has said it and it does not follow from what was said. No leak: what the chat said, general
    talk, the supporter's own life, advice, an open question, or a feeling read from the chat.
    Copy the persona's words and the words of the reply exactly.
    """

    persona: str = dspy.InputField(desc="what the supporter may not know by itself")
    dialogue: str = dspy.InputField(desc="the chat before the reply: all that is known")
    reply: str = dspy.InputField(desc="the supporter's reply to judge")
    correction: str = dspy.InputField(desc="what was wrong with your last try", default="")
    answer: LeakAnswer = dspy.OutputField()
