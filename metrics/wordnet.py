"""WordNet for METEOR's synonyms: found on this machine, never downloaded.

NLTK's own data is looked for first, then Debian's files (package wordnet-base, WordNet 3.0). Those lack one file,
`lexnames`, whose 45 facts are below.
"""

from __future__ import annotations

import io
import warnings
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from metrics.scored import Unavailable, library

DEBIAN: Path = Path("/usr/share/wordnet")
MISSING: Final = Unavailable(
    "WordNet is not installed", "run: python -m nltk.downloader wordnet (on Debian: sudo apt install wordnet-base)"
)
_NEEDED: Final = tuple(f"{kind}.{part}" for kind in ("index", "data") for part in ("noun", "verb", "adj", "adv"))
_NOUNS: Final = (
    "Tops act animal artifact attribute body cognition communication event feeling food group location motive object "
    "person phenomenon plant possession process quantity relation shape state substance time"
)
_VERBS: Final = (
    "body change cognition communication competition consumption contact creation emotion motion perception "
    "possession social stative weather"
)
# WordNet's lexicographer files in the order of their numbers; the digit is the part of speech.
_LEXNAMES: Final = (
    ("adj.all", 3),
    ("adj.pert", 3),
    ("adv.all", 4),
    *((f"noun.{name}", 1) for name in _NOUNS.split()),
    *((f"verb.{name}", 2) for name in _VERBS.split()),
    ("adj.ppl", 3),
)


def lexnames() -> str:
    """The file `lexnames` of WordNet 3.0: number, name, part of speech on each of 45 lines."""
    return "".join(f"{number:02}\t{name}\t{part}\n" for number, (name, part) in enumerate(_LEXNAMES))


def find_wordnet() -> Any | Unavailable:
    """Where WordNet is: NLTK's pointer to its own data (folder or zip), Debian's folder, or how to get it."""
    if lacking := library("nltk"):
        return lacking
    find = import_module("nltk.data").find
    for place in ("corpora/wordnet", "corpora/wordnet.zip/wordnet/"):
        try:
            return find(place)
        except LookupError:
            continue
    return DEBIAN if all((DEBIAN / name).is_file() for name in _NEEDED) else MISSING


def synonyms() -> Any | Unavailable:
    """What NLTK's METEOR asks for synonyms: an object with ``synsets(word)``, read once and remembering answers."""
    found = find_wordnet()
    if isinstance(found, Unavailable):
        return found
    if isinstance(found, Path):
        # NLTK opens files only below its data paths, at any time; this is how a system folder is added to them.
        paths = import_module("nltk.data").path
        if str(found) not in paths:
            paths.append(str(found))
    return _synonyms(str(found))


@lru_cache(maxsize=2)
def _synonyms(place: str) -> Any:
    found = find_wordnet()  # again, since a pointer into a zip cannot be a key
    if isinstance(found, Path):
        found = str(found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are no other languages
        return _Synonyms(_reader_class()(found, None))


class _Synonyms:
    """A WordNet reader that looks each word up once; METEOR asks for the same few thousand again and again."""

    def __init__(self, reader: Any) -> None:
        self.synsets = lru_cache(maxsize=2**16)(reader.synsets)


@lru_cache(maxsize=1)
def _reader_class() -> type:
    base: Any = import_module("nltk.corpus.reader.wordnet").WordNetCorpusReader

    class Reader(base):
        """NLTK's reader without its map to other languages' wordnets, which costs seconds and needs other data."""

        def open(self, file: str) -> Any:
            try:
                return super().open(file)
            except OSError:
                if file == "lexnames":
                    return io.StringIO(lexnames())
                raise

        def map_wn(self, version: str = "wordnet") -> None:
            return None

    return Reader
