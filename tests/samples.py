"""Small records for tests: a persona whose words occur nowhere else, turns, a dialogue that stands."""

from __future__ import annotations

from typing import Any

from socialsim.schema import Dialogue, Persona, Reasoning, Scenario, Speaker, StagedStrategy, Turn
from socialsim.taxonomy import Topic
from tests.scripted import sentences

PERSONALITY = {
    "openness": "Openness",
    "conscientiousness": "Conscientiousness",
    "extraversion": "Introversion",
    "neuroticism": "Neuroticism",
    "agreeableness": "Agreeableness",
}
POST = "I am 34 and a nurse in Quxville. My brother Zorblat sold our house and I have not slept well since then."


def persona(**changes: Any) -> Persona:
    """A persona; Quxville, Zorblat, Flimbury and Wuggins occur in no prompt of ours."""
    fields: dict[str, Any] = {
        "id": "p1",
        "gender": "Female",
        "age": 34,
        "occupation": "Nurse",
        "personality": PERSONALITY,
        "topic": Topic.FAMILY,
        "subtopics": ("Family Relations", "Family Trauma"),
        "question": "How do I face Zorblat again?",
        "description": POST,
        "emotions": ("Bewilderment", "Rancour"),
        "attempts": "I wrote to Flimbury about it and nobody answered me.",
        "goals": "I want to keep Wuggins and sleep again.",
        "event_location": "Quxville",
    }
    return Persona.model_validate(fields | changes)


def scenario(**changes: Any) -> Scenario:
    fields: dict[str, Any] = {
        "id": "s1",
        "source": "test",
        "topic": Topic.FAMILY,
        "question": "How do I face Zorblat again?",
        "description": POST,
    }
    return Scenario.model_validate(fields | changes)


def seeker(text: str) -> Turn:
    return Turn(speaker=Speaker.SEEKER, text=text)


def supporter(text: str, *strategies: str, **nodes: Any) -> Turn:
    """A supporter turn with reasoning, all nodes filled in unless they are given."""
    filled: dict[str, Any] = {
        "situation": "She lost a house.",
        "thought": "She feels betrayed.",
        "action": "She waits.",
    }
    chosen = tuple(StagedStrategy.parse(name) for name in strategies)
    reasoning = Reasoning(**(filled | {"purpose": "to learn more"} | nodes), strategies=chosen)
    return Turn(speaker=Speaker.SUPPORTER, text=text, reasoning=reasoning)


def dialogue(exchanges: int, *strategies: str) -> Dialogue:
    """A dialogue of that many exchanges, the supporter's strategies in order, the last one repeated."""
    said, names = sentences(), list(strategies or ["Exploration#Question"])
    turns: list[Turn] = []
    for index in range(exchanges):
        turns += [seeker(next(said)), supporter(next(said), names[min(index, len(names) - 1)])]
    return Dialogue(id="d1", turns=tuple(turns))
