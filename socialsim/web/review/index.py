"""Where each item of a run lies: ids, flags and byte offsets, read without building a record.

A run of thousands of dialogues opens in the time it takes to parse its JSON; a record is built and validated when it is
shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

from metrics.verdicts import CheckVerdict
from socialsim.errors import InputError
from socialsim.reviews import FILES, Item, Kind, line_digest
from socialsim.schema import Dialogue, Persona, Scenario

T = TypeVar("T")
M = TypeVar("M", Dialogue, Persona, Scenario)

PASSED: Final = 0.5  # score from which a rule counts as kept, as in `socialsim check`
_CHECKS: Final = "checks.jsonl"
_SCENARIOS: Final = "scenarios.jsonl"
_VERDICTS: Final = TypeAdapter(tuple[CheckVerdict, ...])


class Place(NamedTuple):
    """One line of a file: bytes from its start, length, number from 1, digest."""

    offset: int
    length: int
    number: int
    digest: str


class Entry(NamedTuple):
    """What the queue knows of an item.

    Attributes:
        item: kind and id.
        place: its line.
        topic: of the persona; empty where none is known.
        persona_id: of a dialogue.
        flags: soft findings the run kept.
        failed: checks below `PASSED`.
    """

    item: Item
    place: Place
    topic: str
    persona_id: str
    flags: int
    failed: int

    @property
    def problems(self) -> int:
        """What a reviewer should look at."""
        return self.flags + self.failed


@dataclass
class Index:
    """The items of a run folder, in the order of their files.

    Raises:
        InputError: if the folder is no run, holds nothing to review, or a line is not JSON of an item.
    """

    run: Path
    entries: dict[Item, Entry] = field(init=False)

    def __post_init__(self) -> None:
        if not any((self.run / name).is_file() for name in FILES.values()):
            raise InputError(self.run, f"not a run folder: it has no {FILES[Kind.DIALOGUE]}")
        self._posts: dict[str, Place] | None = None
        self._checks = dict(_checks(self.run / _CHECKS))
        personas = list(_personas(self.run / FILES[Kind.PERSONA]))
        topics = {entry.item.id: entry.topic for entry in personas}
        dialogues = _dialogues(self.run / FILES[Kind.DIALOGUE], topics, self._checks)
        self.entries = {entry.item: entry for entry in (*dialogues, *personas)}
        if not self.entries:
            raise InputError(self.run, "holds no dialogue yet; make some with `socialsim run`")

    def of(self, kind: Kind) -> list[Entry]:
        """The items of a kind."""
        return [entry for entry in self.entries.values() if entry.item.kind is kind]

    def originals(self) -> dict[Item, str]:
        """The digest of each item."""
        return {item: entry.place.digest for item, entry in self.entries.items()}

    def topics(self) -> list[str]:
        """The topics that occur, by name."""
        return sorted({entry.topic for entry in self.entries.values()} - {""})

    def dialogue(self, name: str) -> Dialogue:
        """Read a dialogue.

        Raises:
            InputError: if it is not one of this version.
            KeyError: if there is none of this id.
        """
        return self._record(Item(Kind.DIALOGUE, name), Dialogue)

    def persona(self, name: str) -> Persona:
        """Read a persona; errors as `dialogue`."""
        return self._record(Item(Kind.PERSONA, name), Persona)

    def post(self, name: str) -> Scenario | None:
        """The post a persona was made from; None where the run does not hold it."""
        file = self.run / _SCENARIOS
        if self._posts is None:  # few reviewers look at personas
            self._posts = dict(_lines(file, lambda place, row: (_id(row), place)))
        return read_line(file, self._posts[name], Scenario) if name in self._posts else None

    def verdicts(self, name: str) -> tuple[CheckVerdict, ...]:
        """What `socialsim check` said of a dialogue; nothing where it was not checked.

        Raises:
            InputError: if its line has changed or holds no verdicts.
        """
        if name not in self._checks:
            return ()
        place = self._checks[name].place
        try:
            return _VERDICTS.validate_python(orjson.loads(_line(self.run / _CHECKS, place))["verdicts"])
        except (ValidationError, ValueError, KeyError) as error:
            reason = "not a verdict of this version, or the file has changed; run `socialsim check` and start again"
            raise InputError(self.run / _CHECKS, reason, place.number) from error

    def _record(self, item: Item, model: type[M]) -> M:
        path, place = self.run / FILES[item.kind], self.entries[item].place
        record = read_line(path, place, model)
        if record.id != item.id:
            raise InputError(path, "the file has changed; start `socialsim review` again", place.number)
        return record


class _Checked(NamedTuple):
    place: Place
    failed: int


def _dialogues(path: Path, topics: Mapping[str, str], checks: Mapping[str, _Checked]) -> Iterator[Entry]:
    def entry(place: Place, row: Any) -> Entry:
        name, persona_id = _id(row), row.get("persona_id") or ""
        flags = len(row.get("flags", ())) + sum(len(turn["flags"]) for turn in row["turns"] if "flags" in turn)
        failed = checks[name].failed if name in checks else 0
        return Entry(Item(Kind.DIALOGUE, name), place, topics.get(persona_id, ""), persona_id, flags, failed)

    return _lines(path, entry)


def _personas(path: Path) -> Iterator[Entry]:
    return _lines(path, lambda place, row: Entry(Item(Kind.PERSONA, _id(row)), place, row["topic"], "", 0, 0))


def _checks(path: Path) -> Iterator[tuple[str, _Checked]]:
    def checked(place: Place, row: Any) -> tuple[str, _Checked]:
        return _id(row), _Checked(place, sum(verdict["score"] < PASSED for verdict in row["verdicts"]))

    return _lines(path, checked)


def _id(row: Any) -> str:
    if not isinstance(row["id"], str):
        raise TypeError("its id is no text")
    return row["id"]


def _lines(path: Path, make: Callable[[Place, Any], T]) -> Iterator[T]:
    """What is made of each line; nothing if there is no file. Half a last line is still being written."""
    if not path.is_file():
        return
    offset = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    made = make(Place(offset, len(line), number, line_digest(line)), orjson.loads(line))
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    if not line.endswith(b"\n"):
                        return
                    reason = f"not a record ({_why(error)}); correct or delete the line"
                    raise InputError(path, reason, number) from error
                yield made
                offset += len(line)
    except OSError as error:
        raise InputError(path, f"{error.strerror or error}; check the path") from error


def _why(error: Exception) -> str:
    return f"it has no {error.args[0]}" if isinstance(error, KeyError) else str(error)


def read_line(path: Path, place: Place, model: type[M]) -> M:
    """One line as the record it holds.

    Raises:
        InputError: if it is no such record.
    """
    try:
        return model.model_validate_json(_line(path, place))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = " ".join(map(str, first["loc"]))
        reason = f"not a {model.__name__} ({where}: {first['msg']}); correct or delete the line, then start again"
        raise InputError(path, reason, place.number) from error


def _line(path: Path, place: Place) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(place.offset)
            return file.read(place.length)
    except OSError as error:
        raise InputError(path, f"{error.strerror or error}; start `socialsim review` again", place.number) from error
