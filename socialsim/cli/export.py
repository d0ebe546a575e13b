"""The command that writes a corpus for other tools: export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from socialsim.cli.export_hf import HubOptions, export_hf
from socialsim.errors import InputError, OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from finetune.corpora import Corpus
    from socialsim.schema import Dialogue, Persona, Record

FORMATS = ("ssconv", "jsonl", "sharegpt", "hf")
_NO_HUB = HubOptions()


def export(
    corpus: Path,
    /,
    *,
    format: str = "ssconv",
    variant: str | None = None,
    history: Literal["replies", "reasoning"] | None = None,
    only: Literal["accepted"] | None = None,
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    hub: HubOptions = _NO_HUB,
) -> None:
    """Write a corpus for others to read.

    Example: **socialsim export runs/first --format sharegpt --variant reasoning --out llama-factory**

    With hf a student's folder gets a model card.

    Parameters
    ----------
    corpus
        A run folder. For sharegpt and hf also a folder of `socialsim split`, a corpus file, or `demonstrations`;
        for hf also a student's folder.
    format
        ssconv: the official release's two JSON files, dialogues and profiles; jsonl: our records in full;
        sharegpt: a data set folder for LLaMA-Factory with the paper's training settings; hf: a data set for
        `datasets.load_dataset` with its card.
    variant
        For sharegpt, what a reply is trained to be: response, reasoning, strategy, or nodes such as
        situation,thought. Default: reasoning.
    history
        For sharegpt, what earlier replies in a prompt hold: replies, or reasoning too. Default: replies.
    only
        accepted: what most raters of `socialsim review` accepted, in its edited form where they edited it. For ssconv
        and jsonl.
    out
        Folder to write to. Default: RUN/export (with --only RUN/accepted), RUN/sharegpt or RUN/hf.
    """
    if format not in FORMATS:
        raise UsageError(f"--format {format}: use {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    if format != "hf" and hub.given:
        raise UsageError(f"{hub.given} goes with --format hf")
    if only and format not in ("ssconv", "jsonl"):
        raise UsageError("--only goes with --format ssconv or jsonl; for others export jsonl first, then that folder")
    if format == "sharegpt":
        _sharegpt(corpus, variant or "reasoning", history or "replies", out)
    elif variant or history:
        raise UsageError(f"--{'variant' if variant else 'history'} goes with --format sharegpt")
    elif format == "hf":
        export_hf(corpus, out, hub)
    else:
        _records(corpus, format, out or corpus / (only or "export"), only is not None)


def _records(run: Path, format: str, folder: Path, accepted: bool) -> None:
    from socialsim.formats.ssconv import dialogues_text, profiles_text
    from socialsim.journal import read_records, write_atomically
    from socialsim.runfolder import run_file
    from socialsim.schema import Dialogue, Persona
    from socialsim.streams import Counted

    dialogues: Iterable[Dialogue] = read_records(run_file(run, "dialogues"), Dialogue)
    personas: Iterable[Persona] = read_records(run_file(run, "personas"), Persona)
    if accepted:
        dialogues, personas = _accepted(run, list(dialogues), list(personas))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}); name another --out") from error
    names = ("dialogues", "profiles") if format == "ssconv" else ("dialogues", "personas")
    suffix = "json" if format == "ssconv" else "jsonl"
    files = [folder / f"{name}.{suffix}" for name in names]
    talks, people = Counted(dialogues), Counted(personas)
    if format == "ssconv":
        write_atomically(files[0], dialogues_text(talks))
        write_atomically(files[1], profiles_text(people))
    else:
        write_atomically(files[0], map(_line, talks))
        write_atomically(files[1], map(_line, people))
    print(f"{talks.count:,} dialogues: {files[0]}\n{people.count:,} personas: {files[1]}")


def _accepted(run: Path, dialogues: list[Dialogue], personas: list[Persona]) -> tuple[list[Dialogue], list[Persona]]:
    """What raters accepted; says what was left out, and why."""
    from socialsim.accepted import accepted
    from socialsim.reviews import FOLDER, read_reviews

    raters = read_reviews(run / FOLDER)
    found = accepted(dialogues, personas, raters)
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in found.left_out.items()) or "nothing"
    if not found.dialogues:
        raise InputError(run, f"no dialogue is accepted ({left_out}); go on with `socialsim review {run}`")
    if stale := sum(standing.stale for standing in raters.values()):
        print(f"{stale:,} records are about items that have changed since; they do not count")
    print(f"raters: {', '.join(raters)}; {found.edited:,} items edited; dialogues left out: {left_out}")
    return found.dialogues, found.personas


def _line(record: Record) -> str:
    return record.model_dump_json(exclude_defaults=True) + "\n"


def _sharegpt(corpus: Path, variant: str, history: str, out: Path | None) -> None:
    from finetune.corpora import require_nodes
    from finetune.format import History, Variant
    from finetune.sharegpt import YAML, write_dataset

    chosen = Variant.parse(variant, History(history))
    if out is None and not corpus.is_dir():
        raise UsageError("export: name a folder with --out")
    found = _sides(corpus)
    sides = {name: require_nodes(read, chosen, corpus) for name, read in found.items()}
    folder = out or corpus / "sharegpt"
    counts = write_dataset(folder, {name: usable.dialogues for name, usable in sides.items()}, chosen)
    for usable, (file, samples) in zip(sides.values(), counts.items(), strict=True):
        print(f"{len(usable.dialogues):,} dialogues, {samples:,} samples: {folder / file}")
    if short := sum(read.left_out for read in found.values()):
        print(f"{short:,} dialogues left out: without an exchange")
    if lacking := sum(usable.left_out for usable in sides.values()):
        print(f"{lacking:,} dialogues left out: a reply lacks a node that --variant {chosen.name} needs")
    print(f"Train: cd {folder} && llamafactory-cli train {YAML}")


def _sides(corpus: Path) -> dict[str, Corpus]:
    from finetune.corpora import read_corpus
    from finetune.splits import read_split

    if read_split(corpus) is None:
        return {"train": read_corpus(corpus)}
    return {"train": read_corpus(corpus, "train"), "test": read_corpus(corpus, "test")}
