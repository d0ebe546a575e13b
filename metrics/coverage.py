"""How much of its persona a dialogue uses, as it goes on (Figure 6 of the paper).

Each utterance is compared with the text of its own persona and with those of other personas drawn by chance:
what it shares with any persona (function words, the labels of `persona_text`, the topic of feeling bad) is no
use of this one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from socialsim.errors import UsageError
from socialsim.render import persona_text
from socialsim.schema import Dialogue, Persona, Record, Speaker
from socialsim.text import words

BINS: Final = 12
OTHERS: Final = 5

# Texts to unit vectors: a matrix of shape (texts, dimensions).
Embed = Callable[[Sequence[str]], Any]

# Words that say nothing about a person. Tokens of `words` keep their apostrophe.
FUNCTION_WORDS: Final = frozenset(
    words("""
    a about after again all also am an and any are aren't as at be because been before being but by can can't could
    couldn't did didn't do does doesn't doing don't down each else even ever few for from get go got had hadn't has
    hasn't have haven't having he he's her here hers herself him himself his how i i'd i'll i'm i've if in into is isn't
    it it's its itself just let's like me more most much my myself no nor not now of off on one only or other our ours
    ourselves out over own really same she she's should shouldn't so some still such than that that's the their theirs
    them themselves then there there's these they they're they've this those through to too under until up us very was
    wasn't we we're we've were weren't what what's when where which while who whom why will with won't would wouldn't
    yes yet you you'd you'll you're you've your yours yourself yourselves
    """)
)


class Level(NamedTuple):
    """Mean likeness to the own and to other personas; both None where there is no utterance to compare."""

    own: float | None
    other: float | None
    n: int


class Curve(Record):
    """One measure for one speaker.

    Attributes:
        overall: over all utterances.
        bins: by position in the dialogue, the k-th of N utterances at k/N, shape (bins,).
        higher: share of dialogues whose mean is higher for the own persona than for the others.
        dialogues: dialogues that share rests on.
    """

    overall: Level
    bins: tuple[Level, ...]
    higher: float | None
    dialogues: int


class Coverage(Record):
    """Figures 6a and 6b for a corpus, by speaker.

    Attributes:
        dialogues: dialogues compared.
        without_persona: dialogues left out since their persona is not known.
        others: other personas each dialogue was compared with.
        content_words: whether function words were left out of the word overlap.
        overlap: proportion of an utterance's words that occur in the persona's text, 0 to 1.
        similarity: cosine of the embeddings of utterance and persona, -1 to 1; None where not asked for.
    """

    dialogues: int
    without_persona: int
    others: int
    content_words: bool
    overlap: dict[Speaker, Curve]
    similarity: dict[Speaker, Curve] | None


class _Said(NamedTuple):
    dialogue: int
    speaker: Speaker
    bin: int
    text: str


class _Score(NamedTuple):
    said: _Said
    own: float
    other: float


def coverage(
    dialogues: Iterable[Dialogue],
    personas: Mapping[str, Persona],
    *,
    embed: Embed | None = None,
    content_words: bool = False,
    bins: int = BINS,
    others: int = OTHERS,
    seed: int = 0,
) -> Coverage:
    """Measure persona coverage by position (paper: "Personalization", Figure 6).

    Args:
        dialogues: the corpus; consecutive utterances count each.
        personas: by id.
        embed: `metrics.sentences.sentence_embeddings`, or None for the word overlap alone.
        content_words: leave out function words; the paper names no such step.
        bins: parts of a dialogue.
        others: other personas to compare with (the paper takes one); their mean counts, all of them where there are
            fewer. A dialogue's are drawn by seed and dialogue id, never its own, whatever else is in the corpus.
        seed: decides the draw.

    Raises:
        UsageError: if no dialogue has a persona, or there are fewer than two personas.
    """
    kept = list(dialogues)
    known = [dialogue for dialogue in kept if dialogue.persona_id in personas]
    if not known or len(personas) < 2:
        raise UsageError("persona coverage needs dialogues with their personas, two personas or more")
    size = min(others, len(personas) - 1)
    names = sorted(personas)
    rivals = [_draw(dialogue, names, size, seed) for dialogue in known]
    owners = [dialogue.persona_id or "" for dialogue in known]
    texts = {name: persona_text(personas[name]) for name in {*owners, *(name for drawn in rivals for name in drawn)}}
    said = [one for number, dialogue in enumerate(known) for one in _utterances(number, dialogue, bins)]
    overlaps = _overlaps(said, owners, rivals, texts, content_words)
    similar = _similarities(said, owners, rivals, texts, embed) if embed else None
    return Coverage(
        dialogues=len(known),
        without_persona=len(kept) - len(known),
        others=size,
        content_words=content_words,
        overlap=_curves(overlaps, bins),
        similarity=_curves(similar, bins) if similar is not None else None,
    )


def word_overlap(text: str, persona_words: frozenset[str], content_words: bool = False) -> float | None:
    """Proportion of a text's words, repeats included, that are among a persona's; None for a text without words."""
    found = _counted(text, content_words)
    return _share(found, persona_words) if found else None


def _counted(text: str, content_words: bool) -> list[str]:
    return [word for word in words(text) if not (content_words and word in FUNCTION_WORDS)]


def _share(found: Sequence[str], persona_words: frozenset[str]) -> float:
    return sum(word in persona_words for word in found) / len(found)


def _draw(dialogue: Dialogue, names: Sequence[str], size: int, seed: int) -> list[str]:
    others = [name for name in names if name != dialogue.persona_id]
    return random.Random(f"{seed} {dialogue.id}").sample(others, size)


def _utterances(number: int, dialogue: Dialogue, bins: int) -> Iterable[_Said]:
    size = len(dialogue.turns)
    for k, turn in enumerate(dialogue.turns, 1):
        yield _Said(number, turn.speaker, (bins * k - 1) // size, turn.text)


def _overlaps(
    said: Sequence[_Said],
    owners: Sequence[str],
    rivals: Sequence[Sequence[str]],
    texts: Mapping[str, str],
    content_words: bool,
) -> list[_Score]:
    known = {name: frozenset(words(text)) for name, text in texts.items()}
    scores = []
    for one in said:
        if found := _counted(one.text, content_words):
            other = [_share(found, known[name]) for name in rivals[one.dialogue]]
            scores.append(_Score(one, _share(found, known[owners[one.dialogue]]), sum(other) / len(other)))
    return scores


def _similarities(
    said: Sequence[_Said],
    owners: Sequence[str],
    rivals: Sequence[Sequence[str]],
    texts: Mapping[str, str],
    embed: Embed,
) -> list[_Score]:
    names = sorted(texts)
    vectors = embed([*(texts[name] for name in names), *(one.text for one in said)])
    known = dict(zip(names, vectors, strict=False))
    scores = []
    for one, vector in zip(said, vectors[len(names) :], strict=True):
        other = [float(vector @ known[name]) for name in rivals[one.dialogue]]
        scores.append(_Score(one, float(vector @ known[owners[one.dialogue]]), sum(other) / len(other)))
    return scores


def _curves(scores: Sequence[_Score], bins: int) -> dict[Speaker, Curve]:
    return {speaker: _curve([score for score in scores if score.said.speaker is speaker], bins) for speaker in Speaker}


def _curve(scores: Sequence[_Score], bins: int) -> Curve:
    cells: list[list[_Score]] = [[] for _ in range(bins)]
    margins: dict[int, float] = {}
    for score in scores:
        cells[score.said.bin].append(score)
        # The sign of the sum is that of the dialogue's mean.
        margins[score.said.dialogue] = margins.get(score.said.dialogue, 0.0) + score.own - score.other
    higher = sum(margin > 0 for margin in margins.values()) / len(margins) if margins else None
    return Curve(overall=_level(scores), bins=tuple(map(_level, cells)), higher=higher, dialogues=len(margins))


def _level(scores: Sequence[_Score]) -> Level:
    n = len(scores)
    if not n:
        return Level(None, None, 0)
    return Level(sum(score.own for score in scores) / n, sum(score.other for score in scores) / n, n)
