"""Who replies: a student in its trained format, or any LM through the supporter's program. Gold history, one reply.

A student sees the chat alone. A prompted LM is told, too, how far the gold dialogue is (its exchange, their number),
as the program's prompt wants; which strategy is due is not said, since nobody planned the gold dialogue. Both take the
likeliest token each time, unless the spec names a temperature.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import dspy
from dspy.utils.exceptions import ContextWindowExceededError, LMInvalidRequestError

from finetune.format import chosen_reasoning
from programs.simulate import SimulationOptions
from programs.turn import Supporter, supporter_turn
from signatures.cues import Pace, supporter_cue
from socialsim.ask import Exhausted, RoleError, ask, ask_until
from socialsim.doctor import bind_lm
from socialsim.errors import LMError, LMSpecError
from socialsim.lm_errors import explain_lm_error, reason
from socialsim.lms import LMSpec
from socialsim.loading import load_programs
from socialsim.meter import Meter
from socialsim.prices import Price, price
from socialsim.render import transcript
from socialsim.schema import Dialogue, Node, Role, Turn, Usage

if TYPE_CHECKING:
    from finetune.decoding import Sampling
    from finetune.student import Student

STUDENT: Final = "student:"
NOTHING: Final = "…"  # what an empty reply reads as
TRIES: Final = 3
_TOKENS: Final = 256
_TOKENS_A_NODE: Final = 96


class Asked(NamedTuple):
    """Where a reply is due.

    Attributes:
        history: gold turns, the seeker first and last.
        pace: where in the gold dialogue.
        emoji: whether the test's replies end with one.
    """

    history: Sequence[Turn]
    pace: Pace
    emoji: bool


class Said(NamedTuple):
    """A reply, or why there is none."""

    reply: str
    reasoning: str
    failure: str
    usage: Usage


class Replier(Protocol):
    """A model that answers; ``flights`` dialogues at once do it good."""

    flights: int

    async def reply(self, asked: Asked) -> Said:
        """Reply once.

        Raises:
            LMError: if it does not answer at all.
        """
        ...

    def likelihoods(self, dialogues: Sequence[Dialogue]) -> list[tuple[float, int]]:
        """Nats and tokens of each dialogue's gold replies; only asked of models that `can_tell`."""
        ...


def trained_format(spec: LMSpec) -> bool:
    """Whether a spec is a student with a trained format of its own (not the programs' prompts).

    Raises:
        LMSpecError: if the student is not there or not finished.
    """
    if not spec.model.startswith(STUDENT):
        return False
    from finetune.student import find_student

    return find_student(spec.model.removeprefix(STUDENT)).variant is not None


def can_tell(spec: LMSpec) -> bool:
    """Whether the likelihood of a gold reply can be had: of a student whose next words are the reply."""
    if not trained_format(spec):
        return False
    from finetune.student import find_student

    variant = find_student(spec.model.removeprefix(STUDENT)).variant
    return variant is not None and not variant.nodes


def weights_digest(spec: LMSpec) -> str:
    """16 hexadecimal digits of a student's adapter; "" for everything else."""
    folder = Path(spec.model.removeprefix(STUDENT)).expanduser()
    file = folder / "adapter_model.safetensors"
    if not spec.model.startswith(STUDENT) or not file.is_file():
        return ""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()[:16]


class Asking(NamedTuple):
    """What is asked of prompted LMs: reasoning nodes, and authored examples in the prompt."""

    nodes: tuple[Node, ...] = ()
    shots: int | None = None


def make_replier(spec: LMSpec, asking: Asking, meter: Meter) -> Replier:
    """The replier of a spec; it loads or binds its LM.

    Args:
        spec: of the model.
        asking: for prompted LMs.
        meter: counts what it does.

    Raises:
        LMSpecError: if it cannot be used.
    """
    if trained_format(spec):
        return StudentReplier(spec, meter)
    return ProgramReplier(spec, asking, meter)


