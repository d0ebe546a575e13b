"""Does the seeker behave like a person? Evenness of speech, resistance, recovery, agreeableness.

Simulated seekers tend to speak too evenly, to agree too much and to recover too fast. Each measure here is a
plain count or mean that says nothing alone; it is read beside the same measure of a corpus of real seekers.
Consecutive utterances of a speaker are one turn, so that corpora that split their turns compare.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import combinations
from statistics import fmean, pstdev
from typing import Any, Final, NamedTuple

from metrics.significance import Interval, need, percentiles
from metrics.signs import Valence, agrees, resists
from socialsim.formats import merge_consecutive
from socialsim.schema import Dialogue, Record, Speaker
from socialsim.taxonomy import Strategy
from socialsim.text import count_words

POSITIONS: Final = 10
_RESAMPLES: Final = 1_000
_LEAST_TURNS: Final = 4  # a first and a last quarter of a dialogue need one turn each, apart from each other


class Measure(StrEnum):
    """What is measured of a seeker. A turn is the seeker's; an interval draws whole dialogues."""

    WORDS = "words"
    """Mean words a turn."""
    VARIATION = "variation"
    """Coefficient of variation of a dialogue's turn lengths (deviation / mean), mean over dialogues."""
    BETWEEN = "between"
    """Coefficient of variation of the dialogues' mean turn lengths."""
    RESISTANCE = "resistance"
    """Share of the turns right after a suggestion that show a sign of pushing back."""
    ELSEWHERE = "elsewhere"
    """The same share of the turns after a reply whose strategies are known and hold no suggestion."""
    AGREEABLENESS = "agreeableness"
    """Share of turns that thank or agree."""
    START = "start"
    """Valence of the first quarter of a dialogue's turns, mean over dialogues."""
    END = "end"
    """Valence of the last quarter; thanks and farewells are part of it."""
    CHANGE = "change"
    """End less start."""
    RECOVERING = "recovering"
    """Share of dialogues that end more pleasant than they start."""
    MONOTONY = "monotony"
    """Kendall's tau-a of valence over a dialogue's turns: 1 each turn is above all before it, -1 below."""
    HALFWAY = "halfway"
    """Of dialogues that recover, the share of turns gone by when the mean of three turns is first halfway up.

    Half a dialogue for a steady rise; one pleasant turn early is enough, so that unsteady seekers lie lower.
    """


class SeekerFacts(NamedTuple):
    """What one dialogue adds to each measure.

    Attributes:
        parts: by measure, a sum and what to divide it by; a measure the dialogue says nothing about is left out.
        words: mean words of its turns.
        valences: position in the dialogue (0 to 1, exclusive of 0) and valence of each turn.
    """

    parts: dict[Measure, tuple[float, int]]
    words: float
    valences: tuple[tuple[float, float], ...]


class Realism(Record):
    """The measures of a corpus.

    Attributes:
        dialogues: dialogues with a seeker.
        turns: their seeker turns.
        figures: each measure with its 95% interval and what it rests on (turns or dialogues).
        trajectory: mean valence by tenth of the dialogue and the turns it rests on; value None where there are none.
    """

    dialogues: int
    turns: int
    figures: dict[Measure, Interval]
    trajectory: tuple[tuple[float | None, int], ...]


def seeker_facts(dialogues: Iterable[Dialogue], valence: Valence) -> list[SeekerFacts]:
    """Measure each dialogue once; dialogues without a seeker are left out.

    Args:
        dialogues: the corpus.
        valence: `metrics.signs.vader()`, or another of the same range.
    """
    found = (_facts(merge_consecutive(dialogue), valence) for dialogue in dialogues)
    return [facts for facts in found if facts is not None]


def realism(facts: Sequence[SeekerFacts], seed: int = 0) -> Realism:
    """The measures of a corpus with bootstrap intervals over dialogues (1,000 draws, percentiles).

    Args:
        facts: of `seeker_facts`.
        seed: decides the draws.

    Raises:
        UsageError: if the metrics extra is not installed.
    """
    values, draws = _values(facts), _draws(facts, seed)
    figures = {name: _interval(values[name], draws[name], _count(facts, name)) for name in Measure}
    cells: list[list[float]] = [[] for _ in range(POSITIONS)]
    for position, value in (pair for one in facts for pair in one.valences):
        cells[min(POSITIONS - 1, int(position * POSITIONS - 1e-9))].append(value)
    turns = sum(map(len, cells))
    trajectory = tuple((fmean(cell) if cell else None, len(cell)) for cell in cells)
    return Realism(dialogues=len(facts), turns=turns, figures=figures, trajectory=trajectory)


