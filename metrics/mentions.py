"""What a text mentions: words in their base form, numbers with units, names, relations. No LM.

Numbers are read whether written in digits or in words ("twenty-seven" is 27, "half past three"
is 3.5 on the clock), with the nouns they count. A reading is cached: a dialogue is read again
at each turn.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, overload

from metrics.consistency_words import (
    BOUNDARY,
    CALENDAR,
    CLOCK_CUES,
    EVERYDAY,
    NEVER_NAMES,
    NUMBER_WORDS,
    RELATIONS,
    SCALES,
    STOP,
    UNIT_TWINS,
)
from metrics.word_forms import MONTHS_OR_NOT, Forms, day_or_month, forms_of, is_number, rank_of, unpossessed, value_of
from socialsim.lazy import lazy

_TOKEN = re.compile(r"[0-9]++(?:[.,:][0-9]++)*+|[^\W0-9_]++(?:['’][^\W0-9_]++)*+")
_ASCII_TOKEN = re.compile(r"[A-Za-z]++(?:'[A-Za-z]++)*+|[0-9]++(?:[.,:][0-9]++)*+")  # the same in ASCII text
_CLOSE_GAP = re.compile(r"[ \-–]+$")
_SENTENCE_GAP = re.compile(r"[^\w\s,'’\-–&/)]")
_MERIDIEM = re.compile(r"\s?[ap]\.?m\b|\s+(?:at night|in the (?:morning|afternoon|evening))\b", re.I)

EVERYDAY_WORDS = frozenset(EVERYDAY)


class Token(NamedTuple):
    """A word or a figure: lower case, base form, place in the text, whether it opens a sentence."""

    lower: str
    stem: str
    start: int
    end: int
    opens: bool
    capital: bool


class Number(NamedTuple):
    """A quantity: its value, what it counts (base forms), its kind, and its words in the text."""

    value: float
    units: frozenset[str]
    kind: Literal["count", "clock", "date", "year", "ordinal"]
    start: int
    end: int


class Relation(NamedTuple):
    """A relation noun by its class ("mother" for mum), whose it is, and its place in the text."""

    name: str
    owner: str
    start: int
    end: int


class Tokens(Sequence[Token]):
    """The words and figures of a text, each with its place; made where somebody looks, since few do."""

    def __init__(self, text: str, forms: list[Forms]) -> None:
        self._text = text
        self._forms = forms
        self._spans = [found.span() for found in _token(text).finditer(text)]
        self._made: list[Token | None] = [None] * len(forms)

    def __len__(self) -> int:
        return len(self._forms)

    def __iter__(self) -> Iterator[Token]:
        return map(self._token, range(len(self._forms)))

    @overload
    def __getitem__(self, at: int) -> Token: ...
    @overload
    def __getitem__(self, at: slice) -> list[Token]: ...
    def __getitem__(self, at: int | slice) -> Token | list[Token]:
        if isinstance(at, slice):
            return [self[index] for index in range(*at.indices(len(self._forms)))]
        made = self._made[at]
        if made is None:
            made = self._made[at] = self._token(at if at >= 0 else at + len(self._forms))
        return made

    def within(self, start: int, end: int) -> range:
        """The indices of the tokens that begin at ``start`` or later and before ``end``."""
        return range(bisect_left(self._spans, (start,)), bisect_left(self._spans, (end,)))

    def _token(self, at: int) -> Token:
        forms, (start, end) = self._forms[at], self._spans[at]
        gap = self._text[self._spans[at - 1][1] : start] if at else ""
        opens = not at or (gap != " " and _SENTENCE_GAP.search(gap) is not None)
        return Token(forms.lower, forms.stem, start, end, opens, forms.capital)


class Reading:
    """A text as this module sees it; what nobody asks for is not looked for.

    Attributes:
        text: the text.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    @lazy
    def forms(self) -> list[Forms]:
        """The words and figures, each by itself."""
        return list(map(forms_of, _token(self.text).findall(self.text)))

    @lazy
    def tokens(self) -> Tokens:
        """The words and figures, each with its place."""
        return Tokens(self.text, self.forms)

    @lazy
    def lower(self) -> str:
        """The text in lower case."""
        return self.text.lower()

    @lazy
    def lowers(self) -> frozenset[str]:
        """The words, without possessive endings."""
        return frozenset([forms.bare for forms in self.forms])

    @lazy
    def stems(self) -> frozenset[str]:
        """The base forms."""
        return frozenset([forms.stem for forms in self.forms])

    @lazy
    def numbers(self) -> tuple[Number, ...]:
        """The quantities, in order."""
        places = [at for at, forms in enumerate(self.forms) if forms.amount]
        if not any(self.forms[at].amount > 1 for at in places):
            return ()
        return tuple(_numbers(self.text, self.tokens, places))

    @lazy
    def kin(self) -> frozenset[str]:
        """The relations that are named, by marriage or not ("mother" for a mother-in-law too)."""
        return frozenset([forms.relation for forms in self.forms if forms.relation])

    @lazy
    def relations(self) -> tuple[Relation, ...]:
        """The relation nouns, in order."""
        if not self.kin:
            return ()
        places = [(at, forms.relation) for at, forms in enumerate(self.forms) if forms.relation]
        return tuple(_relations(self.text, self.tokens, places))


