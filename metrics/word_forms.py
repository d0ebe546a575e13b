"""A word by itself: its base form, and whether it is a number, a day or month, or names a relation. No LM."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from metrics.consistency_words import CALENDAR, NUMBER_WORDS, ORDINALS, RELATIONS

_PLURAL = (("ies", "y", 5), ("ches", "ch", 6), ("shes", "sh", 6), ("s", "", 4))
_VERBAL = (("ied", "y", 5), ("ing", "", 6), ("ed", "", 5))
_IRREGULAR = {"wives": "wife", "men": "man", "women": "woman", "died": "die", "dying": "die", "lying": "lie"}
_FIGURE = re.compile(r"[0-9]+(?:[.,:][0-9]+)*")
MONTHS_OR_NOT = frozenset(["may", "march"])


class Forms(NamedTuple):
    """A word or figure by itself.

    Attributes:
        lower: in lower case.
        stem: its base form.
        bare: in lower case, without a possessive ending.
        capital: whether it begins with a capital letter.
        amount: 2 if a quantity can begin with it, 1 if only together with others (one is none), else 0.
        relation: the relation it names, if any.
    """

    lower: str
    stem: str
    bare: str
    capital: bool
    amount: int
    relation: str | None


@lru_cache(maxsize=16384)  # texts have many words, a language few
def forms_of(word: str) -> Forms:
    """What is to be known of a word as a text has it."""
    lower = fold(word)
    capital = word[0].isupper()
    return Forms(lower, stem(lower), unpossessed(lower), capital, _amount(lower, capital), _relation(lower))


def _amount(lower: str, capital: bool) -> int:
    if lower in MONTHS_OR_NOT:
        return 2 * capital
    if is_number(lower):
        return 1 if value_of(lower) in (0.0, 1.0) else 2
    return 2 if day_or_month(lower) is not None or rank_of(lower) is not None else 0


def fold(word: str) -> str:
    """Lower case without accents: "Jürgen" and "Jurgen" are one name."""
    if word.isascii():
        return word.lower()
    plain = unicodedata.normalize("NFKD", word.lower().replace("’", "'").replace("ł", "l"))
    return "".join(character for character in plain if not unicodedata.combining(character))


def stem(word: str) -> str:
    """Base form of a word: no possessive, plural, -ing or -ed; equal for variants, not always a word."""
    word = word.lower()
    word = word.removesuffix("'s") if word.endswith("'s") else word.removesuffix("'")
    word = _IRREGULAR.get(word, word)
    for endings in (_PLURAL, _VERBAL):
        for suffix, new, least in endings:
            if word.endswith(suffix) and len(word) >= least and not word.endswith(("ss", "us", "is")):
                word = word[: -len(suffix)] + new
                break
    word = word.rstrip("e") if len(word) > 3 else word
    if len(word) > 3 and word[-1] == word[-2]:
        word = word[:-1]
    return word[:-1] + "i" if word.endswith("y") and len(word) > 3 else word


def unpossessed(word: str) -> str:
    """A lower-case word without a possessive ending."""
    if word[-1] not in "'s":
        return word
    return word[:-2] if word.endswith("'s") else word.rstrip("'")


def is_number(word: str) -> bool:
    """Whether a lower-case word is a number, in digits or in words."""
    return word in NUMBER_WORDS or bool(word[:1].isdecimal() and _FIGURE.fullmatch(word))


def day_or_month(word: str) -> int | None:
    """The number of a day of the week or of a month."""
    return CALENDAR.get(word) or (CALENDAR.get(word[:-1].removesuffix("'")) if word[-1:] == "s" else None)


def _relation(word: str) -> str | None:
    if found := RELATIONS.get(word):
        return found
    stripped = word.removesuffix("'")
    return RELATIONS.get(stripped[:-1].removesuffix("'")) if stripped[-1:] == "s" else None


def rank_of(word: str) -> float | None:
    """The value of "third" or "3rd"."""
    if word[-2:] in ("st", "nd", "rd", "th") and word.isascii() and word[:-2].isdecimal():
        return float(word[:-2])
    return ORDINALS.get(word)


def value_of(word: str) -> float | None:
    """The value of one word of a number; a time of day in hours."""
    if _FIGURE.fullmatch(word):
        hour, _, minutes = word.replace(",", "").partition(":")
        return (
            float(hour) + (float(minutes[:2]) / 60 if _FIGURE.fullmatch(minutes[:2]) else 0) if _plain(hour) else None
        )
    return NUMBER_WORDS.get(word)


def _plain(figure: str) -> bool:
    return figure.count(".") <= 1
