"""Records as plain text: what a prompt, a terminal or a page shows of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from socialsim.schema import Node, Persona, Reasoning, Speaker, Turn

_SAYS: Final = {speaker: f"{speaker.capitalize()}: " for speaker in Speaker}
NOTHING_SAID: Final = "(nobody has spoken yet)"
_talk: ContextVar[Sequence[Turn]] = ContextVar("talk", default=())


@contextmanager
def talk(turns: Sequence[Turn]) -> Iterator[None]:
    """While a supporter is asked about a dialogue: a student's prompts may hold its reasoning, too (`talked`)."""
    token = _talk.set(turns)
    try:
        yield
    finally:
        _talk.reset(token)


def talked() -> Sequence[Turn]:
    """The turns of `talk`, empty outside of it."""
    return _talk.get()


def persona_text(persona: Persona) -> str:
    """A persona as labelled lines, the fixed facts first."""
    optional = {
        "Situation": persona.situation,
        "When": persona.event_time,
        "Where": persona.event_location,
        "Who": persona.event_participants,
    }
    lines = [
        f"Gender: {persona.gender}",
        f"Age: {persona.age}",
        f"Occupation: {persona.occupation}",
        f"Personality: {', '.join(persona.personality.poles())}",
        f"Topic: {persona.topic} ({', '.join(persona.subtopics)})",
        f"My question: {persona.question}",
        f"What happened: {persona.description}",
        *(f"{label}: {value}" for label, value in optional.items() if value),
        f"What I feel: {', '.join(persona.emotions)}",
        f"What I tried: {persona.attempts}",
        f"What I hope for: {persona.goals}",
    ]
    return "\n".join(lines)


def transcript(turns: Sequence[Turn]) -> str:
    """The visible conversation, one line a turn; reasoning is never part of it."""
    return "\n".join(map(transcript_line, turns)) or NOTHING_SAID


def transcript_line(turn: Turn) -> str:
    """A turn as the conversation shows it."""
    return _SAYS[turn.speaker] + turn.text


def reasoning_lines(reasoning: Reasoning) -> list[tuple[str, str]]:
    """The nodes of a reasoning that were written, each with its name; an imported chain as one, without a name."""
    if reasoning.raw is not None:
        return [("", reasoning.raw)]
    strategy = " + ".join(map(str, reasoning.strategies))
    if reasoning.purpose:
        strategy = f"{strategy}, {reasoning.purpose}" if strategy else reasoning.purpose
    nodes = [(node, getattr(reasoning, node)) for node in Node if node is not Node.STRATEGY]
    return [(node.capitalize(), value) for node, value in [*nodes, (Node.STRATEGY, strategy)] if value]
