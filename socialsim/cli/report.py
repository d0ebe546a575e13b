"""The command that writes a report: report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter
from cyclopts.validators import Number

from socialsim.cli.corpus import labelled
from socialsim.cli.options import MEASURING
from socialsim.errors import UsageError

if TYPE_CHECKING:
    from socialsim.reporting.build import ReportConfig

Paths = Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative=(), show_default=False)]
Target = Annotated[Path | None, Parameter(name=("--out", "-o"))]
Samples = Annotated[int, Parameter(validator=Number(gte=0, lte=100))]
Embedded = Annotated[int, Parameter(validator=Number(gte=0))]


def register(app: cyclopts.App) -> None:
    """Add the command."""
    app.command(report, group=MEASURING)


def report(
    run: Path,
    /,
    *,
    compare: Paths = (),
    out: Target = None,
    student: Paths = (),
    samples: Samples = 3,
    embed: Embedded = 24,
    seed: int = 0,
) -> None:
    """Write the paper's tables and figures of a run as one HTML page, with the figures as SVG and PNG beside it.

    Example: **socialsim report runs/first --compare ESConv.json**

    The page loads nothing and holds no script. No LM is called: what is not measured yet (judging, the rules on a
    corpus file) is named with the command that measures it. Needs socialsim[report].

    Parameters
    ----------
    run
        A run folder, or a corpus file of any format that is known.
    compare
        Run folders or corpus files to show beside it.
    out
        The page (a name that ends in .html), or a folder for it. Default: RUN/report.html, or beside the file.
    student
        Folders of `socialsim finetune` whose loss curves are shown.
    samples
        Dialogues of the run to show, drawn by chance.
    embed
        Dialogues whose sentences are embedded for Figure 6b, drawn by chance (about 0.3 s each on one CPU core; needs
        socialsim[eval]). 0: none.
    seed
        Decides what is drawn by chance.
    """
    from socialsim.reporting.build import ReportConfig

    corpora = labelled((run, *compare))
    if len(corpora) < 1 + len(compare):
        raise UsageError("report: a corpus is named twice; compare it with another one")
    _execute(ReportConfig(corpora, out, labelled(student), samples, embed, seed))


def _execute(config: ReportConfig) -> None:
    from rich.console import Console
    from rich.markup import escape

    from socialsim.reporting.build import build_report

    console = Console(highlight=False)
    with console.status("report") as status:
        page = build_report(config, lambda what: status.update(f"report: {escape(what)}"))
    console.print(f"Report: {escape(str(page))}\nFigures: {escape(str(config.figures))}/", soft_wrap=True)
