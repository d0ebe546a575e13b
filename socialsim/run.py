"""Posts to scenarios to personas to dialogues: many items at once, each journalled when it is done.

An item is carried through the stages by one task; a bounded number of tasks is alive, so memory
does not grow with the input. What a journal holds is never done again, which is all that resume
is. An LM that cannot answer (no key, server down) stops the run; a single item that cannot be
made becomes a rejection with its trace.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TypeVar

import dspy

from programs.simulate import SimulationOptions
from socialsim.adapter import CompactAdapter
from socialsim.ask import role_adapter
from socialsim.doctor import bind_lm
from socialsim.duplicates import Deduplicator
from socialsim.errors import InputError
from socialsim.journal import Journal
from socialsim.lms import LMSpec, price
from socialsim.loading import (
    DIALOGUE_LEAVES,
    INTAKE_LEAVES,
    PERSONA_LEAVES,
    Programs,
    compiled_states,
    load_programs,
)
from socialsim.meter import Meter, State
from socialsim.runfolder import Manifest, RunFolder, Settings
from socialsim.schema import Dialogue, Persona, Post, Rejection, Role, Scenario
from socialsim.screening import screen_by_rule
from socialsim.steps import Steps
from socialsim.student_adapter import StudentAdapter

Item = Post | Scenario | Persona
R = TypeVar("R", Scenario, Persona, Dialogue)


class Mode(StrEnum):
    """How a dialogue is written."""

    TURN = "turn"
    ONEPASS = "onepass"


class Stage(StrEnum):
    """The stages of a run; each fills the journal of its name."""

    SCENARIOS = "scenarios"
    PERSONAS = "personas"
    DIALOGUES = "dialogues"


_LEAVES = {
    Stage.SCENARIOS: INTAKE_LEAVES,
    Stage.PERSONAS: PERSONA_LEAVES,
    Stage.DIALOGUES: DIALOGUE_LEAVES,
}


@dataclass(frozen=True)
class RunConfig:
    """Everything a run needs to know.

    Attributes:
        out: the run folder.
        lms: the spec of each role.
        stages: the stages to do; the earlier ones' results are read from the folder.
        limit: scenarios (or personas, where a run begins with them) to carry on at most, None for all.
        concurrency: items in flight at once.
        demonstrations: few-shot examples in an uncompiled program's prompt.
        states: compiled states named by the user; they win over those that are found.
        uncompiled: use no compiled state.
    """

    out: Path
    lms: Mapping[Role, LMSpec]
    stages: tuple[Stage, ...] = tuple(Stage)
    mode: Mode = Mode.TURN
    simulation: SimulationOptions = field(default_factory=SimulationOptions)
    seed: int = 0
    limit: int | None = None
    concurrency: int = 4
    min_words: int = 65
    lm_screening: bool = True
    demonstrations: int = 2
    states: tuple[Path, ...] = ()
    uncompiled: bool = False
    allow_mixed: bool = False
    inputs: tuple[str, ...] = ()


class Run:
    """One session on a run folder.

    Args:
        config: what to do.
        on_change: called with the state whenever an item ends, and about once a second.
    """

    def __init__(self, config: RunConfig, on_change: Callable[[State], None] = lambda _: None) -> None:
        self.config = config
        self.on_change = on_change
        self.programs = programs_for(config)
        self._lms = self._bind()
        prices = {lm.model: price(config.lms[role]) for role, lm in self._lms.items()}
        self.state = State(Meter(prices))
        self._posts: deque[Post] = deque()
        self._undecided = 0  # posts that an LM is judging or translating
        self._decided = asyncio.Event()
        self._carried = 0  # items that are done, or past intake and still can be
        self._steps = Steps(
            self.programs, config.lms, self.state.meter, config.mode, config.simulation.nodes, config.seed
        )

    def _bind(self) -> dict[Role, dspy.LM]:
        """One LM a spec, shared by the roles that name it; only roles a run needs are built."""
        built: dict[LMSpec, dspy.LM] = {}
        for role in roles_needed(self.config):
            spec = self.config.lms[role]
            built[spec] = built.get(spec) or bind_lm(role, spec)
            if role is Role.SUPPORTER and isinstance(own := role_adapter(built[spec]), StudentAdapter):
                own.check_nodes(self.config.simulation.nodes)
        return {role: built[self.config.lms[role]] for role in roles_needed(self.config)}

    def settings(self) -> Settings:
        """What the items of this session depend on."""
        config, simulation = self.config, self.config.simulation
        talks, prompted = Stage.DIALOGUES in config.stages, config.stages != (Stage.SCENARIOS,)
        leaves = [leaf for stage in config.stages for leaf in _LEAVES[stage]]
        return Settings(
            seed=config.seed,
            min_words=config.min_words if Stage.SCENARIOS in config.stages else None,
            mode=config.mode if talks else None,
            nodes=simulation.nodes if talks else None,
            emoji=simulation.emoji if talks else None,
            strict=simulation.strict if talks else None,
            shots=config.demonstrations if prompted else None,
            lms={role: config.lms[role].text for role in roles_needed(config)},
            demonstrations=self.programs.demonstrations if talks else None,
            programs={leaf: value for leaf, value in self.programs.hashes.items() if leaf in leaves},
        )

    def execute(self, items: Iterable[Item]) -> Manifest:
        """Do the stages for new items and for what an earlier session left open.

        Args:
            items: posts, or scenarios or personas where a run begins at a later stage. They are read
                to the end before anything is written, so that a broken input costs nothing.

        Raises:
            SocialSimError: in one line, where the input, the folder or an LM fails; nothing is lost.
        """
        config, given = self.config, list(items)
        with RunFolder(config.out, self.settings(), config.inputs, config.allow_mixed) as folder:
            self.folder = folder
            new = self._new(given)
            self._write_manifest()  # a killed session, too, leaves what its items were made with
            try:
                self._take_in(new)
                asyncio.run(self._carry_all())
            finally:
                manifest = self._write_manifest()
        return manifest

    def _write_manifest(self) -> Manifest:
        seconds = self.state.seconds
        return self.folder.write_manifest(self.state.meter.usage(seconds), seconds)

    def _earlier(self) -> Iterator[Item]:
        """What earlier sessions took in, of the kind that this one takes in."""
        if self.config.stages[0] is Stage.DIALOGUES:
            yield from self.folder.personas
            return
        yield from self.folder.scenarios
        yield from (rejection.post for rejection in self.folder.rejected if rejection.post)

    def _new(self, items: list[Item]) -> list[Item]:
        """The items that no earlier session took in.

        Raises:
            InputError: if one has the id of another item in the folder; it would vanish silently.
        """
        known = {item.id: hash(_told(item)) for item in self._earlier()}
        for item in items:
            if known.get(item.id, hash(_told(item))) != hash(_told(item)):
                source = ", ".join(self.config.inputs) if isinstance(item, Persona) else item.source
                what = f"{item.id!r} is in {self.config.out} with another description"
                raise InputError(source, f"{what}; rename the input file (or the id in it), or use another --out")
        return [item for item in items if item.id not in known]

    def _take_in(self, items: list[Item]) -> None:
        """Screen posts by rule, put given scenarios and personas into their journals."""
        folder, seen = self.folder, Deduplicator()
        for item in items:
            if isinstance(item, Scenario):
                folder.scenarios.append(item)
            elif isinstance(item, Persona):
                folder.personas.append(item)
        posts = [item for item in items if isinstance(item, Post)]
        for scenario in folder.scenarios if posts else ():
            seen.add(scenario.id, _told(scenario))
        for outcome in screen_by_rule(posts, self.config.min_words, seen):
            if isinstance(outcome, Rejection):
                self._reject(outcome)
            else:
                self._posts.append(outcome)

    def _waiting(self) -> Iterator[Item]:
        """Items to carry on, those that came furthest first."""
        folder, stages, limit = self.folder, self.config.stages, self.config.limit
        begun = folder.personas if stages[0] is Stage.DIALOGUES else folder.scenarios
        chosen = set(islice(begun.ids, limit)) if limit is not None else None

        def is_open(item_id: str, made: Container[str]) -> bool:
            return item_id not in made and item_id not in folder.rejected and (chosen is None or item_id in chosen)

        if Stage.DIALOGUES in stages:
            yield from (persona for persona in folder.personas if is_open(persona.id, folder.dialogues))
        if Stage.PERSONAS in stages:
            yield from (scenario for scenario in folder.scenarios if is_open(scenario.id, folder.personas))

    async def _carry_all(self) -> None:
        waiting: deque[Item] = deque(self._waiting())
        self._count_total(waiting)
        ticker = asyncio.create_task(self._tick())
        running: set[asyncio.Task[None]] = set()
        try:
            with dspy.context(lms=self._lms, adapter=CompactAdapter(), disable_history=True, max_trace_size=0):
                while (item := await self._next(waiting)) is not None:
                    running.add(asyncio.create_task(self._carry(item)))
                    while len(running) >= self.config.concurrency:
                        running = await _some_done(running)
                while running:
                    running = await _some_done(running)
        finally:
            ticker.cancel()
            for task in running:
                task.cancel()
            await asyncio.gather(ticker, *running, return_exceptions=True)

    def _count_total(self, waiting: Sized) -> None:
        limit, done = self.config.limit, len(self._last_journal())
        self.state.done = done if limit is None else min(done, limit)
        self._carried = self.state.done + len(waiting)
        self._show()

    def _show(self) -> None:
        """Show the state; posts count as far as a limit lets them become scenarios."""
        limit, posts = self.config.limit, len(self._posts) + self._undecided
        if limit is not None:
            posts = min(posts, max(limit - len(self.folder.scenarios), 0))
        self.state.total = self._carried + posts
        self.on_change(self.state)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._show()

    async def _next(self, waiting: deque[Item]) -> Item | None:
        """The next item; waits where a limit leaves it open whether another post is wanted."""
        if waiting:
            return waiting.popleft()
        limit = self.config.limit
        while self._posts:
            if limit is None or len(self.folder.scenarios) + self._undecided < limit:
                self._undecided += 1
                return self._posts.popleft()
            if not self._undecided:
                return None
            self._decided.clear()
            await self._decided.wait()
        return None

    def _last_journal(self) -> Journal[Scenario] | Journal[Persona] | Journal[Dialogue]:
        match self.config.stages[-1]:
            case Stage.SCENARIOS:
                return self.folder.scenarios
            case Stage.PERSONAS:
                return self.folder.personas
            case Stage.DIALOGUES:
                return self.folder.dialogues

    async def _carry(self, item: Item) -> None:
        """Carry one item through the stages that are asked for; each result is journalled at once."""
        stages, folder = self.config.stages, self.folder
        made: Scenario | Persona | Dialogue | Rejection | Post = item
        if isinstance(made, Post):
            made = await self._decide(made)
        # A power cut can lose an earlier file's last lines: what they led to is not made twice.
        if isinstance(made, Scenario) and Stage.PERSONAS in stages and made.id not in folder.personas:
            made = self._keep(folder.personas, await self._steps.persona(made))
        if isinstance(made, Persona) and Stage.DIALOGUES in stages and made.id not in folder.dialogues:
            made = self._keep(folder.dialogues, await self._steps.dialogue(made))
        self.state.done += not isinstance(made, Rejection)
        self._show()

    async def _decide(self, post: Post) -> Scenario | Rejection:
        try:
            made = self._keep(self.folder.scenarios, await self._steps.scenario(post))
            self._carried += 1
            return made
        finally:
            self._undecided -= 1
            self._decided.set()

    def _keep(self, journal: Journal[R], made: R | Rejection) -> R | Rejection:
        if isinstance(made, Rejection):
            self._reject(made)
            self._carried -= 1
        else:
            journal.append(made)
        return made

    def _reject(self, rejection: Rejection) -> None:
        self.folder.rejected.append(rejection)
        self.state.failed += 1


def _told(item: Item) -> str:
    """What an item is known by beside its id: its description, before translation."""
    original = item.original if isinstance(item, Scenario) else None
    return (original or item).description.strip()


async def _some_done(running: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """Wait until a task ends; what it raised is raised here."""
    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    return running


def programs_for(config: RunConfig) -> Programs:
    """The programs a run calls."""
    onepass = config.mode is Mode.ONEPASS
    needed = {role: config.lms[role] for role in roles_needed(config)}
    states = compiled_states(needed, config.simulation, config.states, config.uncompiled)
    return load_programs(onepass, config.simulation, config.lm_screening, config.demonstrations, config.seed, states)


def roles_needed(config: RunConfig) -> tuple[Role, ...]:
    """The roles a run calls; in one pass the supporter's LM writes both speakers."""
    roles = []
    if Stage.SCENARIOS in config.stages or Stage.PERSONAS in config.stages:
        roles.append(Role.PERSONA)
    if Stage.DIALOGUES in config.stages:
        roles += [Role.SUPPORTER] if config.mode is Mode.ONEPASS else [Role.SEEKER, Role.SUPPORTER]
    return tuple(roles)
