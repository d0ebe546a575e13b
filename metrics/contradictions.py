"""What a seeker says of themselves against the persona: only where no other reading is left.

A missed contradiction is a smaller harm than a wrong one, so each rule asks for a plain
statement in the first person and the present; reported speech, comparison, negation and
approximation are left alone. A judge sees the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from metrics.consistency_words import FEMALE, JOB_GROUPS, JOBS, MALE, NUMBER_WORDS, RELATIONS
from metrics.facts import FREE_TEXT, Fact, key_of
from metrics.mentions import Number, Reading, read
from metrics.word_forms import stem
from socialsim.schema import Persona
from socialsim.text import Guarded, kept_with_dialogue

# Somebody else's words reach to the end of the sentence; a comparison or condition to the next comma.
_QUOTED = re.compile(
    r"(?i)\b(?:says?|said|saying|tells?|told|telling|calls?|called|calling|thinks?|thought|pretend\w*|believ\w+|"
    r"assum\w+|"
    r"jok\w+|wrote|writes?|dream\w*|imagin\w+|wish\w*|introduc\w+|mistook|profile|form|"
    r"to (?:them|him|her|everyone|everybody|people|my \w+)|in [\w-]+ (?:years|months)|some (?:days|nights)|"
    r"inside)\b|[\"“«:]"
)
_UNREAL = re.compile(
    r"(?i)\b(?:like|as if|as though|if|when|whether|until|till|by the time|before|once|feel|felt|not|never|nor|isn't|"
    r"used to|not that|until|unless|since|because people|than)\b"
)
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_FIGURE = (
    rf"(?:(?:{_TENS})(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?|ten|eleven|twelve|\w{{3,5}}teen|\d\d)"
)
_AGE_ENDS = (
    r"(?:[- ]years?[- ]olds?\b|(?= ?(?:[.,;!?…)]|$|and (?!a )|but |now\b|already\b))(?!,? (?:inside|at heart|again)\b))"
)
_AGE = re.compile(rf"(?i)\bI(?:'m|’m| am)(?: an?)?(?: only| just| already| now)* (?P<n>{_FIGURE}){_AGE_ENDS}")
_AGE_OF = re.compile(rf"(?i)\b(?:my age is|^as an?) (?P<n>{_FIGURE}){_AGE_ENDS}")
_DECADE = re.compile(
    r"(?i)\bI(?:'m|’m| am) (?:still |already )?in my (?:early |mid |mid-|late )?"
    r"(?P<n>teen|twent|thirt|fort|fift|sixt|sevent|eight|ninet)(?:ie)?s\b"
)
_DECADES = {
    "teen": 10,
    "twent": 20,
    "thirt": 30,
    "fort": 40,
    "fift": 50,
    "sixt": 60,
    "sevent": 70,
    "eight": 80,
    "ninet": 90,
}
_ENDS = r"(?= ?(?:[.,;!?…)]|$|(?:and|who|with|in|at|of|from|but|so|too|now|myself|i|my|we)\b))"
_ADJECTIVES = (
    r"(?:(?:grown|young|old|single|married|working|proud|divorced|widowed|middle-aged|retired|\S+-year-old) ){0,2}"
)
_GENDER = re.compile(
    rf"(?i)(?:\bI(?:'m|’m| am) an? |^as an? ){_ADJECTIVES}(?P<noun>{'|'.join(FEMALE + MALE)}){_ENDS}"
    r"|\bI(?:'m|’m| am) (?P<pregnant>pregnant)\b"
)
_JOB = re.compile(
    rf"(?i)\bI(?:'m|’m| am)(?P<works>) an? (?P<job>{'|'.join(sorted(JOBS, key=len, reverse=True))}){_ENDS}"
    rf"|\bI (?:work|am employed) as an? (?P<job2>{'|'.join(sorted(JOBS, key=len, reverse=True))}){_ENDS}"
)
_SIDE_JOB = re.compile(
    r"(?i)\b(?:part-time|weekends?|evenings?|at heart|in training|student|second job|on the side|moonlight\w*)\b"
)
_KIN = frozenset(
    ["brother", "sister", "sibling", "husband", "wife", "son", "daughter", "child", "mother", "father", "boyfriend",
     "girlfriend", "cousin", "uncle", "aunt"]
)  # fmt: skip
_KIN_FORMS = "|".join(sorted((form for form, name in RELATIONS.items() if name in _KIN), key=len, reverse=True))
_NONE = Guarded(
    re.compile(
        r"(?i)\bI (?:have no|don't have an?y?|do not have an?y?|haven't got an?y?|never had an?y?) "
        rf"(?P<kin>{_KIN_FORMS})"
        r"(?: or \w+)?(?= ?(?:[.,;!?…)]|$|and\b|at all\b|of my own\b))|\bI(?:'m|’m| am) an (?P<only>only child)\b"
    ),
    *("have no ", "not have a", "n't have a", "n't got a", "never had a", "only child"),
)
_GONE = re.compile(r"(?i)\b(?:late|ex|former|died|dead|passed away|lost|death|widow\w*|miscarr\w+)\b")
_ANCHORS = frozenset(
    stem(word)
    for word in [
        "married",
        "together",
        "pregnant",
        "dating",
        "engaged",
        "sober",
        "retired",
        "owe",
        "debt",
        "salary",
        "rent",
    ]
)
_KIN_AGE = re.compile(
    rf"\b[Mm]y (?:\w+ )?(?P<kin>{_KIN_FORMS})(?: [A-Z]\w+)?,?(?: who)?(?:'s| is| aged|,) (?P<n>{_FIGURE}|\w+|\d)"
    r"(?: years old)?(?= ?(?:[.,;!?…)]|$|and\b))"
)
_THEN = re.compile(r"(?i)\b(?:was|were|had|when|then|ago|after|before|until|first|ex|paid|next)\b")
_APART = 0.25  # relative difference from which two numbers are not one rounded


class Claim(NamedTuple):
    """Something the seeker says of themselves: its value and its place in the text."""

    value: int | str
    start: int
    end: int


def contradiction(text: str, persona: Persona, facts: Sequence[Fact]) -> tuple[Fact, str] | None:
    """The first persona fact an utterance contradicts, with the words that do; None where none does."""
    reading = read(text)
    for rule in (_age, _gender, _job, _no_kin, _spouse, _kin_count, _kin_age, _amount):
        if found := rule(reading, persona, facts):
            fact, start, end = found
            return fact, text[start:end]
    return None


_Found = tuple[Fact, int, int] | None


@lru_cache(maxsize=256)  # each of the rules asks
def _of_self(reading: Reading) -> bool:
    """Whether a text can say what its speaker is: quicker than the patterns, each of which needs one of these."""
    told = reading.lower
    return "i'm" in told or "i am" in told or "i’m" in told or told.startswith("as a")


def own_ages(reading: Reading) -> Iterator[Claim]:
    """Ages the speaker states as their own now."""
    if not (_of_self(reading) or "my age is" in reading.lower):
        return
    for pattern in (_AGE, _AGE_OF):
        for found in pattern.finditer(reading.text):
            numbers = read(found["n"]).numbers
            if numbers and _plain(reading.text, found.start()):
                yield Claim(int(numbers[0].value), found.start(), found.end())


def own_gender(reading: Reading) -> Iterator[Claim]:
    """The gender the speaker states as their own."""
    if not _of_self(reading):
        return
    for found in _GENDER.finditer(reading.text):
        female = found["pregnant"] or found["noun"].lower() in FEMALE
        if _plain(reading.text, found.start()):
            yield Claim("Female" if female else "Male", found.start(), found.end())


def _plain(text: str, at: int) -> bool:
    """Whether what starts at ``at`` is said plainly: no quotation, comparison, condition or negation before it."""
    sentence = re.split(r"[.!?…]\s+", text[:at])[-1]
    return not (_QUOTED.search(sentence) or _UNREAL.search(re.split(r"[,;–—]", sentence)[-1]))


def _fact(facts: Sequence[Fact], field: str) -> Fact:
    return next(fact for fact in facts if fact.field == field)


def _age(reading: Reading, persona: Persona, facts: Sequence[Fact]) -> _Found:
    for value, start, end in own_ages(reading):
        if value not in {key.number.value for fact in facts if (key := key_of(fact)).number}:
            return _fact(facts, "age"), start, end
    for found in _DECADE.finditer(reading.text) if _of_self(reading) else ():
        if _DECADES[found["n"].lower()] != persona.age // 10 * 10 and _plain(reading.text, found.start()):
            return _fact(facts, "age"), found.start(), found.end()
    return None


def _gender(reading: Reading, persona: Persona, facts: Sequence[Fact]) -> _Found:
    for value, start, end in own_gender(reading):
        if value != persona.gender:
            return _fact(facts, "gender"), start, end
    return None


def _job(reading: Reading, persona: Persona, facts: Sequence[Fact]) -> _Found:
    if not (_of_self(reading) or "i work as" in reading.lower):
        return None
    for found in _JOB.finditer(reading.text):
        job = (found["job"] or found["job2"]).lower()
        side = _SIDE_JOB.search(reading.text) or (found["job2"] and persona.occupation == "Student")
        if side or not _plain(reading.text, found.start()) or _may_be(job, persona):
            continue
        return _fact(facts, "occupation"), found.start(), found.end()
    return None


def _may_be(job: str, persona: Persona) -> bool:
    """Whether a job can go with the persona: the same, a near one, or one the persona's own text names."""
    own = persona.occupation.lower()
    group = JOB_GROUPS.get(own, frozenset([own]))
    named = stem(job.split()[-1])[:5] in {word[:5] for word in _persona_stems(persona)}
    return JOBS[job] in group or "any" in group or named


