"""The rules a whole dialogue is checked by: consistency, structure, detail, format."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from metrics.check_moment import Marks, blend, persona_definite
from metrics.check_words import content, definite, shared_run_share
from metrics.verdicts import CheckVerdict, Rule
from socialsim.schema import Dialogue, Persona, Speaker, Turn
from socialsim.taxonomy import MAX_UTTERANCES, MIN_UTTERANCES, STRATEGY_STAGES, Stage, Strategy
from socialsim.text import may_recur, plain, spoken

# Where the authored demonstrations lie on each scale, and where chance lies; see tests/real/test_checks_real.py.
_TOLD_ENOUGH: Final = 0.4  # share of the persona's definite words that a dialogue tells
_ORDER_BY_CHANCE, _ORDER_KEPT = 0.5, 0.8  # share of pairs of staged strategies in the order of the stages
_COMMON, _ALL_ALIKE = 0.4, 0.8  # share of the commonest strategy: harmless up to the first, broken from the second
_LONGEST_RUN: Final = 3
_NEW_WORDS: Final = 3.0  # new definite words an utterance brings, on average of a third of the dialogue
_AT_ONCE: Final = 0.45  # share of what is told in all that may be told in the first two utterances
_FAREWELL: Final = re.compile(
    r"(?i)\b(?:bye|goodbye|farewell|good ?night|good (?:luck|evening|day)|see you|take care|thank(?:s| you)|wish|"
    r"hope|may|sleep well|go well|all the best|come back|welcome|regards|ciao|hasta|adi[oó]s)\b|[👋🕊🙏]"
)


def check_whole(dialogue: Dialogue, persona: Persona | None) -> Iterator[CheckVerdict]:
    """The verdicts of a dialogue as a whole; a rule that cannot be checked gives none."""
    if persona is not None and any(turn.speaker is Speaker.SEEKER for turn in dialogue.turns):
        yield _consistency(dialogue, persona)
    if any(turn.strategies for turn in dialogue.turns):
        yield _structure(dialogue)
    yield _detail(dialogue, persona)
    yield _format(dialogue)


def _said(dialogue: Dialogue, speaker: Speaker) -> list[str]:
    return [plain(turn.text) for turn in dialogue.turns if turn.speaker is speaker]


def _consistency(dialogue: Dialogue, persona: Persona) -> CheckVerdict:
    """The seeker's words, taken together, tell the persona's story."""
    marks, own = Marks(Rule.CONSISTENCY), persona_definite(persona)
    told = frozenset().union(*(content(text) for text in _said(dialogue, Speaker.SEEKER)))
    share = len(own & told) / len(own) if own else 1.0
    left = ", ".join(sorted(own - told)[:4])
    marks.mark(share / _TOLD_ENOUGH, f"tell more of the persona's story: {share:.0%} of it is told; {left} are not")
    return marks.verdict()


def _structure(dialogue: Dialogue) -> CheckVerdict:
    marks, scores = Marks(Rule.STRUCTURE), []
    chosen = [[choice.strategy for choice in turn.strategies] for turn in dialogue.turns if turn.strategies]
    for score, feedback in (_order(dialogue.turns), _coverage(chosen), _balance(chosen), _ending(dialogue)):
        scores.append(score)
        if score < 1:
            marks.note(score, feedback)
    return marks.verdict(blend(scores))


def _order(turns: Sequence[Turn]) -> tuple[float, str]:
    """How far the stages come in order: the share of pairs of choices in order, chance at 0."""
    stages = list(Stage)
    placed = [_stage_range(turn, stages) for turn in turns if turn.strategies]
    reached = [first for place in placed for first in place[:1]]
    missing = [stage for stage in stages if all(stages.index(stage) not in place for place in placed)]
    apart = [(a, b) for i, a in enumerate(placed) for b in placed[i + 1 :] if a and b and not set(a) & set(b)]
    kept = sum(max(a) < min(b) for a, b in apart) / len(apart) if apart else 0.0
    score = min(1.0, max(0.0, (kept - _ORDER_BY_CHANCE) / (_ORDER_KEPT - _ORDER_BY_CHANCE))) if reached else 0.0
    if missing:
        return score * (1 - len(missing) / 3), f"no reply serves the stage {' or '.join(missing)}"
    return score, "keep the order of the stages: explore first, then comfort, then act"


def _stage_range(turn: Turn, stages: list[Stage]) -> list[int]:
    """The stages a turn's strategies can serve, as positions; its own where they are named."""
    named = {choice.stage for choice in turn.strategies if choice.stage}
    allowed = named or {stage for choice in turn.strategies for stage in STRATEGY_STAGES[choice.strategy]}
    return sorted(stages.index(stage) for stage in allowed)


