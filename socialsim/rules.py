"""The eight rules while a run writes: what a check finds is asked again, flagged, or rejected.

The same checks as `socialsim check`, without an LM. What validation already finds (format, wording)
is left to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from statistics import mean

from metrics.checks import Moment as CheckMoment
from metrics.checks import check_content, check_dialogue
from metrics.verdicts import CheckVerdict, Rule
from programs.keep import Moment, TurnCheck
from socialsim.schema import Dialogue, Flag, Node, Persona, Reasoning, Turn
from socialsim.validation import Finding

PASS = 0.5  # a verdict's score from which a rule counts as kept


# What was said of each turn while its dialogue was written, by number and text, with the reasoning it was said of.
_Written = dict[tuple[int, str], tuple[Reasoning | None, list[CheckVerdict]]]
_written: ContextVar[_Written | None] = ContextVar("verdicts_while_writing", default=None)


@contextmanager
def remembering() -> Iterator[None]:
    """While a dialogue is written and `signed`: its turns are not checked twice."""
    token = _written.set({})
    try:
        yield
    finally:
        _written.reset(token)


def _known(number: int, turn: Turn) -> list[CheckVerdict] | None:
    reasoning, verdicts = (_written.get() or {}).get((number, turn.text), (None, None))
    return verdicts if reasoning is turn.reasoning else None


def rule_check(nodes: tuple[Node, ...]) -> TurnCheck:
    """The rules as a check of each turn.

    A supporter who is shown the persona (in one pass) leaks on purpose or not at all: no such
    reply may stand. For one who is not, leaks are coincidences; they are looked for afterwards
    (`signed`), since a correction would tell it that it guessed right.

    Args:
        nodes: reasoning nodes the supporter is asked for.
    """

    def check(turn: Turn, moment: Moment) -> list[Finding]:
        verdicts = list(check_content(turn, CheckMoment(moment.history, moment.persona, nodes)))
        if (written := _written.get()) is not None:
            told = [verdict for verdict in verdicts if verdict.rule is not Rule.CONTROL]  # looked for afterwards
            written[len(moment.history) + 1, turn.text] = turn.reasoning, told
        return [_finding(verdict) for verdict in verdicts if verdict.score < PASS]

    return check


def _finding(verdict: CheckVerdict) -> Finding:
    return Finding(flag_kind(verdict.rule), verdict.feedback or str(verdict.rule), hard=verdict.rule is Rule.CONTROL)


def flag_kind(rule: Rule) -> str:
    """The kind of a rule's flag."""
    return str(rule).replace(" ", "_")


def signed(dialogue: Dialogue, persona: Persona, nodes: tuple[Node, ...]) -> Dialogue:
    """The dialogue with flags for leaks and for rules it breaks as a whole, and every rule's mean in its provenance."""
    verdicts = check_dialogue(dialogue, persona, nodes, known=_known)
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
    return {rule: round(mean(scores[rule]), 3) for rule in map(str, Rule) if rule in scores}