def _persona_stems(persona: Persona) -> frozenset[str]:
    return frozenset().union(*(read(text).stems for _, text in _texts(persona)))


def _texts(persona: Persona) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name in FREE_TEXT if (value := getattr(persona, name)))


def _own_kin(facts: Sequence[Fact], names: Sequence[str]) -> Iterator[Fact]:
    for fact in facts:
        if fact.kind == "relation" and key_of(fact).relation in names and fact.text.lower().startswith(("my ", "our ")):
            yield fact


def _no_kin(reading: Reading, persona: Persona, facts: Sequence[Fact]) -> _Found:
    for found in _NONE.finditer(reading.text):
        names = ["brother", "sister", "sibling"] if found["only"] else [RELATIONS[found["kin"].lower()]]
        names += ["brother", "sister"] if names == ["sibling"] else []
        names += ["son", "daughter"] if names == ["child"] else []
        for fact in _own_kin(facts, names):
            if _plain(reading.text, found.start()) and not _gone(persona, key_of(fact).relation):
                return fact, found.start(), found.end()
    return None


def _gone(persona: Persona, relation: str) -> bool:
    """Whether the persona says of a relation that it is over: then "I have no father" is true."""
    forms = {form for form, name in RELATIONS.items() if name == relation}
    return any(
        _GONE.search(part) and forms & read(part).lowers
        for _, text in _texts(persona)
        for part in re.split(r"[.!?]", text)
    )


