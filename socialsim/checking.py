"""Check the dialogues of a corpus against the eight rules, and by a judge LM where one is given."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path

from metrics.checks import check_dialogue
from metrics.checks_judge import CheckJudge, JudgedChecks, MalformedCheck
from metrics.persona_judge import judge_by_persona
from metrics.verdicts import CheckVerdict
from socialsim.errors import InputError, LMError, OutputError
from socialsim.formats import read_dialogues
from socialsim.journal import read_records, write_atomically
from socialsim.lms import LMSpec
from socialsim.report.checks import RuleTally, WorstTurn, worst_first
from socialsim.resources import demonstrations
from socialsim.runfolder import FILES, read_dialogue_records
from socialsim.schema import PROSE, Dialogue, Persona, Record, Role
from socialsim.validation import copy_runs


@dataclass(frozen=True)
class CheckingConfig:
    """What a session checks.

    Attributes:
        corpus: a run folder, or a corpus file.
        judge: spec of the judge LM; None: no LM is called.
        limit: dialogues at most, from the first.
        worst: turns to keep as the worst.
        out: file for the verdicts; None: ``checks.jsonl`` in a run folder, no file for a corpus file.
        concurrency: dialogues at the judge LM at once.
    """

    corpus: Path
    judge: LMSpec | None = None
    limit: int | None = None
    worst: int = 5
    out: Path | None = None
    concurrency: int = 4

    @property
    def file(self) -> Path | None:
        """Where the verdicts go."""
        return self.out or (self.corpus / "checks.jsonl" if self.corpus.is_dir() else None)


class DialogueChecks(Record):
    """``checks.jsonl``: the verdicts on one dialogue, and the judgements given up as malformed."""

    id: str
    verdicts: tuple[CheckVerdict, ...]
    errors: tuple[MalformedCheck, ...] = ()


@dataclass
class Checked:
    """What a session found.

    Attributes:
        dialogues: how many were checked.
        with_persona: how many of them with their persona.
        rules: the tally of each rule.
        worst: the worst turns, worst first.
        errors: judgements given up as malformed.
        missing: judgements the judge could not score.
        file: where the verdicts lie; None where none was written.
    """

    dialogues: int = 0
    with_persona: int = 0
    rules: RuleTally = field(default_factory=RuleTally)
    worst: list[WorstTurn] = field(default_factory=list)
    errors: int = 0
    missing: int = 0
    file: Path | None = None


def check_corpus(config: CheckingConfig, on_change: Callable[[int], None] = lambda _: None) -> Checked:
    """Check a corpus and write the verdicts.

    Args:
        config: what to check.
        on_change: called with the number of dialogues done.

    Raises:
        SocialSimError: in one line, where the corpus, the file or the LM fails. What a judge LM's failure
            leaves finished is written.
    """
    _check_out(config)
    session = _Session(config, on_change)
    if config.judge is None:
        for dialogue in _dialogues(config):
            session.add(dialogue, JudgedChecks())
    else:
        session.judge(config.judge, list(_dialogues(config)))
    if not session.found.dialogues:
        raise InputError(config.corpus, "holds no dialogue yet")
    session.write()
    return session.found


def _check_out(config: CheckingConfig) -> None:
    if config.out is None:
        return
    if config.out.is_dir():
        raise OutputError(f"--out {config.out} is a folder; name a file")
    out, corpus = config.out.resolve(), config.corpus.resolve()
    own = {corpus / name for name in ("manifest.json", *(f"{name}.jsonl" for name in FILES))}
    if out == corpus or out in own:
        raise OutputError(f"--out {config.out} belongs to the corpus itself; name another file")


def _dialogues(config: CheckingConfig) -> Iterator[Dialogue]:
    path = config.corpus
    return islice(read_dialogue_records(path) if path.is_dir() else read_dialogues(path), config.limit)


class _Session:
    """The verdicts so far; only their lines are kept, so that a corpus of any size fits."""

    def __init__(self, config: CheckingConfig, on_change: Callable[[int], None]) -> None:
        self.config, self.found = config, Checked()
        self._on_change = on_change
        self._lines: dict[str, str] = {}
        self._order: list[str] = []  # of the corpus; judged dialogues end in another
        file = config.corpus / "personas.jsonl"
        self._personas = {persona.id: persona for persona in read_records(file, Persona)} if file.is_file() else {}

    def add(self, dialogue: Dialogue, judged: JudgedChecks) -> None:
        """Check one dialogue by rule and count it together with what the judge said."""
        persona = self._personas.get(dialogue.persona_id or "")
        given = check_dialogue(dialogue, persona, copied_from=_runs(dialogue))
        checks = DialogueChecks(id=dialogue.id, verdicts=(*given, *judged.verdicts), errors=judged.errors)
        found = self.found
        found.dialogues += 1
        found.with_persona += persona is not None
        found.errors += len(judged.errors)
        found.missing += judged.missing
        for verdict in checks.verdicts:
            found.rules.add(verdict)
        found.worst = heapq.nsmallest(self.config.worst, [*found.worst, *worst_first(checks.id, checks.verdicts)])
        self._lines[dialogue.id] = checks.model_dump_json(exclude_defaults=True) + "\n"
        self._on_change(found.dialogues)

    def judge(self, spec: LMSpec, dialogues: list[Dialogue]) -> None:
        """Let the LM judge the dialogues, some at once; keep what is finished if it fails."""
        self._order = [dialogue.id for dialogue in dialogues]
        try:
            asyncio.run(self._judge_all(spec, dialogues))
        except (LMError, KeyboardInterrupt):
            self.write()
            raise

    async def _judge_all(self, spec: LMSpec, dialogues: list[Dialogue]) -> None:
        import dspy

        from socialsim.adapter import CompactAdapter
        from socialsim.doctor import bind_lm

        judge, gate, lms = (
            CheckJudge(),
            asyncio.Semaphore(self.config.concurrency),
            {Role.JUDGE: bind_lm(Role.JUDGE, spec)},
        )

        async def one(dialogue: Dialogue) -> None:
            async with gate:
                persona = self._personas.get(dialogue.persona_id or "")
                self.add(dialogue, await _judged(judge, dialogue, persona, spec))

        with dspy.context(lms=lms, adapter=CompactAdapter(), disable_history=True, max_trace_size=0):
            tasks = [asyncio.create_task(one(dialogue)) for dialogue in dialogues]
            try:
                for task in asyncio.as_completed(tasks):
                    await task
            finally:
                for left in tasks:
                    left.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def write(self) -> None:
        """Write what is checked, as a whole, in the order of the corpus; nothing where nothing is."""
        if (file := self.config.file) is None or not self._lines:
            return
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{file}: its folder cannot be made ({error.strerror}); name another --out") from error
        write_atomically(file, (self._lines[key] for key in self._order or self._lines if key in self._lines))
        self.found.file = file


async def _judged(judge: CheckJudge, dialogue: Dialogue, persona: Persona | None, spec: LMSpec) -> JudgedChecks:
    from socialsim.ask import RoleError
    from socialsim.lm_errors import explain_lm_error

    try:
        judged: JudgedChecks = await judge.acall(dialogue=dialogue)
        return judged + await judge_by_persona(dialogue, persona) if persona else judged
    except RoleError as error:
        raise LMError(explain_lm_error(error.role, spec.text, error.error)) from error


def _runs(dialogue: Dialogue) -> frozenset[tuple[str, ...]]:
    """The word runs of the examples that were in this dialogue's prompts."""
    provenance = dialogue.provenance
    return _runs_of(frozenset(provenance.demonstrations)) if provenance and provenance.demonstrations else frozenset()


@lru_cache(maxsize=32)
def _runs_of(names: frozenset[str]) -> frozenset[tuple[str, ...]]:
    turns = [turn for demo in demonstrations() if demo.dialogue.id in names for turn in demo.dialogue.turns]
    thought = [turn.reasoning for turn in turns if turn.reasoning]
    nodes = [getattr(item, field) for item in thought for field in PROSE.values()]
    return copy_runs([*(turn.text for turn in turns), *filter(None, nodes)])
