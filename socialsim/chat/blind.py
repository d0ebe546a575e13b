"""The interactive evaluation by people (paper: Tables 5 and 6): what is kept of it, and its folder.

Each session lets one person talk to two models under hidden names and rate both. A session, each finished exchange and
each rating is journalled when it is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Final, Self

from pydantic import Field, model_validator

from signatures.arena import Aspect, Preferred
from socialsim.errors import OutputError
from socialsim.journal import Journal, RunLock, read_record, write_atomically
from socialsim.runfolder import versions
from socialsim.schema import Dialogue, Node, Record, Turn, Usage

FILE: Final = "blind.json"
LEAST: Final = 8  # exchanges with each model before it may be rated, as in the paper
MAX_NOTE: Final = 2_000


class BlindSettings(Record):
    """``blind.json``: what must stay the same while ratings are collected.

    Attributes:
        models: name to LM spec.
        exchanges: exchanges with each model before it may be rated.
        programs: hash of each model's program.
        versions: of what can change a reply, when the folder was begun.
    """

    models: dict[str, str]
    seed: int = 0
    exchanges: int = LEAST
    nodes: tuple[Node, ...]
    shots: dict[str, int]
    uncompiled: bool = False
    programs: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=versions)


class BlindSession(Record):
    """One person's session.

    Attributes:
        rater: the name the person gave; empty where none was given.
        order: names of the models that the person knows as Model 1 and Model 2.
        key: hash of the secret that the person's browser holds; empty on the terminal.
    """

    id: str
    rater: str = ""
    order: tuple[str, str]
    key: str = ""


class BlindExchange(Record):
    """A message and its reply in a session.

    Attributes:
        model: name of the model that replied.
        number: 1-based number in the conversation with this model.
    """

    id: str
    session: str
    model: str
    number: int = Field(ge=1)
    seeker: Turn
    supporter: Turn
    usage: Usage = Usage()


class AspectRating(Record):
    """One aspect: both scores, and who is preferred (first: Model 1)."""

    first: int = Field(ge=0, le=3)
    second: int = Field(ge=0, le=3)
    preferred: Preferred

    @model_validator(mode="after")
    def _agree(self) -> Self:
        scores = {Preferred.FIRST: self.first, Preferred.SECOND: self.second}
        if self.preferred in scores and scores[self.preferred] < max(scores.values()):
            raise ValueError("the preferred model has the lower score; make the preference and the scores agree")
        return self


class BlindRating(Record):
    """What a person thinks of both models; ``id`` is the session's."""

    id: str
    aspects: dict[Aspect, AspectRating]
    note: str = Field(default="", max_length=MAX_NOTE)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if missing := [str(aspect) for aspect in Aspect if aspect not in self.aspects]:
            raise ValueError(f"not rated: {', '.join(missing)}")
        return self


def order_of(models: Mapping[str, object], seed: int, session: str) -> tuple[str, str]:
    """Who is Model 1 and who Model 2 in a session: drawn, and the same whenever it is asked."""
    first, second = sorted(models)
    return (first, second) if Random(f"{seed}:{session}:order").random() < 0.5 else (second, first)


def read_settings(path: Path) -> BlindSettings | None:
    """What an evaluation was begun with; None where none was.

    Raises:
        InputError: if the file is not one.
    """
    return read_record(path / FILE, BlindSettings, "an evaluation")


class BlindFolder:
    """The open journals of an evaluation, locked against a second process.

    Raises:
        OutputError: if the folder cannot be written, is in use, holds something else, or was made with other settings.
    """

    def __init__(self, path: Path, settings: BlindSettings) -> None:
        self.path = path
        with ExitStack() as opened:
            opened.enter_context(RunLock(path))
            self.settings = self._begun(settings)
            self.sessions = opened.enter_context(Journal(path / "sessions.jsonl", BlindSession))
            self.exchanges = opened.enter_context(Journal(path / "exchanges.jsonl", BlindExchange))
            self.ratings = opened.enter_context(Journal(path / "ratings.jsonl", BlindRating))
            self.dialogues = opened.enter_context(Journal(path / "dialogues.jsonl", Dialogue))
            self._opened = opened.pop_all()

    def _begun(self, settings: BlindSettings) -> BlindSettings:
        before = read_settings(self.path)
        if before is None:
            if other := next(self.path.glob("*.jsonl"), None):
                raise OutputError(f"{self.path} holds {other.name} and no {FILE}; name another --out")
            write_atomically(self.path / FILE, settings.model_dump_json(indent=2) + "\n")
            return settings
        for name in BlindSettings.model_fields.keys() - {"versions"}:
            old, new = getattr(before, name), getattr(settings, name)
            if old != new:
                raise OutputError(f"{self.path} was begun with other {name}: {_said(old)}; use it or another --out")
        return before

    def begin(self, rater: str = "", key: str = "") -> BlindSession:
        """A new session."""
        name = f"s{len(self.sessions) + 1}"
        order = order_of(self.settings.models, self.settings.seed, name)
        session = BlindSession(id=name, rater=rater, order=order, key=key)
        self.sessions.append(session)
        return session

    def open_session(self, rater: str = "", key: str = "") -> BlindSession | None:
        """The last session of this rater, or of this browser, that is not rated yet."""
        mine = [one for one in self.sessions if (one.key == key if key else not one.key and one.rater == rater)]
        return mine[-1] if mine and mine[-1].id not in self.ratings else None

    def said(self, session: BlindSession, model: str) -> list[BlindExchange]:
        """The exchanges of a session with one model, in order."""
        return [one for one in self.exchanges if (one.session, one.model) == (session.id, model)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()


def _said(value: object) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}={one}" for name, one in sorted(value.items()))
    return ",".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