def _spouse(reading: Reading, persona: Persona, facts: Sequence[Fact]) -> _Found:
    for relation in reading.relations if reading.kin & {"wife", "husband"} else ():
        other = {"wife": "husband", "husband": "wife"}.get(relation.name)
        words = reading.text[relation.start : relation.end].lower()
        if (
            other is None
            or relation.owner != "my"
            or len(words.split()) != 2
            or stem(relation.name) in _persona_stems(persona)
        ):
            continue
        for fact in _own_kin(facts, [other]):
            if _plain(reading.text, relation.start):
                return fact, relation.start, relation.end
    return None


def _kin_count(reading: Reading, persona: Persona, facts: Sequence[Fact]) -> _Found:
    if not (reading.kin and reading.numbers):
        return None
    for relation in reading.relations:
        said = _counted(reading.text[relation.start : relation.end])
        before = reading.text[: relation.start].lower()
        owned = relation.owner in ("my", "our") or (
            not relation.owner and re.search(r"\bi(?: have|'ve got|’ve got) \S+ $", before)
        )
        if not relation.owner and owned:
            said = _counted(before.split()[-1] + " x")
        counts = {count: fact for fact in _own_kin(facts, [relation.name]) if (count := _counted(fact.text))}
        if owned and said and len(counts) == 1 and said not in counts and _plain(reading.text, relation.start):
            return next(iter(counts.values())), relation.start, relation.end
    return None


