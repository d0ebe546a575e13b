"""A student as others want it: a full model, or an adapter for llama.cpp."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors import SafetensorError

from finetune.base import load_model, load_tokenizer, quiet
from finetune.gguf_adapter import write_gguf_adapter
from finetune.record import FILE, TrainingRecord, read_record
from finetune.student import adapted, find_student
from socialsim.errors import InputError, OutputError


def merge_student(student: Path, out: Path) -> Path:
    """Write a student as a full model that transformers, vLLM or a converter reads.

    The base is loaded in the precision it was trained in. The training record goes along, so that
    ``student:OUT`` knows the trained format.

    Args:
        student: its folder.
        out: a folder that does not exist yet, or is empty.

    Raises:
        InputError: if the folder is no finished student.
        LMSpecError: if its base cannot be had, or its adapter belongs to another one.
        OutputError: if ``out`` holds something, or cannot be written.
    """
    record = finished(student)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out} is not empty; name another --out")
    source = find_student(str(student))
    model = load_model(record.settings.base, record.precision or "auto")  # type: ignore[arg-type]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        # Written beside it and moved: a folder of this name is always whole.
        with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as spare, quiet():
            whole = Path(spare) / "model"
            adapted(str(student), source, model, four_bit=False).save_pretrained(whole)
            load_tokenizer(record.settings.base).save_pretrained(whole)
            shutil.copy(student / FILE, whole / FILE)
            for file in whole.glob("*.safetensors"):  # which safetensors lets nobody else read
                shutil.copymode(whole / "config.json", file)
            if out.exists():
                out.rmdir()
            whole.replace(out)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{out}: {reason}; make room or name another --out") from error
    return out


def export_adapter(student: Path, out: Path) -> Path:
    """Write a student's adapter as a GGUF for llama.cpp, in half precision.

    Raises:
        InputError: if the folder is no finished student, or its adapter has layers llama.cpp does not know.
        OutputError: if it cannot be written.
    """
    record = finished(student)
    write_gguf_adapter(student, load_model(record.settings.base, "float32").config, out, half=True)
    return out


def finished(student: Path) -> TrainingRecord:
    """The record of a finished student.

    Raises:
        InputError: if the folder is none.
    """
    record = read_record(student)
    if record is None:
        raise InputError(student, "not a student: it has no training.json; `socialsim finetune` makes one")
    if not record.finished:
        raise InputError(student, "its training is not finished; run the same `socialsim finetune` again")
    return record
