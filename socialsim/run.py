"""Posts to scenarios to personas to dialogues: many items at once, each journalled when it is done.

An item is carried through the stages by one task; a bounded number of tasks is alive, so memory
does not grow with the input. What a journal holds is never done again, which is all that resume
is. An LM that cannot answer (no key, server down) stops the run; a single item that cannot be
made becomes a rejection with its trace.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import dspy

from programs.simulate import SimulationOptions
from socialsim.adapter import CompactAdapter
from socialsim.errors import LMSpecError
from socialsim.journal import Journal
from socialsim.lms import LMSpec, build_lm, price, redact
from socialsim.loading import Programs, load_programs
from socialsim.meter import Meter
from socialsim.runfolder import Manifest, RunFolder, Settings
from socialsim.schema import Dialogue, Persona, Post, Rejection, Role, Scenario
from socialsim.screening import screen_by_rule
from socialsim.steps import Steps

Item = Post | Scenario | Persona
R = TypeVar("R", Scenario, Persona, Dialogue)


class Mode(StrEnum):
    """How a dialogue is written."""

    TURN = "turn"
    ONEPASS = "onepass"


class Stage(StrEnum):
    """The stages of a run."""

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
        limit: scenarios to carry on at most, None for all.
        concurrency: items in flight at once.
        demonstrations: few-shot examples in an uncompiled program's prompt.
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
    allow_mixed: bool = False
    inputs: tuple[str, ...] = ()


@dataclass
class State:
    """How far a run is; a progress display reads it.

    Attributes:
        total: items that can still become dialogues (or whatever the last stage makes), and those that did.
        done: items that came through the last stage.
        rejected: items set aside so far.
        meter: calls, tokens and cost of this session.
    """

    meter: Meter
    total: int = 0
    done: int = 0
    rejected: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Wall time of this session."""
        return time.monotonic() - self.started


