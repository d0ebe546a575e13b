"""As many files as items in flight need, or a word on how many may be."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator

import pytest

from socialsim.errors import UsageError
from socialsim.openfiles import OTHERS, require_files_for, room_for

LIMIT = resource.RLIMIT_NOFILE


@pytest.fixture(autouse=True)
def few() -> Iterator[None]:
    """256 for this process, as macOS has it; it may have more."""
    soft, hard = resource.getrlimit(LIMIT)
    resource.setrlimit(LIMIT, (256, hard))
    yield
    resource.setrlimit(LIMIT, (soft, hard))


def test_the_limit_is_raised_to_what_is_needed_and_no_further() -> None:
    assert room_for(512, each=2) == 512
    assert resource.getrlimit(LIMIT)[0] == 2 * 512 + OTHERS
    assert room_for(10, each=2) == 10
    assert resource.getrlimit(LIMIT)[0] == 2 * 512 + OTHERS


def test_an_item_has_a_connection_to_each_remote_lm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    for lms, most in ((0, 192), (1, 96), (2, 64)):
        require_files_for(most, lms)
        with pytest.raises(UsageError, match=f"give --concurrency {most}$"):
            require_files_for(most + 1, lms)


def test_processes_share_the_items_and_each_has_its_own_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    require_files_for(192, lms=1, workers=2)
    with pytest.raises(UsageError, match=r"a process may open 256 files, enough for 192 at.*--concurrency 192$"):
        require_files_for(193, lms=1, workers=2)


def test_a_system_that_names_a_limit_it_does_not_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [256]

    def set_limit(_: int, limits: tuple[int, int]) -> None:
        if limits[0] > 10_240:  # as macOS
            raise ValueError("current limit exceeds maximum limit")
        now[0] = limits[0]

    monkeypatch.setattr(resource, "getrlimit", lambda _: (now[0], resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", set_limit)
    assert room_for(20_000, each=1) == 10_240 - OTHERS
    assert now == [10_240]
    with pytest.raises(UsageError, match="--concurrency 8000: a process may open 10240 files, enough for 5088 at"):
        require_files_for(8000, lms=1)


def test_what_is_not_allowed_is_said_before_anything_begins() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 300))\n"
        "import sys; sys.argv[1:] = 'run --lm http://h:1/v1#m --concurrency 512 --out /nowhere/r'.split()\n"
        "from socialsim.cli import main; main()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == (
        "socialsim: --concurrency 512: a process may open 300 files, enough for 118 at once; "
        "raise the limit (ulimit -n 1088) or give --concurrency 118\n"
    )
