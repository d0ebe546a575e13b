"""The judge of the interactive evaluation (paper: Tables 5 and 6): one aspect of two dialogues in one order.

A malformed answer is asked again with what was wrong, then counted as an error: it never becomes a tie. The judge is
shown what was said and nothing else, neither reasoning nor the models' names.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple, Self

import dspy
from pydantic import Field, model_validator

from metrics.quotable import quotable_sentences
from metrics.quotes import occurs
from metrics.rubric import numbered
from signatures.arena import Aspect, CompareDialogues, Comparison, Preferred, aspect_text
from signatures.narrowing import quoting
from socialsim.ask import BadAnswer, Exhausted, ask, ask_until
from socialsim.predict import Predict
from socialsim.schema import Dialogue, Record, Role, Speaker, Usage


class ArenaVerdict(Record):
    """What a judge said of one aspect of two dialogues in one order.

    Attributes:
        id: see `verdict_id`.
        first: name of the model whose dialogue was shown first.
        answer: the verdict; None where it was given up.
        reasons: what was wrong with each answer, if it was given up.
        retried: malformed answers that were asked again, those of ``reasons`` included.
    """

    id: str
    persona_id: str
    first: str
    second: str
    aspect: Aspect
    sample: int = Field(ge=1)
    answer: Comparison | None = None
    reasons: tuple[str, ...] = ()
    retried: int = 0
    usage: Usage = Usage()

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.answer is None) != bool(self.reasons):
            raise ValueError("a verdict has either an answer or the reasons for which there is none")
        return self

    @property
    def winner(self) -> str | None:
        """The preferred model; None for a tie (and where there is no answer)."""
        if self.answer is None:
            return None
        return {Preferred.FIRST: self.first, Preferred.SECOND: self.second}.get(self.answer.preferred)


def verdict_id(persona_id: str, first: str, second: str, aspect: Aspect, sample: int) -> str:
    """The id of a verdict: a JSON list, since names may hold any sign."""
    return json.dumps([persona_id, first, second, aspect, sample], ensure_ascii=False)


class Quotable(NamedTuple):
    """The sentences of each supporter that an answer may quote; () where anything goes."""

    first_quote: tuple[str, ...] = ()
    second_quote: tuple[str, ...] = ()


class ArenaLeaf(dspy.Module):
    """Inputs: first, second, aspect, correction; answer: a `Comparison`.

    ``quotable`` reaches the decoder, not the prompt.
    """

    def __init__(self) -> None:
        super().__init__()
        self.compare = Predict(CompareDialogues)

    def forward(self, quotable: Quotable | None = None, **inputs: Any) -> dspy.Prediction:
        """Compare by one aspect."""
        return self.compare(signature=self._limited(quotable), **inputs)

    async def aforward(self, quotable: Quotable | None = None, **inputs: Any) -> dspy.Prediction:
        """The same, asynchronously."""
        return await self.compare.acall(signature=self._limited(quotable), **inputs)

    def _limited(self, quotable: Quotable | None) -> type[dspy.Signature]:
        return quoting(self.compare.signature, **(quotable or Quotable())._asdict())


class Compared(NamedTuple):
    """What became of one comparison; see `ArenaVerdict`."""

    answer: Comparison | None
    reasons: tuple[str, ...]
    retried: int


async def compare(leaf: ArenaLeaf, first: Dialogue, second: Dialogue, aspect: Aspect, tries: int = 3) -> Compared:
    """Compare two dialogues by one aspect, in this order.

    Args:
        leaf: the judge's program.
        first: the dialogue shown first.
        second: the other one.
        aspect: what is compared.
        tries: answers asked for at most.

    Raises:
        RoleError: if the judge LM did not answer.
    """
    shown = {"first": numbered(first.turns), "second": numbered(second.turns), "aspect": aspect_text(aspect)}
    choices, retries = quotable(first, second), 0

    async def attempt(correction: str) -> Comparison:
        nonlocal retries
        try:
            answer = await ask(Role.JUDGE, leaf, quotable=choices, correction=correction, **shown)
            return checked(answer, first, second)
        except BadAnswer:
            retries += 1
            raise

    try:
        return Compared(await ask_until(attempt, tries), (), retries)
    except Exhausted as error:
        return Compared(None, error.reasons, retries)


def quotable(first: Dialogue, second: Dialogue) -> Quotable:
    """What an answer may quote; nothing is laid down where both together are more than a strict schema may list."""
    fits = quotable_sentences([*_replies(first), *_replies(second)])
    return Quotable(quotable_sentences(_replies(first)), quotable_sentences(_replies(second))) if fits else Quotable()


def checked(answer: Comparison, first: Dialogue, second: Dialogue) -> Comparison:
    """The answer, if its quotes stand in the replies and its preference does not contradict its scores.

    Raises:
        BadAnswer: if not.
    """
    for place, quote, dialogue in (("first", answer.first_quote, first), ("second", answer.second_quote, second)):
        if not any(occurs(quote, reply) for reply in _replies(dialogue)):
            said = " ".join(quote.split())[:80]
            raise BadAnswer(f"{place}_quote: the {place} supporter did not say '{said}'; copy one sentence exactly")
    scores = {Preferred.FIRST: answer.first_score, Preferred.SECOND: answer.second_score}
    if answer.preferred in scores and scores[answer.preferred] < max(scores.values()):
        raise BadAnswer(f"preferred: {answer.preferred} has the lower score; make the preference and the scores agree")
    return Comparison(**dict(answer))  # not the narrowed class, which a journal does not know


def _replies(dialogue: Dialogue) -> list[str]:
    return [turn.text for turn in dialogue.turns if turn.speaker is Speaker.SUPPORTER]