def _coverage(chosen: list[list[Strategy]]) -> tuple[float, str]:
    missing = [strategy for strategy in Strategy if all(strategy not in turn for turn in chosen)]
    return 1 - len(missing) / len(Strategy), f"not used: {', '.join(missing)}"


def _balance(chosen: list[list[Strategy]]) -> tuple[float, str]:
    """No strategy carries the talk alone: neither by its share nor by a run of it."""
    counts = Counter(strategy for turn in chosen for strategy in turn)
    commonest, times = counts.most_common(1)[0]
    share = times / len(chosen)
    run = max(len(list(group)) for _, group in groupby(turn[0] for turn in chosen))
    by_share = 1 - max(0.0, share - _COMMON) / (_ALL_ALIKE - _COMMON)
    by_run = 1 - 0.2 * max(0, run - _LONGEST_RUN)
    return max(0.0, min(by_share, by_run)), f"{commonest} is in {share:.0%} of the replies, {run} in a row; vary"


def _ending(dialogue: Dialogue) -> tuple[float, str]:
    last = dialogue.turns[-2:]
    others = any(choice.strategy is Strategy.OTHERS for turn in last for choice in turn.strategies)
    kept = others or any(_FAREWELL.search(turn.text) for turn in last)
    return (1.0 if kept else 0.5), "end with a farewell"


def _detail(dialogue: Dialogue, persona: Persona | None) -> CheckVerdict:
    marks, scores = Marks(Rule.DETAIL), []
    for speaker in Speaker:
        said = _said(dialogue, speaker)
        for score, feedback in (_growth(said, speaker), _fresh(said, speaker)):
            scores.append(score)
            if score < 1:
                marks.note(score, feedback)
    if persona is not None and (score := _unfolding(_said(dialogue, Speaker.SEEKER), persona)) < 1:
        scores.append(score)
        marks.note(score, "the seeker tells nearly all at once; let the story come piece by piece")
    return marks.verdict(blend(scores))


def _growth(said: list[str], speaker: Speaker) -> tuple[float, str]:
    """Each third of a speaker's utterances brings new content; the least third counts."""
    known: set[str] = set()
    new = []
    for text in said:
        named = definite(text)
        new.append(len(named - known))
        known |= named
    thirds = [new[len(new) * i // 3 : len(new) * (i + 1) // 3] for i in range(3)]
    means = [sum(third) / len(third) for third in thirds if third]
    least = min(means, default=0.0)
    where = ("first", "middle", "last")[means.index(least)] if means else "whole"
    return min(1.0, least / _NEW_WORDS), f"the {speaker} says little new in the {where} third"


def _fresh(said: list[str], speaker: Speaker) -> tuple[float, str]:
    """Share of a speaker's wording that did not occur before in runs of four words."""
    repeated, before = list[float](), spoken(*said[:1])
    for i, text in enumerate(said[1:], start=1):
        repeated.append(shared_run_share(text, said[:i], 4) if may_recur(spoken(text), before, 4) else 0.0)
        before += f"|{spoken(text)}"
    share = sum(repeated) / len(repeated) if repeated else 0.0
    return 1 - min(1.0, 2 * max(0.0, share - 0.02)), f"the {speaker} repeats {share:.0%} of the wording"


def _unfolding(said: list[str], persona: Persona) -> float:
    """1 where the story comes by and by, 0 where the first two utterances tell all that is ever told."""
    own = persona_definite(persona)
    told = [own & content(text) for text in said]
    whole = frozenset().union(*told)
    if len(whole) < 4:
        return 1.0
    first = len(frozenset().union(*told[:2])) / len(whole)
    return 1 - max(0.0, first - _AT_ONCE) / (1 - _AT_ONCE)


def _format(dialogue: Dialogue) -> CheckVerdict:
    marks, turns = Marks(Rule.FORMAT), dialogue.turns
    expected = (Speaker.SEEKER, Speaker.SUPPORTER)
    wrong = sum(turn.speaker is not expected[i % 2] for i, turn in enumerate(turns)) + len(turns) % 2
    if wrong:
        marks.mark(max(0.0, 0.5 - wrong / len(turns)), "the seeker begins, speakers alternate, the supporter ends")
    if not MIN_UTTERANCES <= len(turns) <= MAX_UTTERANCES:
        near = min(len(turns) / MIN_UTTERANCES, MAX_UTTERANCES / len(turns))
        marks.mark(0.5 * near, f"{len(turns)} utterances; write {MIN_UTTERANCES} to {MAX_UTTERANCES}")
    return marks.verdict()
