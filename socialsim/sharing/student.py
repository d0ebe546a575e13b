"""What of a student's folder is shared: the adapter, the tokenizer, the record, the curve, the card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from finetune.base import EMBEDDED
from finetune.corpora import DEMONSTRATIONS
from finetune.record import FILE, TrainingRecord, read_record
from socialsim.errors import InputError
from socialsim.journal import write_atomically
from socialsim.sharing.corpus import OWN_LICENCE
from socialsim.sharing.dataset import CARD, refuse_other_card
from socialsim.sharing.hub import Content
from socialsim.sharing.model_card import model_card
from socialsim.sharing.names import public_base, without_paths

_NEEDED: Final = ("adapter_config.json", "adapter_model.safetensors")
_MORE: Final = ("tokenizer.json", "chat_template.jinja", "special_tokens_map.json", "loss.csv", "loss.png")
_CLEANED: Final = ("adapter_config.json", "tokenizer_config.json", FILE)  # these may name folders of the machine


def is_student(folder: Path) -> bool:
    """Whether `socialsim finetune` wrote it."""
    return (folder / FILE).is_file()


def read_student(folder: Path) -> TrainingRecord:
    """The record of a student that can be shared.

    Raises:
        InputError: if its training is not finished, or the adapter is not there.
    """
    record = read_record(folder)
    if record is None or not record.finished:
        raise InputError(folder, "its training is not finished; run the same `socialsim finetune` again")
    if missing := [name for name in _NEEDED if not (folder / name).is_file()]:
        raise InputError(folder, f"no adapter to share: {missing[0]} is missing; train it again")
    return record


def own_licence(record: TrainingRecord) -> str | None:
    """The licence of a student made of the project's own data on the bundled base; None where nobody knows."""
    parts = [record.data.source, *([record.test.source] if record.test else [])]
    names = [name.partition(":")[0] for part in parts for name in part.split(", ")]
    own = record.settings.base == EMBEDDED and set(names) == {DEMONSTRATIONS}
    return OWN_LICENCE if own else None


def write_card(folder: Path, record: TrainingRecord, licence: str, repo: str | None) -> Path:
    """Write the card beside the adapter.

    Raises:
        OutputError: if a card of a person's hand is there, or it cannot be written.
    """
    card = folder / CARD
    refuse_other_card(card)
    curve = (folder / "loss.png").is_file()
    write_atomically(card, model_card(record, folder.resolve().name, licence, repo, curve))
    return card


def shared_files(folder: Path, record: TrainingRecord) -> dict[str, Content]:
    """What is pushed, by path in the repository, without checkpoints, tokens, locks and paths of the machine."""
    names = [CARD, *_NEEDED, *_MORE, *_CLEANED]
    files: dict[str, Content] = {name: folder / name for name in names if (folder / name).is_file()}
    for name in _CLEANED:
        if name in files:
            files[name] = _cleaned(folder / name, record.settings.base)
    return files


def _cleaned(file: Path, base: str) -> bytes:
    try:
        content: dict[str, Any] = json.loads(file.read_bytes())
    except ValueError as error:
        raise InputError(file, f"not JSON ({error}); train the student again") from error
    clean = without_paths(content)
    if file.name == FILE:
        clean["settings"]["base"] = base if base == EMBEDDED else public_base(base)
    elif "base_model_name_or_path" in clean:
        clean["base_model_name_or_path"] = public_base(base)
    return (json.dumps(clean, indent=2, ensure_ascii=False) + "\n").encode()
