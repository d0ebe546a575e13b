"""A run as people see it: progress while it works, tables when it ends."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from socialsim.config import variable_name
from socialsim.estimate import estimate
from socialsim.journal import read_records
from socialsim.progress import shown
from socialsim.report.funnel import Funnel
from socialsim.run import Item, Run, RunConfig, Stage, roles_needed
from socialsim.runfolder import Manifest
from socialsim.schema import Rejection, Scenario


def execute(config: RunConfig, items: Sequence[Item]) -> None:
    """Run, and end with a summary; Ctrl-C stops cleanly and says how to go on.

    Raises:
        SocialSimError: what stopped the run, with where finished items are.
        SystemExit: 130 after Ctrl-C.
    """
    console = Console(highlight=False)
    for role in roles_needed(config):
        console.print(
            f"[dim]{role} LM:[/] {config.lms[role].text}  [dim](change: --{role}-lm, {variable_name(role)})[/]"
        )
    try:
        with shown(console, str(config.stages[-1])) as update:
            manifest = Run(config, update).execute(items)
    except KeyboardInterrupt:
        console.print(f"\nStopped. Nothing is lost: run the same command again to go on in {config.out}.")
        raise SystemExit(130) from None
    _summary(console, config, manifest)


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
    console.print(f"Files: {config.out}/  ·  read one: [bold]socialsim show {config.out}[/]")


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
    from socialsim.schema import Post
    from socialsim.screening import screen_by_rule

    posts = [item for item in items if isinstance(item, Post)]
    kept = [outcome for outcome in screen_by_rule(posts, config.min_words) if isinstance(outcome, Post)]
    count = len(kept) + len(items) - len(posts)
    count = min(count, config.limit) if config.limit is not None else count
    table = Table(
        "role", "LM", "calls", "prompt tokens", "completion tokens", "cost", title=f"Dry run: {count:,} items"
    )
    for column in table.columns[2:]:
        column.justify = "right"
    for row in estimate(Run(config), count):
        cost = "unknown" if row.cost is None else f"${row.cost:,.2f}"
        table.add_row(
            row.role, row.spec, f"{row.calls:,}", f"{row.prompt_tokens:,}", f"{row.completion_tokens:,}", cost
        )
    console = Console(highlight=False)
    console.print(f"Read {len(items):,} items; {len(posts) - len(kept):,} would be rejected by rule.")
    console.print(table)
    console.print("Retries are not counted; cached prompt tokens cost less where the provider bills them so.")
