"""The rules a seeker's utterance is checked by: consistency, specificity, detail (format: see check_format)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from metrics.check_moment import Marks, Moment, persona_content, persona_definite, persona_spoken
from metrics.check_words import content, copied_share, definite, shared_run_share, shown, word_set
from metrics.contradictions import contradiction
from metrics.facts import persona_facts
from metrics.verdicts import CheckVerdict, Rule
from socialsim.schema import Persona, Speaker
from socialsim.text import Guarded, sentences, words
from socialsim.validation import Finding

_SHORT: Final = 8  # words up to which an utterance may be a natural short answer
_SHORT_FLOOR: Final = 0.7
_ENOUGH: Final = 2.5  # definite words that make an utterance specific
_REPORTED: Final = Guarded(
    re.compile(
        r"(?i)\b(?:he|she|they|[a-z]+)(?:'d)? (?:once |just |only |always |even |then )?"
        r"(?:said|says|told|tells|asked|asks|wrote|writes|called|calls|answered)\b"
    ),
    *("said", "says", "told", "tells", "ask", "wrote", "writes", "call", "answered"),
)
_LEAVING: Final = Guarded(
    re.compile(
        r"(?i)\b(?:bye|goodbye|thank(?:s| you)|good ?night|good day|see you|take care|got to go|have to go|"
        r"i should go|i'll go|ciao|adi[oó]s|hasta)\b"
    ),
    *("bye", "thank", "good", "see you", "take care", " go", "ciao", "adi", "hasta"),
)
_FACTORS: Final = {"repeated": 0.2, "echoed": 0.3, "looping": 0.3, "cut_off": 0.8}


def check_seeker(text: str, moment: Moment) -> Iterator[CheckVerdict]:
    """The verdicts on what a seeker says; a rule that cannot be checked gives none.

    Args:
        text: the utterance without its closing emoji.
        moment: where it stands.
    """
    if moment.persona is not None:
        yield _consistency(text, moment, moment.persona)
    if moment.history:  # the opening greeting need not say anything
        yield _specificity(text, moment)


def _consistency(text: str, moment: Moment, persona: Persona) -> CheckVerdict:
    marks = Marks(Rule.CONSISTENCY, moment.number)
    if against := contradiction(text, persona, persona_facts(persona)):
        fact, evidence = against
        marks.mark(0.0, f"'{evidence}' contradicts the persona's {fact.field}: {fact.text}")
        return marks.verdict()
    for invented in invented_in(text, moment.before.spoken, persona_spoken(persona)):
        marks.mark(0.75, f"'{invented}' is not in the persona; tell what the persona holds")
    return marks.verdict()


_CAPITAL: Final = "[A-ZÀ-Þ]"
# What stands before the capital is looked at after it: capitals are few.
_NAME: Final = re.compile(rf"({_CAPITAL}(?<=[a-zà-ÿ,;] {_CAPITAL})[\w'’-]+(?: {_CAPITAL}[\w'’-]+)*)")
_FIGURE: Final = re.compile(r"(?<![\w.,:])\d+(?:[.,:]\d+)*(?!\w)")
_DIGIT: Final = re.compile(r"\d")
_NO_NAMES: Final = word_set(
    """
    i i'm i'd i've i'll monday tuesday wednesday thursday friday saturday sunday january february march april may june
    july august september october november december english christmas easter new mum mom dad mama papa grandma grandpa
    god ok okay tv google whatsapp instagram facebook youtube zoom internet sir madam mr mrs ms dr
    """
)
_BELOW_TWENTY: Final = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
    """
_UNITS: Final = tuple(_BELOW_TWENTY.split())
_ALL_TENS: Final = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS: Final = tuple(_ALL_TENS.split())


def _spelt(figure: str) -> tuple[str, ...]:
    """A whole number below 100 in words; of a larger one, nothing."""
    if not figure.isdigit() or int(figure) > 99:
        return ()
    tens, units = divmod(int(figure), 10)
    if tens < 2:
        return (_UNITS[int(figure)],)
    return (_TENS[tens - 2], _UNITS[units]) if units else (_TENS[tens - 2],)


def invented_in(text: str, *told: str) -> list[str]:
    """The names and figures of a text that are in nothing of what was told, each once.

    A name is a capitalised word inside a sentence (neighbouring ones are one name); a figure may be known in words.

    Args:
        text: any text.
        told: what is known (see `socialsim.text.spoken`).
    """
    names, figures = _NAME.findall(text), _FIGURE.findall(text) if _DIGIT.search(text) else []
    if not names and not figures:
        return []
    known = _Told(told)
    new = [name for name in names if not known.of_name(name)]
    new += [figure for figure in figures if not known.of_figure(figure)]
    return list(dict.fromkeys(new))


