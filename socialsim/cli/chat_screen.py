"""How a conversation looks on the terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from socialsim.chat.crisis import NOTE, is_calm, is_fixed
from socialsim.chat.listening import Heard
from socialsim.report.show import thought_text
from socialsim.schema import Reasoning, Turn

PHASES: Final = {
    "reading": "reads",
    "situation": "thinks of your situation",
    "thought": "thinks of what you may believe",
    "action": "thinks of what you do",
    "strategy": "chooses a strategy",
    "reply": "writes",
    "checking": "looks over the reply",
}


class Screen:
    """Prints, and reads what a person types; without a terminal it reads lines and prints them too.

    Args:
        console: where to; by default this terminal.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._typed = sys.stdin.isatty()
        # DSPy logs a truncated answer; here it is asked again, and a log line would tear the page.
        logging.getLogger("dspy").setLevel(logging.ERROR)
        if self._typed:
            import readline  # noqa: F401  # arrow keys and history in input()

    def note(self) -> None:
        """The note that stands above every chat."""
        self.console.print(Panel(Text(NOTE), border_style="yellow", expand=False))

    def lines(self, prompt: Callable[[], str]) -> Iterator[str]:
        """What the person types, line by line, until the end of input; empty lines are left out."""
        while True:
            try:
                line = input(f"{prompt()}: ") if self._typed else sys.stdin.readline()
            except EOFError:
                self.console.print()
                return
            if not self._typed:
                if not line:
                    return
                if line.strip():
                    self.console.print(Text.assemble((f"{prompt()}: ", "bold cyan"), line.strip()))
            if line.strip():
                yield line.strip()

    def say(self, text: str, style: str = "dim") -> None:
        """A line of the program itself."""
        self.console.print(Text(text, style=style), soft_wrap=True)

    def problem(self, error: Exception) -> None:
        """An error in one line."""
        self.console.print(Text(" ".join(str(error).split()), style="red"), soft_wrap=True)

    def reply(self, name: str, turn: Turn) -> None:
        """A reply; a fixed text is set apart."""
        if is_fixed(turn) and not is_calm(turn):
            self.console.print(Panel(Text(turn.text), title="Please read", border_style="red"))
        else:
            self.console.print(Text.assemble((f"{name}: ", "bold green"), turn.text))

    def reasoning(self, thought: Reasoning | None) -> None:
        """What the supporter thought before its last reply."""
        text = thought_text(thought)
        self.console.print(text if text.plain else Text("No reasoning is known of the last reply.", style="dim"))

    @contextmanager
    def waiting(self, name: str) -> Iterator[Callable[[Heard], None]]:
        """While a reply is written: its phases and its draft, which vanish when it is there."""
        if not self.console.is_terminal:
            yield lambda _: None
            return
        with Live(_draft(name, Heard("reading")), console=self.console, transient=True, refresh_per_second=12) as live:
            yield lambda heard: live.update(_draft(name, heard))


def _draft(name: str, heard: Heard) -> Text:
    doing = Text(f"{name} {PHASES.get(heard.phase, heard.phase)} …", style="dim")
    return Text.assemble((f"{name}: ", "bold green"), heard.draft, "\n", doing) if heard.draft else doing
