"""Put a run's programs together: leaf programs, their demonstrations, their hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import dspy

from programs.demonstrations import few_shot, onepass_example, persona_example, seeker_examples, supporter_examples
from programs.intake import Intake
from programs.onepass import OnePass
from programs.persona import PersonaRealism
from programs.simulate import Simulate, SimulationOptions
from socialsim.resources import demonstrations
from socialsim.schema import Demonstration, Persona, Record

# Few-shot turns are taken from the first half of a dialogue: their transcripts are short.
_EARLY = slice(1, 7)

# The leaf programs of each stage, by name.
INTAKE_LEAVES = ("screen", "translate")
PERSONA_LEAVES = ("topic", "retell", "persona")
DIALOGUE_LEAVES = ("seeker", "supporter", "onepass")


@dataclass(frozen=True)
class Programs:
    """The programs of a run.

    Attributes:
        intake: screens and translates a post.
        persona: turns a scenario into a persona.
        dialogue: turns a persona into a dialogue, by turns or in one pass.
        hashes: leaf name to a hash of its instructions and demonstrations.
        demonstrations: ids of the demonstrations in the dialogue prompts, in one pass of those drawn from.
    """

    intake: Intake
    persona: PersonaRealism
    dialogue: Simulate | OnePass
    hashes: dict[str, str]
    demonstrations: tuple[str, ...]

    def hashes_of(self, made: Record) -> dict[str, str]:
        """The hashes of the leaves that take part in making a persona or a dialogue."""
        names = PERSONA_LEAVES if isinstance(made, Persona) else DIALOGUE_LEAVES
        return {name: value for name, value in self.hashes.items() if name in names}


def program_hash(module: dspy.Module) -> str:
    """Twelve hex digits that change with a program's instructions, fields or demonstrations."""
    state = json.dumps(module.dump_state(), sort_keys=True, default=str)
    return hashlib.sha256(state.encode()).hexdigest()[:12]


def load_programs(onepass: bool, simulation: SimulationOptions, lm_screening: bool, shots: int, seed: int) -> Programs:
    """Build the programs, with ``shots`` authored examples in each speaker's prompt.

    Args:
        onepass: whether a dialogue is written in one pass.
        simulation: nodes, emoji, tries, strictness.
        lm_screening: whether an LM screens posts.
        shots: examples a prompt; 0 for none.
        seed: which examples are taken.
    """
    pool = list(demonstrations()) if shots else []
    chosen = pool if onepass else few_shot(pool, shots, seed)
    intake, persona = Intake(lm_screening), PersonaRealism(simulation.tries)
    persona.persona.write.demos = [persona_example(demo) for demo in few_shot(pool, min(shots, 2), seed)]
    dialogue = _onepass(simulation, chosen) if onepass else _turns(simulation, chosen)
    leaves = {"screen": intake.screen, "translate": intake.translate}
    leaves |= {"topic": persona.choose_topic, "retell": persona.retell, "persona": persona.persona}
    leaves |= {name: getattr(dialogue, name) for name in DIALOGUE_LEAVES if hasattr(dialogue, name)}
    hashes = {name: program_hash(leaf) for name, leaf in leaves.items()}
    return Programs(intake, persona, dialogue, hashes, tuple(demo.dialogue.id for demo in chosen))


def _turns(simulation: SimulationOptions, chosen: Sequence[Demonstration]) -> Simulate:
    program = Simulate(simulation)
    nodes, emoji = simulation.nodes, simulation.emoji
    program.seeker.speak.demos = [
        example for i, demo in enumerate(chosen) for example in _one(list(seeker_examples(demo, emoji)), i)
    ]
    program.supporter.reply.demos = [
        example for i, demo in enumerate(chosen) for example in _one(list(supporter_examples(demo, nodes, emoji)), i)
    ]
    return program


def _one(examples: list[dspy.Example], index: int) -> list[dspy.Example]:
    early = examples[_EARLY]
    return [early[(2 * index) % len(early)]]


def _onepass(simulation: SimulationOptions, pool: Sequence[Demonstration]) -> OnePass:
    return OnePass(simulation, [onepass_example(demo, simulation.nodes, simulation.emoji) for demo in pool])
