"""Have a judge score labelled items: many at once, each verdict journalled when it is given.

Only what people rated is judged, and what the verdict file holds is not judged again. A verdict
that cannot be read, or that the LM would not give, is counted and becomes no score.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import fmean
from typing import NamedTuple, Protocol

import dspy
from dspy.utils.exceptions import ContextWindowExceededError, LMInvalidRequestError
from pydantic import Field

from metrics.rubric import RubricLeaf, checked, judge_inputs, quotable, text_digest
from signatures.judge import Judgement
from signatures.rubric import Dimension
from socialsim.adapter import CompactAdapter
from socialsim.ask import BadAnswer, Exhausted, RoleError, ask, ask_until
from socialsim.doctor import bind_lm
from socialsim.errors import LMError
from socialsim.journal import Journal
from socialsim.labels import LabelledItem
from socialsim.lm_errors import explain_lm_error
from socialsim.lms import LMSpec
from socialsim.loading import program_hash
from socialsim.meter import Meter, State
from socialsim.prices import price
from socialsim.schema import Dialogue, Record, Role


class Judge(Protocol):
    """What is calibrated: scores one dimension of a dialogue.

    `score` returns 0 to 3, or None where the judge says that it cannot score.

    Raises:
        BadAnswer: if its verdict cannot be read.
        RoleError: if its LM did not answer.
    """

    async def score(self, dialogue: Dialogue, dimension: Dimension) -> int | None: ...  # noqa: D102


class ItemVerdict(Record):
    """One verdict on one item.

    Attributes:
        id: digest of who judged what, so that another judge, or other words, is another verdict.
        score: 0 to 3; None where there is none.
        reasons: what was wrong with each answer; empty unless the verdict is malformed.
        note: why the LM would not judge this dialogue, if so.
    """

    id: str
    dialogue_id: str
    dimension: Dimension
    sample: int = Field(ge=1)
    judge: str
    program: str
    score: int | None = Field(default=None, ge=0, le=3)
    reasons: tuple[str, ...] = ()
    note: str = ""


class Verdict(NamedTuple):
    """What became of one item: the mean score of its samples (None without any), and whether none could be read."""

    score: float | None
    malformed: bool = False


class RubricScorer:
    """The rubric judge as a `Judge`: one call an item.

    Args:
        leaf: the judge's leaf program, compiled or not.
        tries: answers asked for at most before a verdict is given up as malformed.
    """

    def __init__(self, leaf: RubricLeaf | None = None, tries: int = 3) -> None:
        self.leaf = leaf or RubricLeaf()
        self._tries = tries

    async def score(self, dialogue: Dialogue, dimension: Dimension) -> int | None:
        """Judge one dimension; the score must rest on words of the dialogue."""

        choices = quotable(dialogue)

        async def attempt(correction: str) -> Judgement:
            inputs = judge_inputs(dialogue, dimension, correction)
            return checked(await ask(Role.JUDGE, self.leaf, quotable=choices, **inputs), dialogue.turns, choices)

        return (await ask_until(attempt, self._tries)).score


class Session:
    """One judge on labelled items.

    Args:
        judge: what scores.
        name: spec of its LM, for the verdicts and messages.
        program: hash of its program.
        samples: verdicts an item.
        concurrency: items in flight at once.
        on_change: called with the state after each verdict.
        state: holds the meter that counts the calls.
    """

    def __init__(
        self,
        judge: Judge,
        name: str,
        program: str = "",
        samples: int = 1,
        concurrency: int = 4,
        on_change: Callable[[State], None] = lambda _: None,
        state: State | None = None,
    ) -> None:
        self._judge, self._name, self._program = judge, name, program
        self._samples, self._concurrency = samples, concurrency
        self._on_change = on_change
        self.state = state or State(Meter({}))

    def judge(self, items: Sequence[LabelledItem], journal: Journal[ItemVerdict]) -> dict[str, Verdict]:
        """Judge what the journal does not hold yet.

        Returns:
            Item id to what became of it.

        Raises:
            LMError: if the LM does not answer at all; what was judged is kept.
            OutputError: if the journal cannot be written.
        """
        wanted = {self._id(item, sample): item for item in items for sample in range(1, self._samples + 1)}
        left = [(item, n) for item in items for n in range(1, self._samples + 1) if self._id(item, n) not in journal]
        self.state.total, self.state.done = len(wanted), len(wanted) - len(left)
        self._on_change(self.state)
        asyncio.run(self._judge_all(iter(left), journal))
        given: dict[str, list[ItemVerdict]] = {item.id: [] for item in items}
        for verdict in journal:
            if verdict.id in wanted:
                given[wanted[verdict.id].id].append(verdict)
        return {name: _together(verdicts) for name, verdicts in given.items()}

    def _id(self, item: LabelledItem, sample: int) -> str:
        parts = (self._name, self._program, item.id, text_digest(item.dialogue), str(sample))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    async def _judge_all(self, left: Iterator[tuple[LabelledItem, int]], journal: Journal[ItemVerdict]) -> None:
        async def worker() -> None:
            for item, sample in left:  # one iterator, shared by all workers
                verdict = await self._verdict(item, sample)
                journal.append(verdict)
                self.state.done += 1
                self.state.failed += bool(verdict.reasons)
                self._on_change(self.state)

        with dspy.context(usage_tracker=self.state.meter):
            await asyncio.gather(*(worker() for _ in range(self._concurrency)))

    async def _verdict(self, item: LabelledItem, sample: int) -> ItemVerdict:
        made = ItemVerdict(
            id=self._id(item, sample),
            dialogue_id=item.dialogue.id,
            dimension=item.dimension,
            sample=sample,
            judge=self._name,
            program=self._program,
        )
        try:
            return made.model_copy(update={"score": await self._judge.score(item.dialogue, item.dimension)})
        except Exhausted as error:
            return made.model_copy(update={"reasons": error.reasons})
        except BadAnswer as error:
            return made.model_copy(update={"reasons": (str(error) or "no reason given",)})
        except RoleError as error:
            return made.model_copy(update={"note": self._refusal(error)})

    def _refusal(self, error: RoleError) -> str:
        """Some requests fail because of one dialogue; every other failure is the LM's and stops the session."""
        line = explain_lm_error(error.role, self._name, error.error)
        too_long = isinstance(error.error, ContextWindowExceededError)
        # Before the first answer a refused request means wrong settings, not a bad dialogue.
        if too_long or (isinstance(error.error, LMInvalidRequestError) and self.state.meter.calls > 0):
            return line
        raise LMError(line) from error


def _together(verdicts: Iterable[ItemVerdict]) -> Verdict:
    given = list(verdicts)
    scores = [verdict.score for verdict in given if verdict.score is not None]
    if scores:
        return Verdict(fmean(scores))
    return Verdict(None, malformed=any(verdict.reasons for verdict in given))


def judge_by_lm(
    spec: LMSpec,
    items: Sequence[LabelledItem],
    journal: Journal[ItemVerdict],
    leaf: RubricLeaf,
    samples: int = 1,
    concurrency: int = 4,
    on_change: Callable[[State], None] = lambda _: None,
) -> dict[str, Verdict]:
    """Judge labelled items with the rubric judge on an LM (see `Session.judge`).

    Raises:
        SocialSimError: in one line, if the LM cannot be had or does not answer.
    """
    lm = bind_lm(Role.JUDGE, spec)
    state = State(Meter({lm.model: price(spec)}))
    session = Session(RubricScorer(leaf), spec.text, program_hash(leaf), samples, concurrency, on_change, state)
    with dspy.context(lms={Role.JUDGE: lm}, adapter=CompactAdapter(), disable_history=True, max_trace_size=0):
        return session.judge(items, journal)
