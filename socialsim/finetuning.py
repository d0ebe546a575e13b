"""From what a user asked to one training: which corpus, which lessons, which settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from finetune.corpora import read_corpus, require_nodes
from finetune.dataset import Lesson, lesson
from finetune.format import History, Variant
from finetune.record import DataRecord, TrainingRecord, digest
from finetune.settings import TrainingSettings
from finetune.splits import content_key
from socialsim.errors import InputError, UsageError
from socialsim.journal import read_records
from socialsim.resources import demonstrations, read_splits
from socialsim.schema import Demonstration, Dialogue, Persona, Role

PROGRAM: Final = "program"  # the variant that learns whole prompts of the programs
ROLES: Final = (Role.SEEKER, Role.SUPPORTER, Role.PERSONA)
Lessons = Callable[[], Iterator[Lesson]]


@dataclass(frozen=True)
class Wish:
    """What a user asked to be trained.

    Attributes:
        corpus: files, run folders or ``demonstrations[:SET]``; several make one corpus.
        test: the held-out corpus, if any.
        variant: see `Variant.parse`; or ``program``.
        history: what earlier replies in a prompt hold.
        roles: the programs that ``program`` learns.
        plain: the plain format although the base has a chat template.
    """

    corpus: tuple[str, ...]
    test: tuple[str, ...]
    variant: str
    history: str
    roles: tuple[str, ...]
    plain: bool
    settings: TrainingSettings


def prepare(wish: Wish) -> tuple[TrainingRecord, Lessons, Lessons | None]:
    """The record of a training that is about to begin, its lessons, and those held out.

    Raises:
        InputError: if a corpus cannot be read, or lacks what the variant needs.
        UsageError: if a name is unknown, or the held-out corpus shares a dialogue with the corpus.
    """
    if wish.variant == PROGRAM:
        return _programs(wish)
    try:
        history = History(wish.history)
    except ValueError as error:
        raise UsageError(f"--history {wish.history}: use {' or '.join(History)}") from error
    variant = Variant.parse(wish.variant, history)
    corpus, test = _dialogues(wish.corpus, variant), _dialogues(wish.test, variant)
    _refuse_shared(corpus, test, wish)

    def lessons(dialogues: Sequence[Dialogue]) -> Lessons:
        return lambda: (lesson(dialogue, variant) for dialogue in dialogues)

    record = TrainingRecord(
        settings=wish.settings,
        variant=variant,
        plain=wish.plain,
        data=_data(wish.corpus, corpus),
        test=_data(wish.test, test) if test else None,
    )
    return record, lessons(corpus), lessons(test) if test else None


def lessons_for(record: TrainingRecord, sources: Sequence[str]) -> list[Lesson]:
    """Other corpora as lessons of a student's own kind.

    Raises:
        InputError: if a corpus cannot be read, or lacks what the student writes.
    """
    if record.variant is None:
        from socialsim.lessons import program_lessons

        return list(program_lessons(chain.from_iterable(map(_with_personas, sources)), record.roles))
    return [lesson(dialogue, record.variant) for dialogue in _dialogues(sources, record.variant)]


def _dialogues(sources: Sequence[str], variant: Variant) -> list[Dialogue]:
    return [
        dialogue for source in sources for dialogue in require_nodes(read_corpus(source), variant, source).dialogues
    ]


def _data(sources: Sequence[str], dialogues: Sequence[Dialogue]) -> DataRecord:
    names = ", ".join(Path(source).name if "/" in source else source for source in sources)
    return DataRecord(source=names, sha256=digest(one.model_dump_json() for one in dialogues))


def _refuse_shared(corpus: Sequence[Dialogue], test: Sequence[Dialogue], wish: Wish) -> None:
    known = {content_key(dialogue) for dialogue in corpus}
    shared = [dialogue.id for dialogue in test if content_key(dialogue) in known]
    if shared:
        raise UsageError(
            f"--test {', '.join(wish.test)}: {len(shared)} of its dialogues are in the corpus, too "
            f"({shared[0]}); `socialsim split` makes sides that share none"
        )


def _programs(wish: Wish) -> tuple[TrainingRecord, Lessons, Lessons | None]:
    from socialsim.lessons import program_lessons

    if unknown := [name for name in wish.roles if name not in list(ROLES)]:
        raise UsageError(f"--roles {', '.join(unknown)}: use {','.join(ROLES)}")
    roles = tuple(Role(name) for name in wish.roles)
    corpus = list(chain.from_iterable(map(_with_personas, wish.corpus)))
    test = list(chain.from_iterable(map(_with_personas, wish.test)))
    _refuse_shared([demo.dialogue for demo in corpus], [demo.dialogue for demo in test], wish)

    def lessons(demos: Sequence[Demonstration]) -> Lessons:
        return lambda: program_lessons(demos, roles)

    def data(sources: Sequence[str], demos: Sequence[Demonstration]) -> DataRecord:
        return _data(sources, []).model_copy(update={"sha256": digest(one.model_dump_json() for one in demos)})

    record = TrainingRecord(
        settings=wish.settings,
        variant=None,
        roles=roles,
        plain=wish.plain,
        data=data(wish.corpus, corpus),
        test=data(wish.test, test) if test else None,
    )
    return record, lessons(corpus), lessons(test) if test else None


def _with_personas(source: str) -> list[Demonstration]:
    """Dialogues with the personas of their seekers: the authored ones, or a run's."""
    name, colon, part = source.partition(":")
    if name == "demonstrations":
        sets = read_splits().model_dump()
        if colon and part not in sets:
            raise UsageError(f"{source}: use {', '.join(f'demonstrations:{one}' for one in sets)}")
        return [demo for demo in demonstrations() if not colon or demo.dialogue.id in sets[part]]
    folder = Path(source)
    if not (folder / "personas.jsonl").is_file() or not (folder / "dialogues.jsonl").is_file():
        raise InputError(
            source, "--variant program needs personas with their dialogues: a run folder or demonstrations"
        )
    personas = {persona.id: persona for persona in read_records(folder / "personas.jsonl", Persona)}
    dialogues = read_records(folder / "dialogues.jsonl", Dialogue)
    found = [
        Demonstration(persona=personas[dialogue.persona_id], dialogue=dialogue)
        for dialogue in dialogues
        if dialogue.persona_id in personas
    ]
    if not found:
        raise InputError(source, "holds no dialogue with its persona yet")
    return found
