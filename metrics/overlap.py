"""BLEU, ROUGE-L and METEOR of a reply against the gold reply (Table 3, word overlap)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any

from metrics.scored import ReplyPair, Scored, Unavailable, averaged, library, tokens
from metrics.wordnet import synonyms


def bleu(pairs: Sequence[ReplyPair], order: int) -> Scored | Unavailable:
    """Corpus BLEU of n-grams up to `order`, by sacrebleu (B-1, B-2; Papineni et al. 2002).

    Lower case, 13a tokens, one reference. The value pools the counts of all pairs and is not smoothed: it is 0
    where no n-gram of some order is shared. An item is sentence BLEU with sacrebleu's "exp" smoothing (NIST's, method
    3 of Chen and Cherry 2014) and only the orders the reply is long enough for; the items' mean is not the value.

    Args:
        pairs: one or more, cleaned.
        order: 1 or 2.
    """
    if lacking := library("sacrebleu"):
        return lacking
    make = import_module("sacrebleu.metrics").BLEU
    settings: dict[str, Any] = {"lowercase": True, "tokenize": "13a", "max_ngram_order": order, "force": True}
    corpus, single = make(smooth_method="none", **settings), make(effective_order=True, **settings)
    replies, golds = [pair.reply for pair in pairs], [pair.gold for pair in pairs]
    value = corpus.corpus_score(replies, [golds]).score
    items = tuple(
        single.sentence_score(reply, [gold]).score if reply else 0.0 for reply, gold in zip(replies, golds, strict=True)
    )
    version = import_module("sacrebleu").__version__
    return Scored(value, items, f"sacrebleu {version}, corpus level, order {order}, 13a, lower case, no smoothing")


def rouge_l(pairs: Sequence[ReplyPair]) -> Scored | Unavailable:
    """ROUGE-L F1 by rouge-score, mean over pairs (R-L; Lin 2004).

    The library's tokens (runs of a-z and 0-9 in lower case: no punctuation, no emoji), no stemming. A text without
    such a token scores 0.
    """
    if lacking := library("rouge_score"):
        return lacking
    scorer = import_module("rouge_score.rouge_scorer").RougeScorer(["rougeL"], use_stemmer=False)
    items = [100 * float(scorer.score(pair.gold, pair.reply)["rougeL"].fmeasure) for pair in pairs]
    return averaged(items, "rouge-score, F1, no stemming")


def meteor(pairs: Sequence[ReplyPair]) -> Scored | Unavailable:
    """METEOR by NLTK, mean over pairs (Banerjee and Lavie 2005, with the weights of Lavie and Agarwal 2007).

    Lower-case 13a tokens, punctuation included. NLTK aligns equal words, then equal Porter stems, then WordNet
    synonyms, each from the end of the reply; with m matches in c chunks, P = m / words of the reply, R = m / words of
    the gold, the score is (1 - 0.5 (c / m)^3) P R / (0.9 P + 0.1 R). It asks WordNet for the stems of what is left
    ("worri" for "worry"), so synonyms whose stem is no word are not found: that is NLTK's METEOR, kept as it is.
    Without WordNet it is unavailable, since a METEOR without synonyms is another metric.
    """
    if lacking := library("nltk", "sacrebleu"):
        return lacking
    wordnet = synonyms()
    if isinstance(wordnet, Unavailable):
        return wordnet
    score, stemmer = import_module("nltk.translate.meteor_score").single_meteor_score, _Stemmer()
    items = [
        100 * float(score(tokens(pair.gold), tokens(pair.reply), stemmer=stemmer, wordnet=wordnet)) for pair in pairs
    ]
    return averaged(items, "NLTK, alpha 0.9, beta 3, gamma 0.5, Porter stems, WordNet synonyms")


class _Stemmer:
    """NLTK's Porter stemmer, each word stemmed once."""

    def __init__(self) -> None:
        self.stem = lru_cache(maxsize=2**16)(import_module("nltk.stem.porter").PorterStemmer().stem)
