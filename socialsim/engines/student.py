"""A student in process as a DSPy engine: schemas are enforced, requests that come together are answered together."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from finetune.base import needs
from finetune.format import Message
from finetune.student import PromptTooLong, Student, find_student, load_student
from socialsim.errors import LMSpecError, UsageError

if TYPE_CHECKING:
    import dspy
    from dspy.lm15 import Request, Response

    from finetune.decoding import Sampling, Written
    from socialsim.student_adapter import StudentAdapter


@dataclass(frozen=True)
class StudentSettings:
    """How a student is loaded and samples.

    Attributes:
        slots: requests answered side by side; as many finished texts are kept for what goes on from them.
        min_p: least probability of a token, as a share of the best one's.
    """

    slots: int = 4
    min_p: float = 0.0


class StudentEngine:
    """``complete(Request) -> Response`` on one student; it is loaded at the first request."""

    supports_response_schema = True
    supported_params = frozenset({"response_format", "temperature", "top_p", "max_tokens", "seed"})

    def __init__(self, where: str, settings: StudentSettings | None = None) -> None:
        self.where = where
        self.settings = settings or StudentSettings()

    def check(self) -> None:
        """Look at the files without loading anything.

        Raises:
            LMSpecError: if the packages or the student are not there.
        """
        needs()
        if find_spec("llguidance") is None:
            raise LMSpecError("llguidance is not installed; run: pip install 'socialsim[train]'")
        find_student(self.where)

    @cached_property
    def role_adapter(self) -> StudentAdapter | None:
        """What turns the supporter's prompt into the trained format; None where that is the programs' own."""
        from socialsim.student_adapter import StudentAdapter

        variant = find_student(self.where).variant
        return None if variant is None else StudentAdapter(variant)

    @property
    def student(self) -> Student:
        """The student, loaded once a process."""
        return load_student(self.where, self.settings.slots)

    def complete(self, request: Request) -> Response:
        """Answer one request; blocks until it is done.

        Raises:
            dspy.lm15.LM15Error: the matching error for a prompt too long, a schema or a failing model.
        """
        return self.answer(self.submit(request), request)

    def submit(self, request: Request) -> Future[Written]:
        """Queue a request; loads the student before the first one."""
        from finetune.grammar import GrammarError

        try:
            return self.student.write(_messages(request), self._sampling(request), _schema(request))
        except (PromptTooLong, GrammarError, UsageError) as error:
            raise _error(error) from error

    def answer(self, future: Future[Written], request: Request) -> Response:
        """Wait for what was queued."""
        try:
            written = future.result()
        except Exception as error:
            raise _error(error) from error
        return _response(self.student.text(written), written, request.model)

    def _sampling(self, request: Request) -> Sampling:
        from finetune.decoding import Sampling

        names = ("temperature", "top_p", "max_tokens", "seed")
        given = {name: value for name in names if (value := getattr(request.config, name)) is not None}
        return Sampling(min_p=self.settings.min_p, **given)

    def dump_state(self) -> dict[str, Any]:
        """State for DSPy's save: the folder and the settings."""
        return {"where": self.where, "settings": asdict(self.settings)}

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> StudentEngine:
        """Rebuild from `dump_state`."""
        return cls(state["where"], StudentSettings(**state["settings"]))


class AsyncStudentEngine:
    """The same engine for async programs."""

    supports_response_schema = True
    supported_params = StudentEngine.supported_params

    def __init__(self, engine: StudentEngine) -> None:
        self.engine = engine

    async def complete(self, request: Request) -> Response:
        """Answer one request without blocking the event loop; cancelled, it frees its place at the next token."""
        # Loading and compiling a grammar take seconds, so queueing is done elsewhere too.
        queued = asyncio.get_running_loop().run_in_executor(None, self.engine.submit, request)
        try:
            future = await asyncio.shield(queued)
            await asyncio.wait([asyncio.wrap_future(future)])
        except asyncio.CancelledError:
            queued.add_done_callback(_cancel)
            raise
        return self.engine.answer(future, request)

    def dump_state(self) -> dict[str, Any]:
        """State for DSPy's save."""
        return self.engine.dump_state()

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> AsyncStudentEngine:
        """Rebuild from `dump_state`."""
        return cls(StudentEngine.load_state(state))


def student_lm(where: str, options: dict[str, float]) -> dspy.LM:
    """The LM of ``student:WHERE``.

    Args:
        where: see `finetune.student.find_student`.
        options: temperature, min_p and max_tokens; top_p and slots where they are given.

    Raises:
        LMSpecError: if the packages or the student are not there.
    """
    import dspy

    engine = StudentEngine(where, StudentSettings(slots=int(options.get("slots", 4)), min_p=options["min_p"]))
    engine.check()
    return dspy.LM(
        f"student/{where}",
        engine=engine,
        async_engine=AsyncStudentEngine(engine),
        cache=False,
        temperature=options["temperature"],
        max_tokens=int(options["max_tokens"]),
        **({"top_p": options["top_p"]} if "top_p" in options else {}),
    )


def _cancel(queued: asyncio.Future[Future[Written]]) -> None:
    if not queued.cancelled() and queued.exception() is None:
        queued.result().cancel()


def _messages(request: Request) -> list[Message]:
    system = request.system
    if system is not None and not isinstance(system, str):
        system = "".join(part.text for part in system if part.type == "text")
    head: list[Message] = [{"role": "system", "content": system}] if system else []
    return head + [{"role": message.role, "content": message.text or ""} for message in request.messages]


def _schema(request: Request) -> dict[str, Any] | None:
    format_ = request.config.response_format
    if not format_:
        return None
    return dict(format_["schema"]) if format_.get("type") == "json_schema" else {"type": "object"}


def _response(text: str, written: Written, model: str) -> Response:
    from dspy.lm15 import Message, Response, TextPart, Usage

    return Response(
        id=None,
        model=model,
        message=Message.assistant([TextPart(text)]),
        finish_reason=written.finish,
        usage=Usage(
            input_tokens=written.prompt,
            output_tokens=written.tokens,
            total_tokens=written.prompt + written.tokens,
            cache_read_tokens=written.cached,
        ),
    )


def _error(error: Exception) -> Exception:
    from dspy.lm15 import ContextLengthError, InvalidRequestError, ServerError

    from finetune.grammar import GrammarError

    kinds = {PromptTooLong: ContextLengthError, GrammarError: InvalidRequestError, UsageError: InvalidRequestError}
    return kinds.get(type(error), ServerError)(str(error) or type(error).__name__, provider="student")
