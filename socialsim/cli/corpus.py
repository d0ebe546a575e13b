"""Commands that read a corpus: show, stats, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter
from cyclopts.validators import Number

from socialsim.cli.export import export
from socialsim.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialsim.report.analysis import Corpus
    from socialsim.schema import Dialogue, Persona

Turns = Annotated[int | None, Parameter(validator=Number(gte=1))]
Flag = Annotated[bool, Parameter(negative=())]


def register(app: cyclopts.App) -> None:
    """Add the commands."""
    group = cyclopts.Group("Read a corpus", sort_key=2)
    for command in (show, stats, export):
        app.command(command, group=group)


def show(run: Path, item: str | None = None, /, *, turns: Turns = None) -> None:
    """Print a dialogue readably: persona, then each reply with the reasoning before it.

    Parameters
    ----------
    run
        A run folder, or a corpus file of any format that is known.
    item
        Id of the dialogue. Default: the first one; all ids are listed below it.
    turns
        Utterances to print at most.
    """
    from socialsim.report.show import show_dialogue

    found, ids = None, []
    for dialogue in _dialogues(run):
        ids.append(dialogue.id)
        if found is None and item in (None, dialogue.id):
            found = dialogue
    if found is None:
        reason = f"no dialogue {item!r}; there are {_some(ids)}" if ids else "no dialogues yet"
        raise InputError(run, reason)
    show_dialogue(found, _persona(run, found), turns)
    if item is None and len(ids) > 1:
        print(f"{len(ids):,} dialogues: {_some(ids)}")


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:12]) + (f", … ({len(ids):,} in all)" if len(ids) > 12 else "")


def _dialogues(path: Path) -> Iterator[Dialogue]:
    from socialsim.formats import read_dialogues
    from socialsim.runfolder import read_dialogue_records

    return read_dialogue_records(path) if path.is_dir() else read_dialogues(path)


def _persona(run: Path, dialogue: Dialogue) -> Persona | None:
    from socialsim.journal import read_records
    from socialsim.schema import Persona

    file = run / "personas.jsonl"
    if not file.is_file():
        return None
    return next((persona for persona in read_records(file, Persona) if persona.id == dialogue.persona_id), None)


def stats(
    *corpora: Path,
    strategy: Flag = False,
    realism: Flag = False,
    coverage: Flag = False,
    against: Path | None = None,
) -> None:
    """Print Table 1 of the paper for each corpus, beside the published SSConv and ESConv; then flags and rejections.

    With --strategy, --realism or --coverage it prints those tables instead.

    Parameters
    ----------
    corpora
        Run folders or corpus files (SSConv, ESConv, ExTES, AugESC, our JSONL).
    strategy
        Which strategies are used when and in what order (Figures 4 and 5), and how far the use is uneven.
    realism
        How evenly the seeker speaks, how often it pushes back or agrees, how fast it recovers (needs
        socialsim[metrics]).
    coverage
        How much of its persona a dialogue uses as it goes on (Figure 6); run folders only (needs
        socialsim[eval]).
    against
        A corpus to compare strategy and realism with, such as ESConv.
    """
    if not corpora:
        raise UsageError("stats: name a run folder or a corpus file")
    if against and not (strategy or realism):
        raise UsageError("stats: --against compares strategy and realism; add --strategy or --realism")
    if strategy or realism or coverage:
        _analyse(labelled(corpora), against, strategy, realism, coverage)
    else:
        _sizes(labelled(corpora))


def labelled(corpora: tuple[Path, ...]) -> dict[str, Path]:
    """Corpora under the names they are shown by: the last part of the path, or all of it where two share that."""
    names = [path.name for path in corpora]
    return {path.name if path.name and names.count(path.name) == 1 else str(path): path for path in corpora}


def _sizes(corpora: dict[str, Path]) -> None:
    from rich.console import Console

    from socialsim.report.show import flags_table
    from socialsim.report.table1 import corpus_size, table1

    console, columns = Console(highlight=False), {}
    for name, path in corpora.items():
        size = corpus_size(_dialogues(path))
        if size is None:
            raise InputError(path, "holds no dialogue yet")
        columns[name] = size
    console.print(table1(columns))
    for path in corpora.values():
        if path.is_dir():
            console.print(flags_table(path))


def _analyse(corpora: dict[str, Path], against: Path | None, strategy: bool, realism: bool, coverage: bool) -> None:
    from rich.console import Console

    from metrics.realism import seeker_facts
    from metrics.sentences import sentence_embeddings
    from metrics.signs import vader
    from socialsim.report.analysis import Seekers, coverage_tables, realism_tables, strategy_tables

    console = Console(highlight=False)
    # What can be wrong with an argument is found before the first table.
    personas = {name: _personas(path) for name, path in corpora.items()} if coverage else {}
    valence = vader() if realism else None
    reference = _corpus(_other_name(against, corpora), against) if against else None
    real = Seekers(reference.name, seeker_facts(reference.dialogues, valence)) if reference and valence else None
    for name, path in corpora.items():
        corpus = _corpus(name, path)
        if strategy:
            console.print(*strategy_tables(corpus, reference), sep="\n")
        if valence:
            console.print(*realism_tables(Seekers(name, seeker_facts(corpus.dialogues, valence)), real), sep="\n")
        if coverage:
            console.print(*coverage_tables(corpus, personas[name], sentence_embeddings), sep="\n")


def _other_name(path: Path, taken: dict[str, Path]) -> str:
    return next(name for name in (path.name, str(path), f"{path} (against)") if name and name not in taken)


def _corpus(name: str, path: Path) -> Corpus:
    from socialsim.report.analysis import Corpus

    dialogues = list(_dialogues(path))
    if not dialogues:
        raise InputError(path, "holds no dialogue yet")
    return Corpus(name, dialogues)


def _personas(run: Path) -> dict[str, Persona]:
    from socialsim.journal import read_records
    from socialsim.schema import Persona

    file = run / "personas.jsonl"
    if not file.is_file():
        raise InputError(run, "has no personas.jsonl; --coverage needs a run folder")
    return {persona.id: persona for persona in read_records(file, Persona)}
