"""The official SSConv release: dialogues and profiles, read and written.

A dialogue and the profile of its seeker share their ``ID``. An ``ID`` that is a number becomes
``ssconv-<number>`` and is written as a number again; one that is text stays as it is. The
release holds no flags and no provenance, nor which fields of a persona were inferred.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from socialsim.formats.files import read_rows
from socialsim.formats.reasoning import parse_reasoning, reasoning_text
from socialsim.formats.rows import Row, clean, unique_ids
from socialsim.schema import Dialogue, Persona, Personality, Post, Speaker, Turn
from socialsim.taxonomy import parse_topic

REASONING = "Supporter Step by Step Reasoning"
_TURN_KEYS = frozenset({"Turn", "Seeker", "Supporter", REASONING})
_NUMBER = re.compile(r"ssconv-((?:0|-?[1-9][0-9]{0,4000}))")


def recognises_dialogue(row: Row) -> bool:
    """Whether a record is a dialogue of the release."""
    return row.has("Dialogue")


def recognises_profile(row: Row) -> bool:
    """Whether a record is a profile of the release."""
    return row.has("Situation", "Event Description")


def dialogue(row: Row) -> Dialogue:
    """Read one dialogue of the release.

    Turns are taken in the order of the list; ``Turn`` numbers are written anew. Empty utterances
    are skipped. A supporter turn without reasoning has ``reasoning`` None.

    Raises:
        InputError: if a turn has neither speaker, both, or a key the release does not know.
    """
    turns = tuple(_turn(entry) for entry in row.items("Dialogue", "turn") if _words(entry).strip())
    return Dialogue(id=_id(row), persona_id=_id(row), turns=turns)


def dialogue_record(dialogue: Dialogue) -> dict[str, object]:
    """Write one dialogue as a record of the release."""
    turns = [_turn_record(number, turn) for number, turn in enumerate(dialogue.turns, 1)]
    return {"ID": _release_id(dialogue.id), "Dialogue": turns}


def post(row: Row) -> Post:
    """Read one profile as a help-seeking post; what describes the person is not used.

    Raises:
        InputError: if the situation or the event description is missing.
        ValueError: if the topic is none of the paper's.
    """
    topic = clean(row.optional("Topic"))
    return Post(
        id=_id(row),
        source=row.path.name,
        question=clean(row.text("Question" if row.has("Question") else "Situation")),
        description=clean(row.text("Event Description")),
        topic=parse_topic(topic) if topic else None,
        subtopics=_split(clean(row.optional("Subtopic"))),
        emotion=clean(row.optional("Emotional Experience Words")) or None,
    )


def persona(row: Row) -> Persona:
    """Read one profile as a persona.

    ``Situation`` is the question, unless the record has our extra key ``Question``.

    Raises:
        InputError: if a key is missing.
        ValueError: if a value is outside the paper's vocabularies.
    """
    extra = row.has("Question")
    fields = {
        "id": _id(row),
        "gender": row.text("Gender"),
        "age": row.needed("Age"),
        "occupation": row.text("Occupation"),
        "personality": Personality.from_poles(_split(row.text("Personality"))),
        "topic": parse_topic(row.text("Topic")),
        "subtopics": _split(row.text("Subtopic")),
        "question": row.text("Question" if extra else "Situation"),
        "situation": row.text("Situation") if extra else None,
        "event_time": row.optional("Event Time") or None,
        "event_location": row.optional("Event Location") or None,
        "event_participants": row.optional("Event Participants") or None,
        "description": row.text("Event Description"),
        "emotions": _split(row.text("Emotional Experience Words")),
        "attempts": row.text("Coped Strategies and Effects"),
        "goals": row.text("Goals and Expectations"),
    }
    return Persona.model_validate(fields)


def profile_record(persona: Persona) -> dict[str, object]:
    """Write one persona as a profile of the release.

    The 15 keys of the release; where the persona's situation differs from its question, one more
    key, ``Question``. Event fields that are None are written as empty text.
    """
    extra = bool(persona.situation) and persona.situation != persona.question
    record: dict[str, object] = {
        "ID": _release_id(persona.id),
        "Gender": persona.gender,
        "Age": persona.age,
        "Occupation": persona.occupation,
        "Personality": ", ".join(persona.personality.poles()),
        "Topic": persona.topic.value,
        "Subtopic": ", ".join(persona.subtopics),
        "Situation": persona.situation if extra else persona.question,
        "Event Time": persona.event_time or "",
        "Event Location": persona.event_location or "",
        "Event Participants": persona.event_participants or "",
        "Event Description": persona.description,
        "Emotional Experience Words": ", ".join(persona.emotions),
        "Coped Strategies and Effects": persona.attempts,
        "Goals and Expectations": persona.goals,
    }
    return record | {"Question": persona.question} if extra else record


def read_personas(path: Path) -> Iterator[Persona]:
    """Read the profiles of the release as personas, with unique ids.

    Raises:
        InputError: if the file cannot be read or a profile is not a persona of the paper.
    """
    return unique_ids(row.read(persona) for row in read_rows(path))


def dialogues_text(dialogues: Iterable[Dialogue]) -> Iterator[str]:
    """A dialogue file of the release, in parts."""
    return _array(map(dialogue_record, dialogues))


def profiles_text(personas: Iterable[Persona]) -> Iterator[str]:
    """A profile file of the release, in parts."""
    return _array(map(profile_record, personas))


def _array(records: Iterable[dict[str, object]]) -> Iterator[str]:
    """A JSON array as ``json.dump`` writes it, element by element."""
    before = "["
    for record in records:
        # Only the breaks between lines are breaks here: within a text they are escaped.
        yield f"{before}\n{json.dumps(record, ensure_ascii=False, indent=2)}".replace("\n", "\n  ")
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def _id(row: Row) -> str:
    given = row.fields.get("ID")
    return given if isinstance(given, str) and given.strip() else row.name("ssconv", given)


def _release_id(name: str) -> str | int:
    number = _NUMBER.fullmatch(name)
    return int(number[1]) if number else name


def _words(entry: Row) -> str:
    return entry.text(entry.one_of("Seeker", "Supporter"))


def _turn(entry: Row) -> Turn:
    unknown = entry.fields.keys() - _TURN_KEYS
    if unknown:
        raise entry.error(f"unknown key {', '.join(sorted(unknown))}; known are {', '.join(sorted(_TURN_KEYS))}")
    if entry.has("Seeker"):
        return Turn(speaker=Speaker.SEEKER, text=entry.text("Seeker"))
    chain = entry.text(REASONING) if entry.fields.get(REASONING) is not None else None
    reasoning = parse_reasoning(chain) if chain is not None else None
    return Turn(speaker=Speaker.SUPPORTER, text=entry.text("Supporter"), reasoning=reasoning)


def _turn_record(number: int, turn: Turn) -> dict[str, object]:
    if turn.speaker is Speaker.SEEKER:
        return {"Turn": number, "Seeker": turn.text}
    chain = {REASONING: reasoning_text(turn.reasoning)} if turn.reasoning else {}
    return {"Turn": number, **chain, "Supporter": turn.text}


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
