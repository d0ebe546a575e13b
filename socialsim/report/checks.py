"""The eight control rules as a table, and the turns that need work most."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from textwrap import shorten
from typing import Final, NamedTuple

from rich import box
from rich.markup import escape
from rich.table import Table

from metrics.verdicts import CheckVerdict, Rule

PASSED: Final = 0.5  # score from which a rule counts as kept
_PARTICULARS = re.compile(r"'[^']*'|\([^)]*\)|\d[\d.,]*%?")


@dataclass
class _Tally:
    scores: list[float] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)


class RuleTally:
    """How often each rule was checked, kept, and why not; judged verdicts are counted apart."""

    def __init__(self) -> None:
        self._of: dict[tuple[Rule, bool], _Tally] = {}

    def add(self, verdict: CheckVerdict) -> None:
        """Count one verdict."""
        tally = self._of.setdefault((verdict.rule, verdict.judged), _Tally())
        tally.scores.append(verdict.score)
        if verdict.feedback and verdict.score < 1:
            tally.kinds[kind_of(verdict.feedback)] += 1

    def rows(self) -> Iterator[tuple[str, int, int, float | None, str]]:
        """Name, checked, passed, mean score (None where never checked), commonest feedback; every rule has a row."""
        for rule in Rule:
            yield self._row(rule, judged=False)
            if (rule, True) in self._of:
                yield self._row(rule, judged=True)

    def _row(self, rule: Rule, judged: bool) -> tuple[str, int, int, float | None, str]:
        tally = self._of.get((rule, judged), _Tally())
        scores, name = tally.scores, f"{rule} (judge)" if judged else str(rule)
        kind = tally.kinds.most_common(1)[0][0] if tally.kinds else ""
        mean = sum(scores) / len(scores) if scores else None
        return name, len(scores), sum(score >= PASSED for score in scores), mean, kind


def kind_of(feedback: str) -> str:
    """Feedback without its particulars (quoted words, figures, words in brackets), so that like can be counted."""
    first = feedback.partition("; ")[0]
    # A judge may quote a whole paragraph of a persona.
    return shorten(" ".join(_PARTICULARS.sub("…", first).split()), 100, placeholder=" …")


class WorstTurn(NamedTuple):
    """A turn by what it lacks; smaller sorts first.

    Attributes:
        lack: minus the sum of what its verdicts lack of 1.
        dialogue: id of the dialogue.
        turn: 1-based number of the utterance.
        rule: the rule it breaks most.
        score: that rule's score.
        feedback: what to change.
    """

    lack: float
    dialogue: str
    turn: int
    rule: Rule
    score: float
    feedback: str


def worst_first(dialogue: str, verdicts: Iterable[CheckVerdict]) -> list[WorstTurn]:
    """The turns of a dialogue that lack something, those that lack most first."""
    of_turns = [verdict for verdict in verdicts if verdict.turn is not None and verdict.score < 1]
    of_turns.sort(key=lambda verdict: verdict.turn or 0)
    found = []
    for turn, group in groupby(of_turns, key=lambda verdict: verdict.turn or 0):
        given = list(group)
        low = min(given, key=lambda verdict: verdict.score)
        lack = sum(1 - verdict.score for verdict in given)
        found.append(WorstTurn(round(-lack, 4), dialogue, turn, low.rule, low.score, low.feedback))
    return sorted(found)


def rules_table(rules: RuleTally, title: str) -> Table:
    """One row a rule; a rule that could not be checked shows dashes."""
    table = Table(title=escape(title), box=box.SIMPLE_HEAD)
    table.add_column("rule", no_wrap=True)
    for name in ("checked", "passed", "mean"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("commonest feedback")
    for name, checked, passed, mean, kind in rules.rows():
        if mean is None:
            table.add_row(name, "-", "-", "-", "")
        else:
            table.add_row(name, f"{checked:,}", f"{passed / checked:.1%}", f"{mean:.3f}", escape(kind))
    return table


def worst_table(worst: Iterable[WorstTurn]) -> Table:
    """The worst turns, one a row."""
    table = Table(title="Turns that need work most", box=box.SIMPLE_HEAD)
    table.add_column("dialogue")
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("rule")
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("what to change")
    for turn in worst:
        table.add_row(escape(turn.dialogue), str(turn.turn), turn.rule, f"{turn.score:.2f}", escape(turn.feedback))
    return table
