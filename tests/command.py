"""The `socialsim` command as tests call it, in this process or in one of its own."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from socialsim.cli import main
from socialsim.journal import read_records
from socialsim.runfolder import FILES, Manifest

ROOT = Path(__file__).parents[1]


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def problem(self) -> str:
        """The one line of a command that failed, without its name."""
        assert self.code != 0, self.out
        assert self.err.startswith("socialsim: "), self.err
        assert self.err.count("\n") == 1, self.err
        return self.err.removeprefix("socialsim: ").rstrip()


def socialsim(*arguments: object) -> Ended:
    """Run the command in this process."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with patch("sys.argv", ["socialsim", *map(str, arguments)]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Ended(code, out.getvalue(), err.getvalue())


def interruptible() -> None:
    """In a child: take Ctrl-C, which a shell lets its background jobs ignore, and they their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Start the command in a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    command = [sys.executable, "-m", "socialsim", *map(str, arguments)]
    return subprocess.Popen(command, env=env, text=True, preexec_fn=interruptible, **streams)


def wait_for(condition: Callable[[], bool], child: subprocess.Popen[str]) -> None:
    """Wait until something holds while a command goes on."""
    deadline = time.monotonic() + 60
    while not condition():
        assert child.poll() is None, "ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.005)


def manifest_of(run: Path) -> Manifest:
    """A run's manifest."""
    return Manifest.model_validate_json((run / "manifest.json").read_bytes())


def ids(run: Path, name: str) -> list[str]:
    """The ids in a run's file, in order; each line must be valid."""
    return [record.id for record in read_records(run / f"{name}.jsonl", FILES[name])]


def assert_whole(run: Path) -> None:
    """Every file of a run is valid to the last byte, and nothing is in it twice or ended in two ways."""
    for name in FILES:
        assert (run / f"{name}.jsonl").read_bytes()[-1:] in (b"", b"\n")
        assert len(ids(run, name)) == len(set(ids(run, name)))
    assert not set(ids(run, "dialogues")) & set(ids(run, "rejected"))
    manifest = manifest_of(run)
    assert manifest.counts == {name: len(ids(run, name)) for name in FILES}
