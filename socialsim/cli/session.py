"""A run as people see it: progress while it works, tables when it ends."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from socialsim.cli import batches
from socialsim.config import variable_name
from socialsim.estimate import Estimate, estimate, open_items
from socialsim.journal import read_records
from socialsim.loading import PLAYERS, Programs
from socialsim.meter import Meter
from socialsim.prices import price
from socialsim.progress import shown
from socialsim.report.funnel import Funnel
from socialsim.run import Item, Run
from socialsim.runconfig import Mode, RunConfig, Stage, by_batch, roles_needed, sessions
from socialsim.runfolder import Manifest, read_manifest
from socialsim.schema import Post, Rejection, Scenario, Usage
from socialsim.screening import screen_by_rule
from socialsim.worker import Workforce


def execute(config: RunConfig, items: Sequence[Item], workforce: Workforce | None = None) -> None:
    """Run, and end with a summary; Ctrl-C stops cleanly and says how to go on.

    Raises:
        SocialSimError: what stopped the run, with where finished items are.
        SystemExit: 130 after Ctrl-C.
    """
    console = Console(highlight=False)
    for role in roles_needed(config):
        spec = escape(config.lms[role].text)
        console.print(
            f"[dim]{role} LM:[/] {spec}  [dim](change: --{role}-lm, {variable_name(role)})[/]", soft_wrap=True
        )
    # DSPy logs a truncated answer; here it is asked again, and a log line would tear the progress bar.
    logging.getLogger("dspy").setLevel(logging.ERROR)
    try:
        # All that a run needs is there before its first session costs anything.
        runs = [Run(part, workforce=None if part.batch else workforce) for part in sessions(config)]
        for run in runs:
            run.check_folder()
            for name, line in program_lines(run.programs, run.config):
                console.print(f"[dim]{name} program:[/] {escape(line)}", soft_wrap=True)
        for run in runs:
            manifest = _session(console, run, items if run is runs[0] else ())
            if run.stopped:
                break
    except KeyboardInterrupt:
        where = escape(str(config.out))
        console.print(f"\nStopped. Nothing is lost: run the same command again to go on in {where}.", soft_wrap=True)
        raise SystemExit(130) from None
    _summary(console, config, manifest)
    if run.stopped:
        raise run.stopped


def _session(console: Console, run: Run, items: Sequence[Item]) -> Manifest:
    with batches.named(console, run.lms.values()), shown(console, str(run.config.stages[-1])) as update:
        run.on_change = update
        return run.execute(items)


def program_lines(programs: Programs, config: RunConfig) -> list[tuple[str, str]]:
    """Where each program of a run comes from: a compiled state, or as written."""
    examples = f"as written, {config.demonstrations} authored example{'s' * (config.demonstrations != 1)}"
    if config.mode is Mode.ONEPASS:
        examples = "as written, an authored example drawn for each dialogue" if config.demonstrations else "as written"
    leaves = [leaf for leaf, role in PLAYERS.items() if role in roles_needed(config) and leaf in programs.hashes]
    return [(leaf, str(programs.compiled.get(leaf, examples))) for leaf in leaves]


def _summary(console: Console, config: RunConfig, manifest: Manifest) -> None:
    if Stage.SCENARIOS in config.stages:
        console.print(_funnel(config).table())
    table = Table("", "", title="Run", show_header=False)
    for name, count in manifest.counts.items():
        table.add_row(name, f"{count:,}")
    for reason, count in manifest.rejected.items():
        table.add_row(f"[dim]  {reason}[/]", f"[dim]{count:,}[/]")
    for kind, count in manifest.flags.items():
        table.add_row(f"[yellow]  flag: {kind}[/]", f"[yellow]{count:,}[/]")
    usage = manifest.usage
    cached = f" ({usage.cached_tokens / usage.prompt_tokens:.0%} cached)" if usage.prompt_tokens else ""
    table.add_row("calls", f"{usage.calls:,}")
    table.add_row("prompt tokens", f"{usage.prompt_tokens:,}{cached}")
    table.add_row("completion tokens", f"{usage.completion_tokens:,}")
    table.add_row("cost", "unknown" if usage.cost is None else f"${usage.cost:.4f}")
    table.add_row("wall time", f"{manifest.wall_seconds:,.1f} s")
    console.print(table)
    where = escape(str(config.out))
    console.print(f"Files: {where}/  ·  read one: [bold]socialsim show {where}[/]", soft_wrap=True)


def _funnel(config: RunConfig) -> Funnel:
    funnel = Funnel()
    for scenario in read_records(config.out / "scenarios.jsonl", Scenario):
        funnel.add(scenario)
    for rejection in read_records(config.out / "rejected.jsonl", Rejection):
        if rejection.stage == "intake":
            funnel.add(rejection)
    return funnel


def show_estimate(config: RunConfig, items: Sequence[Item]) -> None:
    """Print what a run would take; nothing is written and no LM is called."""
    posts = [item for item in items if isinstance(item, Post)]
    outcomes = list(screen_by_rule(posts, config.min_words))
    rejected = sum(isinstance(outcome, Rejection) for outcome in outcomes)
    count = open_items(config, [*outcomes, *(item for item in items if not isinstance(item, Post))])
    table = Table(
        "role", "LM", "calls", "prompt tokens", "completion tokens", "cost", title=f"Dry run: {count:,} items"
    )
    for column in table.columns[2:]:
        column.justify = "right"
    rows = estimate(config, count)
    for row in rows:
        cost = "unknown" if row.cost is None else f"${row.cost:,.2f}"
        table.add_row(
            row.role, escape(row.spec), f"{row.calls:,}", f"{row.prompt_tokens:,}", f"{row.completion_tokens:,}", cost
        )
    console = Console(highlight=False)
    console.print(f"Read {len(items):,} items; {rejected:,} would be rejected by rule.")
    console.print(table)
    console.print("Retries are not counted; cached prompt tokens cost less where the provider bills them so.")
    for line in _against_budget(config, rows):
        console.print(line, soft_wrap=True)


def _against_budget(config: RunConfig, rows: Sequence[Estimate]) -> Iterator[str]:
    """The estimate beside what the run may take in all; what earlier sessions took counts."""
    budget, before = config.budget, read_manifest(config.out)
    roles = {role: config.lms[role] for role in roles_needed(config)}
    budget.check_prices(Meter({spec.text: price(spec, by_batch(config, role)) for role, spec in roles.items()}))
    spent = before.usage if before else Usage()
    if budget.max_cost is not None:
        cost = (spent.cost or 0.0) + sum(row.cost or 0.0 for row in rows)
        yield _verdict(f"--max-cost ${budget.max_cost:,.2f}", f"${cost:,.2f}", cost < budget.max_cost)
    if budget.max_tokens is not None:
        tokens = spent.prompt_tokens + spent.completion_tokens
        tokens += sum(row.prompt_tokens + row.completion_tokens for row in rows)
        yield _verdict(f"--max-tokens {budget.max_tokens:,}", f"{tokens:,}", tokens < budget.max_tokens)


def _verdict(limit: str, estimated: str, enough: bool) -> str:
    verdict = "enough" if enough else "[yellow]the run would stop before its end[/]"
    return f"{limit}: estimated {estimated} in all; {verdict}."
