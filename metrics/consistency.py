"""Persona consistency without an LM (paper: appendix, control rules 1 and 3; "Personalization").

Three questions about a dialogue and its persona: does the seeker say what the persona says, how
much of the persona was told by when, and does a supporter state a fact nobody has said yet?
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from pydantic import Field

from metrics.contradictions import contradiction, own_ages, own_gender
from metrics.facts import LEAST_SHARED, Fact, Hit, Key, distinctive, key_of, persona_facts, same_number
from metrics.leaks import leaks_in, with_units
from metrics.mentions import Reading, bare, read
from metrics.word_forms import stem
from socialsim.schema import Dialogue, Persona, Record, Speaker
from socialsim.text import one_dialogue

__all__ = [
    "Disclosure", "Fact", "Leak", "Stance", "UtteranceStance",
    "disclosure", "leaks", "leaks_in", "persona_facts", "seeker_stances", "stance_of",
]  # fmt: skip

_TOLD = 0.5  # share of a clause's distinctive words that tells it


class Leak(Record):
    """A persona fact in a supporter's utterance that nobody had said before.

    Attributes:
        turn: 1-based number of the utterance.
        field: persona field of the fact.
        fact: the fact as the persona has it.
        evidence: the supporter's words.
    """

    turn: int
    field: str
    fact: str
    evidence: str


class Stance(StrEnum):
    """How a seeker's utterance stands to the persona."""

    SUPPORTED = "supported"
    NEUTRAL = "neutral"
    CONTRADICTED = "contradicted"


class UtteranceStance(Record):
    """The stance of one seeker utterance (1-based ``turn``), the fact it rests on, the words that show it."""

    turn: int
    stance: Stance
    field: str | None = None
    fact: str | None = None
    evidence: str = ""


class Disclosure(Record):
    """How much of a persona the seeker told, and when.

    Attributes:
        shares: share (0 to 1) of the persona's facts told after each seeker utterance, in order.
        first_turn: persona field to the 1-based number of the utterance that first told a fact of it.
    """

    shares: tuple[float, ...]
    first_turn: dict[str, int] = Field(default_factory=dict)


def leaks(dialogue: Dialogue, persona: Persona) -> list[Leak]:
    """Every leak of a dialogue, in order (paper: control rule 3)."""
    facts = persona_facts(persona)
    said: list[str] = []
    found = []
    with one_dialogue():
        for number, turn in enumerate(dialogue.turns, start=1):
            if turn.speaker is Speaker.SUPPORTER:
                for fact, evidence in leaks_in(turn.text, said, facts):
                    found.append(Leak(turn=number, field=fact.field, fact=fact.text, evidence=evidence))
            said.append(turn.text)
    return found


def stance_of(text: str, persona: Persona, turn: int = 1) -> UtteranceStance:
    """Whether a seeker's utterance tells, leaves alone or contradicts the persona (paper: control rule 1).

    A contradiction is named only where the words leave no other reading; see `metrics.contradictions`.
    """
    facts = persona_facts(persona)
    if against := contradiction(text, persona, facts):
        fact, evidence = against
        return UtteranceStance(
            turn=turn, stance=Stance.CONTRADICTED, field=fact.field, fact=fact.text, evidence=evidence
        )
    told = max(_told(text, facts), key=lambda item: item[0], default=None)
    if told is None:
        return UtteranceStance(turn=turn, stance=Stance.NEUTRAL)
    _, hit = told
    return UtteranceStance(
        turn=turn,
        stance=Stance.SUPPORTED,
        field=hit.fact.field,
        fact=hit.fact.text,
        evidence=text[hit.start : hit.end],
    )


def seeker_stances(dialogue: Dialogue, persona: Persona) -> list[UtteranceStance]:
    """The stance of every seeker utterance, in order."""
    return [
        stance_of(turn.text, persona, number)
        for number, turn in enumerate(dialogue.turns, start=1)
        if turn.speaker is Speaker.SEEKER
    ]


