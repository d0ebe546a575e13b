"""The rules a supporter's reply is checked by: control, match, detail (reasoning: see check_reasoning)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from metrics.check_moment import Marks, Moment
from metrics.check_seeker import invented_in, mark_wording
from metrics.check_words import content, content_of, content_once, definite, likeness, shown
from metrics.consistency import leaks_in
from metrics.facts import persona_facts
from metrics.strategy_cues import carries_out
from metrics.verdicts import CheckVerdict, Rule
from socialsim.schema import Persona, Speaker, Turn
from socialsim.taxonomy import MIN_UTTERANCES, Strategy
from socialsim.text import Guarded, spoken, words
from socialsim.validation import Finding

_OPENING: Final = 3  # words that make the opening of a reply
_GREETING: Final = re.compile(r"(?i)^\W*(?:hello|hi|hey|welcome|good (?:morning|afternoon|evening))\b")
_FAREWELL: Final = Guarded(
    re.compile(
        r"(?i)\b(?:goodbye|bye|farewell|good ?night|see you(?= soon| later| then|[,.!])|take care|all the best|"
        r"sleep well|have a (?:good|great|nice|lovely))\b"
    ),
    *("bye", "farewell", "night", "see you", "take care", "all the best", "sleep well", "have a "),
)
_LEAVING: Final = re.compile(
    r"(?i)\b(?:bye|goodbye|thank(?:s| you)|good ?night|see you|take care|have to go|got to go|"
    r"should (?:go|sleep)|tired)\b"
)
_FOLLOWS_UP: Final = re.compile(r"(?i)\b(?:he|she|they|him|her|them|it|that|this|you)\b[^.!]*\?")


def check_supporter(text: str, turn: Turn, moment: Moment) -> Iterator[CheckVerdict]:
    """The verdicts on what a reply says; a rule that cannot be checked gives none.

    Args:
        text: the reply without its closing emoji.
        turn: the reply with its reasoning.
        moment: where it stands.
    """
    if moment.persona is not None:
        yield check_control(text, moment, moment.persona)
    if turn.strategies:
        yield _match(text, turn, moment)


def check_control(text: str, moment: Moment, persona: Persona) -> CheckVerdict:
    """Whether a reply tells a fact of the persona that nobody has said yet."""
    marks = Marks(Rule.CONTROL, moment.number)
    for fact, evidence in leaks_in(text, moment.texts, persona_facts(persona)):
        marks.mark(
            0.0, f"'{evidence}' tells the persona's {fact.field}, which nobody has said: leave it out or ask for it"
        )
    return marks.verdict()


def _match(text: str, turn: Turn, moment: Moment) -> CheckVerdict:
    marks = Marks(Rule.MATCH, moment.number)
    seeker = moment.said_by(Speaker.SEEKER)
    chosen: list[Strategy] = list(dict.fromkeys(choice.strategy for choice in turn.strategies))
    cues = {strategy: carries_out(strategy, text, seeker) for strategy in chosen}
    for strategy, cue in cues.items():
        # Of two strategies, one that is missing costs its half.
        marks.mark(1 - (1 - cue.score) / len(cues), f"it chose {strategy}: {cue.feedback}")
    return marks.verdict()


def detail_of_reply(text: str, turn: Turn, moment: Moment, soft: Sequence[Finding]) -> CheckVerdict:
    """Coherence of a reply: it takes up what was said, in new words, and neither greets nor leaves too early.

    Args:
        text: the reply without its closing emoji.
        turn: the reply with its reasoning.
        moment: where it stands.
        soft: the soft findings of `socialsim.validation.check_utterance`.
    """
    marks = Marks(Rule.DETAIL, moment.number)
    mark_wording(marks, text, moment, Speaker.SUPPORTER, soft)
    for finding in soft:
        if finding.kind == "generic_advice":
            marks.mark(0.4, finding.detail)
    _mark_opening(marks, text, moment)
    _mark_place(marks, text, moment)
    if len(moment.history) > 2:
        _mark_coherence(marks, text, turn, moment)
    return marks.verdict()


def _mark_opening(marks: Marks, text: str, moment: Moment) -> None:
    opening = _opening(text)
    times = [_opening(reply) for reply in moment.said_by(Speaker.SUPPORTER)].count(opening)
    if times and len(opening) == _OPENING:
        marks.mark(0.8 if times == 1 else 0.5, f"'{' '.join(opening)}' opened an earlier reply; begin otherwise")


@lru_cache(maxsize=16384)  # of every earlier reply
def _opening(text: str) -> tuple[str, ...]:
    return words(text)[:_OPENING]


def _mark_place(marks: Marks, text: str, moment: Moment) -> None:
    last = moment.said_by(Speaker.SEEKER)[-1:]
    if len(moment.history) > 2 and _GREETING.search(text):
        marks.mark(0.5, "the talk has begun long ago; do not greet again")
    # Late in the talk a farewell may come from the supporter.
    early = 2 < len(moment.history) < MIN_UTTERANCES - 2
    if early and _FAREWELL.search(text) and not _LEAVING.search(last[0] if last else ""):
        marks.mark(0.6, "the seeker has not taken leave; stay with what was said last")


def _mark_coherence(marks: Marks, text: str, turn: Turn, moment: Moment) -> None:
    seeker = moment.said_by(Speaker.SEEKER)
    last = seeker[-1] if seeker else ""
    meant = content(text)
    if len(meant) >= 4 and likeness(text, last) >= 0.85 and len(content(last)) >= 4:
        marks.mark(0.5, "this only says the seeker's words again; add a question, a view or a step")
    if meant.isdisjoint(content_of(seeker[-2:])):
        named = shown(definite(last), last)
        change = f"take up what the seeker just said ({named})" if named else "take up what the seeker just said"
        related = not meant.isdisjoint(moment.vocabulary | _reasoned(turn))
        asks_on = len(meant) <= 4 and bool(_FOLLOWS_UP.search(text))
        marks.mark(0.9 if related else 0.8 if asks_on else 0.65, change)
    if any(choice.strategy is Strategy.INFORMATION for choice in turn.strategies):
        return  # a fact may bring names and figures of its own
    told = moment.before.spoken
    for name in invented_in(text, told, spoken(*_reasons(turn)))[:2] if invented_in(text, told) else ():
        marks.mark(0.8, f"nobody has spoken of '{name}'; use what the seeker told")


def _reasons(turn: Turn) -> tuple[str, ...]:
    reasoning = turn.reasoning
    if reasoning is None:
        return ()
    return tuple(filter(None, (reasoning.situation, reasoning.thought, reasoning.action, reasoning.purpose)))


def _reasoned(turn: Turn) -> frozenset[str]:
    return frozenset().union(*map(content_once, _reasons(turn)))
