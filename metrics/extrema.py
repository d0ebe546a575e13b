"""Vector extrema: how alike the strongest words of reply and gold are (Table 3, "Extrema")."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from metrics.scored import ReplyPair, Scored, Unavailable, averaged, library, tokens
from metrics.vectors import word_vectors

NO_VECTORS: Final = Unavailable(
    "no word vectors are given",
    "give a text file of word2vec or GloVe with --vectors, such as glove.6B.300d.txt of "
    "https://nlp.stanford.edu/data/glove.6B.zip",
)


def extrema(pairs: Sequence[ReplyPair], vectors: Path | None) -> Scored | Unavailable:
    """Cosine of the extreme vectors of reply and gold, mean over pairs (Forgues et al. 2014; Liu et al. 2016).

    A text's vector takes, in each dimension, the greatest value among its words if that is farther from 0 than the
    least, else the least. Words are the lower-case 13a tokens with a letter or digit in them; one without a vector
    is tried in Treebank parts ("don't": "do", "n't"), as GloVe has contractions. Words without any are passed over.
    An empty reply scores 0; where gold or a reply that is not empty has no word with a vector, the cosine is
    undefined and the pair left out.

    Args:
        pairs: one or more, cleaned.
        vectors: see `metrics.vectors`; the score depends on which they are.

    Raises:
        InputError: if the file is not one of word vectors.
    """
    if lacking := library("numpy", "sacrebleu", "gensim", "nltk"):
        return lacking
    if vectors is None:
        return NO_VECTORS
    found = word_vectors(vectors)
    texts = {text for pair in pairs for text in (pair.reply, pair.gold)}
    known = found(word for text in texts for word in _candidates(text))
    extreme = {text: _extreme(_vectors(text, known)) for text in texts}
    items = [_similarity(pair, extreme.__getitem__) for pair in pairs]
    if all(item is None for item in items):
        return Unavailable(f"no pair has a word with a vector in {vectors}", "give --vectors of the replies' language")
    return averaged(items, f"{vectors.name}, {found.dimensions} dimensions")


def _candidates(text: str) -> Iterable[str]:
    for word in _words(text):
        yield word
        yield from _parts(word)


def _words(text: str) -> list[str]:
    return [token for token in tokens(text) if any(character.isalnum() for character in token)]


@lru_cache(maxsize=2**14)
def _parts(word: str) -> tuple[str, ...]:
    """A contraction's parts as the Penn Treebank splits it; the word alone if it is none."""
    return tuple(_treebank().tokenize(word)) if "'" in word else (word,)


@lru_cache(maxsize=1)
def _treebank() -> Any:
    return import_module("nltk.tokenize").NLTKWordTokenizer()


def _vectors(text: str, known: Mapping[str, Any]) -> list[Any]:
    found = []
    for word in _words(text):
        found += [known[part] for part in ((word,) if word in known else _parts(word)) if part in known]
    return found


def _extreme(vectors: list[Any]) -> Any | None:
    """The extreme of each dimension, shape (dimensions,); None without vectors."""
    if not vectors:
        return None
    numpy = import_module("numpy")
    stacked = numpy.asarray(vectors, dtype=float)
    most, least = stacked.max(axis=0), stacked.min(axis=0)
    return numpy.where(most > abs(least), most, least)


def _similarity(pair: ReplyPair, extreme: Callable[[str], Any | None]) -> float | None:
    gold, reply = extreme(pair.gold), extreme(pair.reply)
    if gold is None or (reply is None and pair.reply):
        return None
    if reply is None:
        return 0.0
    length = float((gold @ gold) ** 0.5 * (reply @ reply) ** 0.5)
    # A length of 0 takes all-zero vectors, which have no direction.
    return max(-100.0, min(100.0, 100 * float(gold @ reply) / length)) if length else None
