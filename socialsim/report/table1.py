"""Table 1 of the paper: the size of a corpus beside the published SSConv and ESConv."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from rich.markup import escape
from rich.table import Table

from socialsim.schema import Dialogue, Speaker
from socialsim.text import count_words


class CorpusSize(NamedTuple):
    """One column of Table 1; lengths are words an utterance."""

    sessions: int
    utterances: int
    mean_utterances: float
    mean_words: float
    min_utterances: int
    max_utterances: int
    seeker_utterances: int
    mean_seeker_utterances: float
    mean_seeker_words: float
    supporter_utterances: int
    mean_supporter_utterances: float
    mean_supporter_words: float


# Published in Table 1 of the paper.
SSCONV: Final = CorpusSize(3229, 77336, 24, 20.5, 18, 40, 38667, 12, 17.9, 38669, 12, 23.1)
ESCONV: Final = CorpusSize(1300, 38365, 29.5, 16.4, 16, 120, 19989, 15.4, 14.8, 18376, 14.1, 18.1)

_LABELS: Final = {
    "sessions": "# Sessions",
    "utterances": "# Utterances",
    "mean_utterances": "Avg. # utterances",
    "mean_words": "Avg. utterance length (words)",
    "min_utterances": "Min. # utterances",
    "max_utterances": "Max. # utterances",
    "seeker_utterances": "# Seeker utterances",
    "mean_seeker_utterances": "Avg. # seeker utterances",
    "mean_seeker_words": "Avg. seeker utterance length",
    "supporter_utterances": "# Supporter utterances",
    "mean_supporter_utterances": "Avg. # supporter utterances",
    "mean_supporter_words": "Avg. supporter utterance length",
}


def corpus_size(dialogues: Iterable[Dialogue]) -> CorpusSize | None:
    """Count a corpus in one pass; None if it is empty. Emoji and punctuation are no words."""
    lengths: list[int] = []
    counts = dict.fromkeys(Speaker, 0)
    words = dict.fromkeys(Speaker, 0)
    for dialogue in dialogues:
        lengths.append(len(dialogue.turns))
        for turn in dialogue.turns:
            counts[turn.speaker] += 1
            words[turn.speaker] += count_words(turn.text)
    if not lengths:
        return None
    sessions, total = len(lengths), sum(lengths)
    sides = [
        (counts[side], counts[side] / sessions, words[side] / counts[side] if counts[side] else 0.0) for side in Speaker
    ]
    head = (sessions, total, total / sessions, sum(words.values()) / total, min(lengths), max(lengths))
    return CorpusSize(*head, *sides[0], *sides[1])


def table1(columns: dict[str, CorpusSize]) -> Table:
    """Render columns side by side, the published ones last.

    Args:
        columns: name to counts of the corpora at hand.
    """
    table = Table(title="Table 1: corpus statistics", caption="* published in the paper")
    table.add_column("")
    shown = columns | {"SSConv*": SSCONV, "ESConv*": ESCONV}
    for name in shown:
        table.add_column(escape(name), justify="right")
    for label, *figures in table1_rows(*shown.values()):
        table.add_row(label, *figures)
    return table


def table1_rows(*sizes: CorpusSize) -> list[tuple[str, ...]]:
    """A label and the figure of each size, a row a line of the table."""
    return [(label, *(_number(getattr(size, field)) for size in sizes)) for field, label in _LABELS.items()]


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
