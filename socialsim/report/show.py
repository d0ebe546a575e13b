"""A dialogue on the terminal: the persona, then each reply beside the reasoning before it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from socialsim.journal import read_records
from socialsim.render import persona_text, reasoning_lines
from socialsim.schema import Dialogue, Flag, Persona, Reasoning, Rejection, Speaker, Turn


def show_dialogue(dialogue: Dialogue, persona: Persona | None, most: int | None = None) -> None:
    """Print a dialogue; at most ``most`` utterances of it."""
    console = Console(highlight=False)
    if persona is not None:
        console.print(Panel(Text(persona_text(persona)), title=escape(f"Persona {persona.id}"), border_style="cyan"))
    console.print(dialogue_table(dialogue, most))
    if dialogue.flags:
        console.print(_flags(dialogue.flags))


def dialogue_table(dialogue: Dialogue, most: int | None = None) -> Table:
    """The turns in two columns: what was said, and what the supporter thought before it."""
    shown = dialogue.turns[:most]
    left = f" (first {len(shown)} of {len(dialogue.turns)})" if len(shown) < len(dialogue.turns) else ""
    table = Table(title=escape(f"Dialogue {dialogue.id}{left}"), box=box.SIMPLE_HEAD, show_lines=True, expand=True)
    table.add_column("#", justify="right", style="dim", width=3)
    table.add_column("Said", ratio=5)
    table.add_column("Reasoning before the reply", ratio=6)
    for number, turn in enumerate(shown, 1):
        table.add_row(str(number), _said(turn), thought_text(turn.reasoning))
    return table


def _said(turn: Turn) -> RenderableType:
    style = "bold cyan" if turn.speaker is Speaker.SEEKER else "bold green"
    said = Text.assemble((f"{turn.speaker.capitalize()}: ", style), turn.text)
    return Group(said, _flags(turn.flags)) if turn.flags else said


def _flags(flags: tuple[Flag, ...]) -> Text:
    return Text("\n".join(f"⚑ {flag.kind}: {flag.detail}" for flag in flags), style="yellow")


def thought_text(reasoning: Reasoning | None) -> Text:
    """What the supporter thought, a line a node; empty where nothing is known."""
    if reasoning is None:
        return Text("")
    text = Text()
    for name, value in reasoning_lines(reasoning):
        if name:
            text.append(f"{name}: ", style="magenta")
        text.append(f"{value}\n", style="dim")
    text.rstrip()
    return text


def flags_table(run: Path) -> Table:
    """What was flagged and what was rejected in a run."""
    kinds: Counter[str] = Counter()
    flagged = 0
    for dialogue in read_records(run / "dialogues.jsonl", Dialogue):
        found = [flag.kind for flag in dialogue.all_flags()]
        kinds.update(found)
        flagged += bool(found)
    reasons = Counter(f"{item.stage}: {item.reason}" for item in read_records(run / "rejected.jsonl", Rejection))
    table = Table("", "count", title=escape(f"{run.name or run}: flags and rejections"))
    table.columns[1].justify = "right"
    table.add_row("dialogues with a flag", f"{flagged:,}")
    for kind, count in kinds.most_common():
        table.add_row(f"[yellow]flag: {kind}[/]", f"{count:,}")
    for reason, count in reasons.most_common():
        table.add_row(f"[red]rejected: {reason}[/]", f"{count:,}")
    return table
