"""One supporter that a person can talk to: its LM, and the program that a run would give it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import dspy

from programs.simulate import Simulate, SimulationOptions
from programs.turn import ALL_NODES
from socialsim.adapter import CompactAdapter
from socialsim.ask import Exhausted, RoleError, role_adapter
from socialsim.chat.listening import Listener, heard_by
from socialsim.chat.pace import pace_of
from socialsim.doctor import bind_lm
from socialsim.errors import LMError, SocialSimError
from socialsim.lm_errors import explain_lm_error
from socialsim.lms import LMSpec, usual_shots
from socialsim.loading import compiled_states, load_programs
from socialsim.meter import Meter
from socialsim.prices import price
from socialsim.schema import Node, Role, Turn, Usage
from socialsim.student_adapter import StudentAdapter

if TYPE_CHECKING:
    from dspy import BaseLM


class NoReplyError(SocialSimError):
    """The LM answered, and no answer could stand."""


@dataclass(frozen=True)
class SupporterConfig:
    """How a supporter is made and asked.

    Attributes:
        lm: its LM.
        nodes: reasoning nodes asked of it.
        seed: which authored examples an uncompiled prompt shows.
        shots: how many of them; None for what is usual for the LM.
        programs: compiled states named by the user.
        uncompiled: use none.
        tries: answers asked for one reply at most.
    """

    lm: LMSpec
    nodes: tuple[Node, ...] = ALL_NODES
    seed: int = 0
    shots: int | None = None
    programs: tuple[Path, ...] = ()
    uncompiled: bool = False
    tries: int = 5


class BoundSupporter:
    """A supporter ready to be asked; no model is loaded before it is.

    Args:
        config: how it is made.
        lm: the LM; None builds that of the config.

    Raises:
        SocialSimError: if the LM or a compiled program cannot be used, or a student was not trained for the nodes.

    Attributes:
        shots: authored examples in an uncompiled prompt.
        program: hash of its program.
        source: where the program comes from, in words.
        demonstrations: ids of the authored examples in its prompt.
    """

    def __init__(self, config: SupporterConfig, lm: BaseLM | None = None) -> None:
        self.config = config
        self.lm = lm or bind_lm(Role.SUPPORTER, config.lm)
        if isinstance(own := role_adapter(self.lm), StudentAdapter):
            own.check_nodes(config.nodes)
        simulation = SimulationOptions(config.nodes, tries=config.tries)
        given = compiled_states({Role.SUPPORTER: config.lm}, simulation, config.programs, config.uncompiled)
        states = {leaf: path for leaf, path in given.items() if leaf == "supporter"}
        self.shots = usual_shots([config.lm]) if config.shots is None else config.shots
        loaded = load_programs(False, simulation, False, self.shots, config.seed, states)
        assert isinstance(loaded.dialogue, Simulate), "two speakers in turn"
        self._simulate = loaded.dialogue
        self.program = loaded.hashes["supporter"]
        self.demonstrations = () if states else loaded.demonstrations
        examples = f"as written, {self.shots} authored example{'s' * (self.shots != 1)}"
        self.source = str(states.get("supporter", examples))

    async def reply(self, turns: Sequence[Turn], listener: Listener | None = None) -> tuple[Turn, Usage]:
        """The next turn in a visible dialogue, and what it took.

        Args:
            turns: what was said, the person's line last.
            listener: told what is written meanwhile, where the LM can stream.

        Raises:
            LMError: if the LM does not answer.
            NoReplyError: if no answer may stand.
        """
        meter = Meter({self.lm.model: price(self.config.lm)})
        lines = [turn.model_copy(update={"text": " ".join(turn.text.split())}) for turn in turns]  # a turn is a line
        bound = dspy.context(
            lms={Role.SUPPORTER: self.lm},
            adapter=CompactAdapter(),
            usage_tracker=meter,
            disable_history=True,
            max_trace_size=0,
        )
        with bound, heard_by(listener, self.lm):
            try:
                turn = await self._simulate.reply(pace_of(lines), lines)
            except RoleError as error:
                raise LMError(explain_lm_error(error.role, self.config.lm.text, error.error)) from error
            except Exhausted as error:
                tried = f"{len(error.reasons)} answers of the supporter LM could not stand (the last: {error})"
                raise NoReplyError(f"{tried}; send your message again, or say it in other words") from error
        return turn, meter.usage()
