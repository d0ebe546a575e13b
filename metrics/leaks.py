"""Facts a supporter states although nobody said them (paper: appendix, control rule 3). No LM."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from functools import lru_cache
from typing import NamedTuple

from metrics.consistency_words import COMMON_GUESSES, FEMALE, IMPLIED, MALE, SHORT_TIMES, TIME_UNITS, WEEKDAYS
from metrics.facts import LEAST_SHARED, Fact, Hit, Key, key_of, known_number, name_tokens, same_number
from metrics.mentions import Number, Reading, bare, read
from socialsim.identity import Same
from socialsim.text import Guarded, joined, kept_with_dialogue

_SENTENCE = re.compile(r"(?<=[.!?…])\s+")
# A proposal, not a report: its times and durations are the supporter's own.
_PROPOSES = re.compile(
    r"(?i)\b(?:try|could|should|let's|how about|what if|next|tomorrow|tonight|until then|we'll|i'd|promise|"
    r"for instance|you (?:can|might|may)|is there|set aside)\b|"
    r"(?:^|[.!?:;,—–-]\s*|\b(?:so|then|and|or|just|only|first|please|maybe|perhaps) )"
    r"(?:take|give|pick|choose|write|set|ask|tell(?! me)|put|leave|spend|start|say|ring|call|wait|go|stop|keep|make|"
    r"send|sit|walk|read|come|stay|meet|save|plan)\b"
)
_OWN_STORY = re.compile(
    r"\bI (?:once |never |only |still |also |even )?(?:was|were|had|did|used|went|took|got|kept|sat|lived|spent|found|"
    r"felt|said|told|made|left|lost|wrote|came|knew|ran|let|slept|put|[a-z]+ed)\b|(?i:\b(?:my|me|our)\b)"
)
_ADDRESSES = re.compile(r"(?i)\byou(?:r|rs|'re|'ve|'d|'ll)?\b")
_AGE_CUE = re.compile(r"(?i)\b(?:at|aged|turned|turning|age of|you're|you are|being)\s+(?:only |just )?$")
_ADDRESSED = ("gender", "occupation")
_SMALL_TALK_DURATIONS = frozenset([2.0, 3.0, 4.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0])


def leaks_in(text: str, said: Sequence[str], facts: Sequence[Fact]) -> list[tuple[Fact, str]]:
    """The facts a supporter's text states although nobody said them.

    Everything in ``said``, by anybody, is known, and what it implies ("my parents": a mother).
    No leaks: everyday words; feelings, which a supporter may read; times and durations of a
    proposal or of the supporter's own story; a question that guesses a very common relation
    ("Is it your mother?"). Any other relation presupposed, even in a question, is a leak.

    Args:
        text: the supporter's utterance.
        said: every utterance before it.
        facts: `persona_facts` of the seeker.

    Returns:
        Each fact once, with the words that state it.
    """
    reading, heard = read(text), _Heard(tuple(said))
    found: dict[Key, tuple[Fact, str]] = {}
    for hit in _stated(reading, heard, tuple(facts)):
        key = key_of(hit.fact)
        if key not in found and not _known(hit, key, reading, heard):
            found[key] = (hit.fact, text[hit.start : hit.end])
    return list(found.values())


class _Heard(NamedTuple):
    """All that was said before, read together, as far as somebody asks."""

    said: tuple[str, ...]

    @property
    def lowers(self) -> Set[str]:
        return joined(_lowers, self.said)

    @property
    def stems(self) -> Set[str]:
        return joined(_stems, self.said)

    @property
    def numbers(self) -> Set[Number]:
        return joined(_numbers, self.said)

    @property
    def relations(self) -> Set[str]:
        return joined(_relations, self.said)


def _lowers(text: str) -> frozenset[str]:
    return read(text).lowers


def _stems(text: str) -> frozenset[str]:
    return read(text).stems


def _numbers(text: str) -> tuple[Number, ...]:
    return read(text).numbers


def _relations(text: str) -> list[str]:
    return [relation.name for relation in read(text).relations]


class _Index(NamedTuple):
    """A persona's facts by what a text needs to state them, each with its key; feelings may be read and are out."""

    profile: tuple[tuple[Fact, Guarded | None], ...]
    numbers: tuple[tuple[Fact, Number], ...]
    names: tuple[tuple[Fact, frozenset[str]], ...]
    relations: tuple[tuple[Fact, Key], ...]
    phrases: tuple[tuple[Fact, Key], ...]
    any_phrase: frozenset[str]
    any_name: frozenset[str]


