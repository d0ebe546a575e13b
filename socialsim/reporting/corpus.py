"""A corpus as a report holds it: every dialogue once, without the reasoning that no metric reads."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from socialsim.errors import InputError
from socialsim.formats import read_dialogues
from socialsim.journal import read_records
from socialsim.runfolder import FILES, Manifest, Settings, read_dialogue_records, read_manifest, summarise
from socialsim.schema import Dialogue, Persona, Reasoning, StagedStrategy, Turn, Usage


@dataclass(frozen=True)
class ReportCorpus:
    """A corpus under the name it is shown by.

    Attributes:
        key: its name in file names.
        dialogues: all of them; of their reasoning the strategies alone.
        personas: by id; none for a corpus file.
        samples: a few dialogues, whole, drawn by chance.
        manifest: what its journals hold by now; None where it is no run folder with all of them.
    """

    name: str
    key: str
    path: Path
    dialogues: tuple[Dialogue, ...]
    personas: dict[str, Persona]
    samples: tuple[Dialogue, ...]
    manifest: Manifest | None


def read_corpus(name: str, key: str, path: Path, samples: int = 0, seed: int = 0) -> ReportCorpus:
    """Read a run folder or a corpus file.

    Args:
        name: as it is shown.
        key: as it is called in file names.
        path: where it is.
        samples: dialogues to keep whole.
        seed: decides which.

    Raises:
        InputError: if it cannot be read, or holds no dialogue.
    """
    kept: list[Dialogue] = []
    drawn: list[tuple[int, Dialogue]] = []
    rng = random.Random(seed)
    for number, dialogue in enumerate(_dialogues(path)):
        kept.append(_slim(dialogue))
        # A reservoir: each dialogue is as likely as any other to stay.
        place = number if number < samples else rng.randrange(number + 1)
        if place < samples:
            drawn[place : place + 1] = [(number, dialogue)]
    if not kept:
        raise InputError(path, "holds no dialogue yet")
    file = path / "personas.jsonl"
    personas = {persona.id: persona for persona in read_records(file, Persona)} if file.is_file() else {}
    drawn.sort(key=lambda item: item[0])
    return ReportCorpus(name, key, path, tuple(kept), personas, tuple(one for _, one in drawn), _manifest(path))


def _dialogues(path: Path) -> Iterator[Dialogue]:
    return read_dialogue_records(path) if path.is_dir() else read_dialogues(path)


def _slim(dialogue: Dialogue) -> Dialogue:
    return dialogue.model_copy(update={"turns": tuple(map(_without_thought, dialogue.turns))})


def _without_thought(turn: Turn) -> Turn:
    return turn.model_copy(update={"reasoning": _named(turn.strategies)}) if turn.reasoning else turn


@lru_cache(maxsize=1024)
def _named(strategies: tuple[StagedStrategy, ...]) -> Reasoning:
    return Reasoning(strategies=strategies)


def _manifest(path: Path) -> Manifest | None:
    """Counted anew from the journals: a run that was killed has no manifest, one that goes on an old one."""
    if not all((path / f"{name}.jsonl").is_file() for name in FILES):
        return None
    return summarise(path, read_manifest(path) or Manifest(versions={}, settings=Settings(seed=0)), Usage(), 0.0)