def compare(one: Sequence[SeekerFacts], other: Sequence[SeekerFacts], seed: int = 0) -> dict[Measure, Interval]:
    """How far each measure of a corpus lies above that of another, with a 95% interval.

    Returns:
        Differences ``one - other``; n is the smaller of what the two rest on. None where a corpus lacks the measure.

    Raises:
        UsageError: if the metrics extra is not installed.
    """
    ours, theirs = _values(one), _values(other)
    first, second = _draws(one, seed), _draws(other, seed + 1)
    compared = {}
    for name in Measure:
        mine, yours = ours[name], theirs[name]
        value = mine - yours if mine is not None and yours is not None else None
        n = min(_count(one, name), _count(other, name))
        compared[name] = _interval(value, first[name] - second[name], n)
    return compared


def _facts(dialogue: Dialogue, valence: Valence) -> SeekerFacts | None:
    said = [(k, turn.text) for k, turn in enumerate(dialogue.turns, 1) if turn.speaker is Speaker.SEEKER]
    if not said:
        return None
    texts = [text for _, text in said]
    lengths, values = [count_words(text) for text in texts], [valence(text) for text in texts]
    parts = {
        Measure.WORDS: (float(sum(lengths)), len(lengths)),
        Measure.AGREEABLENESS: (float(sum(map(agrees, texts))), len(texts)),
    }
    if len(lengths) > 1 and any(lengths):
        parts[Measure.VARIATION] = (pstdev(lengths) / fmean(lengths), 1)
    positions = [k / len(dialogue.turns) for k, _ in said]
    parts |= _resistance(dialogue) | _recovery(values)
    return SeekerFacts(parts, fmean(lengths), tuple(zip(positions, values, strict=True)))


def _resistance(dialogue: Dialogue) -> dict[Measure, tuple[float, int]]:
    found: dict[Measure, list[bool]] = {Measure.RESISTANCE: [], Measure.ELSEWHERE: []}
    for before, turn in zip(dialogue.turns, dialogue.turns[1:], strict=False):
        names = {choice.strategy for choice in before.strategies}
        if names and turn.speaker is Speaker.SEEKER:
            suggested = Strategy.SUGGESTIONS in names
            found[Measure.RESISTANCE if suggested else Measure.ELSEWHERE].append(resists(turn.text))
    return {name: (float(sum(signs)), len(signs)) for name, signs in found.items() if signs}


def _recovery(values: Sequence[float]) -> dict[Measure, tuple[float, int]]:
    if len(values) < _LEAST_TURNS:
        return {}
    quarter = len(values) // 4
    start, end = fmean(values[:quarter]), fmean(values[-quarter:])
    signs = [(later > earlier) - (later < earlier) for earlier, later in combinations(values, 2)]
    parts = {
        Measure.START: start,
        Measure.END: end,
        Measure.CHANGE: end - start,
        Measure.RECOVERING: float(end > start),
        Measure.MONOTONY: fmean(signs),
    }
    if end > start:
        smooth = [fmean(values[max(0, i - 1) : i + 2]) for i in range(len(values))]
        half = next((i for i, value in enumerate(smooth, 1) if value >= (start + end) / 2), len(values))
        parts[Measure.HALFWAY] = half / len(values)
    return {name: (value, 1) for name, value in parts.items()}


def _count(facts: Sequence[SeekerFacts], name: Measure) -> int:
    return len(facts) if name is Measure.BETWEEN else sum(one.parts.get(name, (0.0, 0))[1] for one in facts)


def _values(facts: Sequence[SeekerFacts]) -> dict[Measure, float | None]:
    values: dict[Measure, float | None] = {}
    for name in Measure:
        n = _count(facts, name)
        values[name] = sum(one.parts[name][0] for one in facts if name in one.parts) / n if n else None
    words = [one.words for one in facts]
    values[Measure.BETWEEN] = pstdev(words) / fmean(words) if len(words) > 1 and any(words) else None
    return values


def _draws(facts: Sequence[SeekerFacts], seed: int) -> dict[Measure, Any]:
    """Each measure in each draw of as many dialogues, shape (1000,); not a number where a draw lacks it."""
    numpy = need("numpy")
    rng, rows = numpy.random.default_rng(seed), []
    parts = numpy.array([[one.parts.get(name, (0.0, 0)) for name in Measure] for one in facts]).reshape(
        -1, len(Measure), 2
    )
    words = numpy.array([one.words for one in facts])
    with numpy.errstate(invalid="ignore", divide="ignore"):
        for _ in range(_RESAMPLES if len(facts) > 1 else 0):
            drawn = rng.integers(len(facts), size=len(facts))
            sums = parts[drawn].sum(axis=0)
            row = sums[:, 0] / sums[:, 1]
            row[list(Measure).index(Measure.BETWEEN)] = words[drawn].std() / words[drawn].mean()
            rows.append(row)
    table = numpy.array(rows) if rows else numpy.full((_RESAMPLES, len(Measure)), numpy.nan)
    return {name: table[:, i] for i, name in enumerate(Measure)}


def _interval(value: float | None, draws: Any, n: int) -> Interval:
    known = draws[~need("numpy").isnan(draws)]
    if value is None or n < 2 or not len(known):
        return Interval(value, None, None, n)
    return Interval(value, *percentiles(known), n)
