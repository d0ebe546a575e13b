"""The seeker: a person with a persona, who opens up step by step."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import dspy
from pydantic import BaseModel, ConfigDict, create_model

from signatures.limits import prose
from socialsim.taxonomy import EMOJIS, SEEKER_MAX_WORDS


class SpeakAsSeeker(dspy.Signature):
    """You are the person in the persona, chatting with a peer supporter you have never met.

    Speak as this person would type: first answer what the supporter just said, then add one new
    thing of your own. Tell your story piece by piece, in the order a person would, and only what
    the persona holds; never recite it. Let the personality set the tone: a neurotic person worries,
    an introvert says little, an antagonistic one pushes back. You may doubt, object or hesitate;
    relief comes slowly, if it comes. Describe what happened and how it feels rather than asking
    question after question. Write one spoken line of at most 30 words.
    """

    persona: str = dspy.InputField(desc="who you are and what happened to you")
    dialogue: str = dspy.InputField(desc="the chat so far")
    now: str = dspy.InputField(desc="what this turn is for")
    correction: str = dspy.InputField(desc="what was wrong with your last try", default="")
    answer: BaseModel = dspy.OutputField()


@lru_cache(maxsize=4)
def seeker_signature(emoji: bool = True) -> type[dspy.Signature]:
    """The seeker's signature, with or without the closing emoji."""
    fields = {"utterance": (str, prose(f"your next line, at most {SEEKER_MAX_WORDS} words", SEEKER_MAX_WORDS))}
    if emoji:
        fields["emoji"] = (Literal[EMOJIS], ...)  # type: ignore[assignment]
    answer = create_model("SeekerAnswer", __config__=ConfigDict(extra="forbid"), **fields)  # type: ignore[call-overload]
    return SpeakAsSeeker.with_updated_fields("answer", type_=answer)
