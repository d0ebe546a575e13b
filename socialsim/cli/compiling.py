"""A compile as people see it: what is being done, and the card as a table."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from socialsim.artifacts import find
from socialsim.compile.card import Card
from socialsim.compile.portability import Ported, port
from socialsim.compile.session import Compile, CompileConfig
from socialsim.compile.task import Task
from socialsim.lms import parse_spec


def execute(task: Task, config: CompileConfig) -> None:
    """Compile, and end with a table; Ctrl-C stops cleanly and says how to go on.

    Raises:
        SocialSimError: what stopped it.
        SystemExit: 130 after Ctrl-C.
    """
    console = Console(highlight=False, file=sys.stdout)  # bound now: what optimisers print goes elsewhere
    logging.getLogger("dspy").setLevel(logging.ERROR)
    calls = 0
    with console.status("starting") as status:
        step = "starting"

        def show(name: str) -> None:
            nonlocal step
            step = name
            status.update(f"{step} · {calls:,} calls")
            if not console.is_terminal:
                console.print(f"{step} ({calls:,} calls so far)")

        def count() -> None:
            nonlocal calls
            calls += 1
            status.update(f"{step} · {calls:,} calls")

        session = Compile(task, config, show, count)
        try:
            card = session.execute()
        except KeyboardInterrupt:
            console.print("\nStopped. Nothing is lost: run the same command again to go on.")
            raise SystemExit(130) from None
    console.print(card_table(card))
    console.print(_verdict(card, session.path), soft_wrap=True)


def card_table(card: Card) -> Table:
    """Scores on the held-out set, part by part."""
    shown = {"no examples": card.bare, "uncompiled": card.before, "compiled": card.after}
    scenarios = f"{card.program} for {next(iter(card.lms.values()))}: {card.after.answers} held-out answers"
    table = Table("", *shown, title=escape(scenarios), caption=f"metric: {_metric(card)}")
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("composite", *(_score(measured.score) for measured in shown.values()), style="bold")
    parts = sorted({part for measured in shown.values() for part in measured.parts})
    for part in parts:
        table.add_row(part, *(_score(measured.parts.get(part)) for measured in shown.values()), style="dim")
    table.add_row("unusable answers", *(f"{measured.failures}" for measured in shown.values()))
    if any(measured.metric_errors for measured in shown.values()):
        table.add_row("[red]metric raised[/]", *(f"{measured.metric_errors}" for measured in shown.values()))
    return table


def _metric(card: Card) -> str:
    if card.program == "judge":
        return "people's ratings"
    if card.judge is None:
        return "deterministic checks"
    known = "calibrated" if card.judge.calibrated else "not calibrated against people"
    return f"deterministic checks and judge {card.judge.lm} ({known}; {card.judge.malformed} malformed)"


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _verdict(card: Card, path: Path) -> str:
    usage, cost = card.usage, "unknown cost" if card.usage.cost is None else f"${card.usage.cost:.4f}"
    tokens = usage.prompt_tokens + usage.completion_tokens
    spent = f"{usage.calls:,} calls, {tokens:,} tokens, {cost}, {usage.seconds:,.0f} s"
    differences = f"compiled - uncompiled: {card.lift}; compiled - no examples: {card.lift_over_bare}"
    against = f"{differences} (95%, {card.lift.n} examples)"
    if card.default:
        used = f"[green]It is the default now[/]: socialsim run uses {escape(str(path.parent))}/ with this LM."
    elif card.lift.certain:
        used = "It is better than the uncompiled program, but not than the present default, which stays."
    else:
        used = "[yellow]It does not beat the uncompiled program on held-out scenarios; it is not the default.[/]"
    if errors := card.metric_errors:
        used += f"\n[red]The metric raised {len(errors)} times while optimising[/], first: {escape(errors[0])}"
    return f"{against}\n{used}\nCard: {escape(str(path.with_suffix('.card.json')))}  ·  {spent}"


def show_portability(task: Task, texts: list[str], state: Path | None, concurrency: int | None) -> None:
    """Score a program on each LM and print a row an LM.

    Raises:
        SocialSimError: if a spec is malformed or the state is foreign.
        SystemExit: 1 if no LM could be scored.
    """
    specs = [parse_spec(text) for text in texts]
    path = state or find(task.name, specs[0])
    console = Console(highlight=False)
    console.print(f"Program: {path or 'as written, without examples (none is compiled for this LM)'}", soft_wrap=True)
    seats = concurrency or (2 if all(spec.in_process for spec in specs) else 16)
    rows = []
    with console.status("") as status:
        done = 0

        def count() -> None:
            nonlocal done
            done += 1
            status.update(f"{done:,} answers")

        for row in port(task, specs, path, seats, count):
            rows.append(row)
    console.print(_portability_table(task.name, rows))
    for row in rows:
        if row.error:
            console.print(f"[red]{escape(row.error)}[/]", soft_wrap=True)
    if all(row.error for row in rows):
        raise SystemExit(1)


def _portability_table(program: str, rows: list[Ported]) -> Table:
    table = Table("LM", "score [95%]", "unusable", "calls", "tokens", "cost", "seconds", title=f"{program}, held-out")
    table.columns[0].overflow = "fold"
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for row in rows:
        usage, score = row.usage, row.score
        cost = "unknown" if usage.cost is None else f"${usage.cost:.4f}"
        shown = _score(score.value)
        if score.low is not None and score.high is not None:  # one scenario has no interval
            shown += f" [{score.low:.3f}, {score.high:.3f}]"
        failed = f"{row.failures / row.answers:.0%}" if row.answers else "-"
        tokens = usage.prompt_tokens + usage.completion_tokens
        cells = (f"{usage.calls:,}", f"{tokens:,}", cost, f"{usage.seconds:,.0f}")
        table.add_row(escape(row.spec), shown, failed, *cells)
    return table
