"""Who makes a run's items: programs, LMs and steps of this process, or of others that look the same from here."""

from __future__ import annotations

import gc
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Final, Literal, Protocol, cast

import dspy

from socialsim.adapter import CompactAdapter
from socialsim.ask import role_adapter
from socialsim.budget import Purse
from socialsim.doctor import bind_lm
from socialsim.engines.batch_book import NAME
from socialsim.engines.batch_lm import BatchLM
from socialsim.engines.patience import Patience
from socialsim.lms import LMSpec
from socialsim.loading import Programs
from socialsim.meter import Meter, State
from socialsim.prices import price
from socialsim.runconfig import RunConfig, by_batch, roles_needed
from socialsim.schema import Dialogue, Persona, Post, Rejection, Role, Scenario
from socialsim.steps import Steps
from socialsim.student_adapter import StudentAdapter

StepOf = Literal["scenario", "persona", "dialogue"]
Made = Scenario | Persona | Dialogue | Rejection
_SWITCH: Final = 0.00005  # seconds


class Maker(Protocol):
    """Makes items, many at once; each call is one item's step and may be awaited beside others."""

    async def scenario(self, post: Post) -> Scenario | Rejection: ...  # noqa: D102
    async def persona(self, scenario: Scenario) -> Persona | Rejection: ...  # noqa: D102
    async def dialogue(self, persona: Persona) -> Dialogue | Rejection: ...  # noqa: D102


class StepMaker(ABC):
    """A `Maker` that hands every step on in the same way."""

    async def scenario(self, post: Post) -> Scenario | Rejection:
        """Screen and translate a post."""
        return cast(Scenario | Rejection, await self._made("scenario", post))

    async def persona(self, scenario: Scenario) -> Persona | Rejection:
        """Build a scenario's persona."""
        return cast(Persona | Rejection, await self._made("persona", scenario))

    async def dialogue(self, persona: Persona) -> Dialogue | Rejection:
        """Simulate a persona's dialogue."""
        return cast(Dialogue | Rejection, await self._made("dialogue", persona))

    @abstractmethod
    async def _made(self, step: StepOf, item: Post | Scenario | Persona) -> Made:
        """One step for one item."""


# Opens a maker for a run; it counts calls in the state and asks the purse (which may raise) before each.
Workforce = Callable[[RunConfig, State, Purse], AbstractAsyncContextManager[Maker]]


def bound_lms(config: RunConfig) -> dict[Role, dspy.LM]:
    """One LM a spec, shared by the roles that name it; only roles a run needs are built.

    Raises:
        LMSpecError: if one cannot be had, or a student cannot write the reasoning asked for.
    """
    built: dict[tuple[LMSpec, bool], dspy.LM] = {}
    lms: dict[Role, dspy.LM] = {}
    for role in roles_needed(config):
        spec, batch = config.lms[role], by_batch(config, role)
        built[spec, batch] = lms[role] = built.get((spec, batch)) or bind_lm(role, spec, batch)
        if role is Role.SUPPORTER and isinstance(own := role_adapter(lms[role]), StudentAdapter):
            own.check_nodes(config.simulation.nodes)
    return lms


def batch_lms(lms: Mapping[Role, dspy.LM]) -> list[BatchLM]:
    """Those whose requests go through a Batch API."""
    return [lm for lm in lms.values() if isinstance(lm, BatchLM)]


def run_prices(config: RunConfig, lms: dict[Role, dspy.LM]) -> Meter:
    """A meter that knows the price of each LM of a run."""
    return Meter({lm.model: price(config.lms[role], by_batch(config, role)) for role, lm in lms.items()})


def endpoints(lms: dict[Role, dspy.LM]) -> tuple[Patience, ...]:
    """How the LMs' endpoints are asked; what runs in process has none."""
    found = {id(lm): lm.patience for lm in lms.values() if hasattr(lm, "patience")}
    return tuple(found.values())


def own_process(lms: dict[Role, dspy.LM], programs: Programs) -> Workforce:
    """Make the items here, with these LMs and programs."""

    @asynccontextmanager
    async def working(config: RunConfig, state: State, purse: Purse) -> AsyncIterator[Maker]:
        async with AsyncExitStack() as opened:
            for lm in batch_lms(lms):
                await opened.enter_async_context(lm.batches.opened(config.out / NAME, purse.check))
            steps = opened.enter_context(steps_with(lms, programs, config, state.meter, purse.check))
            opened.enter_context(tuned_interpreter())
            yield steps

    return working


@contextmanager
def steps_with(
    lms: dict[Role, dspy.LM], programs: Programs, config: RunConfig, meter: Meter, before_call: Callable[[], None]
) -> Iterator[Steps]:
    """The steps of a run, and around them the LMs that they call."""
    nodes, mode = config.simulation.nodes, config.mode
    steps = Steps(programs, config.lms, meter, mode, nodes, config.seed, config.out, before_call)
    alone = next(iter(lms.values())) if len({id(lm) for lm in lms.values()}) == 1 else None
    with dspy.context(lms=lms, lm=alone, adapter=CompactAdapter(), disable_history=True, max_trace_size=0):
        yield steps


@contextmanager
def tuned_interpreter() -> Iterator[None]:
    """Python as a run wants it.

    It makes much and drops it by itself, failed calls included: looking for cycles took a tenth of its CPU time.
    Dialogues under way are no garbage: with 512 at once, they alone are a million objects. And answers come from
    another thread, one by one: each would wait 5 ms until a busy one lets it in.
    """
    thresholds, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.freeze()  # what is imported stays for good
    gc.set_threshold(1_000_000, 20, 50)
    sys.setswitchinterval(_SWITCH)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)
        gc.unfreeze()
