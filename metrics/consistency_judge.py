"""Persona consistency with a judge on top of the rules: paraphrases and what follows from facts.

A verdict whose quote does not stand in the text is malformed. It is asked for again, then
counted: it never becomes a verdict of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import dspy

from metrics.consistency import Leak, Stance, UtteranceStance, leaks, seeker_stances
from metrics.quotable import quotable_sentences
from metrics.quotes import occurs
from signatures.consistency import JudgeLeak, JudgeStance, LeakAnswer, StanceAnswer
from signatures.narrowing import quoting
from socialsim.ask import BadAnswer, Exhausted, ask, ask_until
from socialsim.predict import Predict
from socialsim.render import persona_text, transcript
from socialsim.schema import Dialogue, Persona, Record, Role, Speaker, Turn

Layer = Literal["rules", "judge"]


class Limits(NamedTuple):
    """What an answer may quote, nothing included; () where anything goes."""

    quote: tuple[str, ...] = ()
    fact: tuple[str, ...] = ()


def limits_of(text: str, persona: Persona) -> Limits:
    """What may be quoted of a judged text and of a persona; a verdict that finds nothing quotes nothing."""
    facts = quotable_sentences(line.partition(": ")[2] for line in persona_text(persona).splitlines())
    quotes = quotable_sentences([text])
    return Limits(*(("", *found) if found else () for found in (quotes, facts)))


def _limited(predict: dspy.Predict, limits: Limits | None) -> type[dspy.Signature]:
    return quoting(predict.signature, **(limits or Limits())._asdict())


class StanceJudge(dspy.Module):
    """Inputs: persona, dialogue, line, correction; answer: the stance of a seeker's line."""

    def __init__(self) -> None:
        super().__init__()
        self.stance = Predict(JudgeStance)

    def forward(self, limits: Limits | None = None, **inputs: Any) -> dspy.Prediction:
        """Judge one line; ``limits`` reach the decoder, not the prompt."""
        return self.stance(signature=_limited(self.stance, limits), **inputs)

    async def aforward(self, limits: Limits | None = None, **inputs: Any) -> dspy.Prediction:
        """The same, asynchronously."""
        return await self.stance.acall(signature=_limited(self.stance, limits), **inputs)


class LeakJudge(dspy.Module):
    """Inputs: persona, dialogue, reply, correction; answer: whether a supporter's reply leaks."""

    def __init__(self) -> None:
        super().__init__()
        self.leak = Predict(JudgeLeak)

    def forward(self, limits: Limits | None = None, **inputs: Any) -> dspy.Prediction:
        """Judge one reply; ``limits`` reach the decoder, not the prompt."""
        return self.leak(signature=_limited(self.leak, limits), **inputs)

    async def aforward(self, limits: Limits | None = None, **inputs: Any) -> dspy.Prediction:
        """The same, asynchronously."""
        return await self.leak.acall(signature=_limited(self.leak, limits), **inputs)


class FoundLeak(Leak):
    """A leak with the layers that found it, the rules first."""

    found_by: tuple[Layer, ...]


class JudgedLeaks(Record):
    """Leaks of both layers.

    Attributes:
        leaks: in the order of the turns.
        judged: number of replies the judge gave a usable verdict on.
        malformed: 1-based numbers of the replies it gave none on; there only the rules speak.
    """

    leaks: tuple[FoundLeak, ...]
    judged: int
    malformed: tuple[int, ...] = ()


class JudgedStances(Record):
    """Stances of both layers for each seeker utterance, in the same order.

    Attributes:
        rules: what the rules say.
        judge: what the judge says; None where its verdict was malformed.
        malformed: 1-based numbers of those utterances.
    """

    rules: tuple[UtteranceStance, ...]
    judge: tuple[UtteranceStance | None, ...]
    malformed: tuple[int, ...] = ()


async def judge_leak(
    judge: LeakJudge, reply: str, said: Sequence[Turn], persona: Persona, tries: int = 2
) -> LeakAnswer:
    """Judge one supporter reply.

    Raises:
        Exhausted: if no try gave a verdict whose quotes stand in the reply and the persona.
        RoleError: if the judge did not answer.
    """

    limits = limits_of(reply, persona)

    async def attempt(correction: str) -> LeakAnswer:
        answer: LeakAnswer = await ask(
            Role.JUDGE,
            judge,
            persona=persona_text(persona),
            dialogue=transcript(said),
            reply=reply,
            correction=correction,
            limits=limits,
        )
        if answer.leaks:
            _check(answer, reply, persona)
        return answer

    return await ask_until(attempt, tries)


