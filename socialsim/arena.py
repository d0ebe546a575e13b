"""Models talk to the same simulated seekers, a judge compares the talks in both orders (paper: Tables 5 and 6).

Every dialogue and every verdict is journalled when it is done and never made again, which is all that resume is. A
dialogue that cannot be made is a rejection, a verdict that cannot be read is an error; both are counted. An LM that
does not answer stops the session. The models are shown what the seeker says, never the persona.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import permutations
from typing import NamedTuple, TypeVar

import dspy

from metrics.arena import ArenaVerdict
from signatures.arena import Aspect
from socialsim.adapter import CompactAdapter
from socialsim.arenafolder import ArenaConfig, ArenaFolder, ArenaSettings, dialogue_id
from socialsim.arenasteps import Comparison, Referee, Talker
from socialsim.doctor import bind_lm
from socialsim.errors import InputError, UsageError
from socialsim.meter import Meter, State
from socialsim.prices import price
from socialsim.schema import Dialogue, Persona, Rejection, Role

T = TypeVar("T")


class ArenaResult(NamedTuple):
    """What lies in an arena's folder for the personas of a session.

    Attributes:
        settings: what it was made with.
        personas: how many there are.
        dialogues: model name to its dialogues.
        rejected: model name to its rejections.
        verdicts: every comparison, in both orders.
    """

    settings: ArenaSettings
    personas: int
    dialogues: dict[str, list[Dialogue]]
    rejected: dict[str, list[Rejection]]
    verdicts: list[ArenaVerdict]


class Arena:
    """One session.

    Args:
        config: what to do.
        on_change: called with the state whenever something is done.
    """

    def __init__(self, config: ArenaConfig, on_change: Callable[[State], None] = lambda _: None) -> None:
        if len(config.models) < 2:
            raise UsageError("--models: name at least two, as in --models A=SPEC,B=SPEC")
        self.config = config
        self.on_change = on_change
        self.state = State(Meter({}))

    def execute(self, personas: Iterable[Persona] | None = None) -> ArenaResult:
        """Do what is left and return all there is; with nothing left no LM is built or called.

        Args:
            personas: the seekers; None for those the folder holds.

        Raises:
            SocialSimError: in one line, where the input, the folder or an LM fails; nothing is lost.
        """
        given = None if personas is None else self._checked(list(personas))
        with ArenaFolder(self.config.out, self.config.settings()) as folder:
            self._folder = folder
            folder.add_personas(given or ())
            known = {persona.id: persona for persona in folder.personas}
            chosen = list(known.values()) if given is None else given
            if not chosen:
                raise InputError(folder.path, "holds no persona; name some with --personas")
            if self._talks(chosen) or self._open(chosen):
                self._do(chosen)
            return self._result(chosen)

    def _checked(self, personas: list[Persona]) -> list[Persona]:
        ids = [persona.id for persona in personas]
        if twice := next((name for name in ids if ids.count(name) > 1), None):
            raise UsageError(f"--personas: id {twice!r} is there twice; rename one of them")
        made = [dialogue_id(persona, model) for persona in ids for model in self.config.models]
        if len(set(made)) < len(made):
            raise UsageError("--models: a name and a persona's id run together; choose other names (NAME=SPEC)")
        return personas

    def _do(self, personas: Sequence[Persona]) -> None:
        """Bind what is needed before anything is said: a judge without a key shall not wait for the last dialogue."""
        meter, config, talks = self.state.meter, self.config, self._talks(personas)
        needed = {config.judge: Role.JUDGE}
        if talks:
            needed = {config.seeker: Role.SEEKER} | dict.fromkeys(config.models.values(), Role.SUPPORTER) | needed
        lms = {spec: bind_lm(role, spec) for spec, role in needed.items()}
        meter.prices |= {lm.model: price(spec) for spec, lm in lms.items()}
        referee = Referee(config.judge, lms[config.judge], meter)
        talker = Talker(config, lms, meter) if talks else None
        self._folder.add_programs({"the judge": referee.program} | (talker.programs if talker else {}))
        asyncio.run(self._do_all(personas, talker, referee))

    async def _do_all(self, personas: Sequence[Persona], talker: Talker | None, referee: Referee) -> None:
        with dspy.context(adapter=CompactAdapter(), disable_history=True, max_trace_size=0):
            if talker:
                await self._talk_all(personas, talker)
            await self._judge_all(personas, referee)

    async def _talk_all(self, personas: Sequence[Persona], talker: Talker) -> None:
        folder, talks = self._folder, self._talks(personas)

        async def talk(item: tuple[Persona, str]) -> None:
            made = await talker.talk(*item)
            if isinstance(made, Rejection):
                folder.rejected.append(made)
            else:
                folder.dialogues.append(made)
            self._count(isinstance(made, Rejection))

        orders = len(self.config.models) * (len(self.config.models) - 1)
        hoped = len(personas) * orders * len(Aspect) * self.config.judges
        self._begin(len(personas) * len(self.config.models) + hoped, len(talks) + hoped)
        await self._each(talks, talk)

    async def _judge_all(self, personas: Sequence[Persona], referee: Referee) -> None:
        folder, left = self._folder, self._open(personas)
        dialogues = {made.id: made for made in folder.dialogues}

        async def judge(items: list[Comparison]) -> None:
            for item in items:  # one after another: a prompt cache serves all but the first
                first, second = (dialogues[dialogue_id(item.persona_id, name)] for name in (item.first, item.second))
                verdict = await referee.verdict(item, first, second)
                folder.verdicts.append(verdict)
                self._count(verdict.answer is None)

        self._begin(len(personas) * len(self.config.models) + len(self._possible(personas)), len(left))
        orders: dict[tuple[str, str, str], list[Comparison]] = {}
        for item in left:
            orders.setdefault((item.persona_id, item.first, item.second), []).append(item)
        await self._each(list(orders.values()), judge)

    async def _each(self, items: Sequence[T], do: Callable[[T], Awaitable[None]]) -> None:
        left = iter(items)

        async def worker() -> None:
            for item in left:  # one iterator, shared by all workers
                await do(item)

        await asyncio.gather(*(worker() for _ in range(min(self.config.concurrency, len(items)))))

    def _begin(self, total: int, left: int) -> None:
        self.state.total, self.state.done = total, total - left
        self.on_change(self.state)

    def _count(self, failed: bool) -> None:
        self.state.done += 1
        self.state.failed += failed
        self.on_change(self.state)

    def _talks(self, personas: Sequence[Persona]) -> list[tuple[Persona, str]]:
        """Talks that are neither done nor rejected, a persona's together."""
        done = self._folder.dialogues.ids | self._folder.rejected.ids
        pairs = [(persona, model) for persona in personas for model in self.config.models]
        return [(persona, model) for persona, model in pairs if dialogue_id(persona.id, model) not in done]

    def _possible(self, personas: Sequence[Persona]) -> list[Comparison]:
        """Every comparison of the dialogues that there are."""
        return [
            Comparison(persona.id, first, second, aspect, sample)
            for persona in personas
            for first, second in permutations(self._present(persona), 2)
            for aspect in Aspect
            for sample in range(1, self.config.judges + 1)
        ]

    def _present(self, persona: Persona) -> list[str]:
        """The models that have a dialogue with a persona."""
        return [name for name in self.config.models if dialogue_id(persona.id, name) in self._folder.dialogues]

    def _open(self, personas: Sequence[Persona]) -> list[Comparison]:
        return [item for item in self._possible(personas) if item.id not in self._folder.verdicts]

    def _result(self, personas: Sequence[Persona]) -> ArenaResult:
        folder, models = self._folder, self.config.models
        owner = {dialogue_id(persona.id, model): model for persona in personas for model in models}
        dialogues: dict[str, list[Dialogue]] = {model: [] for model in models}
        rejected: dict[str, list[Rejection]] = {model: [] for model in models}
        for made in folder.dialogues:
            if made.id in owner:
                dialogues[owner[made.id]].append(made)
        for rejection in folder.rejected:
            if rejection.id in owner:
                rejected[owner[rejection.id]].append(rejection)
        wanted = {item.id for item in self._possible(personas)}
        verdicts = [verdict for verdict in folder.verdicts if verdict.id in wanted]
        return ArenaResult(folder.settings, len(personas), dialogues, rejected, verdicts)
