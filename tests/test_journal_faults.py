"""Run files under a kill, a second process, a full disk, a folder that refuses: nothing is lost."""

from __future__ import annotations

import errno
import itertools
import json
import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from socialsim.errors import OutputError
from socialsim.journal import Journal, RunLock, read_records, write_atomically
from socialsim.schema import Scenario
from tests.journals import fill, in_tmpfs, path_of, run, scenario

NOBODY = 65534


# ---------------------------------------------------------------- killed at any moment

WRITER = """
    import os, random, sys
    from socialsim.journal import Journal
    from socialsim.schema import Scenario
    journal = Journal(sys.argv[1], Scenario)
    for n in range(10**9):
        size = random.choice((1, 100, 10_000, 3_000_000))
        name = f"{sys.argv[2]}-{n}"
        journal.append(Scenario(id=name, source="test", description="é" * size))
        os.write(1, f"{name}\\n".encode())
"""


def kill_a_writer(path: Path, log: Path, number: int) -> list[str]:
    """Start a writer, kill it at a random moment of its work, and return the ids it printed."""
    with log.open("w") as out:
        child = run(WRITER, path, number, stdout=out)
        try:
            deadline = time.monotonic() + 30
            while log.stat().st_size == 0 and child.poll() is None and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(random.uniform(0, 0.1))
        finally:
            child.send_signal(signal.SIGKILL)
            assert child.wait() == -signal.SIGKILL
    return log.read_text().splitlines()


@pytest.mark.timeout(120)
def test_killed_ten_times_nothing_printed_is_lost_or_repeated(tmp_path: Path) -> None:
    path, printed = path_of(tmp_path), []
    for number in range(10):
        printed += kill_a_writer(path, tmp_path / "printed", number)
        names = [record.id for record in read_records(path, Scenario)]
        assert len(names) == len(set(names))
        assert set(printed) <= set(names)
        assert len(names) - len(printed) <= number + 1  # at most one a kill was written and not yet printed
    with Journal(path, Scenario) as journal:
        assert set(printed) <= journal.ids
        assert path.read_bytes().endswith(b"\n")
    assert len(printed) >= 10


# ---------------------------------------------------------------- one writer