async def judge_stance(
    judge: StanceJudge, line: str, said: Sequence[Turn], persona: Persona, tries: int = 2
) -> StanceAnswer:
    """Judge one seeker utterance.

    Raises:
        Exhausted: if no try gave a verdict whose quotes stand in the utterance and the persona.
        RoleError: if the judge did not answer.
    """

    limits = limits_of(line, persona)

    async def attempt(correction: str) -> StanceAnswer:
        answer: StanceAnswer = await ask(
            Role.JUDGE,
            judge,
            persona=persona_text(persona),
            dialogue=transcript(said),
            line=line,
            correction=correction,
            limits=limits,
        )
        if answer.stance != "neutral":
            _check(answer, line, persona)
        return answer

    return await ask_until(attempt, tries)


def _check(answer: LeakAnswer | StanceAnswer, text: str, persona: Persona) -> None:
    """Raise `BadAnswer` unless a positive verdict names a fact and quotes what is there."""
    if answer.field == "none":
        raise BadAnswer("field: name the persona field of the fact")
    if not occurs(answer.quote, text):
        raise BadAnswer("quote: copy words that stand in the text you judge")
    if not occurs(answer.fact, persona_text(persona)):
        raise BadAnswer("fact: copy words that stand in the persona")


async def judged_leaks(dialogue: Dialogue, persona: Persona, judge: LeakJudge, tries: int = 2) -> JudgedLeaks:
    """Find the leaks of a dialogue by the rules and by a judge (paper: control rule 3).

    A leak of one turn is one where both layers point at overlapping words of it. The rules' own
    leaks stay, whatever the judge says.

    Raises:
        RoleError: if the judge did not answer.
    """
    at = [place for place, turn in enumerate(dialogue.turns) if turn.speaker is Speaker.SUPPORTER]

    async def one(place: int) -> LeakAnswer | None:
        try:
            return await judge_leak(judge, dialogue.turns[place].text, dialogue.turns[:place], persona, tries)
        except Exhausted:
            return None

    answers = dict(zip(at, await asyncio.gather(*map(one, at)), strict=True))
    found = [FoundLeak(**leak.model_dump(), found_by=("rules",)) for leak in leaks(dialogue, persona)]
    for place, answer in answers.items():
        if answer is not None and answer.leaks:
            found = _merged(found, answer, place + 1)
    malformed = tuple(place + 1 for place, answer in answers.items() if answer is None)
    in_order = tuple(sorted(found, key=lambda leak: leak.turn))
    return JudgedLeaks(leaks=in_order, judged=len(at) - len(malformed), malformed=malformed)


def _merged(found: list[FoundLeak], answer: LeakAnswer, turn: int) -> list[FoundLeak]:
    """The leaks with the judge's one: marked on those whose words it shares, else added."""
    same = [leak for leak in found if leak.turn == turn and _overlap(leak.evidence, answer.quote)]
    if not same:
        new = FoundLeak(turn=turn, field=answer.field, fact=answer.fact, evidence=answer.quote, found_by=("judge",))
        return [*found, new]
    return [leak.model_copy(update={"found_by": ("rules", "judge")}) if leak in same else leak for leak in found]


def _overlap(one: str, other: str) -> bool:
    return occurs(one, other) or occurs(other, one)


async def judged_stances(dialogue: Dialogue, persona: Persona, judge: StanceJudge, tries: int = 2) -> JudgedStances:
    """The stance of every seeker utterance by the rules and by a judge (paper: control rule 1).

    Raises:
        RoleError: if the judge did not answer.
    """
    at = [place for place, turn in enumerate(dialogue.turns) if turn.speaker is Speaker.SEEKER]

    async def one(place: int) -> UtteranceStance | None:
        try:
            answer = await judge_stance(judge, dialogue.turns[place].text, dialogue.turns[:place], persona, tries)
        except Exhausted:
            return None
        return _stance(answer, place + 1)

    judged = tuple(await asyncio.gather(*map(one, at)))
    malformed = tuple(place + 1 for place, stance in zip(at, judged, strict=True) if stance is None)
    return JudgedStances(rules=tuple(seeker_stances(dialogue, persona)), judge=judged, malformed=malformed)


def _stance(answer: StanceAnswer, turn: int) -> UtteranceStance:
    if answer.stance == "neutral":
        return UtteranceStance(turn=turn, stance=Stance.NEUTRAL)
    return UtteranceStance(
        turn=turn, stance=Stance(answer.stance), field=answer.field, fact=answer.fact, evidence=answer.quote
    )
