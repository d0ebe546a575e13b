"""The command that lets models meet: arena."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import cyclopts
from cyclopts import Parameter
from cyclopts.validators import Number

from socialsim.cli.options import LMS
from socialsim.errors import InputError, LMError, LMSpecError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from socialsim.arena import Arena, ArenaResult
    from socialsim.arenafolder import ArenaConfig, ArenaSettings
    from socialsim.lms import LMSpec
    from socialsim.schema import Persona, Role

LEAST = 8  # exchanges of a conversation in the paper's interactive evaluation
MOST = 20
FEW = 10  # personas; resampling so few underrates how much others would differ
_NAME = re.compile(r"[^=/:?#\s][^=/:?#]*")  # a spec has one of these signs before its first "="
GROUP = cyclopts.Group("Compare models", sort_key=6)


@Parameter(name="*", group=LMS)
@dataclass(frozen=True)
class ArenaLMs:
    """Who meets whom."""

    models: str | None = None
    """The supporters, NAME=SPEC or SPEC, comma-separated, at least two. Default: those of --out."""
    seeker_lm: str | None = None
    """LM that speaks as the seeker, to every model. Default: embedded."""
    judge_lm: str | None = None
    """LM that judges. Default: embedded, which is too small to judge well."""


@Parameter(name="*")
@dataclass(frozen=True)
class ArenaOptions:
    """How they meet; what is not named is as --out was begun, if it was."""

    out: Annotated[Path, Parameter(name=("--out", "-o"))] = Path("runs/arena")
    """The arena's folder; an existing one is continued."""
    personas: Path | None = None
    """personas.jsonl of a run, or SSConv profiles. Default: those of --out, else the held-out demonstrations'."""
    limit: Annotated[int | None, Parameter(validator=Number(gte=1))] = None
    """Personas at most, from the first."""
    seed: int | None = None
    """Decides the examples in the prompts. Default: 0."""
    exchanges: int | None = None
    """Exchanges of each dialogue, 8 to 20. Default: 8, the least in the paper."""
    judges: Annotated[int | None, Parameter(validator=Number(gte=1, lte=64))] = None
    """Times each aspect is compared in each order. Default: 1."""
    nodes: str | None = None
    """Reasoning nodes asked of the supporters, any subset, comma-separated; or none. Default: all."""
    shots: Annotated[int | None, Parameter(validator=Number(gte=0, lte=16))] = None
    """Authored examples in an uncompiled prompt. Default: 1 if an LM is in process, else 3."""
    uncompiled: Annotated[bool | None, Parameter(negative=())] = None
    """Use no compiled program."""
    concurrency: Annotated[int | None, Parameter(validator=Number(gte=1, lte=4096))] = None
    """Dialogues in flight at once. Default: 2 if an LM is in process, else 16."""


LM_DEFAULT, DEFAULT = ArenaLMs(), ArenaOptions()


def register(app: cyclopts.App) -> None:
    """Add the command."""
    app.command(arena, group=GROUP)


def arena(*, lms: ArenaLMs = LM_DEFAULT, options: ArenaOptions = DEFAULT) -> None:
    """Let models talk to the same simulated seekers and have a judge LM compare the talks (Tables 5 and 6).

    Example: **socialsim arena --models student=student:runs/s,gpt=openai/gpt-4o-mini --seeker-lm openai/gpt-4o
    --judge-lm openai/gpt-4o --limit 10**

    Each model meets the same seekers for the same number of exchanges. The judge compares each two talks with a seeker
    in both orders by fluency, identification, comforting, suggestion and overall; only a winner in both orders wins,
    an answer that cannot be read is an error and no tie. Simulated seekers and a judge LM stand in for people: the
    table says what is known of the judge. To go on, or to see the tables again: **socialsim arena --out DIR**
    """
    from metrics.significance import need
    from socialsim.arenafolder import read_settings

    need("numpy")  # for the intervals: not to be missing when everything is said
    before = read_settings(options.out)
    config = _config(lms, options, before)
    again = before and not options.personas and not options.limit
    personas = None if again else _personas(config.source, options.limit)
    _execute(config, personas)


