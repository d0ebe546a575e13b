"""The facts of a persona: what a seeker may tell, and a supporter may not know before.

Numbers with what they count, names of people and places, relations ("my brother"), and the
clauses of the free text. Deterministic; facts of a persona are read once and kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal, NamedTuple

from metrics.consistency_words import (
    CALENDAR,
    CLOCK_CUES,
    EVERYDAY,
    NEVER_NAMES,
    NUMBER_WORDS,
    RELATIONS,
    STOP,
    UNIT_TWINS,
)
from metrics.mentions import EVERYDAY_WORDS, Number, Reading, Token, bare, capitals, names, read
from metrics.word_forms import stem, unpossessed
from socialsim.identity import Same
from socialsim.schema import Persona
from socialsim.text import kept_with_dialogue

FREE_TEXT = (
    "question", "description", "situation", "attempts", "goals", "event_time", "event_location", "event_participants",
)  # fmt: skip
COMMON_STEMS = frozenset(stem(word) for word in EVERYDAY) | frozenset(
    stem(word) for word in (*STOP, *NUMBER_WORDS, *RELATIONS, *CALENDAR)
)
_CLAUSE = re.compile(r"[.!?;:…]+\s+|[.!?;:…]+$|,\s+|\s+(?:and|but|because|so that)\s+")
LEAST_SHARED = 2  # distinctive words that make a clause a fact, and that state it


class Fact(NamedTuple):
    """One fact of a persona: the field it stands in, its words, and what it is.

    ``told_by`` holds words that give it away: a city tells its country ("Pune, India").
    """

    field: str
    text: str
    kind: Literal["number", "name", "relation", "phrase"]
    told_by: frozenset[str] = frozenset()


class Hit(NamedTuple):
    """A fact found in a text, and where."""

    fact: Fact
    start: int
    end: int


class Key(NamedTuple):
    """What a fact is compared by: its number, its name's words, its relation class, its base forms."""

    number: Number | None = None
    name: frozenset[str] = frozenset()
    relation: str = ""
    stems: frozenset[str] = frozenset()


def persona_facts(persona: Persona) -> tuple[Fact, ...]:
    """The facts of a persona, the fixed ones (age, gender, occupation) first.

    A fact told in several fields is listed for each of them. Personality, topic and subtopics are
    labels nobody tells, so they are no facts.
    """
    return _facts_of(Same((persona,)))


@kept_with_dialogue
def _facts_of(whose: Same[Persona]) -> tuple[Fact, ...]:
    (persona,) = whose.items
    texts = tuple((name, value) for name in FREE_TEXT if (value := getattr(persona, name)))
    return _facts(persona.age, persona.gender, persona.occupation, persona.emotions, texts)


def _facts(
    age: int, gender: str, occupation: str, emotions: tuple[str, ...], texts: tuple[tuple[str, str], ...]
) -> tuple[Fact, ...]:
    found = [
        Fact("age", str(age), "number"),
        Fact("gender", gender, "phrase"),
        Fact("occupation", occupation, "phrase"),
    ]
    small = {forms.lower for _, text in texts for forms in read(text).forms if not forms.capital}
    for field, text in texts:
        reading = read(text)
        found += _number_facts(field, reading)
        found += _name_facts(field, reading, small)
        found += _relation_facts(field, reading)
        found += _clause_facts(field, text)
    found += [Fact("emotions", emotion, "phrase") for emotion in emotions]
    return tuple(dict.fromkeys(found))


def _number_facts(field: str, reading: Reading) -> Iterator[Fact]:
    for number in reading.numbers:
        if number.value < 2 and number.kind == "count":
            continue
        yield Fact(field, _number_words(reading, number), "number")


def _number_words(reading: Reading, number: Number) -> str:
    """A number with enough words around it that reading them gives the same number again."""
    tokens = reading.tokens
    own = tokens.within(number.start, number.end)
    first, last = own[0], own[-1]
    before = (
        2
        if first > 1 and tokens[first - 2].lower in ("half", "quarter")
        else int(number.kind == "clock" and first > 0 and tokens[first - 1].lower in CLOCK_CUES)
    )
    before = max(before, int(number.kind == "date" and tokens[first].lower in ("may", "march")))
    while last + 1 < len(tokens) and (_unit(tokens[last + 1]) in number.units or tokens[last + 1].lower == "o'clock"):
        last += 1
    start = tokens[max(first - before, 0)].start
    start -= int(start > 0 and reading.text[start - 1] in "$£€¥₱₹")
    end = tokens[last].end + int(reading.text[tokens[last].end : tokens[last].end + 1] == "%")
    return reading.text[start:end]