HOLDER = """
    import sys, time
    from socialsim.journal import RunLock
    lock = RunLock(sys.argv[1])
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_until_the_first_dies(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    child = run(HOLDER, folder, stdout=subprocess.PIPE)
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "held\n"
        with pytest.raises(OutputError, match=f"^{folder} is in use by process {child.pid}; wait"):
            RunLock(folder)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    with RunLock(folder):
        assert (folder / ".lock").read_text() == f"{os.getpid()}\n"
        with pytest.raises(OutputError, match=f"process {os.getpid()}"):
            RunLock(folder)
    lock = RunLock(folder)
    lock.close()
    lock.close()


def test_a_child_process_does_not_inherit_the_lock(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    child = subprocess.Popen(["sleep", "30"], close_fds=False)
    try:
        lock.close()
        RunLock(tmp_path).close()
    finally:
        child.kill()
        child.wait()


def test_a_disk_that_cannot_lock_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("socialsim.journal.fcntl.flock", refuse)
    with pytest.raises(OutputError, match="No locks available"):
        RunLock(tmp_path)


# ---------------------------------------------------------------- full disks


def failing_write(takes: Iterator[int | OSError]) -> Callable[[int, bytes], int]:
    """An os.write that takes so many bytes a call, or fails."""
    write = os.write

    def fake(fd: int, data: bytes) -> int:
        step = next(takes)
        if isinstance(step, OSError):
            raise step
        return write(fd, data[:step])

    return fake


FULL = OSError(errno.ENOSPC, "No space left on device")


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal(path_of(tmp_path), Scenario) as journal, monkeypatch.context() as patch:
        patch.setattr(os, "write", failing_write(itertools.repeat(1)))
        journal.append(scenario("é", "失恋"))
    assert list(read_records(path_of(tmp_path), Scenario)) == [scenario("é", "失恋")]


def test_a_record_is_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal(path_of(tmp_path), Scenario) as journal, monkeypatch.context() as patch:
        patch.setattr(os, "write", failing_write(iter([10**9])))
        journal.append(scenario("a", "x" * 1_000_000))
    assert len(list(read_records(path_of(tmp_path), Scenario))) == 1


@pytest.mark.parametrize("takes", [[FULL], [7, FULL], [7, 1, FULL], [7, KeyboardInterrupt()]])
def test_a_full_disk_leaves_whole_lines_and_the_journal_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, takes: list[int | OSError]
) -> None:
    path = path_of(tmp_path)
    fill(path, "a")
    before = path.read_bytes()
    with Journal(path, Scenario) as journal:
        with monkeypatch.context() as patch:
            if isinstance(takes[-1], KeyboardInterrupt):
                patch.setattr(os, "write", interrupted_write(takes[0]))
                with pytest.raises(KeyboardInterrupt):
                    journal.append(scenario("b"))
            else:
                patch.setattr(os, "write", failing_write(iter(takes)))
                with pytest.raises(OutputError) as caught:
                    journal.append(scenario("b"))
                assert str(caught.value).startswith(f"{path}: No space left on device; make room")
        assert path.read_bytes() == before
        assert "b" not in journal
        journal.append(scenario("b"))
    assert [r.id for r in read_records(path, Scenario)] == ["a", "b"]


def interrupted_write(size: int | OSError) -> Callable[[int, bytes], int]:
    """An os.write after which Ctrl-C arrives."""
    write = os.write

    def fake(fd: int, data: bytes) -> int:
        write(fd, data[: int(size)])  # type: ignore[arg-type]
        raise KeyboardInterrupt

    return fake


def test_nothing_is_written_after_half_a_line_that_cannot_be_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of(tmp_path)

    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with Journal(path, Scenario) as journal:
        journal.append(scenario("a"))
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", failing_write(iter([9, FULL])))
            patch.setattr(os, "ftruncate", broken)
            with pytest.raises(OutputError, match="No space left"):
                journal.append(scenario("b"))
        with pytest.raises(ValueError, match="closed"):
            journal.append(scenario("c"))
    fill(path, "b")
    assert [r.id for r in read_records(path, Scenario)] == ["a", "b"]


# Appends until the disk refuses, checks the file, and that the manifest and a second opening survive.
FILLER = """
    import sys
    from pathlib import Path
    from socialsim.errors import OutputError
    from socialsim.journal import Journal, read_records, write_atomically
    from socialsim.schema import Scenario
    folder = Path(sys.argv[1])
    path, manifest, done = folder / "scenarios.jsonl", folder / "manifest.json", []
    write_atomically(manifest, "old")
    with Journal(path, Scenario) as journal:
        try:
            for n in range(1000):
                journal.append(Scenario(id=f"s{n}", source="test", description="x" * 1500))
                done.append(f"s{n}")
        except OutputError as error:
            print(error)
    assert 10 < len(done) < 1000, len(done)
    assert path.read_bytes().endswith(b"\\n")
    assert [r.id for r in read_records(path, Scenario)] == done
    assert list(Journal(path, Scenario).ids) == done
    try:
        write_atomically(manifest, "new" * 100_000)
    except OutputError as error:
        print(error)
    assert manifest.read_text() == "old"
    assert sorted(p.name for p in folder.iterdir()) == ["manifest.json", "scenarios.jsonl"]