def _config(lms: ArenaLMs, options: ArenaOptions, before: ArenaSettings | None) -> ArenaConfig:
    from programs.turn import ALL_NODES
    from socialsim.arenafolder import ArenaConfig
    from socialsim.cli.work import parse_nodes
    from socialsim.lms import usual_shots

    if lms.models is None and before is None:
        raise UsageError(f"--models: name at least two, as in --models A=SPEC,B=SPEC ({options.out} holds no arena)")
    models = parse_models(lms.models) if lms.models is not None else _specs(before.models if before else {})
    seeker, judge = _speakers(lms, before)
    given = {name: getattr(options, name) for name in ("seed", "exchanges", "judges", "shots", "uncompiled")}
    given["nodes"] = None if options.nodes is None else parse_nodes(options.nodes)
    specs = (seeker, judge, *models.values())
    local = any(spec.in_process for spec in specs)
    usual = {
        "seed": 0,
        "exchanges": LEAST,
        "judges": 1,
        "shots": usual_shots([spec for spec in specs if spec.in_process] or specs),
        "uncompiled": False,
    }
    known: dict[str, Any] = before.model_dump() if before else usual | {"nodes": ALL_NODES}
    values = {name: known[name] if value is None else value for name, value in given.items()}
    if not LEAST <= values["exchanges"] <= MOST:
        raise UsageError(f"--exchanges {values['exchanges']}: use {LEAST} (the least in the paper) to {MOST}")
    flights = options.concurrency or (2 if local else 16)
    source = str(options.personas.resolve()) if options.personas else before.source if before else ""
    return ArenaConfig(options.out, models, seeker, judge, source=source, concurrency=flights, **values)


def parse_models(text: str) -> dict[str, LMSpec]:
    """``A=SPEC,B=SPEC`` to name and spec; a spec without a name is its own name.

    Raises:
        UsageError: if there are fewer than two, or two of one name.
        LMSpecError: if a spec is malformed.
    """
    named: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        before, equals, after = part.partition("=")
        name, spec = (before.strip(), after.strip()) if equals and _NAME.fullmatch(before) else (part, part)
        if name in named:
            raise UsageError(f"--models: two models are named {name!r}; name them NAME=SPEC")
        named[name] = spec
    if len(named) < 2:
        raise UsageError("--models: name at least two, as in --models A=SPEC,B=SPEC")
    return _specs(named)


def _specs(named: dict[str, str]) -> dict[str, LMSpec]:
    from socialsim.lms import parse_spec

    specs = {}
    for name, text in named.items():
        try:
            specs[name] = parse_spec(text)
        except LMSpecError as error:
            raise LMSpecError(f"model {name!r} (from --models): {error}") from error
    return specs


def _speakers(lms: ArenaLMs, before: ArenaSettings | None) -> tuple[LMSpec, LMSpec]:
    """The seeker's spec and the judge's: a flag, else what the arena was begun with, else as for every command."""
    from socialsim.config import resolve_lms
    from socialsim.schema import Role

    flags: dict[Role | None, str | None] = {
        Role.SEEKER: lms.seeker_lm or (before.seeker if before else None),
        Role.JUDGE: lms.judge_lm or (before.judge if before else None),
    }
    specs = resolve_lms(flags)
    return specs[Role.SEEKER], specs[Role.JUDGE]


def _personas(source: str, limit: int | None) -> list[Persona]:
    from itertools import islice

    found = list(islice(_all_personas(source), limit))
    if not found:
        raise InputError(source, "holds no persona")
    return found


def _all_personas(source: str) -> Iterator[Persona]:
    from socialsim.formats.ssconv import read_personas
    from socialsim.journal import read_records
    from socialsim.resources import demonstrations, read_splits
    from socialsim.schema import Persona

    if not source:
        kept = set(read_splits().held_out)
        return (demo.persona for demo in demonstrations() if demo.dialogue.id in kept)
    path = Path(source)
    if not path.is_file():
        raise InputError(path, "no such file; --personas takes personas.jsonl of a run, or SSConv profiles")
    return read_records(path, Persona) if path.suffix == ".jsonl" else read_personas(path)


