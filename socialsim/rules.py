"""The eight rules while a run writes: what a check finds is asked again, flagged, or rejected.

The same checks as `socialsim check`, without an LM. What validation already finds (format, wording)
is left to it.
"""

from __future__ import annotations

from collections import defaultdict
from statistics import mean

from metrics.checks import Moment as CheckMoment
from metrics.checks import check_dialogue, check_turn
from metrics.verdicts import CheckVerdict, Rule
from programs.keep import Moment, TurnCheck
from socialsim.schema import Dialogue, Flag, Node, Persona, Turn
from socialsim.validation import Finding

PASS = 0.5  # a verdict's score from which a rule counts as kept
_WHILE_WRITING = (Rule.CONSISTENCY, Rule.SPECIFICITY, Rule.CONTROL, Rule.REASONING, Rule.MATCH)


def rule_check(nodes: tuple[Node, ...], sees_persona: bool) -> TurnCheck:
    """The rules as a check of each turn.

    Args:
        nodes: reasoning nodes the supporter is asked for.
        sees_persona: whether the writer of the replies is shown the persona. Then a leak is no
            coincidence, and no such reply may stand.
    """

    def check(turn: Turn, moment: Moment) -> list[Finding]:
        verdicts = check_turn(turn, CheckMoment(moment.history, moment.persona, nodes))
        broken = [verdict for verdict in verdicts if verdict.rule in _WHILE_WRITING and verdict.score < PASS]
        return [_finding(verdict, sees_persona) for verdict in broken]

    return check


def _finding(verdict: CheckVerdict, sees_persona: bool) -> Finding:
    leak = verdict.rule is Rule.CONTROL
    return Finding(flag_kind(verdict.rule), verdict.feedback or str(verdict.rule), hard=leak and sees_persona)


def flag_kind(rule: Rule) -> str:
    """The kind of a rule's flag."""
    return str(rule).replace(" ", "_")


def signed(dialogue: Dialogue, persona: Persona, nodes: tuple[Node, ...]) -> Dialogue:
    """The dialogue with flags for the rules it breaks as a whole, and every rule's mean score in its provenance."""
    verdicts = check_dialogue(dialogue, persona, nodes)
    whole = [verdict for verdict in verdicts if verdict.turn is None and verdict.score < PASS]
    flags = tuple(Flag(kind=flag_kind(verdict.rule), detail=verdict.feedback) for verdict in whole)
    provenance = dialogue.provenance
    if provenance is not None:
        provenance = provenance.model_copy(update={"checks": rule_means(verdicts)})
    return dialogue.model_copy(update={"flags": dialogue.flags + flags, "provenance": provenance})


def rule_means(verdicts: list[CheckVerdict]) -> dict[str, float]:
    """Mean score of each rule that was checked."""
    scores: dict[str, list[float]] = defaultdict(list)
    for verdict in verdicts:
        scores[str(verdict.rule)].append(verdict.score)
    return {rule: round(mean(scores[rule]), 3) for rule in map(str, Rule) if rule in scores}
