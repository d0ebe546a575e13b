"""What a run is asked to do, and who is needed for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from programs.simulate import SimulationOptions
from socialsim.budget import Budget
from socialsim.lms import LMSpec
from socialsim.loading import Programs, compiled_states, load_programs
from socialsim.schema import Role


class Mode(StrEnum):
    """How a dialogue is written."""

    TURN = "turn"
    ONEPASS = "onepass"


class Stage(StrEnum):
    """The stages of a run; each fills the journal of its name."""

    SCENARIOS = "scenarios"
    PERSONAS = "personas"
    DIALOGUES = "dialogues"


@dataclass(frozen=True)
class RunConfig:
    """Everything a run needs to know.

    Attributes:
        out: the run folder.
        lms: the spec of each role.
        stages: the stages to do; the earlier ones' results are read from the folder.
        limit: scenarios (or personas, where a run begins with them) to carry on at most, None for all.
        concurrency: items in flight at once.
        workers: processes of this machine that share them; None for as many as are useful.
        demonstrations: few-shot examples in an uncompiled program's prompt.
        states: compiled states named by the user; they win over those that are found.
        uncompiled: use no compiled state.
        budget: what the run may take in all its sessions.
        batch: let what screens, translates and writes personas go through its provider's Batch API.
    """

    out: Path
    lms: Mapping[Role, LMSpec]
    stages: tuple[Stage, ...] = tuple(Stage)
    mode: Mode = Mode.TURN
    simulation: SimulationOptions = field(default_factory=SimulationOptions)
    seed: int = 0
    limit: int | None = None
    concurrency: int = 4
    workers: int | None = None
    min_words: int = 65
    lm_screening: bool = True
    demonstrations: int = 2
    states: tuple[Path, ...] = ()
    uncompiled: bool = False
    allow_mixed: bool = False
    inputs: tuple[str, ...] = ()
    budget: Budget = field(default_factory=Budget)
    batch: bool = False


def programs_for(config: RunConfig) -> Programs:
    """The programs a run calls."""
    onepass = config.mode is Mode.ONEPASS
    needed = {role: config.lms[role] for role in roles_needed(config)}
    states = compiled_states(needed, config.simulation, config.states, config.uncompiled)
    return load_programs(onepass, config.simulation, config.lm_screening, config.demonstrations, config.seed, states)


def by_batch(config: RunConfig, role: Role) -> bool:
    """Whether a role's requests go through a Batch API: a dialogue's cannot, each waits for the one before."""
    return config.batch and role is Role.PERSONA


def sessions(config: RunConfig) -> tuple[RunConfig, ...]:
    """What is done one after the other: with ``batch``, dialogues follow when all personas are there.

    Until then all items are under way together, so that batches are few and large.
    """
    from socialsim.engines.baskets import most_in_flight

    first = tuple(stage for stage in config.stages if stage is not Stage.DIALOGUES)
    if not config.batch or not first:
        return (replace(config, batch=False),)
    together = replace(config, stages=first, concurrency=most_in_flight())
    if first == config.stages:
        return (together,)
    return together, replace(config, stages=(Stage.DIALOGUES,), batch=False)


def roles_needed(config: RunConfig) -> tuple[Role, ...]:
    """The roles a run calls; in one pass the supporter's LM writes both speakers."""
    roles = []
    if Stage.SCENARIOS in config.stages or Stage.PERSONAS in config.stages:
        roles.append(Role.PERSONA)
    if Stage.DIALOGUES in config.stages:
        roles += [Role.SUPPORTER] if config.mode is Mode.ONEPASS else [Role.SEEKER, Role.SUPPORTER]
    return tuple(roles)
