"""One talk or one comparison of an arena, measured: what goes in comes out, or why it does not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

import dspy
from dspy.utils.exceptions import ContextWindowExceededError, LMInvalidRequestError

from metrics.arena import ArenaLeaf, ArenaVerdict, Compared, compare, verdict_id
from programs.simulate import SimulationOptions
from signatures.arena import Aspect
from socialsim.arenafolder import ArenaConfig, dialogue_id
from socialsim.ask import RoleError
from socialsim.errors import LMError
from socialsim.lm_errors import explain_lm_error
from socialsim.lms import LMSpec
from socialsim.loading import Programs, compiled_states, load_programs, program_hash
from socialsim.meter import Meter
from socialsim.schema import Dialogue, Persona, Rejection, Role
from socialsim.steps import Steps


class Talker:
    """Lets each model talk to a persona's seeker.

    Args:
        config: what is asked for.
        lms: the LM of each spec.
        meter: counts every call.

    Attributes:
        programs: hash of the seeker's program and of each model's.
    """

    def __init__(self, config: ArenaConfig, lms: Mapping[LMSpec, dspy.LM], meter: Meter) -> None:
        self._lms = {
            name: {Role.SEEKER: lms[config.seeker], Role.SUPPORTER: lms[spec]} for name, spec in config.models.items()
        }
        made = {name: _programs(config, spec) for name, spec in config.models.items()}
        self._steps = {name: _steps(config, config.models[name], programs, meter) for name, programs in made.items()}
        seeker = next(iter(made.values())).hashes["seeker"]
        self.programs = {"the seeker": seeker} | {name: one.hashes["supporter"] for name, one in made.items()}

    async def talk(self, persona: Persona, model: str) -> Dialogue | Rejection:
        """One dialogue; its id names the persona and the model.

        Raises:
            LMError: if an LM does not answer at all.
        """
        with dspy.context(lms=self._lms[model]):
            made = await self._steps[model].dialogue(persona)
        changes: dict[str, object] = {"id": dialogue_id(persona.id, model)}
        if isinstance(made, Dialogue):
            # The format rule knows the lengths of a corpus; here the length was asked for.
            changes["flags"] = tuple(flag for flag in made.flags if flag.kind != "format")
        return made.model_copy(update=changes)


def _programs(config: ArenaConfig, model: LMSpec) -> Programs:
    """The programs of a model: the same seeker's for all, the model's own compiled supporter's if there is one."""
    simulation = SimulationOptions(config.nodes, tries=config.tries, exchanges=config.exchanges)
    roles = {Role.SEEKER: config.seeker, Role.SUPPORTER: model}
    states = compiled_states(roles, simulation, uncompiled=config.uncompiled)
    return load_programs(False, simulation, False, config.shots, config.seed, states)


def _steps(config: ArenaConfig, model: LMSpec, programs: Programs, meter: Meter) -> Steps:
    roles = {Role.SEEKER: config.seeker, Role.SUPPORTER: model}
    return Steps(programs, roles, Meter(meter.prices, parent=meter), "turn", config.nodes, config.seed)


class Comparison(NamedTuple):
    """Two models' dialogues with a persona, in an order, and what is compared."""

    persona_id: str
    first: str
    second: str
    aspect: Aspect
    sample: int

    @property
    def id(self) -> str:
        """The id of its verdict."""
        return verdict_id(*self)


class Referee:
    """Has a judge LM compare dialogues.

    Args:
        spec: its spec, for messages.
        lm: the LM.
        meter: counts every call.

    Attributes:
        program: hash of its program.
    """

    def __init__(self, spec: LMSpec, lm: dspy.LM, meter: Meter) -> None:
        self._spec, self._lm = spec, lm
        self._meter = Meter(meter.prices, parent=meter)
        self._leaf = ArenaLeaf()
        self.program = program_hash(self._leaf)

    async def verdict(self, item: Comparison, first: Dialogue, second: Dialogue) -> ArenaVerdict:
        """One comparison; what cannot be read becomes a verdict with reasons.

        Raises:
            LMError: if the LM does not answer at all.
        """
        meter, started = Meter(self._meter.prices, parent=self._meter), time.monotonic()
        with dspy.context(lms={Role.JUDGE: self._lm}, usage_tracker=meter):
            try:
                made = await compare(self._leaf, first, second, item.aspect)
            except RoleError as error:
                made = self._refused(error)
        usage = meter.usage(time.monotonic() - started)
        return ArenaVerdict(id=item.id, usage=usage, **item._asdict(), **made._asdict())

    def _refused(self, error: RoleError) -> Compared:
        """Some requests fail because of two long dialogues; every other failure is the LM's and stops the session."""
        line = explain_lm_error(error.role, self._spec.text, error.error)
        too_long = isinstance(error.error, ContextWindowExceededError)
        # Before the first answer a refused request means wrong settings.
        if not too_long and not (isinstance(error.error, LMInvalidRequestError) and self._meter.calls > 0):
            raise LMError(line) from error
        return Compared(None, (line,), 0)
