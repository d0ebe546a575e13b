"""A run's folder: its four journals, its manifest, its lock."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from socialsim import __version__
from socialsim.errors import InputError, OutputError
from socialsim.journal import Journal, RunLock, read_records, write_atomically
from socialsim.meter import add_up
from socialsim.schema import Dialogue, Node, Persona, Record, Rejection, Scenario, Usage


class Settings(Record):
    """What decides what a run's items look like; an item made under others does not belong in it."""

    mode: str
    nodes: tuple[Node, ...]
    emoji: bool
    strict: bool
    seed: int
    lms: dict[str, str]
    programs: dict[str, str]
    demonstrations: tuple[str, ...] = ()


class Manifest(Record):
    """``manifest.json``: what a run is and how far it came."""

    versions: dict[str, str]
    settings: Settings
    inputs: tuple[str, ...] = ()
    counts: dict[str, int] = {}
    rejected: dict[str, int] = {}
    flags: dict[str, int] = {}
    usage: Usage = Usage()
    wall_seconds: float = 0.0


def versions() -> dict[str, str]:
    """Versions that can change a result."""
    return {"socialsim": __version__, "dspy": version("dspy"), "python": platform.python_version()}


class RunFolder:
    """The open journals of a run, locked against a second process.

    Raises:
        OutputError: if the folder cannot be written, is in use, or was made with other settings.
    """

    def __init__(self, path: Path, settings: Settings, inputs: tuple[str, ...], allow_mixed: bool = False) -> None:
        self.path = path
        self._lock = RunLock(path)
        try:
            before = read_manifest(path)
            if before and not allow_mixed:
                _refuse_other(path, before.settings, settings)
            self.scenarios = Journal(path / "scenarios.jsonl", Scenario)
            self.personas = Journal(path / "personas.jsonl", Persona)
            self.dialogues = Journal(path / "dialogues.jsonl", Dialogue)
            self.rejected = Journal(path / "rejected.jsonl", Rejection)
        except BaseException:
            self._lock.close()
            raise
        self._before = before.wall_seconds if before else 0.0
        self._inputs = tuple(dict.fromkeys((*(before.inputs if before else ()), *inputs)))
        self._settings = settings

    def write_manifest(self, seconds: float) -> Manifest:
        """Count what is in the journals and write it down.

        Args:
            seconds: wall time of this session.
        """
        manifest = summarise(self.path, self._settings, self._inputs, self._before + seconds)
        write_atomically(self.path / "manifest.json", manifest.model_dump_json(indent=2) + "\n")
        return manifest

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for journal in (self.scenarios, self.personas, self.dialogues, self.rejected):
            journal.close()
        self._lock.close()


def summarise(path: Path, settings: Settings, inputs: tuple[str, ...], seconds: float) -> Manifest:
    """The manifest of the items that lie in a run's journals."""
    counts: Counter[str] = Counter()
    flags: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    usages: list[Usage] = []
    for name, model in _FILES.items():
        for record in read_records(path / f"{name}.jsonl", model):
            counts[name] += 1
            if isinstance(record, Rejection):
                reasons[f"{record.stage}: {record.reason}"] += 1
                usages.append(record.usage)
            elif isinstance(record, (Persona, Dialogue)) and record.provenance:
                usages.append(record.provenance.usage)
            if isinstance(record, Dialogue):
                flags.update(flag.kind for flag in record.all_flags())
        usages = [add_up(usages)]
    return Manifest(
        versions=versions(),
        settings=settings,
        inputs=inputs,
        counts={name: counts[name] for name in _FILES},
        rejected=dict(reasons.most_common()),
        flags=dict(flags.most_common()),
        usage=add_up(usages),
        wall_seconds=round(seconds, 1),
    )


_FILES: dict[str, type[Scenario] | type[Persona] | type[Dialogue] | type[Rejection]] = {
    "scenarios": Scenario,
    "personas": Persona,
    "dialogues": Dialogue,
    "rejected": Rejection,
}


def _refuse_other(path: Path, before: Settings, now: Settings) -> None:
    for name in Settings.model_fields:
        old, new = getattr(before, name), getattr(now, name)
        if old != new:
            raise OutputError(
                f"{path} was made with {name} {_short(old)}, not {_short(new)}; "
                "use the same settings, another --out, or --allow-mixed"
            )


def _short(value: object) -> str:
    if isinstance(value, dict):
        value = ", ".join(f"{key}={item}" for key, item in value.items())
    elif isinstance(value, tuple):
        value = ",".join(str(item) for item in value) or "none"
    return str(value)


def read_manifest(path: Path) -> Manifest | None:
    """A run's manifest, None if there is none yet.

    Raises:
        InputError: if it is not one.
    """
    file = path / "manifest.json"
    if not file.exists():
        return None
    try:
        return Manifest.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise InputError(file, f"not a manifest of this version ({error.errors()[0]['msg']}); move it away") from error


def run_file(path: Path, name: str) -> Path:
    """A journal of a finished or running run, for reading.

    Raises:
        InputError: if the folder is not a run.
    """
    file = path / f"{name}.jsonl"
    if not file.is_file():
        raise InputError(path, f"not a run folder: it has no {name}.jsonl")
    return file


def read_dialogue_records(path: Path) -> Iterator[Dialogue]:
    """The dialogues of a run."""
    return read_records(run_file(path, "dialogues"), Dialogue)
