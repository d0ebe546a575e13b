"""Which support strategies are used, and when (Figure 4 of the paper); how far the use leans on few of them.

Utterances count as they stand: merge consecutive ones first (`socialsim.formats.merge_consecutive`) where a
corpus splits its turns and turns are to be compared. A supporter turn that names no strategy is missing.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from socialsim.schema import Dialogue, Record, Speaker, Turn
from socialsim.taxonomy import Strategy

STAGES: Final = 4
_SHUFFLES: Final = 200


class StrategyUse(Record):
    """How often each strategy is used, over whole dialogues and in each of their four equal stages.

    A turn with two strategies counts for both, so that the counts may exceed ``named``.

    Attributes:
        dialogues: dialogues read.
        named: supporter turns that name a strategy.
        unnamed: supporter turns that name none; they are in no share.
        by_stage: uses in each stage, shape (4,).
    """

    dialogues: int
    named: int
    unnamed: int
    by_stage: tuple[dict[Strategy, int], ...]

    @property
    def counts(self) -> dict[Strategy, int]:
        """Uses over the whole dialogues."""
        return {strategy: sum(stage[strategy] for stage in self.by_stage) for strategy in Strategy}

    def shares(self, stage: int | None = None) -> dict[Strategy, float] | None:
        """Proportion of each strategy in a stage (0 to 3) or, without one, overall; None where nothing is used."""
        return shares_of(self.counts if stage is None else self.by_stage[stage])


class Divergence(Record):
    """Jensen-Shannon divergence (base 2, 0 to 1; not its square root, the distance) of two corpora's use.

    Attributes:
        overall: of the distributions over whole dialogues; None where a corpus names no strategy.
        by_stage: of those within each stage, shape (4,).
        chance: what 95% of splits of the same dialogues by chance stay below; small corpora differ by chance alone.
        chance_by_stage: the same within each stage, shape (4,).
    """

    overall: float | None
    by_stage: tuple[float | None, ...]
    chance: float | None
    chance_by_stage: tuple[float | None, ...]


class Bias(Record):
    """How far the use of strategies leans on few of them, and how early it advises.

    Attributes:
        uses: uses of strategies.
        unevenness: 1 - entropy / log 8: 0 where all eight are used alike, 1 where one alone is used.
        commonest: the strategy used most, with its share of all uses.
        own_share: mean over dialogues of the share of the dialogue's own commonest strategy.
        longest_run: mean over dialogues of the longest run of supporter turns that begin with one strategy.
        max_run: the longest run of all.
        dialogues: dialogues that name a strategy; the three above rest on them.
        suggesting: dialogues with a suggestion; the two below rest on them.
        first_suggestion: mean position k/N of the first suggestion.
        early: share in which the first suggestion falls into the first stage.
    """

    uses: int
    unevenness: float | None
    commonest: Strategy | None
    commonest_share: float | None
    own_share: float | None
    longest_run: float | None
    max_run: int
    dialogues: int
    suggesting: int
    first_suggestion: float | None
    early: float | None


def stage_of(k: int, utterances: int) -> int:
    """The stage, 0 to 3, of the ``k``-th of N utterances (k from 1): position k/N, up to a quarter is stage 0."""
    return (STAGES * k - 1) // utterances


def strategy_use(dialogues: Iterable[Dialogue]) -> StrategyUse:
    """Count the use of strategies by stage (paper: "Strategy", Figure 4).

    A dialogue of N utterances, of both speakers, is cut into four equal stages; the k-th utterance, where it is
    the supporter's, has position k/N.
    """
    number = named = unnamed = 0
    stages: list[Counter[Strategy]] = [Counter() for _ in range(STAGES)]
    for dialogue in dialogues:
        number += 1
        for stage, chosen in _choices(dialogue):
            named, unnamed = named + bool(chosen), unnamed + (not chosen)
            stages[stage].update(chosen)
    by_stage = tuple({strategy: stage[strategy] for strategy in Strategy} for stage in stages)
    return StrategyUse(dialogues=number, named=named, unnamed=unnamed, by_stage=by_stage)


def js_divergence(one: Mapping[Strategy, int], other: Mapping[Strategy, int]) -> float | None:
    """Jensen-Shannon divergence of two counts, base 2: 0 alike, 1 nothing in common; None where one is empty."""
    first, second = shares_of(one), shares_of(other)
    if first is None or second is None:
        return None
    both = {name: (first.get(name, 0.0) + second.get(name, 0.0)) / 2 for name in dict.fromkeys((*first, *second))}
    return max(0.0, _entropy(both.values()) - (_entropy(first.values()) + _entropy(second.values())) / 2)


def divergence(one: Iterable[Dialogue], other: Iterable[Dialogue], seed: int = 0) -> Divergence:
    """Compare the use of strategies in two corpora, overall and by stage.

    Args:
        one: a corpus.
        other: the corpus it is compared with.
        seed: decides the 200 splits by chance that ``chance`` rests on; whole dialogues are shuffled.
    """
    ours, theirs = [_tally(dialogue) for dialogue in one], [_tally(dialogue) for dialogue in other]
    found = _divergences(ours, theirs)
    pool, rng, draws = [*ours, *theirs], random.Random(seed), []
    for _ in range(_SHUFFLES):
        rng.shuffle(pool)
        draws.append(_divergences(pool[: len(ours)], pool[len(ours) :]))
    # Missing here is missing there too: a stage nobody uses has no chance level.
    chance = [_percentile([draw[i] for draw in draws]) if value is not None else None for i, value in enumerate(found)]
    return Divergence(overall=found[0], by_stage=tuple(found[1:]), chance=chance[0], chance_by_stage=tuple(chance[1:]))


def preference_bias(dialogues: Iterable[Dialogue]) -> Bias:
    """How far use departs from even use of the eight strategies, and how early advice comes."""
    counts: Counter[Strategy] = Counter()
    own: list[float] = []
    runs: list[int] = []
    firsts: list[tuple[float, int]] = []
    for dialogue in dialogues:
        used = Counter(strategy for turn in dialogue.turns for strategy in chosen_of(turn))
        if not used:
            continue
        counts.update(used)
        own.append(max(used.values()) / used.total())
        runs.append(max(_run_lengths(dialogue)))
        firsts.extend(_first_suggestion(dialogue))
    commonest = max(counts, key=lambda name: counts[name], default=None)
    return Bias(
        uses=counts.total(),
        unevenness=1 - _entropy((shares_of(counts) or {}).values()) / math.log2(len(Strategy)) if counts else None,
        commonest=commonest,
        commonest_share=counts[commonest] / counts.total() if commonest else None,
        own_share=_mean(own),
        longest_run=_mean(runs),
        max_run=max(runs, default=0),
        dialogues=len(own),
        suggesting=len(firsts),
        first_suggestion=_mean([position for position, _ in firsts]),
        early=_mean([stage == 0 for _, stage in firsts]),
    )


def chosen_of(turn: Turn) -> list[Strategy]:
    """The strategies of a turn in order, each once, whatever its stage."""
    return list(dict.fromkeys(choice.strategy for choice in turn.strategies))


def _choices(dialogue: Dialogue) -> Iterator[tuple[int, list[Strategy]]]:
    """Stage and strategies of each supporter turn."""
    for k, turn in enumerate(dialogue.turns, 1):
        if turn.speaker is Speaker.SUPPORTER:
            yield stage_of(k, len(dialogue.turns)), chosen_of(turn)


def sequences(dialogue: Dialogue) -> list[list[Strategy]]:
    """First strategies of consecutive supporter turns, cut where a turn names none; no list is empty."""
    cut: list[list[Strategy]] = [[]]
    for _, chosen in _choices(dialogue):
        if chosen:
            cut[-1].append(chosen[0])
        else:
            cut.append([])
    return [sequence for sequence in cut if sequence]


def _run_lengths(dialogue: Dialogue) -> Iterator[int]:
    for sequence in sequences(dialogue):
        length = 0
        for i, name in enumerate(sequence):
            length = length + 1 if i and sequence[i - 1] is name else 1
            yield length


def _first_suggestion(dialogue: Dialogue) -> list[tuple[float, int]]:
    """Position and stage of the first suggestion; empty where there is none."""
    size = len(dialogue.turns)
    found = [k for k, turn in enumerate(dialogue.turns, 1) if Strategy.SUGGESTIONS in chosen_of(turn)]
    return [(k / size, stage_of(k, size)) for k in found[:1]]


_Tally = Counter[tuple[int, Strategy]]


def _tally(dialogue: Dialogue) -> _Tally:
    return Counter((stage, strategy) for stage, chosen in _choices(dialogue) for strategy in chosen)


def _divergences(ours: Sequence[_Tally], theirs: Sequence[_Tally]) -> list[float | None]:
    """Overall, then by stage, shape (5,)."""
    ones, others = _sum(ours), _sum(theirs)
    return [js_divergence(one, other) for one, other in zip(ones, others, strict=True)]


def _sum(tallies: Sequence[_Tally]) -> list[Counter[Strategy]]:
    sums: list[Counter[Strategy]] = [Counter() for _ in range(STAGES + 1)]
    for tally in tallies:
        for (stage, strategy), count in tally.items():
            sums[0][strategy] += count
            sums[stage + 1][strategy] += count
    return sums


def _percentile(values: Sequence[float | None]) -> float | None:
    found = sorted(value for value in values if value is not None)
    return found[math.ceil(0.95 * len(found)) - 1] if found else None


def shares_of(counts: Mapping[Strategy, int]) -> dict[Strategy, float] | None:
    """Counts as proportions; None where all are 0."""
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()} if total else None


def _entropy(shares: Iterable[float]) -> float:
    return -sum(share * math.log2(share) for share in shares if share > 0)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
