"""Sharing a corpus or a student: export --format hf."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from socialsim.errors import UsageError

HUB = Group("Data set (--format hf)", sort_key=4)


@Parameter(name="*", group=HUB)
@dataclass(frozen=True)
class HubOptions:
    """How a corpus becomes a data set, and where it is pushed to."""

    test: str | None = None
    """How many dialogues to hold out (200), or which share of them (0.1); 0 for none. Default: 0.1."""
    seed: int | None = None
    """Another seed holds out other dialogues. Default: 0."""
    license: str | None = None
    """Licence, by the hub's id (cc-by-nc-4.0). The source posts' licence decides. Default: unknown, unless all of it
    was written for this project."""
    push: str | None = None
    """Repository of the Hugging Face hub, OWNER/NAME; private unless --public. Token: HF_TOKEN, or `hf auth login`."""
    public: Annotated[bool, Parameter(negative=())] = False
    """Let everybody read the repository; needs a licence."""

    @property
    def given(self) -> str | None:
        """The first option that was given."""
        return next((f"--{name}" for name, value in vars(self).items() if value not in (None, False)), None)


def export_hf(source: Path, out: Path | None, options: HubOptions) -> None:
    """Write a data set's folder, or a student's card, and push it where that is asked for.

    Raises:
        SocialSimError: in one line, before anything is written where the cause is an option.
    """
    from socialsim.sharing.hub import needs
    from socialsim.sharing.student import is_student

    if options.public and options.push is None:
        raise UsageError("--public goes with --push OWNER/NAME")
    needs("huggingface_hub")
    if is_student(source):
        _student(source, out, options)
    else:
        needs("datasets")
        _dataset(source, out, options)


def _dataset(source: Path, out: Path | None, options: HubOptions) -> None:
    from socialsim.cli.split import size_or_share
    from socialsim.sharing.corpus import read_shared
    from socialsim.sharing.dataset import write_dataset
    from socialsim.sharing.hub import Target, check_target, push
    from socialsim.sharing.licence import chosen, require

    if out is None and not source.is_dir():
        raise UsageError("export: name a folder with --out")
    target = Target(options.push, "dataset", options.public) if options.push is not None else None
    if target:
        check_target(target)
    test = None if options.test is None else size_or_share(options.test)
    corpus = read_shared(source, test, options.seed or 0)
    licence = chosen(options.license, corpus.licence)
    require(licence, options.public)
    folder = out or source / "hf"
    files = write_dataset(folder, corpus, licence, options.push)
    for side, dialogues in corpus.parts._asdict().items():
        print(f"{side}: {len(dialogues):,} dialogues")
    print(f'Data set: {folder}\nRead it: datasets.load_dataset("{folder}")')
    _say_licence(licence)
    if target:
        print(f"Pushed: {push(target, files, 'Upload the data set', replaces='data/*.parquet')}")


def _student(folder: Path, out: Path | None, options: HubOptions) -> None:
    from socialsim.sharing.hub import Target, check_target, push
    from socialsim.sharing.licence import chosen, require
    from socialsim.sharing.student import own_licence, read_student, shared_files, write_card

    if out is not None or options.test is not None or options.seed is not None:
        wrong = "--out" if out is not None else "--test" if options.test is not None else "--seed"
        raise UsageError(f"{wrong}: {folder} is a student, whose card is written beside its adapter; leave it out")
    target = Target(options.push, "model", options.public) if options.push is not None else None
    if target:
        check_target(target)
    record = read_student(folder)
    licence = chosen(options.license, own_licence(record))
    require(licence, options.public)
    print(f"Card: {write_card(folder, record, licence, options.push)}")
    _say_licence(licence)
    if target:
        print(f"Pushed: {push(target, shared_files(folder, record), 'Upload the adapter')}")


def _say_licence(licence: str) -> None:
    from socialsim.sharing.licence import UNKNOWN

    if licence == UNKNOWN:
        print("Licence: unknown. Choose one with --license: that of the source and the terms of its LMs decide.")
    else:
        print(f"Licence: {licence}")