@kept_with_dialogue
def _index(whose: Same[Fact]) -> _Index:
    facts = [fact for fact in whose.items if fact.field not in ("age", "gender", "occupation", "emotions")]
    keyed = [(fact, key_of(fact)) for fact in facts]
    names = tuple((fact, key.name) for fact, key in keyed if key.name and not key.number)
    plain = [(fact, key) for fact, key in keyed if not key.number and not key.name]
    phrases = tuple((fact, key) for fact, key in plain if fact.kind != "relation")
    return _Index(
        profile=tuple((fact, _addressed(fact)) for fact in whose.items if fact.field in ("age", *_ADDRESSED)),
        numbers=tuple((fact, key.number) for fact, key in keyed if key.number),
        names=names,
        relations=tuple((fact, key) for fact, key in plain if fact.kind == "relation"),
        phrases=phrases,
        any_phrase=frozenset().union(*(key.stems for _, key in phrases)),
        any_name=frozenset().union(*(name for _, name in names)),
    )


def _stated(reading: Reading, heard: _Heard, facts: tuple[Fact, ...]) -> Iterator[Hit]:
    """The facts a supporter's text states; many that are known are left out, others are not."""
    index = _index(Same(facts))
    for fact, addressed in index.profile:
        yield from _profile_hits(fact, addressed, reading)
    for fact, number in index.numbers if reading.numbers else ():
        yield from _number_hits(fact, number, reading)
    for fact, name in () if index.any_name.isdisjoint(reading.lowers) else index.names:
        yield from _name_hits(fact, name, reading)
    for fact, key in index.relations:
        yield from _relation_hits(fact, key, reading)
    new = index.any_phrase & reading.stems
    if len(new) >= LEAST_SHARED:  # most of what a reply takes up was said
        new -= heard.stems
    for fact, key in index.phrases if len(new) >= LEAST_SHARED else ():
        if len(key.stems & new) >= LEAST_SHARED:
            yield from _phrase_hits(fact, key, reading)


def _sentences(reading: Reading) -> tuple[list[Reading], list[int]]:
    """The sentences of a text and where each begins."""
    sentences = [read(part) for part in _SENTENCE.split(reading.text)]
    return sentences, _offsets(reading.text, sentences)


def _offsets(text: str, sentences: list[Reading]) -> list[int]:
    offsets, at = [], 0
    for sentence in sentences:
        at = text.index(sentence.text, at)
        offsets.append(at)
        at += len(sentence.text)
    return offsets


def _number_hits(fact: Fact, number: Number, reading: Reading) -> Iterator[Hit]:
    for other in reading.numbers:
        if not same_number(number, other):
            continue
        sentences, offsets = _sentences(reading)
        sentence = next(s for s, at in zip(sentences, offsets, strict=True) if at <= other.start < at + len(s.text))
        if _own_talk(other, sentence.text):
            continue
        yield Hit(fact, other.start, with_units(reading, other))


def _own_talk(number: Number, sentence: str) -> bool:
    """Whether a time or a length of time, such as turns up in anybody's talk, is the supporter's own."""
    clock = number.kind == "clock" or (number.kind == "date" and number.value in WEEKDAYS)
    common = number.kind == "count" and number.value in _SMALL_TALK_DURATIONS
    if (clock or (common and number.units & SHORT_TIMES)) and _PROPOSES.search(sentence):
        return True
    told = clock or (common and number.units & TIME_UNITS)
    return bool(told and _OWN_STORY.search(sentence) and not _ADDRESSES.search(sentence))


def with_units(reading: Reading, number: Number) -> int:
    """Where a number ends with the word it counts."""
    after = reading.tokens.within(number.end + 1, number.end + 2)
    return reading.tokens[after[0]].end if after and number.units else number.end


