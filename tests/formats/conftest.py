"""Files and records that the tests of the formats share."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Save = Callable[[str, object], Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a file: text and bytes as they are, a list of records by the suffix."""

    def write(name: str, content: object) -> Path:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_bytes(content.encode())
        elif name.endswith(".jsonl"):
            path.write_text("".join(json.dumps(record) + "\n" for record in content), "utf-8")  # type: ignore[attr-defined]
        else:
            path.write_text(json.dumps(content, indent=1), "utf-8")
        return path

    return write


@pytest.fixture
def profile() -> dict[str, Any]:
    """A profile with the 15 keys of the release."""
    return {
        "ID": 7,
        "Gender": "Female",
        "Age": 31,
        "Occupation": "Gardener",
        "Personality": "Openness, Unconscientiousness, Introversion, Neuroticism, Agreeableness",
        "Topic": "Work",
        "Subtopic": "Work Stress, Career Management",
        "Situation": "My greenhouse burned down and I cannot start again.",
        "Event Time": "Spring",
        "Event Location": "",
        "Event Participants": "Me, my partner",
        "Event Description": "A heater fell over at night and all seedlings were lost.",
        "Emotional Experience Words": "Grief, Shame",
        "Coped Strategies and Effects": "I called the insurance. It did not help.",
        "Goals and Expectations": "I want to find the courage to plant again.",
    }


@pytest.fixture
def release() -> dict[str, Any]:
    """A dialogue of the release: a rendered chain, one that is not, and none."""
    chain = (
        "[SEEKER'S SITUATION] The seeker lost a greenhouse. [SEEKER'S THOUGHT] She doubts herself. "
        "[SEEKER'S ACTION] She greets. [SUPPORTER'S STRATEGY] I hereby choose the (Exploration#Question) "
        "strategy to learn more."
    )
    return {
        "ID": 7,
        "Dialogue": [
            {"Turn": 1, "Seeker": "Hello! 🙂"},
            {"Turn": 2, "Supporter Step by Step Reasoning": chain, "Supporter": "Hi, what happened? 🤔"},
            {"Turn": 3, "Seeker": "My seedlings are gone. 😢"},
            {"Turn": 4, "Supporter Step by Step Reasoning": "  no tags, (Others) ", "Supporter": "Oh no. 😔"},
            {"Turn": 5, "Seeker": "Yes. 😞"},
            {"Turn": 6, "Supporter": "I am here. 🤗"},
        ],
    }