def _token(text: str) -> re.Pattern[str]:
    return _ASCII_TOKEN if text.isascii() else _TOKEN


@lru_cache(maxsize=4096)
def read(text: str) -> Reading:
    """Read a text once; later calls with the same text are free."""
    return Reading(text)


def bare(token: Token) -> str:
    """The word without a possessive ending."""
    return unpossessed(token.lower)


def _adjacent(text: str, left: Token, right: Token) -> bool:
    return bool(_CLOSE_GAP.match(text[left.end : right.start]))


def _numbers(text: str, tokens: Sequence[Token], places: list[int]) -> Iterator[Number]:
    after = 0
    for at in places:
        if at < after:
            continue
        token, after = tokens[at], at + 1
        if date := _date(tokens, at):
            yield date
        elif (rank := rank_of(token.lower)) is not None:
            yield Number(rank, _units(text, tokens, at), "ordinal", token.start, token.end)
        elif is_number(token.lower):
            value, last = _value(text, tokens, at)
            if value > 1 and token.lower != "second":
                yield _quantity(text, tokens, at, last, value)
            after = last + 1


def _date(tokens: Sequence[Token], at: int) -> Number | None:
    token = tokens[at]
    index = day_or_month(token.lower)
    # "may" and "march" are words too; only a capital within a sentence makes them months.
    if index is None or (token.lower in MONTHS_OR_NOT and (token.opens or not token.capital)):
        return None
    return Number(float(index), frozenset(), "date", token.start, token.end)


def _value(text: str, tokens: Sequence[Token], at: int) -> tuple[float, int]:
    """The number that starts at a token, and the index of its last token."""
    total, current, last = 0.0, 0.0, at
    for index in range(at, len(tokens)):
        word = tokens[index].lower
        if index > at and not _adjacent(text, tokens[index - 1], tokens[index]):
            break
        if word in SCALES and index > at:
            current *= SCALES[word]
            if word != "hundred":
                total, current = total + current, 0.0
        elif word == "and" and index > at and tokens[index - 1].lower in SCALES:
            continue
        elif (value := value_of(word)) is not None and _extends(current, value, index > at):
            current += value
        else:
            break
        last = index
    return total + current, last


def _extends(current: float, value: float, later: bool) -> bool:
    """Whether a number word continues the number before it: "twenty" "seven", not "four" "six"."""
    if not later or current == 0:
        return True
    tens_open = current % 100 >= 20 and current % 10 == 0
    return (value < 10 and tens_open) or (value < 100 and current % 100 == 0)


