"""Put a run's programs together: leaf programs, their demonstrations, their hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import dspy

from programs.demonstrations import (
    early_example,
    few_shot,
    onepass_example,
    persona_example,
    seeker_examples,
    supporter_examples,
)
from programs.intake import Intake
from programs.keep import no_check
from programs.onepass import OnePass
from programs.persona import PersonaRealism
from programs.simulate import Simulate, SimulationOptions
from programs.turn import ALL_NODES
from socialsim.artifacts import NEAREST, find, load_state, program_of
from socialsim.errors import UsageError
from socialsim.lms import LMSpec
from socialsim.resources import training_demonstrations
from socialsim.rules import rule_check
from socialsim.schema import Demonstration, Persona, Record, Role

# The leaf programs of each stage, by name.
INTAKE_LEAVES = ("screen", "translate")
PERSONA_LEAVES = ("topic", "retell", "persona")
DIALOGUE_LEAVES = ("seeker", "supporter", "onepass")
# Who plays a leaf that can be compiled.
PLAYERS: Final = {
    "persona": Role.PERSONA,
    "seeker": Role.SEEKER,
    "supporter": Role.SUPPORTER,
    "onepass": Role.SUPPORTER,
}


@dataclass(frozen=True)
class Programs:
    """The programs of a run.

    Attributes:
        intake: screens and translates a post.
        persona: turns a scenario into a persona.
        dialogue: turns a persona into a dialogue, by turns or in one pass.
        hashes: leaf name to a hash of its instructions and demonstrations.
        demonstrations: ids of the demonstrations in the dialogue prompts, in one pass of those drawn from;
            a compiled program's examples are part of its state.
        compiled: leaf name to the compiled state it was given.
    """

    intake: Intake
    persona: PersonaRealism
    dialogue: Simulate | OnePass
    hashes: dict[str, str]
    demonstrations: tuple[str, ...]
    compiled: dict[str, Path] = field(default_factory=dict)

    def hashes_of(self, made: Record) -> dict[str, str]:
        """The hashes of the leaves that take part in making a persona or a dialogue."""
        names = PERSONA_LEAVES if isinstance(made, Persona) else DIALOGUE_LEAVES
        return {name: value for name, value in self.hashes.items() if name in names}


def program_hash(module: dspy.Module) -> str:
    """Twelve hex digits that change with a program's instructions, fields or demonstrations."""
    shown = {NEAREST: count} if (count := getattr(module, NEAREST, 0)) else {}
    state = json.dumps(module.dump_state() | shown, sort_keys=True, default=str)
    return hashlib.sha256(state.encode()).hexdigest()[:12]


def compiled_states(
    specs: Mapping[Role, LMSpec], simulation: SimulationOptions, given: Sequence[Path] = (), uncompiled: bool = False
) -> dict[str, Path]:
    """Which compiled state each leaf is given: the one named, else the LM's own, else a generic one.

    A speaker's state is made for all nodes and emoji; with others only a named one is asked for, and refused.

    Args:
        specs: the LM of each role.
        simulation: nodes and emoji.
        given: states named by the user.
        uncompiled: use none.

    Raises:
        UsageError: if a named state is for no leaf of a run, or two are for one, or it does not fit the options.
    """
    if uncompiled:
        return {}
    named = [(program_of(path), path) for path in given]
    names = [name for name, _ in named]
    plain = simulation.nodes == ALL_NODES and simulation.emoji
    for name, path in named:
        if name not in PLAYERS or names.count(name) > 1:
            raise UsageError(f"--program {path}: {f'two states for {name}' if name in PLAYERS else 'not for a run'}")
        if name != "persona" and not plain:
            raise UsageError(f"--program {path}: made for all nodes and emoji; leave out --nodes and --no-emoji")
    wanted = PLAYERS if plain else {"persona": Role.PERSONA}
    found = {name: find(name, specs[role]) for name, role in wanted.items() if role in specs}
    return {name: path for name, path in found.items() if path} | dict(named)


def load_programs(
    onepass: bool,
    simulation: SimulationOptions,
    lm_screening: bool,
    shots: int,
    seed: int,
    states: Mapping[str, Path] | None = None,
) -> Programs:
    """Build the programs: a compiled state where there is one, else authored examples in the prompt.

    The examples are of the training set, so that held-out scenarios stay unseen.

    Args:
        onepass: whether a dialogue is written in one pass.
        simulation: nodes, emoji, tries, strictness.
        lm_screening: whether an LM screens posts.
        shots: examples a prompt; 0 for none.
        seed: which examples are taken.
        states: leaf name to its compiled state.

    Raises:
        InputError: if a state is foreign or broken.
    """
    pool = training_demonstrations() if shots else []
    chosen = pool if onepass else few_shot(pool, shots, seed)
    intake, persona = Intake(lm_screening), PersonaRealism(simulation.tries)
    persona.persona.write.demos = [persona_example(demo) for demo in few_shot(pool, min(shots, 2), seed)]
    dialogue = _onepass(simulation, chosen) if onepass else _turns(simulation, chosen)
    leaves = {"screen": intake.screen, "translate": intake.translate}
    leaves |= {"topic": persona.choose_topic, "retell": persona.retell, "persona": persona.persona}
    speakers = {name: getattr(dialogue, name) for name in DIALOGUE_LEAVES if hasattr(dialogue, name)}
    leaves |= speakers
    compiled = {name: path for name, path in (states or {}).items() if name in leaves}
    for name, path in compiled.items():
        load_state(leaves[name], path, name)
    shown = () if speakers.keys() <= compiled.keys() else tuple(demo.dialogue.id for demo in chosen)
    hashes = {name: program_hash(leaf) for name, leaf in leaves.items()}
    return Programs(intake, persona, dialogue, hashes, shown, compiled)


def _turns(simulation: SimulationOptions, chosen: Sequence[Demonstration]) -> Simulate:
    nodes, emoji = simulation.nodes, simulation.emoji
    program = Simulate(simulation, rule_check(nodes) if simulation.rules else no_check)
    program.seeker.speak.demos = [
        early_example(list(seeker_examples(demo, emoji)), index) for index, demo in enumerate(chosen)
    ]
    program.supporter.reply.demos = [
        early_example(list(supporter_examples(demo, nodes, emoji)), index) for index, demo in enumerate(chosen)
    ]
    return program


def _onepass(simulation: SimulationOptions, pool: Sequence[Demonstration]) -> OnePass:
    examples = [onepass_example(demo, simulation.nodes, simulation.emoji) for demo in pool]
    return OnePass(simulation, examples, rule_check(simulation.nodes))
