"""Distinct-1 and Distinct-2: how varied a whole set of replies is (Table 3, D-1 and D-2)."""

from __future__ import annotations

from collections.abc import Sequence

from metrics.scored import ReplyPair, Scored, Unavailable, library, tokens


def distinct(pairs: Sequence[ReplyPair], order: int) -> Scored | Unavailable:
    """Different n-grams in all replies, per hundred n-grams (Li et al. 2016).

    Lower-case 13a tokens; no n-gram spans two replies; an empty reply adds none. Li et al. divide by tokens, which
    for n = 1 is the same; per n-gram is what most code of this field counts. The more replies, the lower the value,
    so only sets of one size and test set may be compared. 0 where no reply is long enough.

    Args:
        pairs: one or more, cleaned; only the replies count.
        order: n, 1 or 2.
    """
    if lacking := library("sacrebleu"):
        return lacking
    grams: list[tuple[str, ...]] = []
    for pair in pairs:
        said = tokens(pair.reply)
        grams += zip(*(said[start:] for start in range(order)), strict=False)
    value = 100 * len(set(grams)) / len(grams) if grams else 0.0
    return Scored(value, None, "13a, lower case, per n-gram over all replies")
