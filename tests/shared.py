"""Runs and read-backs that tests of sharing use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from socialsim.journal import Journal, write_atomically
from socialsim.runfolder import Manifest, Settings
from socialsim.schema import Dialogue, Flag, Node, Persona, Provenance, Turn, Usage
from tests import samples

ADDRESS = "http://10.0.0.5:8000/v1#Qwen/Qwen3-32B?temperature=0.9"
NASTY = 'Hi <script>alert("x")</script> 😢 | `a` **b** [c](javascript:d) $e$ 谢谢\u2028&amp;'


def made(number: int = 0, **changes: Any) -> Provenance:
    """How an item was made, on a server in somebody's network."""
    fields: dict[str, Any] = {
        "mode": "turn",
        "seed": 2**62,
        "lms": {"seeker": ADDRESS, "supporter": "student:/home/ann/students/esconv"},
        "programs": {"seeker": "abc123", "supporter": "def456"},
        "nodes": (Node.SITUATION, Node.STRATEGY),
        "demonstrations": ("family-1",),
        "asked_again": 2,
        "checks": {"structure": 0.5 + number / 10, "format": 1.0},
        "usage": Usage(calls=number, prompt_tokens=10**12, cost=None, seconds=1.25),
    }
    return Provenance(**fields | changes)


def items(count: int) -> list[tuple[Persona, Dialogue]]:
    """Personas and dialogues, each of other words; every text is nasty."""
    found = []
    for number in range(count):
        name = f"p{number}-{'9' * 300}"
        persona = samples.persona(id=name, question=NASTY, inferred=("age", "goals"), provenance=made(number))
        first = Turn(
            speaker=samples.seeker("a").speaker, text=f"{NASTY} {number}", flags=(Flag(kind="echo", detail="x"),)
        )
        turns = (first, *samples.dialogue(2).turns[1:], samples.supporter("So.", "Others", raw=NASTY, thought=None))
        dialogue = Dialogue(
            id=f"{name}-d", turns=turns, persona_id=name, flags=(Flag(kind="lead"),), provenance=made(number)
        )
        found.append((persona, dialogue))
    return found


def write_run(folder: Path, made_items: Sequence[tuple[Persona, Dialogue]], **manifest: Any) -> Path:
    """A run folder of them."""
    with (
        Journal(folder / "personas.jsonl", Persona) as personas,
        Journal(folder / "dialogues.jsonl", Dialogue) as talks,
    ):
        for persona, dialogue in made_items:
            personas.append(persona)
            talks.append(dialogue)
    fields: dict[str, Any] = {
        "versions": {"socialsim": "0.1.0"},
        "settings": Settings(seed=0, lms={"seeker": ADDRESS}),
        "inputs": ("posts.csv",),
        "counts": {"scenarios": 5, "dialogues": len(made_items)},
        "rejected": {"intake: too_<short>": 1234},
        "usage": Usage(calls=77, prompt_tokens=1000, cached_tokens=850, completion_tokens=5, cost=0.0123),
        "wall_seconds": 1234.5,
    }
    write_atomically(folder / "manifest.json", Manifest(**fields | manifest).model_dump_json())
    return folder
