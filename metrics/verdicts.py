"""What a check says: one of the paper's eight control rules, a score, and what to change."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from socialsim.schema import Record


class Rule(StrEnum):
    """The eight rules of quality control (paper: appendix, "rules for quality control")."""

    CONSISTENCY = "seeker consistency"
    SPECIFICITY = "seeker specificity"
    CONTROL = "information control"
    REASONING = "reasoning validity"
    MATCH = "response matches strategy"
    STRUCTURE = "overall structure"
    DETAIL = "detail review"
    FORMAT = "format"


class CheckVerdict(Record):
    """One check of one turn, or of the whole dialogue.

    Attributes:
        rule: which of the eight rules.
        score: 1 keeps the rule, 0 breaks it.
        feedback: what to change, in words an LM can act on; empty where nothing is to change.
        turn: 1-based number of the utterance; None for the whole dialogue.
        judged: whether an LM judged it.
    """

    rule: Rule
    score: float = Field(ge=0, le=1)
    feedback: str = ""
    turn: int | None = None
    judged: bool = False
