"""Ask the LM bound to a role, and turn what went wrong into a reason that can be told.

A program names a role, never an LM. Who answers for a role is set around the program::

    with dspy.context(lms={Role.SEEKER: lm_a, Role.SUPPORTER: lm_b}, adapter=CompactAdapter()):
        ...

Without ``lms`` the LM of ``dspy.configure`` answers for every role.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from typing import Any, Protocol, TypeVar

import dspy
from dspy.utils.exceptions import AdapterParseError, LMError
from pydantic import BaseModel, ValidationError

from socialsim.lm_errors import FILTER_SAYS, FILTERED, UNUSABLE, reason
from socialsim.schema import Role

T = TypeVar("T")
_NO_OBJECT = "the answer was not the JSON object that was asked for"


class BadAnswer(Exception):
    """An answer that cannot be used; the message says why, in words an LM can act on."""


class RoleError(Exception):
    """An LM did not answer at all: no key, server down, request refused.

    Attributes:
        role: the role it plays.
        error: what DSPy raised.
    """

    def __init__(self, role: Role, error: LMError) -> None:
        self.role = role
        self.error = error
        super().__init__(f"{role}: {error}")


class Exhausted(Exception):
    """No usable answer within the allowed tries.

    Attributes:
        reasons: the reason of each failed try, in order.
    """

    def __init__(self, reasons: list[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__(reasons[-1] if reasons else "no try was made")


class Recollection(Protocol):
    """An answer given before: JSON, or why it could not be used."""

    @property
    def answer(self) -> str | None: ...  # noqa: D102
    @property
    def fault(self) -> str | None: ...  # noqa: D102


class Memory(Protocol):
    """Who keeps an item's answers until it is finished: ``dspy.context(memory=…)``."""

    def recall(self, question: Mapping[str, Any]) -> Recollection | None: ...  # noqa: D102
    def keep(self, question: Mapping[str, Any], answer: str | None, fault: str | None = None) -> None: ...  # noqa: D102


def role_lm(role: Role) -> dspy.BaseLM | None:
    """The LM bound to a role in the current context."""
    lms = dspy.settings.get("lms") or {}
    return lms.get(role) or dspy.settings.lm


def role_adapter(lm: dspy.BaseLM | None) -> Any:
    """The adapter that an LM brings along (a student has a format of its own), else the current context's."""
    return getattr(getattr(lm, "engine", None), "role_adapter", None) or dspy.settings.adapter


async def ask(role: Role, module: dspy.Module, **inputs: Any) -> Any:
    """Call a module with the role's LM and return its ``answer``.

    Raises:
        BadAnswer: if the LM's answer is malformed.
        RoleError: if the LM did not answer.
    """
    memory: Memory | None = dspy.settings.get("memory")
    if memory is None:
        return await _asked(role, module, inputs)
    question = {**inputs, "of": role, "for": getattr(module, "signature", type(module)).__name__}
    if (kept := memory.recall(question)) is not None:
        return _recalled(module, inputs, kept)
    try:
        answer = await _asked(role, module, inputs)
    except BadAnswer as error:
        memory.keep(question, None, str(error))
        raise
    memory.keep(question, answer.model_dump_json())
    return answer


async def _asked(role: Role, module: dspy.Module, inputs: dict[str, Any]) -> Any:
    lm = role_lm(role)
    adapter, told = role_adapter(lm), dspy.settings
    with nullcontext() if told.lm is lm and told.adapter is adapter else dspy.context(lm=lm, adapter=adapter):
        try:
            return (await module.acall(**inputs)).answer
        except AdapterParseError as error:
            raise BadAnswer(_reason(error)) from error
        except LMError as error:
            raise unusable(error) or RoleError(role, error) from error


def unusable(error: LMError) -> BadAnswer | None:
    """An error that is about one answer, as a reason to ask again; None for any other error."""
    said, code = str(error.message), getattr(error, "provider_code", None)
    if code == FILTERED and not said.startswith(FILTER_SAYS):  # a provider's own words, with status 400
        return BadAnswer(f"{FILTER_SAYS} the prompt: {reason(error)}")
    return BadAnswer(said) if code in UNUSABLE else None


def _recalled(module: dspy.Module, inputs: dict[str, Any], kept: Recollection) -> BaseModel:
    if kept.answer is None:
        raise BadAnswer(kept.fault or _NO_OBJECT)
    return answer_type(module, inputs.get("topic", "")).model_validate_json(kept.answer)


def answer_type(leaf: dspy.Module, topic: str = "") -> type[BaseModel]:
    """What a leaf's answer is; a persona's depends on the topic."""
    if hasattr(leaf, "answer_type"):
        suited: type[BaseModel] = leaf.answer_type(topic)
        return suited
    _, predictor = next(iter(leaf.named_predictors()))
    own: type[BaseModel] = predictor.signature.output_fields["answer"].annotation
    return own


def _reason(error: AdapterParseError) -> str:
    """The violated limits without DSPy's dump of the whole prompt."""
    cause: BaseException | None = error.__cause__
    while cause is not None and not isinstance(cause, ValidationError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return _NO_OBJECT
    return explain(cause)


def explain(error: ValidationError) -> str:
    """One line for a pydantic error: which field, what is wrong."""
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        if item["type"] in ("model_type", "model_attributes_type") and set(item["loc"]) <= {"answer"}:
            return _NO_OBJECT
        where = ".".join(str(part) for part in item["loc"] if part != "answer")
        lines.append(f"{where}: {item['msg']}" if where else item["msg"])
    return "; ".join(lines)


async def ask_until(attempt: Callable[[str], Awaitable[T]], tries: int) -> T:
    """Call ``attempt(correction)`` until it does not raise `BadAnswer`.

    Args:
        attempt: takes what was wrong with the last answer ("" at first).
        tries: how often to try at most.

    Raises:
        Exhausted: after the last bad answer.
    """
    reasons: list[str] = []
    for _ in range(tries):
        try:
            return await attempt(reasons[-1] if reasons else "")
        except BadAnswer as error:
            reasons.append(str(error))
    raise Exhausted(reasons)
