"""Commands that make things: run, scenarios, personas, simulate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cyclopts

from socialsim.cli.options import (
    BatchOptions,
    DialogueOptions,
    EngineOptions,
    LMOptions,
    PostOptions,
    ProgramOptions,
    WorkOptions,
)
from socialsim.errors import InputError, OutputError, UsageError

if TYPE_CHECKING:
    from socialsim.run import Item
    from socialsim.runconfig import RunConfig, Stage
    from socialsim.schema import Node

LM_DEFAULT, WORK_DEFAULT, POST_DEFAULT = LMOptions(), WorkOptions(), PostOptions()
DIALOGUE_DEFAULT, PROGRAM_DEFAULT, BATCH_DEFAULT = DialogueOptions(), ProgramOptions(), BatchOptions()
ENGINE_DEFAULT = EngineOptions()


def register(app: cyclopts.App) -> None:
    """Add the commands."""
    group = cyclopts.Group("Make a corpus", sort_key=1)
    for command in (run, scenarios, personas, simulate):
        app.command(command, group=group)


def run(
    *inputs: Path,
    work: WorkOptions = WORK_DEFAULT,
    posts: PostOptions = POST_DEFAULT,
    dialogues: DialogueOptions = DIALOGUE_DEFAULT,
    programs: ProgramOptions = PROGRAM_DEFAULT,
    batch: BatchOptions = BATCH_DEFAULT,
    lms: LMOptions = LM_DEFAULT,
    engine: EngineOptions = ENGINE_DEFAULT,
) -> None:
    """Do everything: posts to scenarios to personas to dialogues.

    Example: **socialsim run posts.csv --text-column body --lm openai/gpt-4o-mini --out runs/posts**

    Parameters
    ----------
    inputs
        Files of posts: PsyQA, ESConv situations, SSConv profiles, JSONL, CSV. Default: the bundled scenarios.
    """
    from socialsim.runconfig import Stage

    _Job(tuple(Stage), work, lms, engine, posts, dialogues, programs, batch).do(inputs)


def scenarios(
    *inputs: Path,
    work: WorkOptions = WORK_DEFAULT,
    posts: PostOptions = POST_DEFAULT,
    batch: BatchOptions = BATCH_DEFAULT,
    lms: LMOptions = LM_DEFAULT,
    engine: EngineOptions = ENGINE_DEFAULT,
) -> None:
    """Screen and translate posts only; prints how many were kept and why the others were not.

    Parameters
    ----------
    inputs
        Files of posts. Default: the bundled scenarios.
    """
    from socialsim.runconfig import Stage

    _Job((Stage.SCENARIOS,), work, lms, engine, posts, batch=batch).do(inputs)


def personas(
    *inputs: Path,
    work: WorkOptions = WORK_DEFAULT,
    programs: ProgramOptions = PROGRAM_DEFAULT,
    batch: BatchOptions = BATCH_DEFAULT,
    lms: LMOptions = LM_DEFAULT,
    engine: EngineOptions = ENGINE_DEFAULT,
) -> None:
    """Turn scenarios into seeker personas.

    Parameters
    ----------
    inputs
        Files of scenarios (scenarios.jsonl of a run). Default: those in the run folder.
    """
    from socialsim.runconfig import Stage

    _Job((Stage.PERSONAS,), work, lms, engine, programs=programs, batch=batch).do(inputs)


def simulate(
    *inputs: Path,
    work: WorkOptions = WORK_DEFAULT,
    dialogues: DialogueOptions = DIALOGUE_DEFAULT,
    programs: ProgramOptions = PROGRAM_DEFAULT,
    lms: LMOptions = LM_DEFAULT,
    engine: EngineOptions = ENGINE_DEFAULT,
) -> None:
    """Simulate the conversations of personas.

    Parameters
    ----------
    inputs
        Files of personas: personas.jsonl of a run, or SSConv profiles. Default: those in the run folder.
    """
    from socialsim.runconfig import Stage

    _Job((Stage.DIALOGUES,), work, lms, engine, dialogues=dialogues, programs=programs).do(inputs)


class _Job:
    """The options of a command, and what is done with them."""

    def __init__(
        self,
        stages: tuple[Stage, ...],
        work: WorkOptions,
        lms: LMOptions,
        engine: EngineOptions,
        posts: PostOptions = POST_DEFAULT,
        dialogues: DialogueOptions = DIALOGUE_DEFAULT,
        programs: ProgramOptions = PROGRAM_DEFAULT,
        batch: BatchOptions = BATCH_DEFAULT,
    ) -> None:
        self.stages, self.work, self.lms, self.engine, self.batch = stages, work, lms, engine, batch.batch
        self.posts, self.dialogues, self.programs = posts, dialogues, programs

    def do(self, inputs: Sequence[Path]) -> None:
        """Run the stages, or say what they would take."""
        from socialsim.cli import session

        config, workforce = self._config(inputs), self.engine.workforce()
        items = list(self._items(inputs))  # a broken input ends here, before any folder is made
        if self.work.dry_run:
            session.show_estimate(config, items)
        else:
            self._check_resume()
            session.execute(config, items, workforce)

    def _config(self, inputs: Sequence[Path]) -> RunConfig:
        from programs.simulate import SimulationOptions
        from socialsim.budget import Budget
        from socialsim.lms import usual_shots
        from socialsim.runconfig import Mode, RunConfig
        from socialsim.schema import Role

        specs, choice = self.lms.resolve(), self.dialogues
        if choice.mode not in list(Mode):
            raise UsageError(f"--mode {choice.mode}: use {' or '.join(Mode)}")
        if choice.mode == Mode.ONEPASS and not choice.rules:
            raise UsageError("--no-rules: a dialogue of --mode onepass may leak the persona; only the rules tell")
        local = all(spec.in_process for spec in specs.values())
        by_lm, shots = self.posts.screen_by_lm, self.programs.shots
        if shots is None:
            shots = usual_shots(specs.values())
        return RunConfig(
            out=self.work.out,
            lms=specs,
            stages=self.stages,
            mode=Mode(choice.mode),
            simulation=SimulationOptions(
                parse_nodes(choice.nodes), choice.emoji, choice.tries, choice.strict, choice.repair, choice.rules
            ),
            seed=self.work.seed,
            limit=self.work.limit,
            concurrency=self.work.concurrency or (2 if local else 16),
            workers=self.engine.workers,
            min_words=self.posts.min_words,
            # A 135M model cannot judge a post; the rules still do.
            lm_screening=not specs[Role.PERSONA].embedded if by_lm is None else by_lm,
            demonstrations=shots,
            states=self.programs.program,
            uncompiled=self.programs.uncompiled,
            allow_mixed=self.work.allow_mixed,
            batch=self.batch,
            budget=Budget(self.work.max_cost, self.work.max_tokens),
            inputs=tuple(path.name for path in inputs) or self._default_input(),
        )

    def _default_input(self) -> tuple[str, ...]:
        from socialsim.runconfig import Stage

        return ("bundled scenarios",) if self.stages[0] is Stage.SCENARIOS else ()

    def _check_resume(self) -> None:
        if not self.work.resume and (self.work.out / "manifest.json").exists():
            raise OutputError(f"{self.work.out} exists; leave out --no-resume to continue it, or name another --out")

    def _items(self, inputs: Sequence[Path]) -> Iterator[Item]:
        from socialsim.runconfig import Stage
        from socialsim.runfolder import run_file

        if self.stages[0] is Stage.SCENARIOS:
            return self._read_posts(inputs)
        if not inputs:  # the run folder's own, if it has any
            run_file(self.work.out, "scenarios" if self.stages[0] is Stage.PERSONAS else "personas")
        return _read_scenarios(inputs) if self.stages[0] is Stage.PERSONAS else _read_personas(inputs)

    def _read_posts(self, inputs: Sequence[Path]) -> Iterator[Item]:
        from socialsim.formats import PostFormat, read_posts
        from socialsim.formats.rows import unique_ids
        from socialsim.formats.table import DEFAULT_COLUMNS
        from socialsim.resources import bundled_scenarios

        name, columns = self.posts.format, self.posts.columns() or DEFAULT_COLUMNS
        if name is not None and name not in list(PostFormat):
            raise UsageError(f"--format {name}: use {', '.join(PostFormat)}")
        format_ = PostFormat(name) if name else None
        files = inputs or (bundled_scenarios(),)
        return unique_ids(post for path in files for post in read_posts(path, format_, columns))


def parse_nodes(text: str) -> tuple[Node, ...]:
    """``strategy,situation`` to nodes in the order of the reasoning chain; ``none`` to none.

    Raises:
        UsageError: if a name is no node.
    """
    from socialsim.schema import Node

    names = {name.strip().lower() for name in text.split(",")} - {""}
    if names == {"none"}:
        return ()
    if unknown := names - set(Node):
        raise UsageError(f"--nodes: unknown {', '.join(sorted(unknown))}; use {','.join(Node)} or none")
    if not names:
        raise UsageError(f"--nodes is empty; use {','.join(Node)} or none")
    return tuple(node for node in Node if node in names)


def _read_scenarios(inputs: Sequence[Path]) -> Iterator[Item]:
    from socialsim.journal import read_records
    from socialsim.schema import Scenario

    return (scenario for path in inputs for scenario in read_records(path, Scenario))


def _read_personas(inputs: Sequence[Path]) -> Iterator[Item]:
    from socialsim.formats.ssconv import read_personas
    from socialsim.journal import read_records
    from socialsim.schema import Persona

    for path in inputs:
        if not path.is_file():
            raise InputError(path, "no such file")
        own = path.suffix == ".jsonl"
        yield from read_records(path, Persona) if own else read_personas(path)
