"""Does a quote stand in a text? An LM's evidence counts only if it does."""

from __future__ import annotations

import re

from rapidfuzz import fuzz

from socialsim.text import is_chinese

_NEAR_SAME = 90.0  # rapidfuzz partial ratio (0-100) from which a quote counts as copied
_FUZZY_FROM = 12  # characters; a shorter quote resembles something in any utterance
_ELLIPSIS = re.compile(r"\[?(?:\.{3,}|…)\]?")
_PLAIN = str.maketrans({"’": "'", "‘": "'", "`": "'", "“": '"', "”": '"', "–": "-", "—": "-"})
_LABEL = re.compile(r"^\W*(?:\d+\W+)?(?:seeker|supporter)\s*:\s*")


def occurs(quote: str, text: str) -> bool:
    """Whether a quote stands in a text: whole words, whatever case, blanks and quotation marks.

    A slip in a long quote is forgiven. What an ellipsis joins must all stand in the text; a
    speaker's label or an utterance's number before the quote is ignored.
    """
    said = _plain(_ELLIPSIS.sub(" ", text))
    bare = _LABEL.sub("", quote.translate(_PLAIN).casefold())
    parts = [part for part in map(_plain, _ELLIPSIS.split(bare)) if part]
    return bool(parts) and all(_stands(part, said) for part in parts)


def _plain(text: str) -> str:
    return " ".join(text.translate(_PLAIN).casefold().split()).strip("\"' .,;:!?")


def _stands(part: str, said: str) -> bool:
    if not re.search(r"\w", part):
        return False
    if (is_chinese(part) and part in said) or re.search(rf"(?<!\w){re.escape(part)}(?!\w)", said):
        return True
    # The partial ratio asks whether the shorter is in the longer: a quote with words added must not pass for one.
    fits = _FUZZY_FROM <= len(part) <= len(said) * 100 / _NEAR_SAME
    return fits and fuzz.partial_ratio(part, said) >= _NEAR_SAME
