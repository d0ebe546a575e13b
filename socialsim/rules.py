"""The eight rules while a run writes: what a check finds is asked again, flagged, or rejected.

The same checks as `socialsim check`, without an LM. What validation already finds (format, wording)
is left to it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from statistics import fmean

from metrics.checks import Moment as CheckMoment
from metrics.checks import check_content, check_dialogue, check_persona_told, check_wording
from metrics.verdicts import CheckVerdict, Rule
from programs.keep import Moment, TurnCheck
from socialsim.schema import Dialogue, Flag, Node, Persona, Reasoning, Turn
from socialsim.text import one_dialogue
from socialsim.validation import Finding

PASS = 0.5  # a verdict's score from which a rule counts as kept


class _Writing:
    """A dialogue in the making: the seeker's persona, and the verdicts on its turns so far.

    They lie by number and text, with the reasoning they are about: a turn may be asked again.
    """

    def __init__(self, persona: Persona) -> None:
        self._persona = persona
        self._verdicts: dict[tuple[int, str], tuple[Reasoning | None, list[CheckVerdict]]] = {}
        self._open: list[tuple[Turn, CheckMoment, list[CheckVerdict]]] = []

    def note(self, turn: Turn, moment: CheckMoment, content: list[CheckVerdict]) -> None:
        """Check the rest of the rules soon: nobody waits for them, and the next request is sent before."""
        self._open.append((turn, moment, content))
        asyncio.get_running_loop().call_soon(self._complete)

    def _complete(self) -> None:
        for turn, moment, content in self._open:
            whole = moment.known_to(self._persona)
            told = [verdict for verdict in content if verdict.rule is not Rule.CONTROL]
            made = [*check_persona_told(turn, whole), *told, *check_wording(turn, whole)]
            self._verdicts[moment.number, turn.text] = turn.reasoning, made
        self._open.clear()

    def known(self, number: int, turn: Turn) -> list[CheckVerdict] | None:
        """The verdicts on a turn, None where it was not checked while it was written."""
        self._complete()
        reasoning, verdicts = self._verdicts.get((number, turn.text), (None, None))
        return verdicts if reasoning is turn.reasoning else None


_writing: ContextVar[_Writing | None] = ContextVar("writing", default=None)


@contextmanager
def writing(persona: Persona) -> Iterator[None]:
    """While a dialogue is written and `signed`: each turn is checked once."""
    token = _writing.set(_Writing(persona))
    try:
        with one_dialogue():
            yield
    finally:
        _writing.reset(token)


def rule_check(nodes: tuple[Node, ...]) -> TurnCheck:
    """The rules as a check of each turn.

    A supporter who is shown the persona (in one pass) leaks on purpose or not at all: no such
    reply may stand. For one who is not, leaks are coincidences; they are looked for afterwards
    (`signed`), since a correction would tell it that it guessed right.

    Args:
        nodes: reasoning nodes the supporter is asked for.
    """

    def check(turn: Turn, moment: Moment) -> list[Finding]:
        here = CheckMoment(moment.history, moment.persona, nodes)
        verdicts = list(check_content(turn, here))
        if (now := _writing.get()) is not None:
            now.note(turn, here, verdicts)
        return [_finding(verdict) for verdict in verdicts if verdict.score < PASS]

    return check


def _finding(verdict: CheckVerdict) -> Finding:
    return Finding(flag_kind(verdict.rule), verdict.feedback or str(verdict.rule), hard=verdict.rule is Rule.CONTROL)


def flag_kind(rule: Rule) -> str:
    """The kind of a rule's flag."""
    return str(rule).replace(" ", "_")


def signed(dialogue: Dialogue, persona: Persona, nodes: tuple[Node, ...]) -> Dialogue:
    """The dialogue with flags for leaks and for rules it breaks as a whole, and every rule's mean in its provenance."""
    now = _writing.get()
    verdicts = check_dialogue(dialogue, persona, nodes, known=now.known if now else None)
    broken = [verdict for verdict in verdicts if verdict.score < PASS]
    whole = tuple(_flag(verdict) for verdict in broken if verdict.turn is None)
    turns = list(dialogue.turns)
    for verdict in broken:
        if verdict.turn is not None and verdict.rule is Rule.CONTROL:
            turn = turns[verdict.turn - 1]
            turns[verdict.turn - 1] = turn.model_copy(update={"flags": (*turn.flags, _flag(verdict))})
    provenance = dialogue.provenance
    if provenance is not None:
        provenance = provenance.model_copy(update={"checks": rule_means(verdicts)})
    changed = {"turns": tuple(turns), "flags": dialogue.flags + whole, "provenance": provenance}
    return dialogue.model_copy(update=changed)


def _flag(verdict: CheckVerdict) -> Flag:
    return Flag(kind=flag_kind(verdict.rule), detail=verdict.feedback)


def rule_means(verdicts: list[CheckVerdict]) -> dict[str, float]:
    """Mean score of each rule that was checked."""
    scores: dict[str, list[float]] = defaultdict(list)
    for verdict in verdicts:
        scores[str(verdict.rule)].append(verdict.score)
    return {rule: round(fmean(scores[rule]), 3) for rule in map(str, Rule) if rule in scores}
