"""One step for one item, measured and accounted for: what goes in comes out, or a rejection does."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Literal, TypeVar

import dspy
from dspy.utils.exceptions import ContextWindowExceededError, LMInvalidRequestError

from socialsim.ask import Exhausted, RoleError
from socialsim.errors import LMError
from socialsim.kept import KeptAnswers, kept_file
from socialsim.lm_errors import FILTER_SAYS, UNANSWERED, explain_lm_error
from socialsim.lms import LMSpec, without_waiting
from socialsim.loading import Programs
from socialsim.meter import Meter
from socialsim.rules import signed, writing
from socialsim.schema import Dialogue, Node, Persona, Post, Provenance, Rejection, Role, Scenario, Usage

R = TypeVar("R", Scenario, Persona, Dialogue)
StepName = Literal["intake", "persona", "simulate"]


class Steps:
    """The three steps of a run.

    Args:
        programs: what is called.
        specs: the spec of each role, for provenance and messages.
        meter: counts every call of the run.
        mode: how dialogues are written, for provenance.
        nodes: the reasoning nodes, for provenance.
        seed: seed of the run.
        run: the run folder, where answers for unfinished items are kept; None keeps none.
        before_call: called before each call of an LM; it may raise. Only with ``run``.
    """

    def __init__(
        self,
        programs: Programs,
        specs: Mapping[Role, LMSpec],
        meter: Meter,
        mode: str,
        nodes: tuple[Node, ...],
        seed: int,
        run: Path | None = None,
        before_call: Callable[[], None] = lambda: None,
    ) -> None:
        self._programs = programs
        self._specs = specs
        self._meter = meter
        self._mode = mode
        self._nodes = nodes
        self._seed = seed
        self._run = run
        self._before_call = before_call
        texts = {role: without_waiting(spec.text) for role, spec in specs.items()}
        self._basis = repr((sorted(texts.items()), sorted(programs.hashes.items()), mode, nodes, seed))

    async def scenario(self, post: Post) -> Scenario | Rejection:
        """Screen and translate a post."""

        async def step() -> Scenario | Rejection:
            result: Scenario | Rejection = await self._programs.intake.acall(post)
            return result

        return await self._measured("intake", post.id, step, lambda made, _: made)

    async def persona(self, scenario: Scenario) -> Persona | Rejection:
        """Build a scenario's persona."""

        async def step() -> Persona:
            result: Persona = await self._programs.persona.acall(scenario)
            return result

        return await self._measured("persona", scenario.id, step, self._signed(Role.PERSONA))

    async def dialogue(self, persona: Persona) -> Dialogue | Rejection:
        """Simulate a persona's dialogue."""

        async def step() -> Dialogue:
            result: Dialogue = await self._programs.dialogue.acall(persona=persona, seed=self._seed)
            return result

        with writing(persona):
            made = await self._measured("simulate", persona.id, step, self._signed(Role.SEEKER, Role.SUPPORTER))
            return made if isinstance(made, Rejection) else self._checked(made, persona)

    def _checked(self, made: Dialogue, persona: Persona) -> Dialogue | Rejection:
        """The dialogue with what the rules say of it; a strict run has none that break one."""
        if not self._programs.dialogue.options.rules:
            return made
        checked = signed(made, persona, self._nodes)
        if not (self._programs.dialogue.options.strict and (broken := checked.all_flags())):
            return checked
        detail = "; ".join(f"{flag.kind}: {flag.detail}" for flag in broken)
        usage = made.provenance.usage if made.provenance else Usage()
        return Rejection(id=made.id, stage="simulate", reason="invalid", detail=detail, trace=(detail,), usage=usage)

    def _signed(self, *roles: Role) -> Callable[[R, Usage], R]:
        """Add how an item was made; a role that this run does not bind took no part."""

        def sign(made: R, usage: Usage) -> R:
            simulated = isinstance(made, Dialogue)
            # An answer a turn, or one for all; every other one was asked again.
            needed = len(made.turns) if isinstance(made, Dialogue) and self._mode == "turn" else 1
            provenance = Provenance(
                mode=self._mode if simulated else "persona",
                seed=self._seed,
                lms={str(role): self._specs[role].text for role in roles if role in self._specs},
                programs=self._programs.hashes_of(made),
                nodes=self._nodes if simulated else (),
                demonstrations=self._programs.demonstrations if simulated else (),
                asked_again=max(usage.calls - needed, 0) if simulated else 0,
                usage=usage,
            )
            return made.model_copy(update={"provenance": provenance})

        return sign

    async def _measured(
        self,
        name: StepName,
        item_id: str,
        step: Callable[[], Awaitable[R | Rejection]],
        sign: Callable[[R, Usage], R],
    ) -> R | Rejection:
        """Run a step under its own meter.

        Raises:
            LMError: if an LM does not answer at all, in one line.
        """
        meter, started = Meter(self._meter.prices, parent=self._meter), time.monotonic()
        with self._memory(name, item_id, meter) as memory, dspy.context(usage_tracker=meter, memory=memory):
            try:
                made = await step()
            except Exhausted as error:
                reason = "refused" if str(error).startswith(FILTER_SAYS) else "invalid"
                made = Rejection(id=item_id, stage=name, reason=reason, detail=str(error), trace=error.reasons)
            except RoleError as error:
                made = self._refused(name, item_id, error)
        usage = meter.usage(time.monotonic() - started)
        return made.model_copy(update={"usage": usage}) if isinstance(made, Rejection) else sign(made, usage)

    def _memory(self, name: StepName, item_id: str, meter: Meter) -> AbstractContextManager[KeptAnswers | None]:
        if self._run is None:
            return nullcontext()
        return closing(KeptAnswers(kept_file(self._run, name, item_id), self._basis, meter, self._before_call))

    def _refused(self, name: StepName, item_id: str, error: RoleError) -> Rejection:
        """Some requests fail because of one item; every other failure is the LM's and stops the run."""
        line = explain_lm_error(error.role, self._specs[error.role].text, error.error)
        too_long = isinstance(error.error, ContextWindowExceededError)
        # Before the first answer a refused request means wrong settings, not a bad item.
        refused = isinstance(error.error, LMInvalidRequestError) and self._meter.calls > 0
        unanswered = getattr(error.error, "provider_code", None) == UNANSWERED
        if not (too_long or refused or unanswered):
            raise LMError(line) from error
        reason = "too_long_for_lm" if too_long else "refused" if refused else "unanswered"
        return Rejection(id=item_id, stage=name, reason=reason, detail=line)
