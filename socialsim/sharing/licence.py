"""The licence of what is shared: the user's choice, and never claimed where nobody knows it."""

from __future__ import annotations

import re
from typing import Final

from socialsim.errors import UsageError

UNKNOWN: Final = "unknown"  # the hub's own word for it
_FORM = re.compile(r"[a-z0-9][a-z0-9.+-]*")
_ADVICE: Final = "choose one with --license, such as cc-by-nc-4.0 (the licence of the source posts decides)"


def chosen(asked: str | None, known: str | None) -> str:
    """The licence as the hub spells it: what the user says, else what is known, else ``unknown``.

    Raises:
        UsageError: if it is not of the hub's form.
    """
    if asked is None:
        return known or UNKNOWN
    if not _FORM.fullmatch(licence := asked.strip().lower()):
        raise UsageError(f"--license {asked}: give the hub's id of a licence, such as apache-2.0 or cc-by-nc-4.0")
    return licence


def require(licence: str, public: bool) -> None:
    """Refuse to publish what nobody has chosen a licence for.

    Raises:
        UsageError: if it is to be public and the licence is unknown.
    """
    if public and licence == UNKNOWN:
        raise UsageError(f"--public: no licence is known; {_ADVICE}")
