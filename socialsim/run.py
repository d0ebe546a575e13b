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
from collections.abc import Callable, Container, Iterable, Iterator, Sized
from itertools import chain, islice
from typing import TypeVar, get_args

from socialsim.budget import Purse
from socialsim.duplicates import Deduplicator
from socialsim.errors import BudgetError, InputError
from socialsim.journal import Journal
from socialsim.kept import forget, forget_all, kept_usage
from socialsim.loading import DIALOGUE_LEAVES, INTAKE_LEAVES, PERSONA_LEAVES
from socialsim.meter import State
from socialsim.openfiles import require_files_for
from socialsim.processes import check_workers, on_this_machine
from socialsim.runconfig import RunConfig, Stage, programs_for, roles_needed
from socialsim.runfolder import Manifest, RunFolder, Settings, read_manifest, refuse_other
from socialsim.schema import Dialogue, Persona, Post, Rejection, Scenario
from socialsim.screening import screen_by_rule
from socialsim.steps import StepName
from socialsim.worker import Workforce, batch_lms, bound_lms, endpoints, run_prices
from socialsim.writers import dismiss

Item = Post | Scenario | Persona
R = TypeVar("R", Scenario, Persona, Dialogue)


_LEAVES = {
    Stage.SCENARIOS: INTAKE_LEAVES,
    Stage.PERSONAS: PERSONA_LEAVES,
    Stage.DIALOGUES: DIALOGUE_LEAVES,
}


class Run:
    """One session on a run folder.

    Args:
        config: what to do.
        on_change: called with the state whenever an item ends, and about once a second.
        workforce: who makes the items; as many processes of this machine as are useful, if nobody else.

    Attributes:
        lms: the LM of each role that is needed.
        stopped: why the session ended before all items were made, if it did.

    Raises:
        LMSpecError: if an LM cannot be had, or its price is unknown although its cost is limited.
        UsageError: if a process may not open as many files as its items in flight need, or several cannot help.
    """

    def __init__(
        self,
        config: RunConfig,
        on_change: Callable[[State], None] = lambda _: None,
        workforce: Workforce | None = None,
    ) -> None:
        self.config = config
        self.on_change = on_change
        self.programs = programs_for(config)
        self.lms = bound_lms(config)
        self.state = State(run_prices(config, self.lms), endpoints=endpoints(self.lms))
        if workforce is None and not config.batch:
            check_workers(config)
            require_files_for(config.concurrency, len(self.state.endpoints), config.workers or 1)
        self._workforce = workforce or on_this_machine(self.lms, self.programs)
        config.budget.check_prices(self.state.meter)
        self.stopped: BudgetError | None = None
        self._posts: deque[Post] = deque()
        self._undecided = 0  # posts that an LM is judging or translating
        self._decided = asyncio.Event()
        self._carried = 0  # items that are done, or past intake and still can be

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
            rules=simulation.rules if talks else None,
            shots=config.demonstrations if prompted else None,
            lms={role: config.lms[role].text for role in roles_needed(config)},
            demonstrations=self.programs.demonstrations if talks else None,
            programs={leaf: value for leaf, value in self.programs.hashes.items() if leaf in leaves},
        )

    def check_folder(self) -> None:
        """Refuse a folder that was made with other settings, before anything else is done.

        Raises:
            OutputError: naming the setting.
        """
        if not self.config.allow_mixed and (before := read_manifest(self.config.out)):
            refuse_other(self.config.out, before.settings, self.settings())

    def execute(self, items: Iterable[Item]) -> Manifest:
        """Do the stages for new items and for what an earlier session left open.

        Args:
            items: posts, or scenarios or personas where a run begins at a later stage. They are read
                to the end before anything is written, so that a broken input costs nothing.

        Raises:
            SocialSimError: in one line, where the input, the folder or an LM fails; nothing is lost.
        """
        config, given = self.config, list(items)
        self.state.started = time.monotonic()  # another session may have come between
        with RunFolder(config.out, self.settings(), config.inputs, config.allow_mixed) as folder:
            self.folder = folder
            dismiss(config.out)
            self._forget_finished()
            new = self._new(given)
            # A killed session, too, leaves what its items were made with.
            self._purse = Purse(config.budget, self._write_manifest().usage, self.state.meter)
            try:
                self._take_in(new)
                asyncio.run(self._carry_all())
            finally:
                manifest = self._write_manifest()
        return manifest

    def _forget_finished(self) -> None:
        folder = self.folder
        made = (folder.scenarios.ids, folder.personas.ids, folder.dialogues.ids)
        for step, ids in zip(get_args(StepName), made, strict=True):
            forget_all(self.config.out, step, chain(ids, folder.rejected.ids))

    def _write_manifest(self) -> Manifest:
        seconds = self.state.seconds
        return self.folder.write_manifest(self.state.meter.usage(seconds), seconds, kept_usage(self.config.out))

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
            async with self._workforce(self.config, self.state, self._purse) as self._maker:
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
        self.state.note = "; ".join(filter(None, (lm.news for lm in batch_lms(self.lms))))
        self.on_change(self.state)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._show()

    async def _next(self, waiting: deque[Item]) -> Item | None:
        """The next item; waits where a limit leaves it open whether another post is wanted."""
        if self.stopped:
            return None
        if waiting:
            return waiting.popleft()
        limit = self.config.limit
        while self._posts and not self.stopped:
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
        """Carry one item as far as the budget lets it; what it was answered so far is kept."""
        try:
            await self._make(item)
        except BudgetError as spent:
            self.stopped = spent
        self._show()

    async def _make(self, item: Item) -> None:
        """Carry one item through the stages that are asked for; each result is journalled at once."""
        stages, folder = self.config.stages, self.folder
        made: Scenario | Persona | Dialogue | Rejection | Post = item
        if isinstance(made, Post):
            made = await self._decide(made)
        # A power cut can lose an earlier file's last lines: what they led to is not made twice.
        if isinstance(made, Scenario) and Stage.PERSONAS in stages and made.id not in folder.personas:
            made = self._keep("persona", made.id, folder.personas, await self._maker.persona(made))
        if isinstance(made, Persona) and Stage.DIALOGUES in stages and made.id not in folder.dialogues:
            made = self._keep("simulate", made.id, folder.dialogues, await self._maker.dialogue(made))
        self.state.done += not isinstance(made, Rejection)

    async def _decide(self, post: Post) -> Scenario | Rejection:
        try:
            made = self._keep("intake", post.id, self.folder.scenarios, await self._maker.scenario(post))
            self._carried += 1
            return made
        finally:
            self._undecided -= 1
            self._decided.set()

    def _keep(self, step: StepName, item_id: str, journal: Journal[R], made: R | Rejection) -> R | Rejection:
        if isinstance(made, Rejection):
            self._reject(made)
            self._carried -= 1
        else:
            journal.append(made)
        forget(self.config.out, step, item_id)
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
