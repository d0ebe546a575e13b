"""A generated profile against the authored one for the same post (Table 7's attributes).

What the post says must be found; what it does not say is compared with what an author inferred,
so that a perfect score is not to be expected there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rapidfuzz import fuzz, process

from socialsim.schema import Persona
from socialsim.taxonomy import Trait
from socialsim.text import words

_AGE_SLACK = 20.0  # years off that make an age worth nothing
_SAME_WORD = 75.0  # rapidfuzz ratio from which two emotion words are forms of one
_COMMON = frozenset(
    words(
        """
        i me my mine myself we us our a an the and or but so if then than that this these those it its he she they them
        his her their him who which what when where how why to of in on at for from with by as is am are was were be
        been being do does did done have has had will would can could should may might must not no nor don't didn't
        can't i'm i've i'd i'll it's that's there about into out up down over under again just only very too also any
        some all both each more most other such own same because while after before between through
        """
    )
)


def match_profile(answer: Mapping[str, Any], gold: Persona, post: str) -> dict[str, float]:
    """Compare a profile with the authored one.

    Args:
        answer: the fields of a persona answer.
        gold: the authored persona.
        post: question and description the profile was made from.

    Returns:
        Part to score, 0 to 1: gender, age, occupation, personality, subtopics, emotions, inferred, attempts, goals.
    """
    poles = gold.personality.model_dump()
    return {
        "gender": float(answer["gender"] == gold.gender),
        "age": max(0.0, 1 - abs(answer["age"] - gold.age) / _AGE_SLACK),
        "occupation": float(answer["occupation"] == gold.occupation),
        "personality": sum(answer[trait] == poles[trait] for trait in Trait) / len(Trait),
        "subtopics": f1(answer["subtopics"], gold.subtopics),
        "emotions": _emotion_f1(answer["emotions"], gold.emotions),
        "inferred": f1(answer["inferred"], gold.inferred),
        "attempts": grounded(answer["attempts"], post, gold.attempts),
        "goals": grounded(answer["goals"], post, gold.goals),
    }


def f1(found: Iterable[str], wanted: Iterable[str]) -> float:
    """Harmonic mean of precision and recall of two sets; 1 where both are empty."""
    found, wanted = set(found), set(wanted)
    if not found and not wanted:
        return 1.0
    return 2 * len(found & wanted) / (len(found) + len(wanted))


def _emotion_f1(found: Iterable[str], wanted: Iterable[str]) -> float:
    """F1 where forms of one word match: lonely and loneliness."""
    ours, theirs = {word.lower() for word in found}, {word.lower() for word in wanted}
    if not ours or not theirs:
        return 0.0
    right = sum(_matches(word, theirs) for word in ours) / len(ours)
    recalled = sum(_matches(word, ours) for word in theirs) / len(theirs)
    return 2 * right * recalled / (right + recalled) if right + recalled else 0.0


def _matches(word: str, others: set[str]) -> bool:
    return process.extractOne(word, others, scorer=fuzz.ratio, score_cutoff=_SAME_WORD) is not None


def content(text: str) -> set[str]:
    """The words of a text that carry its subject."""
    return {word for word in words(text) if word not in _COMMON and len(word) > 2}


def grounded(text: str, post: str, gold: str) -> float:
    """How far a free-text field speaks of this post.

    The mean of two shares: its content words that stand in the post or in the authored field,
    and the authored field's content words that it names.
    """
    told, source, wanted = content(text), content(post), content(gold)
    if not told:
        return 0.0
    precision = len(told & (source | wanted)) / len(told)
    recall = len(told & wanted) / len(wanted) if wanted else precision
    return (precision + recall) / 2
