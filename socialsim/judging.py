"""Judge the dialogues of a corpus by the rubric: many at once, each verdict journalled when it is done.

What the verdict file holds is never judged again, which is all that resume is. An LM that cannot
answer stops the session; a dialogue that an LM refuses is a verdict full of errors.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import dspy
from dspy.utils.exceptions import ContextWindowExceededError, LMInvalidRequestError

from metrics.rubric import (
    Dimension,
    Judged,
    Malformed,
    RubricJudge,
    RubricLeaf,
    RubricVerdict,
    is_calibrated,
    text_digest,
)
from socialsim.adapter import CompactAdapter
from socialsim.ask import RoleError
from socialsim.doctor import bind_lm
from socialsim.engines.batch_book import NAME
from socialsim.engines.batch_lm import BatchLM
from socialsim.errors import InputError, LMError, OutputError
from socialsim.journal import Journal, RunLock
from socialsim.lm_errors import explain_lm_error
from socialsim.lms import LMSpec
from socialsim.loading import program_hash
from socialsim.meter import Meter, State
from socialsim.prices import price
from socialsim.schema import Dialogue, Role


@dataclass(frozen=True)
class JudgingConfig:
    """Everything a judging session needs to know.

    Attributes:
        corpus: the run folder or corpus file; verdicts lie in it or beside it.
        lm: the judge's spec.
        k: samples of each dimension.
        concurrency: dialogues in flight at once.
        tries: answers asked for at most for one judgement.
        out: folder for the verdicts instead.
        program: a compiled judge (DSPy state), None for the judge as written.
        batch: let the judge's requests go through its provider's Batch API.
    """

    corpus: Path
    lm: LMSpec
    k: int = 1
    concurrency: int = 4
    tries: int = 3
    out: Path | None = None
    program: Path | None = None
    batch: bool = False


class Judging:
    """One session.

    Args:
        config: what to do.
        on_change: called with the state whenever a dialogue is judged, and about once a second.

    Attributes:
        lm: the judge.
        program: hash of the judge's instructions and demonstrations.
        calibrated: whether this judge is calibrated against people.
        alike: whether samples will be alike, since the LM is at temperature 0.
        file: where the verdicts lie.

    Raises:
        SocialSimError: if the LM cannot be had, or ``config.program`` is no compiled judge.
    """

    def __init__(self, config: JudgingConfig, on_change: Callable[[State], None] = lambda _: None) -> None:
        self.config = config
        self.on_change = on_change
        leaf = _leaf(config.program)
        self._judge = RubricJudge(leaf, config.tries, together=config.batch)
        self.lm = bind_lm(Role.JUDGE, config.lm, config.batch)
        self.program = program_hash(leaf)
        self.calibrated = is_calibrated(config.lm.text, self.program)
        self.alike = self.lm.kwargs.get("temperature") == 0
        self.file = verdict_file(config, self.program)
        self.state = State(Meter({self.lm.model: price(config.lm, config.batch)}))

    def execute(self, dialogues: Iterable[Dialogue]) -> list[RubricVerdict]:
        """Judge what is not judged yet.

        Args:
            dialogues: read to the end before anything is written, so that a broken corpus costs nothing.

        Returns:
            The verdicts of these dialogues, earlier sessions' included.

        Raises:
            SocialSimError: in one line, where the corpus, the verdict file or the LM fails; nothing is lost.
        """
        wanted = {dialogue.id: dialogue for dialogue in dialogues}
        if not wanted:
            raise InputError(self.config.corpus, "holds no dialogue yet")
        with _locked(self.file.parent), Journal(self.file, RubricVerdict) as journal:
            for verdict in journal:
                self._check(verdict, wanted.get(verdict.id))
            left = [dialogue for dialogue in wanted.values() if dialogue.id not in journal]
            self.state.total, self.state.done = len(wanted), len(wanted) - len(left)
            asyncio.run(self._judge_all(left, journal))
            return [verdict for verdict in journal if verdict.id in wanted]

    def _check(self, verdict: RubricVerdict, dialogue: Dialogue | None) -> None:
        """Refuse to mix verdicts of another judge, or on other words, with this session's."""
        pairs = [("judge", verdict.judge, self.config.lm.text), ("judge program", verdict.program, self.program)]
        pairs += [("text of a dialogue", verdict.text, text_digest(dialogue))] if dialogue else []
        for what, old, new in [*pairs, ("number of samples", str(verdict.k), str(self.config.k))]:
            if old != new:
                raise OutputError(
                    f"{self.file}: the verdict on {verdict.id!r} is from another {what} ({old}, now {new}); "
                    "move the file away, or use another --out"
                )

    async def _judge_all(self, left: Sequence[Dialogue], journal: Journal[RubricVerdict]) -> None:
        ticker = asyncio.create_task(self._tick())
        running: set[asyncio.Task[None]] = set()
        try:
            async with self._bound():
                for dialogue in left:
                    running.add(asyncio.create_task(self._judge_one(dialogue, journal)))
                    while len(running) >= self.config.concurrency:
                        running = await _some_done(running)
                while running:
                    running = await _some_done(running)
        finally:
            for task in (ticker, *running):
                task.cancel()
            await asyncio.gather(ticker, *running, return_exceptions=True)

    @asynccontextmanager
    async def _bound(self) -> AsyncIterator[None]:
        """The judge and its adapter for a with block."""
        lms = {Role.JUDGE: self.lm}
        async with AsyncExitStack() as opened:
            if isinstance(self.lm, BatchLM):
                file = self.file.with_suffix(f".{NAME}")
                await opened.enter_async_context(self.lm.batches.opened(file))
            opened.enter_context(
                dspy.context(lms=lms, adapter=CompactAdapter(), disable_history=True, max_trace_size=0)
            )
            yield

    async def _tick(self) -> None:
        while True:
            self.state.note = self.lm.news if isinstance(self.lm, BatchLM) else ""
            self.on_change(self.state)
            await asyncio.sleep(1)

    async def _judge_one(self, dialogue: Dialogue, journal: Journal[RubricVerdict]) -> None:
        meter, started = Meter(self.state.meter.prices, parent=self.state.meter), time.monotonic()
        with dspy.context(usage_tracker=meter):
            try:
                judged: Judged = await self._judge.acall(dialogue=dialogue, k=self.config.k)
            except RoleError as error:
                judged = self._refused(error)
        verdict = RubricVerdict(
            id=dialogue.id,
            text=text_digest(dialogue),
            judge=self.config.lm.text,
            program=self.program,
            k=self.config.k,
            calibrated=self.calibrated,
            usage=meter.usage(time.monotonic() - started),
            **judged._asdict(),
        )
        journal.append(verdict)
        self.state.done += 1
        self.state.failed += len(verdict.errors)
        self.on_change(self.state)

    def _refused(self, error: RoleError) -> Judged:
        """Some requests fail because of one dialogue; every other failure is the LM's and stops the session."""
        line = explain_lm_error(error.role, self.config.lm.text, error.error)
        too_long = isinstance(error.error, ContextWindowExceededError)
        # Before the first answer a refused request means wrong settings, not a bad dialogue.
        refused = isinstance(error.error, LMInvalidRequestError) and self.state.meter.calls > 0
        if not (too_long or refused):
            raise LMError(line) from error
        samples = [(dimension, sample) for dimension in Dimension for sample in range(1, self.config.k + 1)]
        errors = [Malformed(dimension=dimension, sample=sample, reasons=(line,)) for dimension, sample in samples]
        return Judged((), tuple(errors), 0)


