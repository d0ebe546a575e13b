"""What the corpora call the two speakers."""

from __future__ import annotations

from typing import Final

from socialsim.schema import Speaker

_SPEAKERS: Final[dict[str, Speaker]] = {
    "seeker": Speaker.SEEKER,
    "speaker": Speaker.SEEKER,
    "usr": Speaker.SEEKER,
    "supporter": Speaker.SUPPORTER,
    "listener": Speaker.SUPPORTER,
    "sys": Speaker.SUPPORTER,
}


def parse_speaker(name: str) -> Speaker:
    """Map a corpus's name of a speaker to the speaker.

    Raises:
        ValueError: if the name is unknown.
    """
    found = _SPEAKERS.get(name.strip().lower())
    if found is None:
        raise ValueError(f"unknown speaker {name!r}; known: {', '.join(_SPEAKERS)}")
    return found
