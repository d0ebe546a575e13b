"""A corpus as it is going to be shared: dialogues as they are, their personas, how they were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from finetune.corpora import DEMONSTRATIONS, TEST_SHARE
from finetune.splits import Split, read_split, split
from socialsim.errors import InputError, UsageError
from socialsim.formats import read_dialogues
from socialsim.journal import read_records
from socialsim.resources import demonstrations
from socialsim.runfolder import Manifest, read_dialogue_records, read_manifest
from socialsim.schema import Dialogue, Persona

_OWN: Final = ("bundled scenarios",)  # what a manifest calls the posts that ship with the project
OWN_LICENCE: Final = "apache-2.0"


@dataclass(frozen=True)
class SharedCorpus:
    """What a data set is made of.

    Attributes:
        name: the last part of what the user named.
        parts: the dialogues of each side, in the order of the corpus; test may be empty.
        seed: decided the sides; None where the corpus came split.
        personas: by id.
        manifest: of a run; None for any other corpus.
        licence: where it is known without asking, since all of it was written for this project.
    """

    name: str
    parts: Split
    seed: int | None
    personas: Mapping[str, Persona] = field(default_factory=dict)
    manifest: Manifest | None = None
    licence: str | None = None

    @property
    def dialogues(self) -> list[Dialogue]:
        """Both sides."""
        return [*self.parts.train, *self.parts.test]


def read_shared(source: Path, test: int | float | None, seed: int) -> SharedCorpus:
    """Read a run folder, a folder of ``socialsim split``, a corpus file or ``demonstrations``.

    Args:
        source: as the user named it.
        test: dialogues to hold out or their share; 0: none; None: a tenth, and at least one where there are two.
        seed: decides which.

    Raises:
        InputError: if it cannot be read or holds no dialogue.
        UsageError: if a side would be empty, or the folder holds a split and another is asked for.
    """
    if str(source) == DEMONSTRATIONS:
        return _authored(test, seed)
    if source.is_dir() and read_split(source) is not None:
        return _already_split(source, test)
    dialogues = list(read_dialogue_records(source) if source.is_dir() else read_dialogues(source))
    if not dialogues:
        raise InputError(source, "holds no dialogue yet; name a run that has some")
    manifest = read_manifest(source) if source.is_dir() else None
    own = manifest is not None and manifest.inputs == _OWN
    sides = _sides(dialogues, test, seed)
    return SharedCorpus(source.resolve().name, sides, seed, _personas(source), manifest, OWN_LICENCE if own else None)


def _authored(test: int | float | None, seed: int) -> SharedCorpus:
    found = list(demonstrations())
    parts = _sides([demo.dialogue for demo in found], test, seed)
    personas = {demo.persona.id: demo.persona for demo in found}
    return SharedCorpus(DEMONSTRATIONS, parts, seed, personas, licence=OWN_LICENCE)


def _already_split(folder: Path, test: int | float | None) -> SharedCorpus:
    if test is not None:
        raise UsageError(f"--test {test}: {folder} holds a split already; leave --test out to share that one")
    parts = Split(*(list(read_records(folder / f"{side}.jsonl", Dialogue)) for side in Split._fields))
    return SharedCorpus(folder.resolve().name, parts, None)


def _personas(source: Path) -> dict[str, Persona]:
    file = source / "personas.jsonl"
    return {persona.id: persona for persona in read_records(file, Persona)} if file.is_file() else {}


def _sides(dialogues: Sequence[Dialogue], test: int | float | None, seed: int) -> Split:
    size = len(dialogues)
    wanted = max(round(TEST_SHARE * size), 1) if test is None else test
    if wanted == 0 or (test is None and size == 1):
        return Split(list(dialogues), [])
    return split(dialogues, wanted, seed)
