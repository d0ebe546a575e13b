"""An arena's folder: what it was started with, and four journals that only grow."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from pydantic import Field

from metrics.arena import ArenaVerdict
from programs.turn import ALL_NODES
from socialsim.errors import OutputError
from socialsim.journal import Journal, RunLock, read_record, write_atomically
from socialsim.lms import LMSpec
from socialsim.runfolder import versions
from socialsim.schema import Dialogue, Node, Persona, Record, Rejection

FILE: Final = "arena.json"


class ArenaSettings(Record):
    """``arena.json``: what decides what an arena's dialogues and verdicts look like.

    Attributes:
        models: name to LM spec; their order decides nothing.
        source: file of the personas, empty for the demonstrations'; another one may add to them.
        programs: hash of each program that was called.
        versions: of what can change a result, when the arena was started.
    """

    models: dict[str, str]
    seeker: str
    judge: str
    seed: int
    exchanges: int
    nodes: tuple[Node, ...]
    shots: int
    uncompiled: bool
    judges: int
    source: str = ""
    programs: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class ArenaConfig:
    """Everything an arena needs to know.

    Attributes:
        out: its folder.
        models: name to spec of each supporter, at least two.
        exchanges: length of every dialogue; at least 8 in the paper.
        nodes: reasoning nodes asked of the supporters.
        shots: authored examples in an uncompiled prompt, the same for every model.
        judges: times each aspect is compared in each order.
        source: file of the personas, empty for the demonstrations'.
        concurrency: dialogues, then pairs of dialogues, in flight at once.
        tries: answers asked for at most for one turn; a comparison takes three.
    """

    out: Path
    models: Mapping[str, LMSpec]
    seeker: LMSpec
    judge: LMSpec
    exchanges: int = 8
    nodes: tuple[Node, ...] = ALL_NODES
    seed: int = 0
    shots: int = 2
    uncompiled: bool = False
    judges: int = 1
    source: str = ""
    concurrency: int = 4
    tries: int = 5

    def settings(self) -> ArenaSettings:
        """What must stay the same when an arena is continued."""
        return ArenaSettings(
            models={name: spec.text for name, spec in self.models.items()},
            seeker=self.seeker.text,
            judge=self.judge.text,
            seed=self.seed,
            exchanges=self.exchanges,
            nodes=self.nodes,
            shots=self.shots,
            uncompiled=self.uncompiled,
            judges=self.judges,
            source=self.source,
            versions=versions(),
        )


_FLAGS: Final = {
    "models": "--models",
    "seeker": "--seeker-lm",
    "judge": "--judge-lm",
    "uncompiled": "--uncompiled",
    **{name: f"--{name}" for name in ("seed", "exchanges", "nodes", "shots", "judges")},
}


def read_settings(path: Path) -> ArenaSettings | None:
    """What an arena was started with; None where none was started.

    Raises:
        InputError: if the file is not one.
    """
    return read_record(path / FILE, ArenaSettings, "an arena")


class ArenaFolder:
    """The open journals of an arena, locked against a second process.

    Raises:
        OutputError: if the folder cannot be written, is in use, holds something else, or was made with other settings.
    """

    def __init__(self, path: Path, settings: ArenaSettings) -> None:
        self.path = path
        if path.is_dir() and not os.access(path, os.W_OK):
            raise OutputError(f"{path}: cannot be written; name another folder with --out")
        with ExitStack() as opened:
            opened.enter_context(RunLock(path))
            self.settings = self._begun(settings)
            self.personas = opened.enter_context(Journal(path / "personas.jsonl", Persona))
            self.dialogues = opened.enter_context(Journal(path / "dialogues.jsonl", Dialogue))
            self.rejected = opened.enter_context(Journal(path / "rejected.jsonl", Rejection))
            self.verdicts = opened.enter_context(Journal(path / "verdicts.jsonl", ArenaVerdict))
            self._opened = opened.pop_all()

    def _begun(self, settings: ArenaSettings) -> ArenaSettings:
        """The settings of the folder: its own where it has some, else these."""
        before = read_settings(self.path)
        if before is None:
            if other := next(self.path.glob("*.jsonl"), None):
                raise OutputError(f"{self.path} holds {other.name} and no {FILE}; name another --out")
            self._write(settings)
            return settings
        for name, flag in _FLAGS.items():
            _refuse(self.path, flag, getattr(before, name), getattr(settings, name))
        return before

    def add_programs(self, programs: dict[str, str]) -> None:
        """Note which programs are called.

        Raises:
            OutputError: if what lies here was made with other ones.
        """
        before = self.settings.programs
        for name in programs.keys() & before.keys():
            _refuse(self.path, f"the program of {name}", before[name], programs[name])
        if not programs.keys() <= before.keys():
            self.settings = self.settings.model_copy(update={"programs": before | programs})
            self._write(self.settings)

    def add_personas(self, personas: Iterable[Persona]) -> None:
        """Keep the personas that are not there yet.

        Raises:
            OutputError: if one is there with other contents.
        """
        known = {persona.id: persona for persona in self.personas}
        for persona in personas:
            if known.get(persona.id, persona) != persona:
                raise OutputError(f"{self.path} holds another persona {persona.id!r}; use another --out")
            if persona.id not in known:
                self.personas.append(persona)

    def _write(self, settings: ArenaSettings) -> None:
        write_atomically(self.path / FILE, settings.model_dump_json(indent=2) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()


def _refuse(path: Path, what: str, old: object, new: object) -> None:
    if old != new:
        raise OutputError(
            f"{path} was made with {what} {_said(old)}, not {_said(new)}; use the same settings or another --out"
        )


def _said(value: object) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}={spec}" for name, spec in sorted(value.items()))
    return ",".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)


def dialogue_id(persona_id: str, model: str) -> str:
    """The id of a model's dialogue."""
    return f"{persona_id}/{model}"
