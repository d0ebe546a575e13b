"""Who may write the answers of unfinished items beside a run's own process: its workers, no earlier session's.

A worker holds the lock of its place for as long as it lives, and the kernel gives the lock back when it dies: where
a worker is believed dead and still runs, the next one at its place waits. A session makes a token; a worker of an
earlier session, late to its place, finds another token there and gives up.
"""

from __future__ import annotations

import shutil
import time
import uuid
from pathlib import Path
from typing import Final

from socialsim.errors import ClusterError, OutputError
from socialsim.journal import LOCK, RunLock, write_atomically
from socialsim.kept import FOLDER

_TOKEN: Final = "session"
_WAIT: Final = 60.0  # seconds for a process to die, or for its machine to be given up
_SEEN_WITHIN: Final = 10.0  # seconds until a network file system shows what another machine wrote


def dismiss(run: Path) -> None:
    """Wait until a session's workers are gone, leave nothing of them, let no late one begin. Hold the run's lock.

    Raises:
        OutputError: if one does not end.
    """
    (run / FOLDER / _TOKEN).unlink(missing_ok=True)
    for place in sorted((run / FOLDER).glob("worker-*")):
        RunLock(place, wait=_WAIT).close()
        shutil.rmtree(place, ignore_errors=True)


def appoint(run: Path) -> str:
    """Begin a session with workers; they show its token at their places."""
    token = uuid.uuid4().hex
    (run / FOLDER).mkdir(exist_ok=True)
    write_atomically(run / FOLDER / _TOKEN, token)
    return token


def take_place(run: Path, place: int, token: str, node: str) -> RunLock:
    """In a worker: the right to write answers, until its process ends.

    Raises:
        ClusterError: if the folder is not the run's own, or locks on it are not seen by other machines.
        OutputError: if the one before does not end.
    """
    shared = f"{run} on {node}"
    advice = "give --out a folder on a file system that all machines of the cluster share"
    if not _appears(run / LOCK, ""):
        raise ClusterError(f"{shared} is not there; {advice}")
    held = RunLock(run / FOLDER / f"worker-{place}", wait=_WAIT)
    if not _appears(run / FOLDER / _TOKEN, token):
        held.close()
        raise ClusterError(f"{shared} is another folder, or its run has ended; {advice}")
    if not _locked(run):
        held.close()
        raise ClusterError(f"{shared}: locks of other machines are not seen there; mount it with locking")
    return held


def _appears(file: Path, text: str) -> bool:
    """Whether a file is there, or comes soon, and begins with a text."""
    until = time.monotonic() + _SEEN_WITHIN
    while True:
        try:
            if file.read_text().startswith(text):
                return True
        except OSError:
            pass
        if time.monotonic() >= until:
            return False
        time.sleep(0.1)


def _locked(run: Path) -> bool:
    """Whether the run's own process is seen to hold its lock."""
    try:
        RunLock(run).close()
    except OutputError:
        return True
    return False
