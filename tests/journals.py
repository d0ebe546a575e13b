"""What tests of files share: records, a second process, a small disk."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from socialsim.journal import Journal
from socialsim.schema import Scenario


def scenario(name: str = "s1", text: str = "I cannot sleep.") -> Scenario:
    return Scenario(id=name, source="test", description=text)


def path_of(folder: Path) -> Path:
    return folder / "scenarios.jsonl"


def fill(path: Path, *names: str) -> None:
    with Journal(path, Scenario) as journal:
        for name in names:
            journal.append(scenario(name))


def run(code: str, *args: object, **kwargs: Any) -> subprocess.Popen[str]:
    """A second process with the same import path."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
    return subprocess.Popen(command, env=env, text=True, **kwargs)


def in_tmpfs(folder: Path, options: str, code: str) -> tuple[int, str]:
    """Run code on a small disk of its own, mounted for that process alone."""
    mount = f"mount -t tmpfs -o {options} none '{folder}'"
    unshare = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    try:
        tried = subprocess.run([*unshare, mount], check=False, capture_output=True, timeout=20)
        possible = tried.returncode == 0
    except FileNotFoundError:
        possible = False
    if not possible:
        pytest.skip("cannot mount a tmpfs in a namespace of its own here")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    script = f'{mount} && exec "$0" -c "$1" "{folder}"'
    command = [*unshare, script, sys.executable, textwrap.dedent(code)]
    done = subprocess.run(command, check=False, env=env, text=True, capture_output=True, timeout=60)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout
