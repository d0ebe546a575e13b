"""Signs in a seeker's words: pushing back, agreeing, feeling well. English only, measured and not tuned."""

from __future__ import annotations

import re
from collections.abc import Callable
from statistics import fmean
from typing import Final

from metrics.significance import need
from socialsim.text import sentences

# How pleasant a text is, from -1 to 1.
Valence = Callable[[str], float]

# Signs, not proof: a turn with one of them pushes back, one without may still do so in other words.
_RESISTANCE: Final = re.compile(
    r"""\bbut\b | \bhowever\b | \bwhat\sif\b | \bdoubt\b | \bafraid\b
    | (?:^|[.!?,]\s*)(?:no|nope|nah)\b(?!\s(?:problem|worries))
    | \b(?:do\snot|don'?t)\s(?:really\s)?(?:think|know\sif|see\show|want\sto) | \bnot\s(?:so\s|really\s|too\s)?sure\b
    | \bnot\sreally\b | \btried\s(?:that|this|it|everything|all)\b | \balready\s(?:tried|did|do|done)\b
    | \b(?:does\snot|doesn'?t|did\snot|didn'?t|wo\snot|won'?t|would\snot|wouldn'?t|never)\s(?:really\s|seem\sto\s)?
      (?:help|work)\w*
    | \b(?:cannot|can\snot|can'?t)\b | \b(?:hard|difficult)\sto\b | \b(?:not\sthat|isn'?t\sthat|easier)\s(?:easy|said)\b
    | \bno\spoint\b | \bpointless\b | \buseless\b""",
    re.VERBOSE,
)
_AGREEMENT: Final = re.compile(
    r"""\bthank(?:s|\syou|ful|\su)?\b | \bthx\b | \bappreciate\b | \bgrateful\b
    | \byou(?:'re|\sare|r|re)\s(?:\w+ly\s|so\s)?right\b | \bagreed?\b
    | \b(?:that|this|it)(?:'?s|\sis)\s(?:\w+ly\s|so\s|very\s)?true\b
    | \b(?:good|great|nice|excellent|wonderful|helpful|useful)\s(?:idea|advice|point|suggestion|tip|thought|plan)s?\b
    | \bmakes\s(?!no\b)(?:\w+\s){0,3}sense\b | \bsounds\s(?:like\sa\s)?(?:good|great|nice)\b
    | \bgood\sto\sknow\b
    | \bi(?:'?ll|\swill|\scan)\s(?:\w+ly\s)?(?:try|do|give)\s(?:that|this|it)\b
    | \b(?:that|this|it|you|you'?ve)\s(?:has\s|have\s)?(?:really\s)?help(?:s|ed)\b""",
    re.VERBOSE,
)


def resists(text: str) -> bool:
    """Whether a turn shows a sign of pushing back: "but", "no", "not sure", "tried that", "can't" …"""
    return bool(_RESISTANCE.search(_plain(text)))


def agrees(text: str) -> bool:
    """Whether a turn thanks or agrees. A bare "yes" is an answer, and does not count."""
    return bool(_AGREEMENT.search(_plain(text)))


def vader() -> Valence:
    """Valence by VADER (Hutto and Gilbert 2014), a lexicon with rules for negation and emphasis; English only.

    The mean of the compound scores of a text's sentences, -1 to 1: over a whole text the score grows with length.
    A closing emoji of ours is left out, since other corpora have none.

    Raises:
        UsageError: if the metrics extra is not installed.
    """
    analyser = need("vaderSentiment.vaderSentiment").SentimentIntensityAnalyzer()

    def valence(text: str) -> float:
        return fmean([analyser.polarity_scores(part)["compound"] for part in sentences(text)] or [0.0])

    return valence


def _plain(text: str) -> str:
    return " ".join(text.lower().replace("’", "'").split())
