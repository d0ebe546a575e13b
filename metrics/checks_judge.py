"""The control rules where words do not decide, judged by an LM: reasoning, match, detail of a reply.

Only asked where a judge LM is given. A malformed judgement is an error that is counted, what the judge
cannot score is missing; neither becomes a number.
"""

from __future__ import annotations

from typing import NamedTuple

import dspy
from pydantic import Field

from metrics.check_reasoning import node_text
from metrics.checks import Moment
from metrics.quotable import quotable_sentences
from metrics.quotes import occurs
from metrics.rubric import numbered
from metrics.verdicts import CheckVerdict, Rule
from signatures.checks import STRATEGY_MEANING, CheckAnswer, JudgeDetail, JudgeMatch, JudgeReasoning
from signatures.narrowing import quoting
from socialsim.ask import BadAnswer, Exhausted, ask, ask_until
from socialsim.formats import reasoning_text
from socialsim.predict import Predict
from socialsim.schema import Dialogue, Node, Record, Role, Speaker, Turn

_BEST = 3  # highest score of a judgement


class MalformedCheck(Record):
    """A judgement that was given up: of which rule and turn, and what was wrong with each answer."""

    rule: Rule
    turn: int
    reasons: tuple[str, ...] = Field(min_length=1)


class JudgedChecks(NamedTuple):
    """What the judge made of some turns.

    Attributes:
        verdicts: ``judged`` is True; scores are the judge's 0 to 3 divided by 3.
        errors: the judgements given up as malformed.
        missing: judgements the judge said it could not score.
    """

    verdicts: tuple[CheckVerdict, ...] = ()
    errors: tuple[MalformedCheck, ...] = ()
    missing: int = 0

    def __add__(self, other: object) -> JudgedChecks:
        """Both together."""
        if not isinstance(other, JudgedChecks):
            return NotImplemented
        return JudgedChecks(self.verdicts + other.verdicts, self.errors + other.errors, self.missing + other.missing)


class CheckJudge(dspy.Module):
    """Judge replies by the three rules, one call each; a decoder that honours the schema can only quote what is judged.

    Args:
        tries: answers asked for at most before a judgement is given up.
    """

    def __init__(self, tries: int = 3) -> None:
        super().__init__()
        self.reasoning = Predict(JudgeReasoning)
        self.match = Predict(JudgeMatch)
        self.detail = Predict(JudgeDetail)
        self.tries = tries

    async def aforward(self, dialogue: Dialogue) -> JudgedChecks:
        """Judge every reply of a dialogue, one call after another.

        Raises:
            RoleError: if the judge LM did not answer.
        """
        judged = JudgedChecks()
        for index, turn in enumerate(dialogue.turns):
            if turn.speaker is Speaker.SUPPORTER:
                judged += await self.judge_turn(turn, Moment(dialogue.turns[:index]))
        return judged

    async def judge_turn(self, turn: Turn, moment: Moment) -> JudgedChecks:
        """Judge one reply; a rule it gives nothing for (no reasoning, no strategy) is not asked.

        Raises:
            RoleError: if the judge LM did not answer.
        """
        judged = JudgedChecks()
        for rule, module, inputs, source in self._questions(turn, moment):
            judged += await self._judge(rule, module, inputs, source, moment.number)
        return judged

    def _questions(self, turn: Turn, moment: Moment) -> list[tuple[Rule, dspy.Predict, dict[str, str], str]]:
        said = {"dialogue": numbered(moment.history) or "(nobody has spoken yet)"}
        asked: list[tuple[Rule, dspy.Predict, dict[str, str], str]] = []
        if thought := _thought(turn):
            asked.append((Rule.REASONING, self.reasoning, said | {"reasoning": thought}, thought))
        if turn.strategies:
            chosen = {"reply": turn.text, "strategy": strategy_text(turn)}
            asked.append((Rule.MATCH, self.match, said | chosen, turn.text))
        if moment.history:
            asked.append((Rule.DETAIL, self.detail, said | {"reply": turn.text}, turn.text))
        return asked

    async def _judge(
        self, rule: Rule, module: dspy.Predict, inputs: dict[str, str], source: str, number: int
    ) -> JudgedChecks:
        signature = quoting(module.signature, quote=quotable_sentences([source]))

        async def attempt(correction: str) -> CheckAnswer:
            answer: CheckAnswer = await ask(Role.JUDGE, module, **inputs, correction=correction, signature=signature)
            if answer.score is not None and not occurs(answer.quote, source):
                raise BadAnswer(f"quote: '{answer.quote[:80]}' is not in what is judged; copy its words exactly")
            return answer

        try:
            answer = await ask_until(attempt, self.tries)
        except Exhausted as error:
            return JudgedChecks(errors=(MalformedCheck(rule=rule, turn=number, reasons=error.reasons),))
        if answer.score is None:
            return JudgedChecks(missing=1)
        return JudgedChecks((_verdict(rule, answer, number),))


def _thought(turn: Turn) -> str:
    """The chain before a reply as text; empty where there is none but a strategy's name."""
    reasoning = turn.reasoning
    if reasoning is None or not (reasoning.raw or any(node_text(reasoning, node) for node in Node)):
        return ""
    return reasoning_text(reasoning)


def _verdict(rule: Rule, answer: CheckAnswer, number: int) -> CheckVerdict:
    change = (answer.change.strip() or answer.discussion.strip()) if answer.score != _BEST else ""
    score = (answer.score or 0) / _BEST
    return CheckVerdict(rule=rule, score=score, feedback=change, turn=number, judged=True)


def strategy_text(turn: Turn) -> str:
    """The strategies of a reply and what each means, one a line."""
    return "\n".join(f"{choice}: the reply {STRATEGY_MEANING[choice.strategy]}" for choice in turn.strategies)
