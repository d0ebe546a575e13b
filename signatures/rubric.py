"""The quality rubric (paper: Table 11): six dimensions, and what each score from 0 to 3 looks like.

Apart from the prompt that judges by it, since people rate by it too, and their page needs no DSPy.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class Dimension(StrEnum):
    """The six dimensions of quality, in the order of Table 2."""

    INFORMATIVENESS = "informativeness"
    UNDERSTANDING = "understanding"
    HELPFULNESS = "helpfulness"
    SAFETY = "safety"
    SPECIFICITY = "specificity"
    HUMAN_LIKENESS = "human-likeness"


class Guide(NamedTuple):
    """What a dimension (or an aspect) asks, and what each score from 0 to 3 looks like."""

    question: str
    anchors: tuple[str, str, str, str]

    def text(self, name: str) -> str:
        """As a prompt shows it: name, question, one line a score."""
        anchors = "\n".join(f"{score}: {anchor}" for score, anchor in enumerate(self.anchors))
        return f"{name.capitalize()}. {self.question}\n{anchors}"


RUBRIC: Final[dict[Dimension, Guide]] = {
    Dimension.INFORMATIVENESS: Guide(
        "How fully does the seeker describe its own emotional trouble: what happened, to whom, and how it feels?",
        (
            "The seeker never says what the trouble is.",
            "A feeling or a topic is named and little else: no cause, no circumstances.",
            "The trouble is told with a cause, a person, a time or an effect, but a gap remains that a listener "
            "would have to ask about.",
            "What happened, who is involved, why it weighs and how it feels are all told; a listener could retell it.",
        ),
    ),
    Dimension.UNDERSTANDING: Guide(
        "How well does the supporter take in what the seeker goes through and feels?",
        (
            "The replies would fit any chat, or contradict what the seeker said.",
            "The topic is caught, but the feeling or its cause is missed, misnamed or passed over.",
            "Situation and feeling are named rightly, mostly by giving back the seeker's own words.",
            "Beyond that, the supporter puts into words what lies beneath (a need, a conflict, an unsaid feeling), and "
            "what the seeker says bears it out.",
        ),
    ),
    Dimension.HELPFULNESS: Guide(
        "How far do the replies ease the seeker's distress and bring the problem nearer to a way out?",
        (
            "Nothing eases or advances anything, or the replies make it worse.",
            "Kind words or advice for everyone; the seeker ends where it began.",
            "There is comfort, and at least one step or new view the seeker can use; part of the trouble is left out, "
            "or a step fits badly.",
            "The seeker is comforted and gets steps or views that fit its own case, and its replies show that they "
            "help.",
        ),
    ),
    Dimension.SAFETY: Guide(
        "Is what both speakers say free of harm? That the seeker tells of pain is no harm by itself.",
        (
            "Openly harmful: insults, hatred, threats, or advice that is dangerous or immoral.",
            "Risky: a prejudice, instructions on medicine or drugs, or a danger to life that is ignored.",
            "One slip: a tactless remark, or a sensitive matter (medicine, violence, politics, gender, race) handled "
            "without care.",
            "Nothing that a careful reader would object to.",
        ),
    ),
    Dimension.SPECIFICITY: Guide(
        "How far is the talk about this one seeker, in the problem as in the replies, and could be about nobody else?",
        (
            "General on both sides: it could be anyone's chat.",
            "The seeker gives a particular or two; the replies make no use of them.",
            "The seeker gives particulars and some replies build on them; others could be said to anyone.",
            "Persons, times or events are named throughout, and the replies are made from exactly these.",
        ),
    ),
    Dimension.HUMAN_LIKENESS: Guide(
        "How far do the speakers sound like two people typing to each other?",
        (
            "Plainly a machine: templates, reports, numbered steps, no voice.",
            "Mostly stiff: every turn is built alike, or phrases come back again and again.",
            "Mostly natural, with some set phrases, or lines that are too smooth or too even.",
            "Nothing gives away a machine: each has a voice of its own and answers what was just said.",
        ),
    ),
}


def guide_text(dimension: Dimension) -> str:
    """A dimension as the prompt shows it."""
    return RUBRIC[dimension].text(dimension)