class StudentReplier:
    """A student, in the format it was trained in."""

    def __init__(self, spec: LMSpec, meter: Meter) -> None:
        from finetune.decoding import Sampling
        from finetune.student import load_student

        where, options = spec.model.removeprefix(STUDENT), spec.options
        self._spec, self._meter = spec, meter
        self.flights = int(options.get("slots", 0)) or _usual_places()
        self._student: Student = load_student(where, self.flights)
        tokens = _TOKENS + _TOKENS_A_NODE * len(self._student.variant.nodes)
        self._sampling: Sampling = Sampling(
            temperature=options.get("temperature", 0.0),
            top_p=options.get("top_p", 1.0),
            min_p=options.get("min_p", 0.0),
            max_tokens=int(options.get("max_tokens", tokens)),
            seed=0,
        )
        meter.prices[spec.text] = Price(0.0, 0.0, 0.0)

    async def reply(self, asked: Asked) -> Said:
        """Reply once."""
        from finetune.student import PromptTooLong

        student, started = self._student, time.monotonic()
        meter = Meter(self._meter.prices, parent=self._meter)
        try:
            written = await asyncio.wrap_future(student.submit_reply(asked.history, self._sampling))
        except PromptTooLong as error:
            return Said("", "", str(error), meter.usage())
        except Exception as error:
            raise LMError(f"{self._spec.text}: {reason(error)}; what was written is kept") from error
        details = {"cached_tokens": written.cached}
        used = {"prompt_tokens": written.prompt, "completion_tokens": written.tokens, "prompt_tokens_details": details}
        meter.add_usage(self._spec.text, used)
        failure = "" if written.finish == "stop" else f"cut after {written.tokens} tokens"
        return _said(student.read(written), failure, meter.usage(time.monotonic() - started))

    def likelihoods(self, dialogues: Sequence[Dialogue]) -> list[tuple[float, int]]:
        """Nats and tokens of the gold replies of each dialogue."""
        return [(one.nats, one.tokens) for one in self._student.likelihoods(dialogues)]


def _said(turn: Turn, cut: str, usage: Usage) -> Said:
    thought = chosen_reasoning(turn, tuple(Node))
    reply = "" if turn.text == NOTHING else turn.text
    # A reply that was cut is scored as far as it goes; one that never began is a failure.
    return Said(reply, thought, "" if reply else f"no reply{f' ({cut})' if cut else ''}", usage)


def _usual_places() -> int:
    import torch

    return 32 if torch.cuda.is_available() else 4


def forget_students() -> None:
    """Let go of loaded students, so that the next one finds memory."""
    import gc
    import sys

    if (module := sys.modules.get("finetune.student")) is not None:
        module.unload_students()
        gc.collect()


class ProgramReplier:
    """Any LM through the supporter's program, uncompiled, so that all LMs get the same prompt.

    A malformed answer is asked again, twice at most, with what was wrong.
    """

    def __init__(self, spec: LMSpec, asking: Asking, meter: Meter) -> None:
        self._spec, self._asking, self._meter = spec, asking, meter
        self.flights = 2 if spec.in_process else 16
        lm = bind_lm(Role.SUPPORTER, spec)
        if "temperature" in lm.kwargs and "temperature" not in spec.options:
            lm = lm.copy(temperature=0.0)
        self._lm = lm
        meter.prices[lm.model] = price(spec)

    def examples(self) -> tuple[str, ...]:
        """Ids of the authored dialogues in the prompt, which must not be tested."""
        return _program(self._asking.nodes, False, self._shots)[1]

    @property
    def _shots(self) -> int:
        usual = 1 if self._spec.in_process else 3
        return usual if self._asking.shots is None else self._asking.shots

    async def reply(self, asked: Asked) -> Said:
        """Reply once."""
        program, _ = _program(self._asking.nodes, asked.emoji, self._shots)
        meter, started = Meter(self._meter.prices, parent=self._meter), time.monotonic()
        turn, failure = None, ""
        with dspy.context(lms={Role.SUPPORTER: self._lm}, usage_tracker=meter):
            try:
                turn = await ask_until(lambda correction: _attempt(program, asked, correction), TRIES)
            except Exhausted as error:
                failure = str(error)
            except RoleError as error:
                failure = self._refused(error)
        usage = meter.usage(time.monotonic() - started)
        return _said(turn, "", usage) if turn else Said("", "", failure, usage)

    def _refused(self, error: RoleError) -> str:
        """Some requests fail because of one dialogue; every other failure is the LM's and stops the session."""
        line = explain_lm_error(error.role, self._spec.text, error.error)
        too_long = isinstance(error.error, ContextWindowExceededError)
        # Before the first answer a refused request means wrong settings.
        if not too_long and not (isinstance(error.error, LMInvalidRequestError) and self._meter.calls > 0):
            raise LMError(line) from error
        return line

    def likelihoods(self, dialogues: Sequence[Dialogue]) -> list[tuple[float, int]]:
        """A prompted LM gives none."""
        raise LMSpecError(f"{self._spec.text}: gives no likelihoods")


async def _attempt(program: Supporter, asked: Asked, correction: str) -> Turn:
    inputs: dict[str, Any] = {
        "dialogue": transcript(asked.history),
        "progress": supporter_cue(asked.pace, asked.history, with_strategy=False),
        "correction": correction,
    }
    return supporter_turn((await ask(Role.SUPPORTER, program, **inputs)).model_dump())


@lru_cache(maxsize=8)
def _program(nodes: tuple[Node, ...], emoji: bool, shots: int) -> tuple[Supporter, tuple[str, ...]]:
    made = load_programs(False, SimulationOptions(nodes, emoji), False, shots, seed=0)
    program: Supporter = made.dialogue.supporter
    return program, made.demonstrations