def _counted(words: str) -> float | None:
    numbers = read(words).numbers
    return numbers[0].value if numbers and numbers[0].kind == "count" else None


def _kin_age(reading: Reading, persona: Persona, facts: Sequence[Fact]) -> _Found:
    if not (reading.kin and "my " in reading.lower):
        return None
    known = _kin_ages(_texts(persona))
    for name, value, start, end in _kin_claims(reading.text):
        ages = known.get(name, frozenset())
        fact = next(_own_kin(facts, [name]), None)
        if fact and len(ages) == 1 and value not in ages and _plain(reading.text, start):
            return fact, start, end
    return None


@kept_with_dialogue
def _kin_ages(texts: tuple[tuple[str, str], ...]) -> dict[str, frozenset[float]]:
    ages: dict[str, frozenset[float]] = {}
    for _, text in texts:
        for name, value, _, _ in _kin_claims(text):
            ages[name] = ages.get(name, frozenset()) | {value}
    return ages


def _kin_claims(text: str) -> Iterator[tuple[str, float, int, int]]:
    for found in _KIN_AGE.finditer(text):
        word = found["n"].lower()
        numbers = read(word).numbers
        if word in NUMBER_WORDS or (numbers and numbers[0].kind == "count"):
            value = numbers[0].value if numbers else NUMBER_WORDS[word]
            yield RELATIONS[found["kin"].lower()], value, found.start(), found.end()


def _amount(reading: Reading, persona: Persona, facts: Sequence[Fact]) -> _Found:
    if not (reading.stems & _ANCHORS and reading.lowers & {"i", "i'm", "i've", "we", "we've", "my", "our"}):
        return None
    if _THEN.search(reading.text):
        return None
    known = _amounts(_texts(persona))
    said = [(anchor, number) for anchor, number in _anchored(reading.text)]
    for anchor, number in said:
        same = [other for name, other in known if name == anchor and other.units & number.units]
        if (
            len(same) == 1
            and len(said) == 1
            and _apart(number.value, same[0].value)
            and _plain(reading.text, number.start)
        ):
            fact = next((f for f in facts if key_of(f).number and key_of(f).number.value == same[0].value), None)  # type: ignore[union-attr]
            return (fact, number.start, number.end) if fact else None
    return None


@kept_with_dialogue
def _amounts(texts: tuple[tuple[str, str], ...]) -> tuple[tuple[str, Number], ...]:
    return tuple(dict.fromkeys(pair for _, text in texts for pair in _anchored(text)))


def _anchored(text: str) -> list[tuple[str, Number]]:
    """Amounts with what they are said of ("married for five years"), within one clause."""
    reading = read(text)
    found = []
    for number in reading.numbers:
        near = text[max(number.start - 40, 0) : number.end + 40]
        clause = (
            re.split(r"[.,;!?]", text[max(number.start - 40, 0) : number.start])[-1]
            + re.split(r"[.,;!?]", near[-40:])[0]
        )
        anchors = read(clause).stems & _ANCHORS
        if number.kind == "count" and number.units and len(anchors) == 1:
            found.append((next(iter(anchors)), number))
    return found


def _apart(one: float, other: float) -> bool:
    return abs(one - other) > _APART * max(one, other)
