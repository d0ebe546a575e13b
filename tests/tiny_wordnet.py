"""A WordNet of two synsets in Debian's layout, so that synonyms can be tested where none is installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_SYNSETS = (("sofa", "couch", "lounge"), ("worry", "care"))


def write_wordnet(folder: Path, synsets: Sequence[Sequence[str]] = _SYNSETS) -> Path:
    """Nouns only; `lexnames` is missing, as in Debian's package."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("noun", "verb", "adj", "adv"):
        for name in (f"index.{part}", f"data.{part}", f"{part}.exc"):
            (folder / name).write_text("")
    data, index = "", ""
    for words in synsets:
        offset = len(data)
        listed = " ".join(f"{word} 0" for word in words)
        # offset, lexicographer file 06, part of speech, word count (hex), words with sense ids, 0 pointers | gloss
        data += f"{offset:08} 06 n {len(words):02x} {listed} 000 | made up  \n"
        index += "".join(f"{word} n 1 0 1 0 {offset:08}  \n" for word in words)
    (folder / "data.noun").write_text(data)
    (folder / "index.noun").write_text(index)
    return folder