def _name_hits(fact: Fact, wanted: frozenset[str], reading: Reading) -> Iterator[Hit]:
    for token in name_tokens(reading):
        if bare(token) in wanted:
            yield Hit(fact, token.start, token.end)


def _relation_hits(fact: Fact, key: Key, reading: Reading) -> Iterator[Hit]:
    if key.relation:
        related = key.relation.removesuffix("-in-law") in reading.kin
        for relation in reading.relations if related else ():
            named = fact.field == "event_participants" and relation.owner == "the"
            if relation.name == key.relation and (relation.owner == "your" or named):
                yield Hit(fact, relation.start, relation.end)
    elif not key.stems.isdisjoint(reading.stems):
        for before, token in zip(reading.tokens, reading.tokens[1:], strict=False):
            if token.stem in key.stems and before.lower in ("the", "your", "that", "this"):
                yield Hit(fact, before.start, token.end)


def _phrase_hits(fact: Fact, key: Key, reading: Reading) -> Iterator[Hit]:
    for sentence, offset in zip(*_sentences(reading), strict=True):
        if len(key.stems & sentence.stems) >= LEAST_SHARED:
            places = [token for token in sentence.tokens if token.stem in key.stems]
            yield Hit(fact, offset + places[0].start, offset + places[-1].end)


def _profile_hits(fact: Fact, addressed: Guarded | None, reading: Reading) -> Iterator[Hit]:
    if addressed is None:
        for number in reading.numbers:
            old = {"year", "old"} <= number.units
            if number.value == float(fact.text) and (old or _AGE_CUE.search(reading.text[: number.start])):
                yield Hit(fact, number.start, number.end)
    else:
        for found in addressed.finditer(reading.text):
            yield Hit(fact, found.start(), found.end())


def _nouns(fact: Fact) -> list[str]:
    if fact.field == "occupation":
        return [fact.text.lower()]
    return FEMALE if fact.text == "Female" else MALE


@lru_cache(maxsize=256)
def _addressed(fact: Fact) -> Guarded | None:
    """The seeker addressed as what they are: "as a nurse", "you are a man"; nobody is by their age alone."""
    if fact.field not in _ADDRESSED:
        return None
    noun = f"(?:{'|'.join(_nouns(fact))})"
    return Guarded(
        re.compile(
            rf"(?i)\b(?:as|being|you're|you are) an? (?:\w+ )?{noun}\b(?!,? (?:i|we|my|or)\b)|\b{noun} like you\b"
        ),
        *("as a", "being a", "you're a", "you are a", " like you"),
    )


def _known(hit: Hit, key: Key, reading: Reading, heard: _Heard) -> bool:
    fact = hit.fact
    if fact.field == "age":
        return any(number.value == float(fact.text) for number in heard.numbers)
    if fact.field == "gender":
        return not heard.lowers.isdisjoint(_nouns(fact))
    if fact.field == "occupation":
        return any(word[:4] == token[:4] for word in key.stems for token in heard.stems)
    if key.number:
        return known_number(key.number, heard.numbers)
    if key.name:
        return bool((key.name | fact.told_by) & heard.lowers)
    if fact.kind == "relation" and key.relation:
        return _relation_known(hit, key, reading, heard)
    stated = key.stems & frozenset(token.stem for token in reading.tokens if hit.start <= token.start < hit.end)
    return len(stated - heard.stems) < (1 if fact.kind == "relation" else LEAST_SHARED)


def _relation_known(hit: Hit, key: Key, reading: Reading, heard: _Heard) -> bool:
    implied = IMPLIED.get(key.relation, frozenset())
    if implied & heard.lowers or implied & heard.stems or heard.relations & (implied | {key.relation}):
        return True
    if any(_by_marriage(key.relation, other) for other in heard.relations):
        return True
    asks = "?" in reading.text[hit.end :].split(".")[0]
    plural = reading.text[hit.start : hit.end].lower().endswith(("friends", "colleagues", "parents"))
    return plural or (asks and key.relation in COMMON_GUESSES)


def _by_marriage(name: str, other: str) -> bool:
    return name in ("husband", "wife") and other.endswith("-in-law")