"""


def test_a_real_file_size_limit(tmp_path: Path) -> None:
    limit = 100_001
    child = run(
        FILLER,
        tmp_path,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    out = child.communicate(timeout=60)[0].splitlines()
    assert child.returncode == 0
    assert out[0].startswith(f"{path_of(tmp_path)}: File too large; make room")
    assert len(out) == 2
    assert out[1].startswith(f"{tmp_path / 'manifest.json'}: File too large")


def test_a_real_full_disk(tmp_path: Path) -> None:
    code, out = in_tmpfs(tmp_path, "size=128k", FILLER)
    lines = out.splitlines()
    assert code == 0
    assert len(lines) == 2
    assert lines[0].startswith(f"{path_of(tmp_path)}: No space left on device; make room")


def test_a_real_read_only_disk(tmp_path: Path) -> None:
    code, out = in_tmpfs(
        tmp_path,
        "ro",
        """
        import sys
        from pathlib import Path
        from socialsim.errors import OutputError
        from socialsim.journal import Journal, RunLock, write_atomically
        from socialsim.schema import Scenario
        folder = Path(sys.argv[1])
        for act in (lambda: Journal(folder / "r" / "s.jsonl", Scenario), lambda: Journal(folder / "s.jsonl", Scenario),
                    lambda: RunLock(folder), lambda: write_atomically(folder / "manifest.json", "x")):
            try:
                act()
            except OutputError as error:
                print(error)
        """,
    )
    reason = "Read-only file system; choose a folder you may write to"
    names = ["r", "s.jsonl", ".lock", "manifest.json"]
    assert code == 0
    assert out.splitlines() == [f"{tmp_path / name}: {reason}" for name in names]


# ---------------------------------------------------------------- folders that refuse


@pytest.fixture
def forbidden(tmp_path: Path) -> Iterator[Path]:
    """A folder this user may not write to; root becomes nobody for the test."""
    tmp_path.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    yield tmp_path
    if root:
        os.seteuid(0)
    tmp_path.chmod(0o755)


Act = Callable[[Path], object]
ACTS: list[Act] = [
    lambda folder: Journal(path_of(folder), Scenario),
    lambda folder: RunLock(folder),
    lambda folder: write_atomically(folder / "manifest.json", "{}"),
]


@pytest.mark.parametrize("act", ACTS, ids=["journal", "lock", "manifest"])
def test_a_folder_without_permission(forbidden: Path, act: Act) -> None:
    with pytest.raises(OutputError, match="Permission denied; choose a folder you may write to") as caught:
        act(forbidden)
    assert str(forbidden) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("act", ACTS, ids=["journal", "lock", "manifest"])
def test_a_file_where_the_folder_should_be(tmp_path: Path, act: Act) -> None:
    folder = tmp_path / "run"
    folder.write_text("mine")
    with pytest.raises(OutputError, match=f"^{folder}[^\n]*something is in the way; choose another path$"):
        act(folder)
    assert folder.read_text() == "mine"


@pytest.mark.parametrize("kind", ["folder", "device", "pipe"])
def test_what_is_no_regular_file_is_refused_and_not_read(tmp_path: Path, kind: str) -> None:
    path = path_of(tmp_path)
    if kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/full")
    else:
        os.mkfifo(path)
    with pytest.raises(OutputError, match="not a regular file"):
        Journal(path, Scenario)


# ---------------------------------------------------------------- manifest.json


def test_a_small_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    write_atomically(path, json.dumps({"text": "é"}, ensure_ascii=False))
    write_atomically(str(path), "{}\n")
    assert path.read_text("utf-8") == "{}\n"
    assert list(tmp_path.iterdir()) == [path]
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask  # not mkstemp's private 0600


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_replacement_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "manifest.json"
    write_atomically(path, "old")

    def refuse(*_: object) -> None:
        raise FULL

    with monkeypatch.context() as patch:
        patch.setattr(os, step, refuse)
        with pytest.raises(OutputError, match=f"^{path}: No space left on device; make room"):
            write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_manifest_in_a_missing_folder_or_over_a_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file or directory"):
        write_atomically(tmp_path / "none" / "manifest.json", "{}")
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError, match=f"^{tmp_path / 'taken'}: Is a directory; something is in the way"):
        write_atomically(tmp_path / "taken", "{}")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]
