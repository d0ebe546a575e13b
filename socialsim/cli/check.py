"""The command that checks a corpus against the paper's eight rules: check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter
from cyclopts.validators import Number

from socialsim.cli.options import MEASURING

if TYPE_CHECKING:
    from rich.console import Console

    from socialsim.checking import Checked, CheckingConfig
    from socialsim.lms import LMSpec

Count = Annotated[int | None, Parameter(validator=Number(gte=1))]
Worst = Annotated[int, Parameter(validator=Number(gte=0, lte=1000))]
Flights = Annotated[int | None, Parameter(validator=Number(gte=1, lte=4096))]
File = Annotated[Path | None, Parameter(name=("--out", "-o"))]


def register(app: cyclopts.App) -> None:
    """Add the command."""
    app.command(check, group=MEASURING)


def check(
    run: Path,
    /,
    *,
    judge_lm: str | None = None,
    limit: Count = None,
    worst: Worst = 5,
    concurrency: Flights = None,
    out: File = None,
) -> None:
    """Check dialogues against the paper's eight control rules: each utterance, then the whole.

    A rule that cannot be checked is shown as "-": consistency and control need personas (a run folder has them),
    reasoning and match need the supporter's reasoning. Without --judge-lm no LM is called.

    Parameters
    ----------
    run
        A run folder, or a corpus file of any format that is known.
    judge_lm
        LM that judges reasoning, match and detail of each reply besides; see `socialsim lms`. Three calls a reply.
    limit
        Dialogues to check at most, from the first.
    worst
        Turns to show that need work most.
    concurrency
        Dialogues at the judge LM at once. Default: 2 in process, 16 elsewhere.
    out
        File for the verdicts, a line a dialogue. Default: RUN/checks.jsonl; none for a corpus file.
    """
    from socialsim.checking import CheckingConfig

    spec = _spec(judge_lm)
    flights = concurrency or (2 if spec is None or spec.in_process else 16)
    _execute(CheckingConfig(run, spec, limit, worst, out, flights))


def _spec(text: str | None) -> LMSpec | None:
    from socialsim.errors import LMSpecError
    from socialsim.lms import parse_spec

    if text is None:
        return None
    try:
        return parse_spec(text)
    except LMSpecError as error:
        raise LMSpecError(f"judge LM (from --judge-lm): {error}") from error


def _execute(config: CheckingConfig) -> None:
    import logging

    from rich.console import Console
    from rich.markup import escape

    from socialsim.checking import check_corpus

    console = Console(highlight=False)
    # DSPy logs a truncated answer; here it is asked again, and a log line would tear the status line.
    logging.getLogger("dspy").setLevel(logging.ERROR)
    try:
        with console.status("checking") as status:
            checked = check_corpus(config, lambda done: status.update(f"checking: {done:,} dialogues"))
    except KeyboardInterrupt:
        where = f" What was checked is in {escape(str(config.file))}." if config.judge and config.file else ""
        console.print(f"\nStopped.{where}", soft_wrap=True)
        raise SystemExit(130) from None
    _show(console, config, checked)


def _show(console: Console, config: CheckingConfig, checked: Checked) -> None:
    from rich.markup import escape

    from socialsim.report.checks import rules_table, worst_table

    name = config.corpus.resolve().name
    console.print(rules_table(checked.rules, f"{name}: the eight control rules, {checked.dialogues:,} dialogues"))
    if checked.worst:
        console.print(worst_table(checked.worst))
    if checked.with_persona < checked.dialogues:
        left = checked.dialogues - checked.with_persona
        console.print(f"{left:,} dialogues have no persona: consistency and control cannot be checked there.")
    if config.judge is not None:
        console.print(
            f"judge LM {escape(config.judge.text)}: {checked.errors:,} malformed, {checked.missing:,} unscored"
        )
    if checked.file is not None:
        console.print(f"Verdicts: {escape(str(checked.file))}", soft_wrap=True)
