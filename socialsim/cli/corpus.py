"""Commands that read a corpus: show, stats, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter
from cyclopts.validators import Number

from socialsim.errors import InputError, OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialsim.schema import Dialogue, Persona, Record

Turns = Annotated[int | None, Parameter(validator=Number(gte=1))]


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


def stats(*corpora: Path) -> None:
    """Print Table 1 of the paper for each corpus, beside the published SSConv and ESConv; then flags and rejections.

    Parameters
    ----------
    corpora
        Run folders or corpus files (SSConv, ESConv, ExTES, AugESC, our JSONL).
    """
    from rich.console import Console

    from socialsim.report.show import flags_table
    from socialsim.report.table1 import corpus_size, table1

    if not corpora:
        raise UsageError("stats: name a run folder or a corpus file")
    console, columns = Console(highlight=False), {}
    names = [path.name for path in corpora]
    for path in corpora:
        size = corpus_size(_dialogues(path))
        if size is None:
            raise InputError(path, "holds no dialogue yet")
        columns[path.name if path.name and names.count(path.name) == 1 else str(path)] = size
    console.print(table1(columns))
    for path in corpora:
        if path.is_dir():
            console.print(flags_table(path))


def export(
    run: Path,
    /,
    *,
    format: str = "ssconv",
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
) -> None:
    """Write a run's corpus for others to read.

    Parameters
    ----------
    run
        A run folder.
    format
        ssconv: the official release's two JSON files, dialogues and profiles; jsonl: our records in full.
    out
        Folder to write to. Default: RUN/export.
    """
    from socialsim.formats.ssconv import write_dialogues, write_profiles
    from socialsim.journal import read_records, write_atomically
    from socialsim.runfolder import run_file
    from socialsim.schema import Dialogue, Persona

    if format not in ("ssconv", "jsonl"):
        raise UsageError(f"--format {format}: use ssconv or jsonl")
    dialogues = list(read_records(run_file(run, "dialogues"), Dialogue))
    personas = list(read_records(run_file(run, "personas"), Persona))
    folder = out or run / "export"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}); name another --out") from error
    names = ("dialogues", "profiles") if format == "ssconv" else ("dialogues", "personas")
    suffix = "json" if format == "ssconv" else "jsonl"
    files = [folder / f"{name}.{suffix}" for name in names]
    if format == "ssconv":
        write_dialogues(files[0], dialogues)
        write_profiles(files[1], personas)
    else:
        write_atomically(files[0], "".join(map(_line, dialogues)))
        write_atomically(files[1], "".join(map(_line, personas)))
    print(f"{len(dialogues):,} dialogues: {files[0]}\n{len(personas):,} personas: {files[1]}")


def _line(record: Record) -> str:
    return record.model_dump_json(exclude_defaults=True) + "\n"
