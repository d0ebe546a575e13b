"""The command that trains and compares students by their reasoning nodes: ablate."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from socialsim.cli.finetune import SETTINGS_DEFAULT, SettingOptions
from socialsim.cli.named import parse_named_lms
from socialsim.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from finetune.settings import TrainingSettings
    from finetune.train import Step
    from socialsim.cli.evaluate import MetricOptions, PredictOptions


def ablate(
    *corpus: str,
    test: str | None = None,
    preset: str = "paper",
    reference: str | None = None,
    out: Annotated[Path, Parameter(name=("--out", "-o"))],
    limit: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    vectors: Path | None = None,
    encoder: str | None = None,
    layers: int | None = None,
    history: str = "replies",
    settings: SettingOptions = SETTINGS_DEFAULT,
) -> None:
    """Train a student for each of the paper's six sets of reasoning nodes and compare them on a test set (Table 4).

    Example: **socialsim ablate ssconv --preset small --encoder minilm --out runs/table4**

    All six learn from the same dialogues, those with all four nodes before every reply. A killed run goes on, finished
    students are not trained again, and no reply is generated twice.

    Parameters
    ----------
    corpus
        Corpus files, run folders, demonstrations:train, or a folder of socialsim split, which gives both sides.
    test
        The test set. Default: the other side of the split folder.
    preset
        paper (Llama-2-7b, the paper's settings), small (1.7B, one GPU), cpu (the embedded model).
    reference
        NAME=SPEC of a further model for NAvg, in the paper one trained on ESConv. Default: the student without nodes.
    out
        Folder: a student in each subfolder, evaluation/ with predictions and tables.
    limit
        Test dialogues at most.
    vectors
        Word vectors for Extrema, see `socialsim evaluate`.
    encoder
        BERTScore's encoder, see `socialsim evaluate`.
    layers
        The encoder's layer.
    history
        replies: earlier replies in a prompt are shown without their reasoning; reasoning: with it.
    """
    from finetune.settings import preset as preset_of
    from socialsim.cli.evaluate import MetricOptions, PredictOptions

    named = parse_named_lms("--reference", reference)
    if len(named) > 1:
        raise UsageError("--reference: name one model, as in --reference esconv=student:DIR")
    chosen = preset_of(preset, **{field.name: getattr(settings, field.name) for field in fields(settings)})
    asked = _Asked(corpus, test, out, history, chosen)
    asked.check()
    console = _console()
    asked.train_all(console)
    metrics = MetricOptions(next(iter(named), "none"), vectors, encoder, layers)
    asked.compare(console, reference, metrics, PredictOptions(limit=limit))


class _Asked:
    def __init__(
        self, corpus: tuple[str, ...], test: str | None, out: Path, history: str, settings: TrainingSettings
    ) -> None:
        if not corpus:
            raise UsageError("ablate: name a corpus with reasoning, such as a run folder or demonstrations:train")
        splits = [one for one in corpus if (Path(one) / "split.json").is_file()]
        if test is None and not (len(corpus) == len(splits) == 1):
            raise UsageError("--test: name the test set; only one folder of `socialsim split` brings its own")
        self.corpus, self.test, self.out = corpus, test or corpus[0], out
        self.history, self.settings = history, settings

    def check(self) -> None:
        """Everything that can be known before hours of training."""
        from finetune.base import needs
        from metrics.significance import need
        from socialsim.ablating import write_corpus

        needs()
        for module in ("numpy", "scipy.stats"):
            need(module)
        self.file = write_corpus(self.corpus, self.test, self.out)

    def train_all(self, console: Console) -> None:
        """Train what is not trained yet."""
        from socialsim.ablating import SUBSETS, train_subset

        for name in SUBSETS:
            console.print(f"[bold]{name}[/]", soft_wrap=True)
            with _steps(console) as on_step:
                train_subset(name, self.file, self.out, self.history, self.settings, on_step)

    def compare(self, console: Console, reference: str | None, metrics: MetricOptions, options: PredictOptions) -> None:
        """Generate, score, show."""
        from socialsim.ablating import SUBSETS
        from socialsim.cli.evaluate import evaluated, finish
        from socialsim.evaluation import EvaluationConfig
        from socialsim.lms import parse_spec
        from socialsim.report.table3 import extras_table, gains_tables, published_table4, table4

        models = parse_named_lms("--reference", reference)
        models |= {name: parse_spec(f"student:{self.out / name}") for name in SUBSETS}
        folder = self.out / "evaluation"
        chosen, sources = metrics.reference or "", metrics.sources()
        config = EvaluationConfig(folder, models, {"test": self.test}, chosen, sources, options.limit)
        result = evaluated(console, config)
        table = result.tables["test"]
        console.print(table4(table, SUBSETS))
        for one in (extras_table(self.test, table), *gains_tables(self.test, table), published_table4()):
            console.print(one)
        if reference is None:
            console.print("NAvg is relative to the student without nodes; the paper's to one trained on ESConv.")
        finish(console, result, folder)


def _steps(console: Console) -> AbstractContextManager[Callable[[Step], None]]:
    from socialsim.cli.finetune import _shown

    return _shown(console)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)
