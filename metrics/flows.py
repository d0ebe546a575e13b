"""In what order support strategies follow each other (Figure 5 of the paper).

Supporter turns are consecutive whatever the seeker says between them; of each the first strategy counts. A turn
that names none breaks the sequence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Final, NamedTuple

from metrics.strategy import sequences, shares_of
from socialsim.schema import Dialogue, Record
from socialsim.taxonomy import Strategy

# The paper's commonest flow ("Strategy", Figure 5).
PUBLISHED: Final = (
    Strategy.QUESTION,
    Strategy.QUESTION,
    Strategy.REFLECTION,
    Strategy.SUGGESTIONS,
    Strategy.AFFIRMATION,
)


class Transitions(Record):
    """How often one strategy follows another in consecutive supporter turns (first strategy of each).

    Attributes:
        counts: by the earlier strategy, then the later.
        n: transitions.
    """

    counts: dict[Strategy, dict[Strategy, int]]
    n: int

    def shares(self, before: Strategy) -> dict[Strategy, float] | None:
        """What follows a strategy, in proportions; None where nothing does."""
        return shares_of(self.counts[before])


class Flow(NamedTuple):
    """A sequence of strategies, how often it occurs, and its share of all sequences of that length."""

    steps: tuple[Strategy, ...]
    times: int
    share: float


class Flows(Record):
    """The commonest sequences of strategies.

    Attributes:
        among: the strategies followed.
        collapsed: whether repeats of a strategy were taken as one step.
        n: sequences counted.
        commonest: the ten commonest, the commonest first.
        published: the paper's commonest flow, as often as it occurs here; None where repeats are one step, for it
            begins with one.
    """

    among: tuple[Strategy, ...]
    collapsed: bool
    n: int
    commonest: tuple[Flow, ...]
    published: Flow | None


def transitions(dialogues: Iterable[Dialogue]) -> Transitions:
    """Count which strategy follows which (paper: Figure 5).

    Consecutive supporter turns of a dialogue, whatever the seeker says between them, the first strategy of each.
    A turn that names none breaks the sequence.
    """
    pairs: Counter[tuple[Strategy, Strategy]] = Counter()
    for dialogue in dialogues:
        for sequence in sequences(dialogue):
            pairs.update(pairwise(sequence))
    counts = {before: {after: pairs[before, after] for after in Strategy} for before in Strategy}
    return Transitions(counts=counts, n=pairs.total())


def flows(dialogues: Iterable[Dialogue], *, steps: int = 5, top: int = 5, collapse: bool = False) -> Flows:
    """The commonest flows of strategies (paper: Figure 5, which follows the five commonest strategies).

    A flow is the first strategies of ``steps`` consecutive supporter turns, all among the ``top`` commonest ones;
    it may begin at any turn, so flows overlap. "Others" is left out: it belongs to no helping stage.

    Args:
        dialogues: the corpus.
        steps: length of a flow.
        top: how many of the commonest strategies are followed.
        collapse: whether a strategy that is repeated counts as one step.
    """
    said = [sequence for dialogue in dialogues for sequence in sequences(dialogue)]
    uses = Counter(name for sequence in said for name in sequence if name is not Strategy.OTHERS)
    among = tuple(name for name, _ in uses.most_common(top))
    if collapse:
        said = [[name for i, name in enumerate(s) if i == 0 or s[i - 1] is not name] for s in said]
    windows = (tuple(s[i : i + steps]) for s in said for i in range(len(s) - steps + 1))
    found = Counter(window for window in windows if set(window) <= set(among))
    total = max(1, found.total())
    commonest = tuple(Flow(flow, times, times / total) for flow, times in found.most_common(10))
    published = None if collapse else Flow(PUBLISHED, found[PUBLISHED], found[PUBLISHED] / total)
    return Flows(among=among, collapsed=collapse, n=found.total(), commonest=commonest, published=published)
