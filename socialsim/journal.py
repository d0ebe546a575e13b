"""The only code that writes run files: append, resume by id, repair a torn last line.

One record a line, split on ``b"\\n"`` alone (a record may hold U+2028). Hold the folder's ``RunLock`` while a
``Journal`` is open. Defaults are left out; to leave out None would lose one in a dict or over another default.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, KeysView
from io import FileIO
from pathlib import Path
from typing import Final, Generic, Literal, Protocol, Self, TypeVar

from pydantic import BaseModel, ValidationError

from socialsim.errors import InputError, OutputError

LOCK: Final = ".lock"
_TEMPORARY: Final = ".tmp"
_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "make room, then run again; what was written is kept"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "lower --concurrency, or let more files be open (ulimit -n)"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "choose a folder you may write to"),
    **dict.fromkeys((errno.EEXIST, errno.ENOTDIR, errno.EISDIR), "something is in the way; choose another path"),
}


class Entry(Protocol):
    """What a journal needs of a record: an id, and JSON there and back (any `Record` with an ``id``)."""

    @property
    def id(self) -> str: ...  # noqa: D102
    def model_dump_json(self, *, exclude_defaults: bool = False) -> str: ...  # noqa: D102
    @classmethod
    def model_validate_json(cls, json_data: bytes, /) -> Self: ...  # noqa: D102


R = TypeVar("R", bound=Entry)
M = TypeVar("M", bound=BaseModel)


class _Closing:
    _file: FileIO

    def close(self) -> None:
        """Give the file back; a second call does nothing."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Journal(_Closing, Generic[R]):
    """An append-only file of records of one class, safe to kill and to open again.

    Opening creates what is missing, validates every line (only ids stay in memory) and repairs
    the last: a complete record without newline gets one, half a line moves to ``<name>.torn``.
    One that is not ``durable`` outlives its process, not the machine: closing it does not wait for the disk.

    Raises:
        InputError: a complete line is not such a record or repeats an id; nothing was changed.
        OutputError: the file cannot be created or repaired.
    """

    def __init__(self, path: str | Path, model: type[R], durable: bool = True) -> None:
        self.path = Path(path)
        self._model = model
        self._durable = durable
        self._ids: dict[str, None] = {}
        self._lock = threading.Lock()
        self._file = _open_to_append(self.path)
        try:
            with _writing(self.path):
                self._load()
        except BaseException:
            self._file.close()
            raise

    @property
    def ids(self) -> KeysView[str]:
        """A live, read-only, set-like view of the ids, in the order of the file."""
        return self._ids.keys()

    def __contains__(self, record_id: object) -> bool:
        return record_id in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def records(self) -> Iterator[R]:
        """Stream the records from disk, in order, one in memory at a time."""
        return read_records(self.path, self._model)

    __iter__ = records

    def append(self, record: R) -> None:
        """Hand one line to the kernel, so that no kill can lose it; from any thread or coroutine.

        Raises:
            ValueError: the id is there already, the record would not read back, or it is closed.
            OutputError: the disk refused; the file still ends at a whole line.
        """
        line = record.model_dump_json(exclude_defaults=True).encode() + b"\n"
        if self._durable and self._model.model_validate_json(line) != record:
            raise ValueError(f"{self._model.__name__} {record.id!r} would not read back as it is; build it validated")
        self._add(record.id, line)

    def append_line(self, record_id: str, line: bytes) -> None:
        """The same for a record that is written as JSON already; that it reads back is its writer's to know.

        Raises:
            ValueError: the id is there already, or it is closed.
            OutputError: the disk refused; the file still ends at a whole line.
        """
        self._add(record_id, line + b"\n")

    def _add(self, record_id: str, line: bytes) -> None:
        with self._lock, _writing(self.path):
            if record_id in self._ids:
                raise ValueError(f"{self.path}: id {record_id!r} is already there")
            self._write(line)
            self._ids[record_id] = None

    def close(self) -> None:
        """Flush to the disk itself and close; a second call does nothing.

        Raises:
            OutputError: the disk failed to take what the kernel held.
        """
        with self._lock, _writing(self.path):
            if not self._file.closed:
                with self._file:
                    if self._durable:
                        os.fsync(self._file.fileno())

    def _load(self) -> None:
        self._size = self._file.seek(0, os.SEEK_END)  # nobody else writes
        for number, line, record in _read(self.path, self._model):
            if record is None:
                self._set_aside(line)
            elif record.id in self._ids:
                raise InputError(self.path, f"id {record.id!r} is on an earlier line too; delete one of them", number)
            else:
                self._ids[record.id] = None
                if not line.endswith(b"\n"):
                    self._write(b"\n")

    def _set_aside(self, tail: bytes) -> None:
        spare = self.path.with_name(self.path.name + ".torn")
        _write_synced(spare, (tail, b"\n"), "ab")  # first: dying here leaves the bytes twice, not nowhere
        self._size -= len(tail)
        self._file.truncate(self._size)
        logging.getLogger(__name__).warning("%s: moved %d bytes of a torn line to %s", self.path, len(tail), spare)

    def _write(self, data: bytes) -> None:
        fd, left = self._file.fileno(), data
        try:
            while left:
                left = left[os.write(fd, left) :]
        except BaseException:
            try:
                os.ftruncate(fd, self._size)
            except OSError:
                self._file.close()  # nothing may follow half a line; the next opening repairs it
            raise
        self._size += len(data)