class _Told(NamedTuple):
    """What was told, to look for words."""

    texts: tuple[str, ...]

    def has(self, word: str) -> bool:
        word = f" {word} "
        return any(word in text for text in self.texts)

    def of_figure(self, figure: str) -> bool:
        spelt, parts = _spelt(figure), re.split("[.,:]", figure)
        return self.has(figure) or (bool(spelt) and all(map(self.has, spelt))) or all(map(self.has, parts))

    def of_name(self, name: str) -> bool:
        forms = _forms_of(name)
        return not forms or any(map(self.has, forms))


@lru_cache(maxsize=4096)
def _forms_of(name: str) -> tuple[str, ...]:
    """What a name may be said as; nothing for a word that is capitalised anyway."""
    parts = [part for word in words(name) for part in word.replace("'", "-").split("-") if len(part) > 1]
    forms = tuple(form for part in parts for form in (part, part.removesuffix("s"), f"{part}s"))
    return forms if _NO_NAMES.isdisjoint(forms) else ()


def _specificity(text: str, moment: Moment) -> CheckVerdict:
    marks = Marks(Rule.SPECIFICITY, moment.number)
    points = specific_points(text, moment)
    score = min(1.0, 0.25 + 0.75 * points / _ENOUGH)
    if len(words(text)) <= _SHORT or _LEAVING.search(text):
        score = max(score, _SHORT_FLOOR)
    marks.mark(score, "say something definite: who, where, when, what was said or done, one new thing of the story")
    return marks.verdict()


def specific_points(text: str, moment: Moment) -> float:
    """How much definite an utterance says: new words count 1, told ones a half, the persona's a half more."""
    named, told = definite(text), moment.vocabulary
    own = persona_definite(moment.persona) if moment.persona else frozenset()
    reported = 1.0 if _REPORTED.search(text) else 0.0
    return len(named - told) + 0.5 * len(named & told) + 0.5 * len(named & own) + reported


def detail_of_seeker(text: str, moment: Moment, soft: Sequence[Finding]) -> CheckVerdict:
    """Coherence of a seeker's utterance: it goes on from the talk, in new words of its own.

    Args:
        text: the utterance without its closing emoji.
        moment: where it stands.
        soft: the soft findings of `socialsim.validation.check_utterance`.
    """
    marks = Marks(Rule.DETAIL, moment.number)
    mark_wording(marks, text, moment, Speaker.SEEKER, soft)
    own = persona_content(moment.persona) if moment.persona else frozenset()
    named = definite(text)
    strange = len(named) >= 5 and named.isdisjoint(own) and named.isdisjoint(moment.vocabulary)
    if moment.persona and len(moment.history) > 2 and strange:
        marks.mark(0.7, f"{shown(named, text)} belong neither to the talk nor to the persona: answer the supporter")
    last = moment.said_by(Speaker.SUPPORTER)[-1:]
    if last and "?" in last[0] and _only_asks(text):
        marks.mark(0.8, "answer the supporter's question instead of asking back")
    return marks.verdict()


def _only_asks(text: str) -> bool:
    parts = sentences(text) if "?" in text else ()
    return len(parts) > 1 and all(part.endswith("?") for part in parts)


def mark_wording(marks: Marks, text: str, moment: Moment, speaker: Speaker, soft: Sequence[Finding]) -> None:
    """Mark repetition, echo, loops, cut sentences and words copied from the examples, by their share."""
    for finding in soft:
        if finding.kind in _FACTORS:
            marks.mark(_FACTORS[finding.kind], finding.detail)
    kinds = {finding.kind for finding in soft}
    may_repeat = "repeated" not in kinds and moment.may_repeat(text)
    if may_repeat and (share := shared_run_share(text, moment.said_by(speaker))) > 0.2:
        marks.mark(1 - share, "part of this was said before in the same words; say something new")
    if copied := copied_share(text, moment.copied_from, 8):
        marks.mark(1 - copied, "use your own words, not those of the example")
    elif (near := copied_share(text, moment.copied_from, 5)) > 0.35:
        marks.mark(1 - (near - 0.35), "too close to the example's wording; use your own words")
    if moment.history and not content(text) and len(words(text)) > 12:
        marks.mark(0.6, "many words say nothing here; say one thing that matters")