def _quantity(text: str, tokens: Sequence[Token], at: int, last: int, value: float) -> Number:
    start, end = tokens[at].start, tokens[last].end
    before = tokens[at - 1].lower if at else ""
    units = _units(text, tokens, last)
    if before == "past" and at > 1 and tokens[at - 2].lower in ("half", "quarter"):
        return Number(value + (0.5 if tokens[at - 2].lower == "half" else 0.25), frozenset(), "clock", start, end)
    if ":" in text[start:end] or units & {"o'clock", "o'clocks"} or _MERIDIEM.match(text, end):
        return Number(value, frozenset(), "clock", start, end)
    if not units and value <= 12 and value == int(value) and before in CLOCK_CUES:
        return Number(value, frozenset(), "clock", start, end)
    if not units and 1900 <= value <= 2100 and text[start].isdigit():
        return Number(value, frozenset(), "year", start, end)
    money = {"money"} if start and text[start - 1] in "$£€¥₱₹" else set()
    percent = {"percent"} if text[end : end + 1] == "%" else set()
    return Number(value, units | money | percent, "count", start, end)


def _units(text: str, tokens: Sequence[Token], last: int) -> frozenset[str]:
    """The nouns a number counts: up to three content words right after it."""
    found = []
    for index in range(last + 1, min(last + 4, len(tokens))):
        word = tokens[index]
        if not _adjacent(text, tokens[index - 1], word) or word.lower in STOP or value_of(word.lower) is not None:
            break
        found.append(UNIT_TWINS.get(word.stem, word.stem))
    return frozenset(found)


def _relations(text: str, tokens: Sequence[Token], places: list[tuple[int, str]]) -> Iterator[Relation]:
    for at, name in places:
        law = [part.lower for part in tokens[at + 1 : at + 3]] in (["in", "law"], ["in", "laws"])
        end = tokens[at + 2].end if law else tokens[at].end
        start, owner = _owner(text, tokens, at)
        yield Relation(f"{name}-in-law" if law else name, owner, start, end)


def _owner(text: str, tokens: Sequence[Token], at: int) -> tuple[int, str]:
    """The determiner of a noun, at most three words before it, and where it starts."""
    for index in range(at - 1, max(at - 5, -1), -1):
        gap = text[tokens[index].end : tokens[index + 1].start]
        if re.search(r"[^\s\-–]", gap) or tokens[index].lower.endswith("'s"):
            break
        if tokens[index].lower in ("my", "our", "your", "his", "her", "their", "the", "a", "an", "no", "any"):
            return tokens[index].start, tokens[index].lower
        if tokens[index].lower in BOUNDARY:
            break
    return tokens[at].start, ""


def names(reading: Reading) -> Iterator[tuple[Token, ...]]:
    """Runs of capitalised words that are not sentence starts or common words ("San Rafael").

    A sentence start counts where the same word is capitalised within another sentence, or where
    it is no word of everyday talk and never written small ("Mizuki, a nurse, noticed").
    """
    small = {forms.lower for forms in reading.forms if not forms.capital}
    run: list[Token] = []
    for token in capitals(reading):
        fits = is_name(token) and not (token.opens and _may_be_small(token, small))
        if run and not (fits and _adjacent(reading.text, run[-1], token)):
            yield tuple(run)
            run = []
        if fits:
            run.append(token)
    if run:
        yield tuple(run)


def capitals(reading: Reading) -> Iterator[Token]:
    """The words that begin with a capital letter."""
    return (reading.tokens[at] for at, forms in enumerate(reading.forms) if forms.capital)


def _may_be_small(token: Token, small: set[str]) -> bool:
    word = bare(token)
    return word in small or word in STOP or word in EVERYDAY_WORDS


def is_name(token: Token) -> bool:
    """Whether a capitalised token can be a name: no calendar word, relation, contraction or common word."""
    word = bare(token)
    return not ("'" in word or word in NEVER_NAMES or word in RELATIONS or word in CALENDAR or word in NUMBER_WORDS)
