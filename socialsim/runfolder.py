"""A run's folder: its four journals, its manifest, its lock."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Final, Self

from pydantic import Field

from socialsim import __version__
from socialsim.errors import InputError, OutputError
from socialsim.journal import Journal, RunLock, read_record, read_records, write_atomically
from socialsim.lms import without_waiting
from socialsim.meter import add_up
from socialsim.schema import Dialogue, Node, Persona, Record, Rejection, Scenario, Usage

NOTHING: Final = Usage()


class Settings(Record):
    """What decides what a run's items look like; an item made under others does not belong in it.

    What no stage has depended on so far is None, or no key: ``scenarios`` knows of no supporter.
    """

    seed: int
    min_words: int | None = None
    mode: str | None = None
    nodes: tuple[Node, ...] | None = None
    emoji: bool | None = None
    strict: bool | None = None
    rules: bool | None = None
    shots: int | None = None
    lms: dict[str, str] = Field(default_factory=dict)
    demonstrations: tuple[str, ...] | None = None
    programs: dict[str, str] = Field(default_factory=dict)

    def after(self, before: Settings | None) -> Settings:
        """These, and those of earlier sessions whose stages this one does not do."""
        if before is None:
            return self
        now, then = self.model_dump(), before.model_dump()
        return Settings.model_validate({name: _joined(then[name], now[name]) for name in now})


class Manifest(Record):
    """``manifest.json``: what a run is and how far it came."""

    versions: dict[str, str]
    settings: Settings
    inputs: tuple[str, ...] = ()
    counts: dict[str, int] = Field(default_factory=dict)
    rejected: dict[str, int] = Field(default_factory=dict)
    flags: dict[str, int] = Field(default_factory=dict)
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
        with ExitStack() as opened:
            opened.enter_context(RunLock(path))
            before = read_manifest(path)
            if before and not allow_mixed:
                refuse_other(path, before.settings, settings)
            self.scenarios = opened.enter_context(Journal(path / "scenarios.jsonl", Scenario))
            self.personas = opened.enter_context(Journal(path / "personas.jsonl", Persona))
            self.dialogues = opened.enter_context(Journal(path / "dialogues.jsonl", Dialogue))
            self.rejected = opened.enter_context(Journal(path / "rejected.jsonl", Rejection))
            self._opened = opened.pop_all()
        self._base = Manifest(
            versions=versions(),
            settings=settings.after(before.settings if before else None),
            inputs=tuple(dict.fromkeys((*(before.inputs if before else ()), *inputs))),
            usage=before.usage if before else Usage(),
            wall_seconds=before.wall_seconds if before else 0.0,
        )

    def write_manifest(self, usage: Usage, seconds: float, unfinished: Usage = NOTHING) -> Manifest:
        """Count what is in the journals and write it down.

        Args:
            usage: what this session spent, unfinished items included.
            seconds: wall time of this session.
            unfinished: what the answers kept for unfinished items took, in any session.
        """
        manifest = summarise(self.path, self._base, usage, seconds, unfinished)
        write_atomically(self.path / "manifest.json", manifest.model_dump_json(indent=2) + "\n")
        return manifest

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()


def summarise(path: Path, base: Manifest, spent: Usage, seconds: float, unfinished: Usage = NOTHING) -> Manifest:
    """The manifest of the items that lie in a run's journals.

    Args:
        path: the run folder.
        base: settings and inputs of the run, usage and wall time of its earlier sessions.
        spent: usage of this session; a killed one left none, so that its items' usage is the least there was.
        seconds: wall time of this session.
        unfinished: what the answers kept for unfinished items took.
    """
    counts: Counter[str] = Counter()
    flags: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    usages = [unfinished]
    for name, model in FILES.items():
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
    return base.model_copy(
        update={
            "counts": {name: counts[name] for name in FILES},
            "rejected": dict(reasons.most_common()),
            "flags": dict(flags.most_common()),
            "usage": max(add_up([base.usage, spent]), *usages, key=lambda usage: usage.calls),
            "wall_seconds": round(base.wall_seconds + seconds, 1),
        }
    )


FILES: dict[str, type[Scenario] | type[Persona] | type[Dialogue] | type[Rejection]] = {
    "scenarios": Scenario,
    "personas": Persona,
    "dialogues": Dialogue,
    "rejected": Rejection,
}


def refuse_other(path: Path, before: Settings, now: Settings) -> None:
    """Refuse to go on with a run under settings that make other items.

    Raises:
        OutputError: naming the first setting that differs.
    """
    for name in Settings.model_fields:
        for what, old, new in _both(name, getattr(before, name), getattr(now, name)):
            if old != new and not (name == "lms" and without_waiting(str(old)) == without_waiting(str(new))):
                raise OutputError(
                    f"{path} was made with {what} {_short(old)}, not {_short(new)}; "
                    "use the same settings, another --out, or --allow-mixed"
                )


def _both(name: str, old: object, new: object) -> Iterator[tuple[str, object, object]]:
    """What two sessions both depend on: the name, the value then and now."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from ((f"{name}: {key}", old[key], new[key]) for key in old.keys() & new.keys())
    elif old is not None and new is not None:
        yield name, old, new


def _joined(old: object, new: object) -> object:
    if isinstance(old, dict) and isinstance(new, dict):
        return old | new
    return old if new is None else new


def _short(value: object) -> str:
    if not isinstance(value, tuple):
        return str(value)
    more = f",… ({len(value)})" if len(value) > 6 else ""
    return ",".join(map(str, value[:6])) + more or "none"


def read_manifest(path: Path) -> Manifest | None:
    """A run's manifest, None if there is none yet.

    Raises:
        InputError: if it is not one.
    """
    return read_record(path / "manifest.json", Manifest, "a manifest")


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
