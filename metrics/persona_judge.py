"""Leaks and contradictions by a judge LM, as verdicts on the two control rules that need the persona."""

from __future__ import annotations

from metrics.checks_judge import JudgedChecks, MalformedCheck
from metrics.consistency import Stance
from metrics.consistency_judge import LeakJudge, StanceJudge, judged_leaks, judged_stances
from metrics.verdicts import CheckVerdict, Rule
from socialsim.schema import Dialogue, Persona, Speaker

_REASONS = ("no verdict whose quotes stand in the text and the persona",)


async def judge_by_persona(dialogue: Dialogue, persona: Persona) -> JudgedChecks:
    """Judge every reply for leaks and every line of the seeker for contradictions.

    Raises:
        RoleError: if the judge LM did not answer.
    """
    return await _control(dialogue, persona) + await _consistency(dialogue, persona)


async def _control(dialogue: Dialogue, persona: Persona) -> JudgedChecks:
    judged = await judged_leaks(dialogue, persona, LeakJudge())
    told = {leak.turn: leak for leak in judged.leaks if "judge" in leak.found_by}
    replies = [number for number, turn in enumerate(dialogue.turns, 1) if turn.speaker is Speaker.SUPPORTER]
    verdicts = [
        CheckVerdict(
            rule=Rule.CONTROL,
            score=0.0 if number in told else 1.0,
            feedback=f"leave out what the seeker has not told: {told[number].evidence}" if number in told else "",
            turn=number,
            judged=True,
        )
        for number in replies
        if number not in judged.malformed
    ]
    return JudgedChecks(tuple(verdicts), _errors(Rule.CONTROL, judged.malformed))


async def _consistency(dialogue: Dialogue, persona: Persona) -> JudgedChecks:
    judged = await judged_stances(dialogue, persona, StanceJudge())
    verdicts = [
        CheckVerdict(
            rule=Rule.CONSISTENCY,
            score=0.0 if stance.stance is Stance.CONTRADICTED else 1.0,
            feedback=f"the persona says otherwise: {stance.fact}" if stance.stance is Stance.CONTRADICTED else "",
            turn=stance.turn,
            judged=True,
        )
        for stance in judged.judge
        if stance is not None
    ]
    return JudgedChecks(tuple(verdicts), _errors(Rule.CONSISTENCY, judged.malformed))


def _errors(rule: Rule, turns: tuple[int, ...]) -> tuple[MalformedCheck, ...]:
    return tuple(MalformedCheck(rule=rule, turn=turn, reasons=_REASONS) for turn in turns)
