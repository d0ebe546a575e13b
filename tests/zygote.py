"""A process that has everything imported and forks a child for each command: sessions that start in no time.

with Zygote() as zygote:
    child = zygote.start("run", "--out", folder)
    child.kill(); child.wait()                       # the exit code, negative for a signal
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any, Self

from tests.command import ROOT


class Child:
    """A forked command."""

    def __init__(self, zygote: Zygote, pid: int) -> None:
        self._zygote = zygote
        self._code: int | None = None
        self.pid = pid

    def kill(self) -> None:
        """SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        if self._code is None:
            self._code = int(self._zygote.read())
        return self._code


class Zygote:
    """One child at a time."""

    def __enter__(self) -> Self:
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "tests.zygote"]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen(command, env=env, cwd=ROOT, text=True, **pipes)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def start(self, *arguments: object) -> Child:
        """Start ``socialsim`` with arguments."""
        assert self._process.stdin is not None
        print(json.dumps([str(argument) for argument in arguments]), file=self._process.stdin, flush=True)
        return Child(self, int(self.read()))

    def read(self) -> str:
        """The next line it says."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the zygote died"
        return line


def _serve() -> None:
    import socialsim.cli.session  # noqa: F401
    from socialsim.cli import main

    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.argv = ["socialsim", *json.loads(line)]
            code = 1
            try:
                main()
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
            finally:
                os._exit(code)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    _serve()
