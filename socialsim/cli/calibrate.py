"""The command that compares a judge with people: calibrate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter
from cyclopts.validators import Number

from socialsim.cli.options import MEASURING, JudgeOptions
from socialsim.errors import LMError, OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metrics.agreement import CalibrationCard
    from metrics.rubric import RubricLeaf
    from socialsim.labels import Labels, Scale
    from socialsim.lms import LMSpec
    from socialsim.schema import Dialogue, Role
    from socialsim.scoring import Verdict

LM_DEFAULT = JudgeOptions()
Count = Annotated[int | None, Parameter(validator=Number(gte=1))]
Samples = Annotated[int, Parameter(validator=Number(gte=1, lte=64))]
Flights = Annotated[int | None, Parameter(validator=Number(gte=1, lte=4096))]
Folder = Annotated[Path, Parameter(name=("--out", "-o"))]
Pairs = Annotated[tuple[str, ...], Parameter(name="--map", negative=(), show_default=False)]


def register(app: cyclopts.App) -> None:
    """Add the command."""
    app.command(calibrate, group=MEASURING)


def calibrate(
    labels: Path,
    /,
    *,
    corpus: Path | None = None,
    scores: Path | None = None,
    scale: str | None = None,
    scores_scale: str = "0-3",
    mapping: Pairs = (),
    limit: Count = None,
    judges: Samples = 1,
    concurrency: Flights = None,
    seed: int = 0,
    program: Path | None = None,
    out: Folder = Path("calibration"),
    lm: JudgeOptions = LM_DEFAULT,
) -> None:
    """Compare a judge LM with human ratings; the card it leaves behind says what the judge's scores are worth.

    Example: **socialsim calibrate ratings.csv --corpus runs/first --judge-lm openai/gpt-4o**

    A judge is calibrated if, on every rated dimension, its rank correlation with people over at least 30 dialogues has
    a 95% bootstrap interval above zero. The card is OUT/JUDGE--LABELS.json; one on fewer dialogues goes beside it.
    Malformed verdicts of an earlier session stay as they are; remove OUT/JUDGE.verdicts.jsonl to ask again.

    Parameters
    ----------
    labels
        RUN/reviews, the scores given in `socialsim review`; or ratings as CSV, JSON or JSON Lines with id, dimension,
        score and, if several rated, rater; or one column a dimension. ESConv's official file is read as it is, with
        --map.
    corpus
        Run folder or corpus file that holds the rated dialogues. Default: those in LABELS itself, or the reviewed run.
    scores
        Scores of a machine, in the same form as LABELS; no LM is called.
    scale
        Lowest and highest human rating, such as 1-5; moved linearly onto 0-3. Default: 0-3, for ESConv 1-5.
    scores_scale
        The same for --scores.
    mapping
        What a label stands for, such as empathy=understanding; may be repeated.
    limit
        Rated dialogues to judge at most, from the first.
    judges
        Verdicts an item; their mean is compared.
    concurrency
        Items in flight at once. Default: 2 in process, 16 elsewhere.
    seed
        Decides the bootstrap draws.
    program
        A compiled judge (JSON). Default: the judge as written.
    out
        Folder for the card and the verdicts.
    """
    from metrics.significance import need
    from socialsim.labels import Scale, parse_mapping, read_labels

    need("krippendorff")  # before an hour of judging, not after it
    rated = read_labels(labels, Scale.parse(scale) if scale else None, parse_mapping(mapping))
    if scores is not None:
        few = rated.first(limit)
        _finish(out, scores.stem, few, _by_scores(few, scores, Scale.parse(scores_scale), seed))
        return
    dialogues = _dialogues(rated, corpus)
    job = _Job(rated.first(limit), dialogues, lm.resolve(), judges, concurrency, program, out, seed)
    job.do()


def _by_scores(rated: Labels, path: Path, scale: Scale, seed: int) -> CalibrationCard:
    from socialsim.calibrating import calibrate, given_scores
    from socialsim.labels import read_scores

    machine = read_scores(path, scale, rated.mapping)
    return calibrate(rated, given_scores(rated, machine), path.name, seed=seed)


def _dialogues(rated: Labels, corpus: Path | None) -> Mapping[str, Dialogue]:
    from socialsim.calibrating import corpus_dialogues
    from socialsim.ratings import check_known

    if corpus is None and rated.path.is_dir():  # RUN/reviews
        corpus = rated.path.resolve().parent
    if rated.dialogues and corpus:
        raise UsageError(f"--corpus {corpus}: {rated.path} holds its dialogues itself; leave it out")
    if not (rated.dialogues or corpus):
        raise UsageError(f"{rated.path} names dialogues only; say where they are: --corpus RUN or FILE")
    dialogues = corpus_dialogues(corpus) if corpus else rated.dialogues
    check_known(rated, dialogues)  # all of them: a wrong id must not hide behind --limit
    return dialogues


@dataclass(frozen=True)
class _Job:
    """A calibration by an LM."""

    rated: Labels
    dialogues: Mapping[str, Dialogue]
    lms: Mapping[Role, LMSpec]
    judges: int
    concurrency: int | None
    program: Path | None
    out: Path
    seed: int

    def do(self) -> None:
        """Judge, compare, show."""
        import logging

        from socialsim.calibrating import calibrate, judge_name
        from socialsim.loading import program_hash
        from socialsim.schema import Role

        # DSPy logs a truncated answer; here it is asked again, and a log line would tear the progress bar.
        logging.getLogger("dspy").setLevel(logging.ERROR)
        spec, leaf = self.lms[Role.JUDGE], self._leaf()
        program = program_hash(leaf)
        name = judge_name(spec, program if self.program else "")
        try:
            verdicts = self._verdicts(spec, leaf, self.out / f"{name}.verdicts.jsonl")
        except KeyboardInterrupt:
            print(f"\nStopped. Nothing is lost: run the same command again to go on in {self.out}.")
            raise SystemExit(130) from None
        card = calibrate(self.rated, verdicts, spec.text, program, self.judges, self.seed)
        _finish(self.out, name, self.rated, card)
        if not any(verdict.score is not None for verdict in verdicts.values()):
            raise LMError(f"judge LM {spec.text} gave no score: {card.malformed:,} malformed; use a more capable LM")

    def _leaf(self) -> RubricLeaf:
        from metrics.rubric import RubricLeaf
        from socialsim.artifacts import load_state

        leaf = RubricLeaf()
        if self.program is not None:
            load_state(leaf, self.program, "judge")
        return leaf

    def _verdicts(self, spec: LMSpec, leaf: RubricLeaf, file: Path) -> dict[str, Verdict]:
        from rich.console import Console
        from rich.markup import escape

        from socialsim.journal import Journal, RunLock
        from socialsim.labels import labelled_items
        from socialsim.progress import shown
        from socialsim.scoring import ItemVerdict, judge_by_lm

        items = labelled_items(self.rated, self.dialogues)
        flights = self.concurrency or (2 if spec.in_process else 16)
        console = Console(highlight=False)
        console.print(f"[dim]judge LM:[/] {escape(spec.text)}", soft_wrap=True)
        with RunLock(self.out), Journal(file, ItemVerdict) as journal, shown(console, "verdicts") as update:
            return judge_by_lm(spec, items, journal, leaf, self.judges, flights, update)


def _finish(out: Path, name: str, rated: Labels, card: CalibrationCard) -> None:
    """Show a card and write it."""
    from rich.console import Console
    from rich.markup import escape

    from socialsim.calibrating import card_file
    from socialsim.journal import write_atomically
    from socialsim.report.agreement import LEGEND, agreement_table, undefined

    console, file = Console(highlight=False), card_file(out, name, rated, card.n)
    kept = file.stem.endswith(f"--n{card.n}")  # a larger card keeps its name
    console.print(agreement_table(card))
    console.print(f"[dim]{LEGEND}[/]")
    for line in undefined(card):
        console.print(f"[yellow]{escape(line)}[/]", soft_wrap=True)
    console.print(
        f"[bold]{'Calibrated' if card.calibrated else 'Not calibrated'}:[/] {escape(card.summary)}", soft_wrap=True
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: cannot be made ({error.strerror}); name another --out") from error
    write_atomically(file, card.model_dump_json(indent=2) + "\n")
    beside = f" [dim](beside the card on more dialogues of {escape(card.labels)})[/]" if kept else ""
    console.print(f"Card: {escape(str(file))}{beside}", soft_wrap=True)
