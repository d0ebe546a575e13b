"""Run files: nothing lost to a kill, a cut or a full disk, and every record read back as it was."""

from __future__ import annotations

import errno
import itertools
import json
import logging
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from socialsim.errors import InputError, OutputError
from socialsim.journal import Journal, RunLock, read_records, write_atomically
from socialsim.schema import Original, Record, Rejection, Scenario, Usage

NOBODY = 65534
LINE_BREAKERS = "a\nb\r\nc\x0bd\x0ce\x1cf\x1dg\x1eh\x85i\u2028j\u2029k\x00l"


def scenario(name: str = "s1", text: str = "I cannot sleep.") -> Scenario:
    return Scenario(id=name, source="test", description=text)


def path_of(folder: Path) -> Path:
    return folder / "scenarios.jsonl"


def fill(path: Path, *names: str) -> None:
    with Journal(path, Scenario) as journal:
        for name in names:
            journal.append(scenario(name))


def run(code: str, *args: object, **kwargs: object) -> subprocess.Popen[str]:
    """A second process with the same import path."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
    return subprocess.Popen(command, env=env, text=True, **kwargs)  # type: ignore[call-overload,no-any-return]


# ---------------------------------------------------------------- append, read, resume


def test_creates_what_is_missing_and_resumes_by_id(tmp_path: Path) -> None:
    path = path_of(tmp_path / "new" / "run")
    with Journal(str(path), Scenario) as journal:
        assert len(journal) == 0
        assert list(journal) == []
        assert path.read_bytes() == b""
        journal.append(scenario("b"))
        journal.append(scenario("a"))
    with Journal(path, Scenario) as journal:
        assert list(journal.ids) == ["b", "a"]
        assert "a" in journal
        assert "c" not in journal
        assert len(journal) == 2
        assert journal.ids & {"a", "c"} == {"a"}
        assert {"a", "c"} - journal.ids == {"c"}
        assert list(journal.records()) == list(journal) == [scenario("b"), scenario("a")]


def test_a_record_is_readable_by_others_as_soon_as_append_returns(tmp_path: Path) -> None:
    with Journal(path_of(tmp_path), Scenario) as journal:
        journal.append(scenario("a"))
        assert [r.id for r in read_records(path_of(tmp_path), Scenario)] == ["a"]


def test_an_id_that_is_there_is_refused_also_after_reopening(tmp_path: Path) -> None:
    path = path_of(tmp_path)
    fill(path, "a")
    before = path.read_bytes()
    with Journal(path, Scenario) as journal, pytest.raises(ValueError, match="'a' is already there"):
        journal.append(scenario("a", "other"))
    assert path.read_bytes() == before


def test_closed_is_closed_and_closing_twice_is_fine(tmp_path: Path) -> None:
    journal = Journal(path_of(tmp_path), Scenario)
    journal.close()
    journal.close()
    with pytest.raises(ValueError, match="closed"):
        journal.append(scenario())
    assert path_of(tmp_path).read_bytes() == b""


def test_lines_are_small_and_text_stays_readable(tmp_path: Path) -> None:
    with Journal(path_of(tmp_path), Scenario) as journal:
        journal.append(scenario("é", "失恋了 😀"))
    assert path_of(tmp_path).read_text("utf-8") == '{"id":"é","source":"test","description":"失恋了 😀"}\n'


def test_characters_that_break_lines_elsewhere_do_not_here(tmp_path: Path) -> None:
    with Journal(path_of(tmp_path), Scenario) as journal:
        journal.append(scenario("a" + LINE_BREAKERS + "z", LINE_BREAKERS))
        journal.append(scenario("b"))
    assert path_of(tmp_path).read_bytes().count(b"\n") == 2
    with Journal(path_of(tmp_path), Scenario) as journal:
        assert list(journal) == [scenario("a" + LINE_BREAKERS + "z", LINE_BREAKERS), scenario("b")]


@pytest.mark.parametrize("seconds", [float("inf"), float("nan")])
def test_a_record_that_would_not_read_back_is_refused_before_it_is_written(tmp_path: Path, seconds: float) -> None:
    with Journal(path_of(tmp_path), Rejection) as journal, pytest.raises(ValueError):
        journal.append(Rejection(id="a", stage="intake", reason="r", usage=Usage(seconds=seconds)))
    assert path_of(tmp_path).read_bytes() == b""


def test_a_record_changed_without_validation_is_refused(tmp_path: Path) -> None:
    with Journal(path_of(tmp_path), Scenario) as journal:
        with pytest.raises(ValueError, match="would not read back"):
            journal.append(scenario().model_copy(update={"description": " padded "}))
        with pytest.raises(ValidationError):
            journal.append(scenario().model_copy(update={"description": ""}))
        assert "s1" not in journal


def test_threads_racing_for_the_same_ids_write_each_once(tmp_path: Path) -> None:
    refused: list[str] = []

    def work(journal: Journal[Scenario]) -> None:
        for n in range(100):
            try:
                journal.append(scenario(f"s{n}", "x" * 5000))
            except ValueError:
                refused.append(f"s{n}")

    with Journal(path_of(tmp_path), Scenario) as journal:
        threads = [threading.Thread(target=work, args=(journal,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(refused) == 700
    assert sorted(r.id for r in read_records(path_of(tmp_path), Scenario)) == sorted(f"s{n}" for n in range(100))


def test_opening_and_streaming_keep_memory_flat(tmp_path: Path) -> None:
    path = path_of(tmp_path)
    with Journal(path, Scenario) as journal:
        for n in range(1000):
            journal.append(scenario(f"s{n}", "word " * 2000))
    assert path.stat().st_size > 9_000_000
    tracemalloc.start()
    try:
        with Journal(path, Scenario) as journal:
            assert sum(1 for _ in journal) == len(journal) == 1000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


# ---------------------------------------------------------------- properties

texts = st.text(max_size=60).map(lambda text: f"·{text}·")  # closed: the schema strips spaces
scenarios = st.builds(
    Scenario,
    id=texts,
    source=texts,
    description=texts,
    question=st.text(),
    keywords=st.lists(st.text(), max_size=3).map(tuple),
    emotion=st.none() | st.text(),
    language=st.text(),
    original=st.none() | st.builds(Original, language=st.text(), question=st.text(), description=st.text()),
)
runs = st.lists(scenarios, max_size=8, unique_by=lambda record: record.id)


def _table() -> dict[str, float | None]:
    return {"k": 1.0}


class Awkward(Record):
    """Every kind of default that leaving out None would get wrong."""

    id: str
    nullable: int | None = 3
    table: dict[str, float | None] = Field(default_factory=_table)
    nested: Usage = Usage(calls=2, cost=1.5)
    listed: tuple[int | None, ...] = (1,)


finite = st.floats(allow_nan=False, allow_infinity=False)
awkward = st.builds(
    Awkward,
    id=st.text(),
    nullable=st.none() | st.integers(),
    table=st.dictionaries(st.text(), st.none() | finite, max_size=3) | st.just({"k": 1.0}),
    nested=st.builds(Usage, calls=st.integers(0, 3), cost=st.none() | finite, seconds=finite) | st.just(Usage()),
    listed=st.lists(st.none() | st.integers(0, 2), max_size=2).map(tuple),
)


@given(runs)
def test_any_records_round_trip(records: list[Scenario]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = path_of(Path(folder))
        for record in records:
            with Journal(path, Scenario) as journal:
                journal.append(record)
        with Journal(path, Scenario) as journal:
            assert list(journal) == records
            assert list(journal.ids) == [record.id for record in records]
        assert path.read_bytes().count(b"\n") == len(records) if records else True


@given(st.lists(awkward, max_size=5, unique_by=lambda record: record.id))
def test_any_defaults_round_trip(records: list[Awkward]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "awkward.jsonl"
        with Journal(path, Awkward) as journal:
            for record in records:
                journal.append(record)
        assert [r.model_dump() for r in read_records(path, Awkward)] == [r.model_dump() for r in records]


def test_leaving_out_none_instead_of_defaults_would_lose_values() -> None:
    record = Awkward(id="a", nullable=None, table={"x": None})
    assert Awkward.model_validate_json(record.model_dump_json(exclude_none=True)) != record


def cut_and_resume(path: Path, records: list[Scenario], whole: bytes, offset: int) -> None:
    """Truncate to ``offset`` bytes, read, reopen, append what is missing, and check it all."""
    spare = path.with_name(path.name + ".torn")
    spare.unlink(missing_ok=True)
    path.write_bytes(whole[:offset])
    kept = whole[:offset].count(b"\n")
    tail = whole[:offset].rpartition(b"\n")[2]
    complete = bool(tail) and whole[offset : offset + 1] == b"\n"
    assert list(read_records(path, Scenario)) == records[: kept + complete]
    assert path.read_bytes() == whole[:offset]
    assert not spare.exists()
    with Journal(path, Scenario) as journal:
        assert list(journal) == records[: kept + complete]
        for record in records:
            if record.id not in journal:
                journal.append(record)
        assert list(journal) == records
    assert path.read_bytes() == whole
    assert (spare.read_bytes() if spare.exists() else b"") == (tail + b"\n" if tail and not complete else b"")


@given(runs.filter(bool), st.data())
@settings(deadline=None)
def test_a_cut_anywhere_loses_no_whole_line_and_repeats_none(records: list[Scenario], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = path_of(Path(folder))
        with Journal(path, Scenario) as journal:
            for record in records:
                journal.append(record)
        whole = path.read_bytes()
        cut_and_resume(path, records, whole, data.draw(st.integers(0, len(whole)), label="offset"))


def test_every_cut_of_one_file(tmp_path: Path) -> None:
    path = path_of(tmp_path)
    records = [scenario("é1", LINE_BREAKERS), scenario("é2", '{}"\\{"id":"x"}'), scenario("é3", "😀")]
    with Journal(path, Scenario) as journal:
        for record in records:
            journal.append(record)
    whole = path.read_bytes()
    for offset in range(len(whole) + 1):
        cut_and_resume(path, records, whole, offset)


# ---------------------------------------------------------------- repair and refusal


def test_torn_lines_are_kept_one_after_the_other_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = path_of(tmp_path)
    fill(path, "a")
    for half in (b'{"id":"b","sour', b"\x00\x00", b'{"id":"c","description":"\xe5\xa4'):
        with path.open("ab") as file:
            file.write(half)
        with caplog.at_level(logging.WARNING), Journal(path, Scenario) as journal:
            assert list(journal.ids) == ["a"]
    torn = tmp_path / "scenarios.jsonl.torn"
    assert torn.read_bytes() == b'{"id":"b","sour\n\x00\x00\n{"id":"c","description":"\xe5\xa4\n'
    assert len(caplog.messages) == 3
    assert f"moved 15 bytes of a torn line to {torn}" in caplog.messages[0]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'{"id":"b","sour', "Invalid JSON"),
        (b"", "Invalid JSON"),
        (b"[]", "not a Scenario"),
        (b"\xff\xfe", "Invalid JSON"),
        (b'{"id":"b","source":"s"}', "description Field required"),
        (b'{"id":"b","source":"s","description":"d","mood":1}', "mood Extra inputs are not permitted"),
        (b'{"id":"a","source":"s","description":"d"}', "id 'a' is on an earlier line too"),
    ],
)
def test_a_bad_line_in_the_middle_is_refused_and_nothing_changes(tmp_path: Path, bad: bytes, reason: str) -> None:
    path = path_of(tmp_path)
    good = scenario("a").model_dump_json().encode()
    path.write_bytes(good + b"\n" + bad + b"\n" + scenario("c").model_dump_json().encode() + b'\n{"id": "to')
    before = path.read_bytes()
    with pytest.raises(InputError) as caught:
        Journal(path, Scenario)
    message = str(caught.value)
    assert message.startswith(f"{path}, line 2: ")
    assert reason in message
    assert "delete" in message
    assert "\n" not in message
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    if "earlier" not in reason:
        with pytest.raises(InputError, match="line 2"):
            list(read_records(path, Scenario))


def test_a_complete_last_line_with_a_used_id_is_refused_too(tmp_path: Path) -> None:
    path = path_of(tmp_path)
    fill(path, "a")
    path.write_bytes(path.read_bytes() + path.read_bytes().rstrip(b"\n"))
    before = path.read_bytes()
    with pytest.raises(InputError, match="line 2: id 'a'"):
        Journal(path, Scenario)
    assert path.read_bytes() == before


def test_windows_line_ends_and_spelled_out_defaults_are_read(tmp_path: Path) -> None:
    path_of(tmp_path).write_bytes(scenario("a").model_dump_json().encode() + b"\r\n")
    with Journal(path_of(tmp_path), Scenario) as journal:
        assert list(journal) == [scenario("a")]


def test_reading_does_not_write_and_names_what_is_missing(tmp_path: Path) -> None:
    for path in (path_of(tmp_path), tmp_path):
        with pytest.raises(InputError, match=str(path)):
            list(read_records(path, Scenario))
    assert list(tmp_path.iterdir()) == []


def test_a_reader_beside_a_writer_sees_whole_records_only(tmp_path: Path) -> None:
    path = path_of(tmp_path)
    done = threading.Event()

    def write() -> None:
        with Journal(path, Scenario) as journal:
            for n in range(300):
                journal.append(scenario(f"s{n}", "x" * 100_000))
        done.set()

    path.touch()
    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        names = [record.id for record in read_records(path, Scenario)]
        assert names == [f"s{n}" for n in range(len(names))]
    writer.join()


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
    with pytest.raises(OutputError, match=f"^{tmp_path / 'taken'}: Is a directory; something is in the way"):
        (tmp_path / "taken").mkdir()
        write_atomically(tmp_path / "taken", "{}")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]