def _execute(config: ArenaConfig, personas: Sequence[Persona] | None) -> None:
    import logging

    from rich.console import Console
    from rich.markup import escape

    from socialsim.arena import Arena

    console = Console(highlight=False)
    for role, spec in [("seeker", config.seeker), ("judge", config.judge)]:
        console.print(f"[dim]{role} LM:[/] {escape(spec.text)}", soft_wrap=True)
    for name, spec in config.models.items():
        console.print(f"[dim]model[/] {escape(name)}: {escape(spec.text)}", soft_wrap=True)
    # DSPy logs a truncated answer; here it is asked again, and a log line would tear the progress bar.
    logging.getLogger("dspy").setLevel(logging.ERROR)
    try:
        result = _run(console, Arena(config), personas)
    except KeyboardInterrupt:
        where = escape(str(config.out))
        console.print(f"\nStopped. Nothing is lost: run the same command again to go on in {where}.", soft_wrap=True)
        raise SystemExit(130) from None
    _show(console, config, result)


def _run(console: Console, arena: Arena, personas: Sequence[Persona] | None) -> ArenaResult:
    from socialsim.progress import shown

    with shown(console, "dialogues and comparisons") as update:
        arena.on_change = update
        return arena.execute(personas)


def _show(console: Console, config: ArenaConfig, result: ArenaResult) -> None:
    from rich.markup import escape

    from socialsim.report.arena import common_reasons, models_table, table5, table6, trust_table

    models, verdicts = list(config.models), result.verdicts
    console.print(models_table(result.dialogues, result.rejected))
    if verdicts:
        for table in (table5, table6, trust_table):
            console.print(table(models, verdicts))
    rejected = [rejection for ones in result.rejected.values() for rejection in ones]
    for reason, count in common_reasons(verdicts, rejected):
        console.print(f"[yellow]{count:,} ×[/] {escape(' '.join(reason.split())[:200])}", soft_wrap=True)
    for line in _notes(config, result):
        console.print(escape(line), soft_wrap=True)
    if silent := [name for name in models if not result.dialogues[name]]:
        raise LMError(f"no dialogue of {', '.join(silent)} could be made; see {config.out / 'rejected.jsonl'}")
    if not any(verdict.answer for verdict in verdicts):
        said = f"judge LM {config.judge.text} gave no verdict that can be read ({len(verdicts):,} errors)"
        raise LMError(f"{said}; use a more capable LM with --judge-lm and another --out")


def _notes(config: ArenaConfig, result: ArenaResult) -> Iterator[str]:
    from metrics.calibrations import calibration_note
    from socialsim.meter import add_up
    from socialsim.report.arena import STAND_IN, cost, spent

    verdicts = result.verdicts
    talked = add_up([spent(result.dialogues[name], result.rejected[name]) for name in config.models])
    judged = add_up([verdict.usage for verdict in verdicts])
    retried = sum(verdict.retried for verdict in verdicts)
    yield (
        f"{result.personas:,} personas · {config.exchanges} exchanges · {talked.calls:,} calls to talk "
        f"({cost(talked)}) · {judged.calls:,} to judge ({cost(judged)}) · {retried:,} malformed answers"
    )
    yield STAND_IN
    note = calibration_note(config.judge.text, result.settings.programs.get("the judge", ""))
    yield f"Judge {config.judge.text}: {note}."
    if same := [name for name, spec in config.models.items() if spec.model == config.judge.model]:
        yield f"Mind that the judge is {' and '.join(same)} too: an LM may prefer its own words."
    if result.personas < FEW:
        yield f"{result.personas:,} personas are few: intervals from fewer than {FEW} come out too narrow."
    yield f"Files: {config.out}/ (dialogues.jsonl, rejected.jsonl, verdicts.jsonl)"
