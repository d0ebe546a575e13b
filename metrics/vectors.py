"""Word vectors from a text file of word2vec or GloVe, read through gensim and only as far as they are needed.

A published file has hundreds of thousands of words and the replies of a test set a few thousand, so the lines of
those are picked out first; gensim would read the whole file in minutes.
"""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from socialsim.errors import InputError

_WHAT: Final = "not a text file of word vectors (word2vec or GloVe)"


class _Shape(NamedTuple):
    words: int | None  # None where the file has no header
    dimensions: int


class WordVectors:
    """The vectors of one file; what was looked up once is kept.

    Args:
        path: one line a word, the word and its numbers apart by single spaces, after an optional word2vec header
            (number of words, dimensions). May end in .gz.

    Raises:
        InputError: if the file cannot be read or does not begin like one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, Any] = {}
        self._absent: set[str] = set()
        try:
            with _opened(path) as file:
                self._shape = self._first(file.readline(), file.readline())
        except (OSError, EOFError) as error:
            raise InputError(path, f"cannot be read ({error}); name a file of word vectors") from error

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        return self._shape.dimensions

    def __call__(self, words: Iterable[str]) -> Mapping[str, Any]:
        """The vectors, shape (dimensions,) each, of the words that have one; others may be in it too.

        Raises:
            InputError: naming the line that is no vector, or a file that ends early.
        """
        wanted = set(words) - self._known.keys() - self._absent
        if wanted:
            self._known |= self._load(wanted)
            self._absent |= wanted - self._known.keys()
        return self._known

    def _first(self, first: bytes, second: bytes) -> _Shape:
        fields = first.split()
        if len(fields) == 2 and all(field.isdigit() for field in fields):
            shape = _Shape(int(fields[0]), int(fields[1]))
            return shape if shape.dimensions == _count(second) else self._broken(2)
        return _Shape(None, _count(first)) if _count(first) > 1 else self._broken(1)

    def _load(self, wanted: set[str]) -> dict[str, Any]:
        found = list(self._lines({word.encode() for word in wanted}))
        if not found:
            return {}
        with tempfile.NamedTemporaryFile(suffix=".txt") as file:
            file.write(b"%d %d\n" % (len(found), self.dimensions))
            file.writelines(line + b"\n" for line in found)
            file.flush()
            try:
                vectors = import_module("gensim.models").KeyedVectors.load_word2vec_format(file.name)
            except (ValueError, EOFError) as error:
                raise InputError(self.path, f"{_WHAT}: {error}") from error
        return {word: vectors[word] for word in wanted if word in vectors}

    def _lines(self, wanted: set[bytes]) -> Iterator[bytes]:
        """The lines of wanted words; every line is looked at, so that a damaged file is not half used."""
        number, header = 0, self._shape.words is not None
        try:
            with _opened(self.path) as file:
                for number, line in enumerate(file, 1):
                    if (header and number == 1) or not (bare := line.rstrip()):
                        continue
                    fields = _count(bare)
                    if fields < self.dimensions:
                        self._broken(number)
                    # More fields: a "word" with spaces in it, which no token equals.
                    if fields == self.dimensions and bare[: bare.find(b" ")] in wanted:
                        yield bare
        except (OSError, EOFError) as error:
            raise InputError(self.path, f"cannot be read to its end ({error}); get it again") from error
        if self._shape.words is not None and number - 1 < self._shape.words:
            raise InputError(
                self.path, f"ends after {number - 1} of the {self._shape.words} words it announces; get it again"
            )

    def _broken(self, line: int) -> _Shape:
        raise InputError(self.path, f"{_WHAT}; give one as --vectors", line)


def word_vectors(path: Path) -> WordVectors:
    """The vectors of a file, opened once a process while the file stays the same.

    Raises:
        InputError: if it is not such a file.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror}); name a file of word vectors") from error
    return _open_once(path.resolve(), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=2)
def _open_once(path: Path, changed: int, size: int) -> WordVectors:
    return WordVectors(path)


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _count(line: bytes) -> int:
    """Numbers after the word."""
    return line.rstrip().count(b" ")