class Run:
    """One session on a run folder.

    Args:
        config: what to do.
        on_change: called with the state whenever an item ends, and about once a second.
    """

    def __init__(self, config: RunConfig, on_change: Callable[[State], None] = lambda _: None) -> None:
        self.config = config
        self.on_change = on_change
        self.programs: Programs = load_programs(
            config.mode is Mode.ONEPASS, config.simulation, config.lm_screening, config.demonstrations, config.seed
        )
        self._lms = self._bind()
        prices = {lm.model: price(config.lms[role]) for role, lm in self._lms.items()}
        self.state = State(Meter(prices))
        self._steps = Steps(
            self.programs, config.lms, self.state.meter, config.mode, config.simulation.nodes, config.seed
        )

    def _bind(self) -> dict[Role, dspy.LM]:
        """One LM a spec, shared by the roles that name it; only roles a run needs are built."""
        built: dict[LMSpec, dspy.LM] = {}
        for role in roles_needed(self.config):
            spec = self.config.lms[role]
            try:
                built[spec] = built.get(spec) or build_lm(spec)
            except LMSpecError as error:
                raise LMSpecError(f"{role} LM: {redact(str(error))}") from error
        return {role: built[self.config.lms[role]] for role in roles_needed(self.config)}

    def settings(self) -> Settings:
        """What the run's items depend on."""
        config, simulation = self.config, self.config.simulation
        return Settings(
            mode=config.mode,
            nodes=simulation.nodes,
            emoji=simulation.emoji,
            strict=simulation.strict,
            seed=config.seed,
            lms={role: config.lms[role].text for role in roles_needed(config)},
            programs=self.programs.hashes,
            demonstrations=self.programs.demonstrations,
        )

    def execute(self, items: Iterable[Item]) -> Manifest:
        """Do the stages for new items and for what an earlier session left open.

        Args:
            items: posts, or scenarios or personas where a run begins at a later stage. They are read
                to the end before the first LM call, so that a broken input costs nothing.

        Raises:
            SocialSimError: in one line, where the input, the folder or an LM fails; nothing is lost.
        """
        config = self.config
        with RunFolder(config.out, self.settings(), config.inputs, config.allow_mixed) as folder:
            self.folder = folder
            try:
                self._take_in(items)
                asyncio.run(self._carry_all())
            finally:
                manifest = folder.write_manifest(self.state.seconds)
        return manifest

    def _take_in(self, items: Iterable[Item]) -> None:
        """Screen posts by rule, put given scenarios and personas into their journals."""
        folder = self.folder
        posts: list[Post] = []
        for item in items:
            if isinstance(item, Post):
                posts.append(item)
            elif isinstance(item, Scenario) and item.id not in folder.scenarios:
                folder.scenarios.append(item)
            elif isinstance(item, Persona) and item.id not in folder.personas:
                folder.personas.append(item)
        self._posts: deque[Post] = deque()
        for outcome in screen_by_rule(posts, self.config.min_words):
            if outcome.id in folder.scenarios or outcome.id in folder.rejected:
                continue
            if isinstance(outcome, Rejection):
                folder.rejected.append(outcome)
                self.state.rejected += 1
            else:
                self._posts.append(outcome)

    def _waiting(self) -> Iterator[Item]:
        """Items to carry on, those that came furthest first."""
        folder, stages = self.folder, self.config.stages
        ended = folder.rejected
        chosen = set(list(folder.scenarios.ids)[: self.config.limit]) if self.config.limit is not None else None
        if Stage.DIALOGUES in stages:
            for persona in folder.personas.records():
                if persona.id not in folder.dialogues and persona.id not in ended and self._chosen(persona.id, chosen):
                    yield persona
        if Stage.PERSONAS in stages:
            for scenario in folder.scenarios.records():
                if (
                    scenario.id not in folder.personas
                    and scenario.id not in ended
                    and self._chosen(scenario.id, chosen)
                ):
                    yield scenario

    def _chosen(self, item_id: str, chosen: set[str] | None) -> bool:
        return chosen is None or item_id in chosen or item_id not in self.folder.scenarios

    async def _carry_all(self) -> None:
        waiting: deque[Item] = deque(self._waiting())
        self._count_total(len(waiting))
        ticker = asyncio.create_task(self._tick())
        running: set[asyncio.Task[None]] = set()
        self._undecided = 0
        self._decided = asyncio.Event()
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

    def _count_total(self, waiting: int) -> None:
        limit, begun = self.config.limit, len(self.folder.scenarios)
        new = len(self._posts) if limit is None else min(len(self._posts), max(limit - begun, 0))
        done = len(self._journal(self.config.stages[-1]))
        self.state.done = done if limit is None else min(done, limit)
        self.state.total = self.state.done + waiting + new
        self.on_change(self.state)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.on_change(self.state)

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

    def _journal(self, stage: Stage) -> Journal[Scenario] | Journal[Persona] | Journal[Dialogue]:
        return {
            Stage.SCENARIOS: self.folder.scenarios,
            Stage.PERSONAS: self.folder.personas,
            Stage.DIALOGUES: self.folder.dialogues,
        }[stage]

    async def _carry(self, item: Item) -> None:
        """Carry one item through the stages that are asked for; each result is journalled at once."""
        stages, folder = self.config.stages, self.folder
        made: Scenario | Persona | Dialogue | Rejection | Post = item
        if isinstance(made, Post):
            made = await self._decide(made)
        if isinstance(made, Scenario) and Stage.PERSONAS in stages:
            made = self._keep(folder.personas, await self._steps.persona(made))
        if isinstance(made, Persona) and Stage.DIALOGUES in stages:
            made = self._keep(folder.dialogues, await self._steps.dialogue(made))
        self.state.done += not isinstance(made, Rejection)
        self.on_change(self.state)

    async def _decide(self, post: Post) -> Scenario | Rejection:
        try:
            return self._keep(self.folder.scenarios, await self._steps.scenario(post))
        finally:
            self._undecided -= 1
            self._decided.set()

    def _keep(self, journal: Journal[R], made: R | Rejection) -> R | Rejection:
        if isinstance(made, Rejection):
            self.folder.rejected.append(made)
            self.state.rejected += 1
        else:
            journal.append(made)
        return made


async def _some_done(running: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """Wait until a task ends; what it raised is raised here."""
    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    return running


def roles_needed(config: RunConfig) -> tuple[Role, ...]:
    """The roles a run calls; in one pass the supporter's LM writes both speakers."""
    roles = []
    if Stage.SCENARIOS in config.stages or Stage.PERSONAS in config.stages:
        roles.append(Role.PERSONA)
    if Stage.DIALOGUES in config.stages:
        roles += [Role.SUPPORTER] if config.mode is Mode.ONEPASS else [Role.SEEKER, Role.SUPPORTER]
    return tuple(roles)
