"""How many files and connections a process may open: many systems begin at 256 or 1,024 and allow far more."""

from __future__ import annotations

import math
import resource
from typing import Final

from socialsim.errors import UsageError

OTHERS: Final = 64  # journals, what Python opens, connections that are closing: some 15 were seen
_MAC: Final = 10_240  # macOS allows no process more, whatever the limit it names


def room_for(wanted: int, each: int) -> int:
    """Let a process open as much as some items in flight need, as far as its system allows.

    Args:
        wanted: items in flight.
        each: files and connections an item needs.

    Returns:
        How many items may be in flight, 1 to ``wanted``.
    """
    return max(min(wanted, (_raised(wanted * each + OTHERS) - OTHERS) // each), 1)


def files_of_item(lms: int) -> int:
    """Files that an item in flight has open: its answers, and a connection to each remote LM that it asks."""
    return 1 + lms


def require_files_for(concurrency: int, lms: int, workers: int = 1) -> None:
    """Let a run have its items in flight.

    Args:
        concurrency: items in flight.
        lms: remote LMs that each of them asks.
        workers: processes that share the items; each may open as many files as one.

    Raises:
        UsageError: if the system does not allow as many.
    """
    each, share = files_of_item(lms), math.ceil(concurrency / workers)
    if (most := room_for(share, each)) < share:
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        raise UsageError(
            f"--concurrency {concurrency}: a process may open {files} files, enough for {most * workers} at once; "
            f"raise the limit (ulimit -n {each * share + OTHERS}) or give --concurrency {most * workers}"
        )


def _raised(files: int) -> int:
    """The limit, raised to ``files`` where it is lower and may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= files:
        return files
    most = files if hard == resource.RLIM_INFINITY else min(files, hard)
    for limit in (most, min(most, _MAC)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(limit, soft), hard))
        except (OSError, ValueError):
            continue
        return max(limit, soft)
    return soft