def _unit(token: Token) -> str:
    return UNIT_TWINS.get(token.stem, token.stem)


def _name_facts(field: str, reading: Reading, small: set[str]) -> Iterator[Fact]:
    runs = list(names(reading))
    for run in runs:
        if all(token.opens and (bare(token) in small or token.lower.endswith("ly")) for token in run):
            continue
        inside = field == "event_location" and reading.text[: run[0].start].rstrip().endswith(",")
        smaller = frozenset(
            bare(token) for other in runs if inside and other[0].start < run[0].start for token in other
        )
        yield Fact(field, re.sub(r"['’]s?$", "", reading.text[run[0].start : run[-1].end]), "name", smaller)


def _relation_facts(field: str, reading: Reading) -> Iterator[Fact]:
    own = ("my", "our")
    for relation in reading.relations:
        if relation.owner in own or field == "event_participants":
            yield Fact(field, re.sub(r"['’]s?$", "", reading.text[relation.start : relation.end]), "relation")
    if field == "event_participants":
        for part in re.split(r",\s*|\s+and\s+", reading.text):
            inner = read(part)
            if not inner.relations and not any(names(inner)) and inner.lowers & {"the", "a"} and len(inner.forms) <= 4:
                yield Fact(field, part.strip(), "relation")


def _clause_facts(field: str, text: str) -> Iterator[Fact]:
    for clause in clauses(text):
        if len(distinctive(read(clause))) >= LEAST_SHARED:
            yield Fact(field, clause, "phrase")


def clauses(text: str) -> list[str]:
    """The clauses of a text; one too short to stand alone goes with the one before it."""
    parts: list[str] = []
    start = 0
    for found in [*_CLAUSE.finditer(text), None]:
        end, after = (found.start(), found.end()) if found else (len(text), len(text))
        part = text[start:end].strip()
        start = after
        if part:
            parts.append(part)
    return parts


@lru_cache(maxsize=1024)
def distinctive(reading: Reading) -> frozenset[str]:
    """Base forms of the words that are not everyday talk, names included."""
    return frozenset(forms.stem for forms in reading.forms if _is_distinctive(forms.lower, forms.stem))


@lru_cache(maxsize=16384)
def _is_distinctive(word: str, base: str) -> bool:
    plain = "'" not in unpossessed(word)
    return plain and len(base) > 2 and base not in COMMON_STEMS and not word[0].isdigit()


@kept_with_dialogue
def key_of(fact: Fact) -> Key:
    """What a fact is compared by."""
    reading = read(fact.text)
    if fact.kind == "number":
        return Key(number=reading.numbers[0] if reading.numbers else None)
    if fact.kind == "name":
        return Key(name=reading.lowers - NEVER_NAMES)
    if fact.kind == "relation" and reading.relations:
        return Key(relation=reading.relations[-1].name)
    return Key(stems=distinctive(reading) or reading.stems - COMMON_STEMS)


def same_number(one: Number, other: Number) -> bool:
    """Whether two mentions are of one quantity: the same value of the same thing.

    Without a noun on one side the value must be a rare one (61, 4.3), no round or small number.
    """
    if abs(one.value - other.value) > 1e-6 or one.kind != other.kind:
        return False
    if one.units and other.units:
        return bool(one.units & other.units)
    if one.kind != "count" or one.units == other.units:
        return one.kind != "count" or one.value > 3
    return one.value != int(one.value) or (one.value > 12 and one.value % 10 != 0) or one.value > 1000


def known_number(number: Number, heard: Iterable[Number]) -> bool:
    """Whether a number was said, read generously: only a small one with another noun is another number."""
    return any(_may_be(number, other) for other in heard)


def _may_be(one: Number, other: Number) -> bool:
    if abs(one.value - other.value) > 1e-6 or (one.kind == "date") != (other.kind == "date"):
        return False
    if one.value > 12 or one.kind == "date" or one.units & other.units:
        return True
    kinds = {one.kind, other.kind}
    return not (one.units and other.units) and (
        len(kinds) == 1 or (kinds <= {"count", "clock"} and not one.units | other.units)
    )


def name_tokens(reading: Reading) -> Iterator[Token]:
    """Capitalised words of a text that can be names; a sentence start only where it is no everyday word."""
    for token in capitals(reading):
        if not (token.opens and (bare(token) in STOP or bare(token) in EVERYDAY_WORDS)):
            yield token
