"""Commands that compare models with gold replies: evaluate, ablate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter
from cyclopts.validators import Number

from socialsim.cli.arena import GROUP
from socialsim.cli.named import parse_named, parse_named_lms
from socialsim.errors import LMError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from metrics.scored import MetricSources
    from socialsim.evaluating import Evaluation
    from socialsim.evaluation import EvaluationConfig, EvaluationResult

METRICS = cyclopts.Group("Metrics", sort_key=3)
FEW = 10  # dialogues; resampling so few underrates how much others would differ
Count = Annotated[int | None, Parameter(validator=Number(gte=1))]


@Parameter(name="*", group=METRICS)
@dataclass(frozen=True)
class MetricOptions:
    """What the metrics read; what is not named is as --out last had it."""

    reference: str | None = None
    """The model of NAvg and of the comparisons. Default: the first."""
    vectors: Path | None = None
    """Word vectors for Extrema: a text file of word2vec or GloVe, plain or .gz."""
    encoder: str | None = None
    """BERTScore's encoder: minilm (of the eval extra), a hub id on this machine, a folder. Default: roberta-large."""
    layers: Count = None
    """The encoder's layer to read, where bert-score recommends none."""

    def sources(self) -> MetricSources | None:
        """What was named, None for nothing."""
        from metrics.scored import MetricSources

        if not (self.vectors or self.encoder or self.layers):
            return None
        vectors = self.vectors.expanduser().resolve() if self.vectors else None
        return MetricSources(vectors, self.encoder, self.layers)


@Parameter(name="*")
@dataclass(frozen=True)
class PredictOptions:
    """What is generated; what is not named is as --out was begun."""

    limit: Count = None
    """Dialogues of each test set at most, from the first; may be raised later."""
    nodes: str | None = None
    """Reasoning asked of LMs that are no students, any subset, comma-separated; or none. Default: none."""
    shots: Annotated[int | None, Parameter(validator=Number(gte=0, lte=16))] = None
    """Authored examples in the prompts of LMs that are no students. Default: 1 in process, 3 elsewhere."""
    concurrency: Annotated[int | None, Parameter(validator=Number(gte=1, lte=4096))] = None
    """Dialogues in flight at once. Default: what suits each model."""


METRIC_DEFAULT, PREDICT_DEFAULT = MetricOptions(), PredictOptions()


def register(app: cyclopts.App) -> None:
    """Add the commands."""
    from socialsim.cli.ablate import ablate

    for command in (evaluate, ablate):
        app.command(command, group=GROUP)


def evaluate(
    *,
    models: str | None = None,
    tests: str | None = None,
    out: Annotated[Path, Parameter(name=("--out", "-o"))],
    metrics: MetricOptions = METRIC_DEFAULT,
    options: PredictOptions = PREDICT_DEFAULT,
) -> None:
    """Let models answer every supporter turn of test sets after its gold history, and score them (Table 3).

    Example: **socialsim evaluate --models base=student:embedded,tuned=student:students/esconv --tests esconv=esconv
    --encoder minilm --out runs/table3**

    A student writes in the format it was trained in; any other LM gets the supporter's prompt, which also says how far
    the gold dialogue is, and asks for an emoji only where most gold replies end with one. Both take the likeliest token
    each time unless the spec names a temperature. Only the reply is scored, never the reasoning; an answer that cannot
    be used is an empty reply, scores 0 and is counted. A killed evaluation goes on, and **socialsim evaluate --out
    DIR** shows the tables again without asking any model. More models, tests and dialogues can be added to DIR later.

    Parameters
    ----------
    models
        NAME=SPEC, comma-separated; see `socialsim lms`. student:embedded is the untrained base.
    tests
        NAME=PATH, comma-separated: a corpus file, a run folder, a folder of socialsim split (its test side), or
        demonstrations:held_out.
    out
        Folder of the evaluation: predictions.jsonl, table.json, table.csv.
    """
    from socialsim.cli.work import parse_nodes
    from socialsim.evaluation import EvaluationConfig

    nodes = None if options.nodes is None else parse_nodes(options.nodes)
    config = EvaluationConfig(
        out,
        parse_named_lms("--models", models),
        parse_named("--tests", tests),
        metrics.reference or "",
        metrics.sources(),
        options.limit,
        nodes,
        options.shots,
        options.concurrency,
    )
    console = _console()
    result = evaluated(console, config)
    show(console, result)
    finish(console, result, out)


