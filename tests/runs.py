"""Run folders made of the authored demonstrations: as many dialogues as wanted, no two alike, in seconds.

``python -m tests.runs FOLDER COUNT`` writes one.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from metrics.verdicts import Rule
from socialsim.journal import Journal, write_atomically
from socialsim.resources import demonstrations
from socialsim.runfolder import Manifest, Settings, summarise, versions
from socialsim.schema import Demonstration, Dialogue, Flag, Persona, Provenance, Rejection, Scenario, Turn, Usage
from socialsim.screening import Reason

_LMS = {"persona": "made-up/lm", "seeker": "made-up/lm", "supporter": "made-up/lm"}


def fabricate(folder: Path, count: int, seed: int = 0) -> Path:
    """A run folder of ``count`` dialogues, with flags, rejections, usage and rule scores.

    The first dialogues are the demonstrations as they are; later ones are cut and shuffled ones.
    """
    rng, demos = random.Random(seed), list(demonstrations())
    with (
        Journal(folder / "scenarios.jsonl", Scenario) as scenarios,
        Journal(folder / "personas.jsonl", Persona) as personas,
        Journal(folder / "dialogues.jsonl", Dialogue) as dialogues,
        Journal(folder / "rejected.jsonl", Rejection) as rejected,
    ):
        for number in range(count):
            demo = demos[number % len(demos)]
            name = f"{demo.dialogue.id}-{number}"
            persona = demo.persona.model_copy(update={"id": name})
            scenarios.append(Scenario(id=name, source="made up", description=persona.description))
            personas.append(persona)
            dialogues.append(_varied(demo, name, rng, as_is=number < len(demos)))
            if number % 20 == 0:
                reason = rng.choice(list(Reason))
                rejected.append(Rejection(id=f"{name}-x", stage="intake", reason=reason))
    base = Manifest(versions=versions(), settings=Settings(seed=seed, mode="turn", lms=_LMS), inputs=("made up",))
    manifest = summarise(folder, base, Usage(), 12.5 * count)
    write_atomically(folder / "manifest.json", manifest.model_dump_json(indent=2) + "\n")
    return folder


def _varied(demo: Demonstration, name: str, rng: random.Random, as_is: bool) -> Dialogue:
    turns = list(demo.dialogue.turns)
    if not as_is:
        size = 2 * rng.randint(9, len(turns) // 2) if len(turns) >= 18 else len(turns)
        turns = [_shuffled(turn, rng) for turn in turns[:size]]
    if rng.random() < 0.1:
        place = rng.randrange(len(turns))
        turns[place] = turns[place].model_copy(update={"flags": (Flag(kind="echoed", detail="made up"),)})
    tokens = rng.randint(20_000, 60_000)
    usage = Usage(
        calls=len(turns) + rng.randint(0, 4), prompt_tokens=tokens, cached_tokens=tokens * 4 // 5,
        completion_tokens=rng.randint(2_000, 4_000), cost=round(tokens * 2e-7, 6), seconds=round(rng.uniform(8, 20), 3),
    )  # fmt: skip
    checks = {str(rule): round(rng.uniform(0.8, 1.0), 3) for rule in Rule}
    provenance = Provenance(mode="turn", seed=0, lms=_LMS, asked_again=rng.randint(0, 3), checks=checks, usage=usage)
    return Dialogue(id=name, turns=tuple(turns), persona_id=name, provenance=provenance)


def _shuffled(turn: Turn, rng: random.Random) -> Turn:
    words = turn.text.split()
    rng.shuffle(words)
    return turn.model_copy(update={"text": " ".join(words)})


if __name__ == "__main__":
    fabricate(Path(sys.argv[1]), int(sys.argv[2]))
