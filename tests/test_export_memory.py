"""A corpus of any size is exported in the memory of a few dialogues."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import review_runs

PROBE = """
import re
from pathlib import Path
from socialsim.cli import main
try:
    main()
finally:
    print(re.search("VmHWM: *([0-9]+)", Path("/proc/self/status").read_text().replace("\\t", " "))[1])
"""


def peak(run: Path, format: str) -> float:
    """MB at most."""
    command = [sys.executable, "-c", PROBE, "export", str(run), "--format", format, "--out", str(run / format)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(ended.stdout.split()[-1]) / 1024


@pytest.mark.parametrize("format", ["ssconv", "jsonl"])
def test_more_dialogues_need_no_more_memory(tmp_path: Path, format: str) -> None:
    few, many = review_runs.run(tmp_path / "few", 20), review_runs.run(tmp_path / "many", 2000)
    assert peak(many, format) < peak(few, format) + 10  # collected first, they need 70 to 110 more