def evaluated(console: Console, config: EvaluationConfig) -> EvaluationResult:
    """Run an evaluation with its progress shown; Ctrl-C ends with how to go on."""
    import logging

    from rich.markup import escape

    from metrics.significance import need
    from socialsim.evaluating import Evaluation

    for module in ("numpy", "scipy.stats"):
        need(module)  # for intervals and tests: not to be missing when everything is said
    # DSPy logs a truncated answer; here it is asked again, and a log line would tear the progress bar.
    logging.getLogger("dspy").setLevel(logging.ERROR)
    try:
        return _run(console, Evaluation(config))
    except KeyboardInterrupt:
        where = escape(str(config.out))
        console.print(f"\nStopped. Nothing is lost: run the same command again to go on in {where}.", soft_wrap=True)
        raise SystemExit(130) from None


def _run(console: Console, evaluation: Evaluation) -> EvaluationResult:
    from socialsim.progress import shown

    with shown(console, "replies and likelihoods") as update:
        evaluation.on_change = update
        return evaluation.execute()


def show(console: Console, result: EvaluationResult) -> None:
    """Table 3 and what belongs to it, for each test set."""
    from socialsim.report.table3 import extras_table, gains_tables, published_table3, table3

    for test, table in result.tables.items():
        console.print(table3(test, table))
        console.print(extras_table(test, table))
        for gains in gains_tables(test, table):
            console.print(gains)
    published = {str(table.title): table for test in result.tables for table in published_table3(test)}
    for one in published.values():
        console.print(one)


def finish(console: Console, result: EvaluationResult, out: Path) -> None:
    """The notes below the tables, and the files.

    Raises:
        LMError: if a model gave no reply at all.
    """
    from rich.markup import escape

    from socialsim.journal import write_atomically
    from socialsim.report.evaluation_files import table_csv, table_json

    write_atomically(out / "table.json", table_json(result.settings.model_dump(mode="json"), result.tables))
    write_atomically(out / "table.csv", table_csv(result.tables))
    for line in _notes(result, out):
        console.print(escape(line), soft_wrap=True)
    replied = {one.model for one in result.predictions if not one.failure}
    if silent := [name for name in result.settings.models if name not in replied]:
        raise LMError(f"{', '.join(silent)} gave no reply that can be used; see {out / 'predictions.jsonl'}")


def _notes(result: EvaluationResult, out: Path) -> Iterator[str]:
    from socialsim.meter import add_up
    from socialsim.report.table3 import lacking

    for line in lacking(result.tables.values()):
        yield f"- {line}"
    for name, reason, count in _failures(result):
        yield f"{name}: {count:,} × {' '.join(reason.split())[:200]}"
    usage = add_up([one.usage for one in result.predictions])
    cost = "cost unknown" if usage.cost is None else f"${usage.cost:.4f}"
    tokens = usage.prompt_tokens + usage.completion_tokens
    yield f"{len(result.predictions):,} replies · {usage.calls:,} calls · {tokens:,} tokens · {cost}"
    if any(table.dialogues < FEW and table.gains for table in result.tables.values()):
        yield f"Intervals from fewer than {FEW} dialogues come out too narrow."
    yield f"Files: {out}/ (predictions.jsonl, table.json, table.csv)"


def _failures(result: EvaluationResult) -> Sequence[tuple[str, str, int]]:
    from collections import Counter

    counts = Counter((one.model, one.failure) for one in result.predictions if one.failure)
    return [(name, reason, count) for (name, reason), count in counts.most_common(3)]


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)
