"""What a GGUF file says of itself at its beginning: model or adapter, and of which architecture.

The reader of the ``gguf`` package would do, but it comes with the extra for training.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

_SIZES: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of a number, by type
_TEXT, _ARRAY = 8, 9
_LONGEST: Final = 1 << 20  # a longer text at the beginning is no header


class GGUFHeader(NamedTuple):
    """The first metadata of a file.

    Attributes:
        kind: ``general.type``: model, adapter, …; a file that does not say is a model.
        architecture: ``general.architecture``, empty where the file does not say.
    """

    kind: str = "model"
    architecture: str = ""


def read_header(path: Path) -> GGUFHeader:
    """Read the general metadata of a GGUF file, as far as it can be read.

    Raises:
        OSError: if the file cannot be opened.
    """
    found: dict[str, str] = {}
    # A file that is cut or not as specified llama.cpp will refuse.
    with path.open("rb") as stream, suppress(struct.error, KeyError, ValueError, OverflowError):
        _read(stream, found)
    return GGUFHeader(found.get("general.type", "model"), found.get("general.architecture", ""))


def _read(stream: BinaryIO, found: dict[str, str]) -> None:
    _, _, _, count = _unpack(stream, "<4sIQQ")
    for _ in range(count):
        name = _text(stream)
        if len(found) == 2 or name.startswith("tokenizer."):  # general metadata stands before the vocabulary
            return
        kind = _unpack(stream, "<I")[0]
        if kind == _TEXT:
            value = _text(stream)
            if name in ("general.type", "general.architecture"):
                found[name] = value
        else:
            _skip(stream, kind)


def _skip(stream: BinaryIO, kind: int) -> None:
    if kind != _ARRAY:
        stream.seek(_SIZES[kind], os.SEEK_CUR)
        return
    inner, length = _unpack(stream, "<IQ")
    if inner == _TEXT:
        for _ in range(length):
            _text(stream)
    else:
        stream.seek(_SIZES[inner] * length, os.SEEK_CUR)


def _text(stream: BinaryIO) -> str:
    length = _unpack(stream, "<Q")[0]
    if length > _LONGEST:
        raise ValueError("no text is that long")
    text = stream.read(length)
    if len(text) < length:
        raise ValueError("cut within a text")
    return text.decode("utf-8", "replace")


def _unpack(stream: BinaryIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, stream.read(struct.calcsize(layout)))
