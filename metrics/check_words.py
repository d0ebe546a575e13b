"""Words that say something: what the checks compare texts by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from socialsim.text import joined, kept_with_dialogue, ngrams, words


def word_set(text: str) -> frozenset[str]:
    """The words of a list written as text."""
    return frozenset(text.split())


# Words of grammar and of chat, which any two utterances may share.
_GRAMMAR = word_set(
    """
    a an the this that these those here there it its itself i me my mine myself we us our ours you your yours yourself
    he him his himself she her hers herself they them their theirs themselves one ones who whom whose which what when
    where why how and or but nor so yet if then than as because while until unless since though although whether
    of in on at to from by with without for about into onto over under after before between through during against
    up down out off again away back around along across near upon within toward towards per via am is are was were be
    been being do does did done doing have has had having can could may might must shall should will would ought let
    lets not no yes nor none never ever always often sometimes once just only also too very much many more most less
    least few some any every each all both either neither another other others such same own else even still already
    rather quite almost perhaps maybe really actually well now soon later today okay ok oh ah hey hi hello yeah yep
    nope please thanks thank sorry get gets got getting gotten go goes going gone went come comes came coming make
    makes made making take takes took taken taking put say says said saying tell tells told telling know knows knew
    think thinks thought want wants wanted need needs like likes liked see sees saw seen look looks looked seem seems
    mean means meant give gives gave given keep keeps kept use used way ways thing things something anything nothing
    everything someone anyone everyone somebody anybody everybody nobody lot lots bit kind sort else instead don didn
    doesn isn aren wasn weren won wouldn couldn shouldn hasn haven hadn ain ll ve re gonna wanna im ive dont didnt
    """
)
# Words that name a mood or a state without saying what it is about.
VAGUE = word_set(
    """
    feel feels felt feeling feelings bad badly sad sadness good great fine hard difficult tough awful terrible horrible
    worse worst better nice happy unhappy upset down low stressed stress anxious anxiety depressed lost stuck tired
    overwhelmed worried confused hurt alone lonely life world time times people person situation stuff issue issues
    problem problems moment day days whole big little long right wrong true sure help helpful talk talking talked
    understand everything nothing anymore lately happen happens happened happening
    """
)


_ENDINGS = {
    "s": (("ies", "y"), ("es", ""), ("s", "")),
    "d": (("ied", "y"), ("ed", "")),
    "g": (("ing", ""),),
    "y": (("ly", ""),),
}


def _stem(word: str) -> str:
    for ending, instead in _ENDINGS.get(word[-1:], ()):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)] + instead
            break
    if len(word) > 3 and word[-1] == word[-2]:
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word[-1] == "e" else word


VAGUE_STEMS = frozenset(map(_stem, VAGUE))


def content_once(text: str) -> frozenset[str]:
    """The `content` of a text that is looked at once: a thought, a persona's."""
    return frozenset().union(*map(_meanings, set(words(text)) - _GRAMMAR))


@kept_with_dialogue
def content(text: str) -> frozenset[str]:
    """The stems of the words that carry meaning, numbers included; checks ask as long as a dialogue goes on."""
    return content_once(text)


@lru_cache(maxsize=16384)
def _meanings(token: str) -> tuple[str, ...]:
    """The stems of a word's parts that carry meaning."""
    bare = [word.partition("'")[0] for word in token.split("-")]
    return tuple(_stem(word) for word in bare if word not in _GRAMMAR and (len(word) > 2 or word.isdigit()))


def definite(text: str) -> frozenset[str]:
    """The stems that name a person, a place, a time, a number, an act or a thing rather than a mood."""
    return content(text) - VAGUE_STEMS


def content_of(texts: Iterable[str]) -> frozenset[str]:
    """The content of several texts."""
    return frozenset().union(*(content(text) for text in texts))


def likeness(one: str, other: str) -> float:
    """Share of the shorter text's content that the other has too, 0 to 1; 0 where one has none."""
    left, right = content(one), content(other)
    return len(left & right) / min(len(left), len(right)) if left and right else 0.0


@lru_cache(maxsize=8)
def _grams_of(length: int) -> Callable[[str], frozenset[int]]:
    """Hashes of a text's word runs: a quarter of their memory, and as good to compare."""

    @lru_cache(maxsize=1024)
    def grams(text: str) -> frozenset[int]:
        return frozenset(map(hash, ngrams(words(text), length)))

    return grams


@lru_cache(maxsize=64)
def _shorter(runs: frozenset[tuple[str, ...]], length: int) -> frozenset[tuple[str, ...]]:
    return frozenset(run[i : i + length] for run in runs for i in range(len(run) - length + 1))


def copied_share(text: str, runs: frozenset[tuple[str, ...]], length: int) -> float:
    """Share of a text's words that lie in runs of ``length`` words taken from the examples, 0 to 1.

    Args:
        text: any text.
        runs: word runs of the examples (see `socialsim.validation.copy_runs`).
        length: words a run has at least; at most that of ``runs``.
    """
    tokens = words(text)
    if not runs or len(tokens) < length:
        return 0.0
    known, covered = _shorter(runs, length), [False] * len(tokens)
    for i in range(len(tokens) - length + 1):
        if tokens[i : i + length] in known:
            covered[i : i + length] = [True] * length
    return sum(covered) / len(tokens)


def shared_run_share(text: str, earlier: Sequence[str], length: int = 5) -> float:
    """Share of a text's runs of ``length`` words that earlier texts have too, 0 to 1."""
    grams = _grams_of(length)
    runs = grams(text)
    return len(runs & joined(grams, tuple(earlier))) / len(runs) if runs else 0.0


def shown(stems: Iterable[str], text: str, most: int = 3) -> str:
    """Up to ``most`` words of a text whose stems are given, in the order of the text, for feedback."""
    wanted, found = set(stems), []
    for token in words(text):
        word = token.partition("'")[0]
        if _stem(word) in wanted and word not in found and word not in _GRAMMAR:
            found.append(word)
    return ", ".join(found[:most])
