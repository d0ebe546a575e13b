"""The command that judges: judge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter
from cyclopts.validators import Number

from socialsim.cli.options import MEASURING, JudgeOptions
from socialsim.errors import LMError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from metrics.rubric import RubricVerdict
    from socialsim.judging import Judging, JudgingConfig
    from socialsim.schema import Dialogue

LM_DEFAULT = JudgeOptions()
Count = Annotated[int | None, Parameter(validator=Number(gte=1))]
Samples = Annotated[int, Parameter(validator=Number(gte=1, lte=64))]
Flights = Annotated[int | None, Parameter(validator=Number(gte=1, lte=4096))]
Folder = Annotated[Path | None, Parameter(name=("--out", "-o"))]


def register(app: cyclopts.App) -> None:
    """Add the command."""
    app.command(judge, group=MEASURING)


def judge(
    run: Path,
    /,
    *,
    limit: Count = None,
    judges: Samples = 1,
    concurrency: Flights = None,
    out: Folder = None,
    program: Path | None = None,
    batch: Annotated[bool, Parameter(negative=())] = False,
    lm: JudgeOptions = LM_DEFAULT,
) -> None:
    """Score dialogues by the paper's six quality dimensions with a judge LM, beside the published Table 2.

    Example: **socialsim judge runs/first --limit 30 --judge-lm openai/gpt-4o**

    An LM's scores are no human ratings. Scores are marked as not calibrated unless this judge was compared with people.
    Malformed verdicts of an earlier session stay as they are; to ask again, use another --out or remove their lines.

    Parameters
    ----------
    run
        A run folder, or a corpus file of any format that is known.
    limit
        Dialogues to judge at most, from the first.
    judges
        Times each dimension is judged; the mean and the spread between them are shown.
    concurrency
        Dialogues in flight at once. Default: 2 in process, 16 elsewhere.
    out
        Folder for the verdicts. Default: RUN/verdicts, or beside the file.
    program
        A compiled judge (JSON). Default: the judge as written.
    batch
        Judge through the provider's Batch API: within a day, for half the price.
    """
    from socialsim.engines.baskets import most_in_flight
    from socialsim.judging import JudgingConfig
    from socialsim.schema import Role

    spec = lm.resolve()[Role.JUDGE]
    # A dialogue is six judgements, each asked for ``judges`` times; in a batch all of them wait together.
    alone = 2 if spec.in_process else 16
    usual = max(most_in_flight() // (6 * judges), 1) if batch else alone
    config = JudgingConfig(run, spec, judges, concurrency or usual, out=out, program=program, batch=batch)
    _execute(config, list(_first(run, limit)))


def _first(path: Path, limit: int | None) -> Iterator[Dialogue]:
    from itertools import islice

    from socialsim.formats import read_dialogues
    from socialsim.runfolder import read_dialogue_records

    return islice(read_dialogue_records(path) if path.is_dir() else read_dialogues(path), limit)


def _execute(config: JudgingConfig, dialogues: Sequence[Dialogue]) -> None:
    import logging

    from rich.console import Console
    from rich.markup import escape

    from metrics.rubric import calibration_note
    from socialsim.judging import Judging

    console, judging = Console(highlight=False), Judging(config)
    note = calibration_note(config.lm.text, judging.program)
    console.print(f"[dim]judge LM:[/] {escape(config.lm.text)}  [dim]({escape(note)})[/]", soft_wrap=True)
    if judging.alike and config.k > 1:
        console.print(f"[yellow]This LM is at temperature 0: its {config.k} samples will hardly differ.[/]")
    # DSPy logs a truncated answer; here it is asked again, and a log line would tear the progress bar.
    logging.getLogger("dspy").setLevel(logging.ERROR)
    try:
        verdicts = _judged(console, judging, dialogues)
    except KeyboardInterrupt:
        console.print(
            f"\nStopped. Nothing is lost: run the same command again to go on in {escape(str(judging.file))}.",
            soft_wrap=True,
        )
        raise SystemExit(130) from None
    _show(console, judging, verdicts, note)


def _judged(console: Console, judging: Judging, dialogues: Sequence[Dialogue]) -> list[RubricVerdict]:
    from socialsim.cli import batches
    from socialsim.progress import shown

    with batches.named(console, [judging.lm]), shown(console, "judged") as update:
        judging.on_change = update
        return judging.execute(dialogues)


def _show(console: Console, judging: Judging, verdicts: Sequence[RubricVerdict], note: str) -> None:
    from rich.markup import escape

    from metrics.rubric import table_row
    from socialsim.report.table2 import common_errors, table2

    config, row = judging.config, table_row(verdicts)
    console.print(table2({config.corpus.name or str(config.corpus): row}, config.lm.text, note, config.k))
    for reason, count in common_errors(verdicts):
        console.print(f"[yellow]{count:,} ×[/] {escape(reason[:200])}", soft_wrap=True)
    console.print(_cost(verdicts), soft_wrap=True)
    console.print(f"Calibration: {escape(note)}\nVerdicts: {escape(str(judging.file))}", soft_wrap=True)
    errors = sum(cell.errors for cell in row.values())
    if errors and not any(cell.scored for cell in row.values()):
        said = f"judge LM {config.lm.text} gave no score ({errors:,} malformed judgements)"
        raise LMError(f"{said}; use a more capable LM with --judge-lm")


def _cost(verdicts: Sequence[RubricVerdict]) -> str:
    from socialsim.meter import add_up

    usage, asked_again = add_up([verdict.usage for verdict in verdicts]), sum(verdict.retried for verdict in verdicts)
    cost = "cost unknown" if usage.cost is None else f"${usage.cost:.4f}"
    tokens = f"{usage.prompt_tokens + usage.completion_tokens:,} tokens"
    return (
        f"{len(verdicts):,} dialogues · {usage.calls:,} calls · {asked_again:,} malformed answers · {tokens} · {cost}"
    )