async def _some_done(running: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    return running


def _leaf(program: Path | None) -> RubricLeaf:
    leaf = RubricLeaf()
    if program is not None:
        from socialsim.artifacts import load_state

        load_state(leaf, program, "judge")
    return leaf


def verdict_file(config: JudgingConfig, program: str) -> Path:
    """Where a judge's verdicts on a corpus lie.

    ``RUN/verdicts/rubric-<judge>-k<k>.jsonl`` of a run folder, ``FILE.rubric-…`` beside a corpus file. In another
    folder the corpus's name comes first; a compiled judge's file names its program.
    """
    slug = re.sub(r"[^\w.]+", "-", config.lm.text).strip("-.")[:80] or "lm"
    compiled = f"-{program}" if config.program else ""
    name = f"rubric-{slug}{compiled}-k{config.k}.jsonl"
    corpus = config.corpus
    if corpus.is_dir() and config.out is None:
        return corpus / "verdicts" / name
    return (config.out or corpus.parent) / f"{corpus.resolve().name}.{name}"


def verdict_files(corpus: Path) -> list[Path]:
    """The verdicts on a corpus that lie where `verdict_file` puts them by default, of whatever judge."""
    if corpus.is_dir():
        return sorted((corpus / "verdicts").glob("rubric-*.jsonl"))
    start = f"{corpus.resolve().name}.rubric-"  # no glob: a name may hold its signs
    return sorted(file for file in corpus.parent.glob("*.jsonl") if file.name.startswith(start))


def _locked(folder: Path) -> RunLock:
    if folder.is_dir() and not os.access(folder, os.W_OK):
        raise OutputError(f"{folder}: cannot be written; name another folder with --out")
    return RunLock(folder)