def _told(text: str, facts: tuple[Fact, ...]) -> Iterator[tuple[float, Hit]]:
    """The facts an utterance tells by itself, with how strong each is."""
    reading = read(text)
    words = distinctive(reading)
    for fact in facts:
        key = key_of(fact)
        if fact.kind == "phrase" and fact.field not in ("gender", "occupation", "emotions"):
            shared = key.stems & words
            if len(shared) >= LEAST_SHARED and (len(shared) >= 3 or len(shared) >= _TOLD * len(key.stems)):
                yield 1.0 + len(shared), _span(fact, shared, reading)
        elif hit := _told_fact(fact, key, reading):
            yield hit


def _told_fact(fact: Fact, key: Key, reading: Reading) -> tuple[float, Hit] | None:
    if fact.field == "age":
        return next(((2.5, Hit(fact, s, e)) for value, s, e in own_ages(reading) if value == int(fact.text)), None)
    if fact.field == "gender":
        return next(((1.5, Hit(fact, s, e)) for value, s, e in own_gender(reading) if value == fact.text), None)
    if fact.field in ("occupation", "emotions"):
        token = next((t for t in reading.tokens for s in key.stems or [stem(fact.text)] if _kin(t.stem, s)), None)
        return (1.2, Hit(fact, token.start, token.end)) if token else None
    if key.number:
        number = next((other for other in reading.numbers if same_number(key.number, other)), None)
        return (1.4, Hit(fact, number.start, with_units(reading, number))) if number else None
    if key.name:
        token = next((token for token in reading.tokens if bare(token) in key.name), None)
        return (1.8, Hit(fact, token.start, token.end)) if token else None
    if key.relation:
        own = next((r for r in reading.relations if r.name == key.relation and r.owner in ("my", "our", "")), None)
        return (1.3, Hit(fact, own.start, own.end)) if own else None
    return (1.1, _span(fact, key.stems & reading.stems, reading)) if key.stems & reading.stems else None


def _kin(one: str, other: str) -> bool:
    """Whether two base forms are of one family: "asham" and "shame" are not, "guilt" and "guilti" are."""
    return one == other or (min(len(one), len(other)) >= 4 and (one.startswith(other) or other.startswith(one)))


def _span(fact: Fact, stems: frozenset[str], reading: Reading) -> Hit:
    places = [token for token in reading.tokens if token.stem in stems]
    return Hit(fact, places[0].start, places[-1].end)


def disclosure(dialogue: Dialogue, persona: Persona) -> Disclosure:
    """How much of the persona the seeker has told after each utterance (paper: "Personalization").

    A number, name, relation, age, gender, occupation or feeling is told when it is said; a clause
    once half of its distinctive words have been said, in one utterance or over several. A fact
    that stands in several fields counts once.
    """
    facts = persona_facts(persona)
    keys = {_identity(fact) for fact in facts}
    told: set[tuple[str, Key]] = set()
    first: dict[str, int] = {}
    said: frozenset[str] = frozenset()
    shares = []
    for number, turn in enumerate(dialogue.turns, start=1):
        if turn.speaker is not Speaker.SEEKER:
            continue
        reading = read(turn.text)
        said |= reading.stems
        for fact in facts:
            if _is_told(fact, reading, said):
                told.add(_identity(fact))
                first.setdefault(fact.field, number)
        shares.append(len(told) / len(keys))
    return Disclosure(shares=tuple(shares), first_turn=first)


def _identity(fact: Fact) -> tuple[str, Key]:
    kind = fact.field if fact.field in ("age", "gender", "occupation", "emotions") else fact.kind
    return kind, key_of(fact)


def _is_told(fact: Fact, reading: Reading, said: frozenset[str]) -> bool:
    key = key_of(fact)
    if fact.kind == "phrase" and fact.field not in ("gender", "occupation", "emotions"):
        return bool(key.stems & reading.stems) and len(key.stems & said) >= _TOLD * len(key.stems)
    return _told_fact(fact, key, reading) is not None
