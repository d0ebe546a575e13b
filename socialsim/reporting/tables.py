"""Sections that are mostly tables: size, quality, the control rules, what was set aside, cost and timing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote
from statistics import fmean, median

from rich.markup import escape

from metrics.rubric import RubricVerdict, calibration_note, table_row, text_digest
from metrics.verdicts import Rule
from socialsim.checking import DialogueChecks
from socialsim.journal import read_records
from socialsim.judging import verdict_files
from socialsim.report.blocks import Block, Grid, Line, Note, Section, grid_of
from socialsim.report.checks import RuleTally, rules_table
from socialsim.report.figures.rules import rules_figure
from socialsim.report.funnel import Funnel
from socialsim.report.show import flags_table
from socialsim.report.table1 import corpus_size, table1
from socialsim.report.table2 import published_table2, table2
from socialsim.reporting.corpus import ReportCorpus
from socialsim.schema import Dialogue, Rejection, Scenario


def corpora_section(corpora: Sequence[ReportCorpus]) -> Section:
    """Under which settings the runs were made, and Table 1."""
    sizes = {one.name: size for one in corpora if (size := corpus_size(one.dialogues))}
    return Section("corpora", "What is shown", (_settings(corpora), grid_of(table1(sizes))))


def _settings(corpora: Sequence[ReportCorpus]) -> Grid:
    facts = [_facts(one) for one in corpora]
    labels = dict.fromkeys(label for one in facts for label in one)
    lines = tuple(Line((label, *(one.get(label, "-") for one in facts))) for label in labels)
    return Grid("Settings", ("", *(one.name for one in corpora)), lines, numbers=False)


def _facts(corpus: ReportCorpus) -> dict[str, str]:
    facts = {
        "from": str(corpus.path),
        "dialogues": f"{len(corpus.dialogues):,}",
        "personas": f"{len(corpus.personas):,}",
    }
    if corpus.manifest is None or not corpus.manifest.versions:
        return facts
    manifest, settings = corpus.manifest, corpus.manifest.settings
    facts |= {f"{role} LM": spec for role, spec in settings.lms.items()}
    nodes = None if settings.nodes is None else ", ".join(settings.nodes) or "none"
    told = {"mode": settings.mode, "reasoning nodes": nodes, "examples a prompt": settings.shots, "seed": settings.seed}
    facts |= {label: str(value) for label, value in told.items() if value is not None}
    return facts | {
        "input": ", ".join(manifest.inputs) or "-",
        "made with": ", ".join(f"{name} {version}" for name, version in manifest.versions.items()),
    }


def quality_section(corpora: Sequence[ReportCorpus]) -> Section:
    """Table 2, a table a judge; corpora that nobody judged are named."""
    judged: dict[tuple[str, str, int], dict[str, list[RubricVerdict]]] = defaultdict(dict)
    blocks: list[Block] = []
    for corpus in corpora:
        verdicts = list(_verdicts(corpus))
        for one in verdicts:
            judged[one.judge, one.program, one.k].setdefault(corpus.name, []).append(one)
        if not verdicts:
            blocks.append(
                Note(f"{corpus.name} is not judged.", f"socialsim judge {quote(str(corpus.path))} --judge-lm SPEC")
            )
    tables: list[Block] = [grid_of(published_table2())] if not judged else []
    for (judge, program, k), of in judged.items():
        rows = {name: table_row(verdicts) for name, verdicts in of.items()}
        tables.append(grid_of(table2(rows, judge, calibration_note(judge, program), k)))
    return Section("quality", "Quality", (*tables, *blocks))


def _verdicts(corpus: ReportCorpus) -> Iterator[RubricVerdict]:
    """The verdicts on the dialogues as they are now; one on other words says nothing of these."""
    files = verdict_files(corpus.path)
    now = {dialogue.id: text_digest(dialogue) for dialogue in corpus.dialogues} if files else {}
    for file in files:
        yield from (one for one in read_records(file, RubricVerdict) if now.get(one.id) == one.text)


def rules_section(corpora: Sequence[ReportCorpus]) -> Section:
    """The eight control rules."""
    means: dict[str, dict[Rule, float]] = {}
    grids: list[Grid] = []
    notes: list[Block] = []
    for corpus in corpora:
        grid, found = _rules(corpus)
        if grid is None:
            notes.append(Note(f"The rules were not checked on {corpus.name}.", _check_command(corpus.path)))
        else:
            means[corpus.name], grids = found, [*grids, grid]
    figures: list[Block] = [rules_figure(means, tuple(grids))] if means else []
    return Section("rules", "Control rules", (*figures, *notes))


def _check_command(path: Path) -> str:
    out = "" if path.is_dir() else f" --out {quote(str(_checks_file(path)))}"
    return f"socialsim check {quote(str(path))}{out}"


def _checks_file(path: Path) -> Path:
    return path / "checks.jsonl" if path.is_dir() else path.with_name(f"{path.name}.checks.jsonl")


def _rules(corpus: ReportCorpus) -> tuple[Grid | None, dict[Rule, float]]:
    """From `socialsim check` where it was run, else from what the run itself noted."""
    file = _checks_file(corpus.path)
    if not file.is_file():
        return _noted_rules(corpus)
    tally, number = RuleTally(), 0
    for checks in read_records(file, DialogueChecks):
        number += 1
        for verdict in checks.verdicts:
            tally.add(verdict)
    means = {name: mean for name, *_, mean, _ in tally.rows() if mean is not None}
    title = f"{corpus.name}: {number:,} dialogues checked ({file.name}), mean over turns"
    return grid_of(rules_table(tally, title)), {rule: means[rule] for rule in Rule if rule in means}


def _noted_rules(corpus: ReportCorpus) -> tuple[Grid | None, dict[Rule, float]]:
    scores: dict[Rule, list[float]] = {rule: [] for rule in Rule}
    for checks in (one.provenance.checks for one in corpus.dialogues if one.provenance):
        for rule in Rule:
            if rule in checks:
                scores[rule].append(checks[rule])
    if not any(scores.values()):
        return None, {}
    means = {rule: fmean(of) for rule, of in scores.items() if of}
    lines = [Line((rule, f"{len(of):,}", f"{means[rule]:.3f}", f"{min(of):.3f}")) for rule, of in scores.items() if of]
    columns = ("rule", "dialogues", "mean", "lowest")
    return Grid(f"{corpus.name}: noted while it was written, mean over dialogues", columns, tuple(lines)), means


def rejections_section(corpora: Sequence[ReportCorpus]) -> Section | None:
    """What became of the posts, what was flagged, and why items were set aside; None where no corpus is a run."""
    blocks: list[Block] = []
    for corpus in corpora:
        if corpus.manifest:
            blocks.append(grid_of(_funnel(corpus.path).table(escape(f"{corpus.name}: intake"))))
            blocks.append(grid_of(flags_table(corpus.path)))
    return Section("rejections", "Flagged and set aside", tuple(blocks)) if blocks else None


def _funnel(run: Path) -> Funnel:
    funnel = Funnel()
    for scenario in read_records(run / "scenarios.jsonl", Scenario):
        funnel.add(scenario)
    for rejection in read_records(run / "rejected.jsonl", Rejection):
        if rejection.stage == "intake":
            funnel.add(rejection)
    return funnel


def cost_section(corpora: Sequence[ReportCorpus]) -> Section | None:
    """What the runs took, in all and a dialogue; None where no corpus is a run."""
    blocks: list[Block] = []
    for corpus in corpora:
        if corpus.manifest:
            blocks += [_spent(corpus), *_each(corpus.name, corpus.dialogues)]
    return Section("cost", "Cost and timing", tuple(blocks)) if blocks else None


def _spent(corpus: ReportCorpus) -> Grid:
    assert corpus.manifest is not None
    usage, wall = corpus.manifest.usage, corpus.manifest.wall_seconds
    cached = f" ({usage.cached_tokens / usage.prompt_tokens:.0%} cached)" if usage.prompt_tokens else ""
    rows = {
        "calls": f"{usage.calls:,}",
        "prompt tokens": f"{usage.prompt_tokens:,}{cached}",
        "completion tokens": f"{usage.completion_tokens:,}",
        "cost": "unknown" if usage.cost is None else f"${usage.cost:,.4f}",
        "wall time": f"{wall:,.1f} s" if wall else "not noted",
    }
    return Grid(f"{corpus.name}: in all", ("", "spent"), tuple(map(Line, rows.items())))


def _each(name: str, dialogues: Sequence[Dialogue]) -> Iterator[Grid]:
    made = [one.provenance for one in dialogues if one.provenance]
    if not made:
        return
    columns: dict[str, list[float]] = {
        "seconds": [one.usage.seconds for one in made],
        "calls": [one.usage.calls for one in made],
        "prompt tokens": [one.usage.prompt_tokens for one in made],
        "completion tokens": [one.usage.completion_tokens for one in made],
        "answers asked again": [one.asked_again for one in made],
    }
    lines = [Line((label, *map(_number, (fmean(of), median(of), max(of))))) for label, of in columns.items()]
    caption = f"{len(made):,} dialogues; seconds overlap where several are written at once"
    yield Grid(f"{name}: a dialogue", ("", "mean", "median", "most"), tuple(lines), caption)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.1f}"