def read_records(path: str | Path, model: type[R]) -> Iterator[R]:
    """Stream the records of a file without writing to it; half a last line is left out.

    Raises:
        InputError: the file cannot be read, or a complete line is not such a record.
    """
    return (record for _, _, record in _read(Path(path), model) if record is not None)


def read_record(path: str | Path, model: type[M], what: str) -> M | None:
    """The record that is a file of its own, None where there is no file.

    Args:
        path: the file.
        model: its class.
        what: what it should be, for the message: "a manifest".

    Raises:
        InputError: if the file cannot be read, or is something else.
    """
    file = Path(path)
    if not file.exists():
        return None
    try:
        return model.model_validate_json(file.read_bytes())
    except OSError as error:
        raise InputError(file, f"cannot be read ({error.strerror}); move it away") from error
    except ValidationError as error:
        raise InputError(file, f"not {what} of this version ({error.errors()[0]['msg']}); move it away") from error


class RunLock(_Closing):
    """The exclusive lock of a run folder, or of one file in it, held from construction to ``close`` or death.

    What a killed holder of the folder was about to put in a file's place is swept away.

    Args:
        path: the folder.
        name: the file in it that alone is locked; empty: the whole folder.
        wait: seconds to wait for another process to end.

    Raises:
        OutputError: another process holds it, or the folder cannot be written.
    """

    def __init__(self, path: str | Path, name: str = "", wait: float = 0.0) -> None:
        lock = Path(path) / (f".{name}.lock" if name else LOCK)
        self._file = _open_to_append(lock)  # it stays for good: unlinked, two processes could lock two files
        with _writing(lock):
            try:
                _lock(self._file, time.monotonic() + wait)
                self._file.truncate(0)
                self._file.write(f"{os.getpid()}\n".encode())
                for left in Path(path).glob(f".*{_TEMPORARY}") if not name else ():
                    left.unlink(missing_ok=True)
            except OSError as exc:
                with self._file:
                    pid = os.pread(self._file.fileno(), 20, 0).decode(errors="replace").strip()
                if isinstance(exc, BlockingIOError):
                    what = Path(path) / name
                    raise OutputError(f"{what} is in use by process {pid or '?'}; wait until it ends") from None
                raise


def _lock(file: FileIO, until: float) -> None:
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
        time.sleep(0.05)


def write_atomically(path: str | Path, text: str | Iterable[str]) -> None:
    """Replace a file as a whole: a reader, or a crash, sees the old text or the new one.

    Args:
        path: the file.
        text: its text; a large one in parts, which are written as they come.

    Raises:
        OutputError: it cannot be written; the old file is kept.
    """
    target = Path(path)
    temp = target.with_name(f".{target.name}.{threading.get_native_id()}{_TEMPORARY}")
    with _writing(target):
        try:
            _write_synced(temp, (part.encode() for part in ((text,) if isinstance(text, str) else text)), "wb")
            os.replace(temp, target)
        finally:
            temp.unlink(missing_ok=True)


class _writing:
    """What the disk refuses within it, in one line; a class, since each answer of a run passes through one."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError):
            advice = _ADVICE.get(error.errno or 0, "check the path and the disk, then run the same command again")
            raise OutputError(f"{self._path}: {error.strerror or error}; {advice}") from error


def _open_to_append(path: Path) -> FileIO:
    with _writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _writing(path):
        if path.exists() and not path.is_file():  # a device or a pipe may have no end to read to
            raise OutputError(f"{path}: not a regular file; choose another path")
        return path.open("ab+", buffering=0)


def _write_synced(path: Path, parts: Iterable[bytes], mode: Literal["ab", "wb"]) -> None:
    with path.open(mode) as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path, model: type[R]) -> Iterator[tuple[int, bytes, R | None]]:
    """Number, bytes and record of each line; the record is None for half a last line only."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield number, line, _parse(line, model, path, number)
                if not line.endswith(b"\n"):
                    return  # a repair or a running writer may add to it meanwhile
    except OSError as exc:
        raise InputError(path, f"{exc.strerror or exc}; check the path") from exc


def _parse(line: bytes, model: type[R], path: Path, number: int) -> R | None:
    try:
        return model.model_validate_json(line)
    except ValidationError as exc:
        if not line.endswith(b"\n"):
            return None
        first = exc.errors(include_url=False, include_input=False)[0]
        reason = " ".join([*map(str, first["loc"]), *first["msg"].split()])
        raise InputError(path, f"not a {model.__name__} ({reason}); correct or delete the line", number) from exc
