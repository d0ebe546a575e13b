"""`socialsim chat --web`: put an app together, secure it, serve it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape

from socialsim.chat.blind_talk import opened
from socialsim.chat.supporter import BoundSupporter
from socialsim.errors import UsageError

try:
    from socialsim.web.blind import blind_app
    from socialsim.web.chat import chat_app
    from socialsim.web.serve import new_token, secure, serve
except ImportError as error:
    raise UsageError(f"{error.name} is not installed; run: pip install 'socialsim[web]'") from error


def serve_chat(supporter: BoundSupporter, file: Path, host: str, port: int | None, browser: bool) -> None:
    """Let everybody who opens the page talk to one supporter, until Ctrl-C."""
    console = _console()
    console.print(
        f"[dim]Supporter:[/] {escape(supporter.config.lm.text)} [dim]· program:[/] {escape(supporter.source)}"
    )
    console.print(f"[dim]Transcripts that are saved go to[/] {escape(str(file))}", soft_wrap=True)
    app = chat_app(supporter, file)
    secure(app, new_token(host), host)
    serve(app, host, port, open_browser=browser, console=console)


def serve_blind(
    supporters: Mapping[str, BoundSupporter], path: Path, exchanges: int, host: str, port: int | None, browser: bool
) -> None:
    """Let everybody who opens the page compare two models, until Ctrl-C."""
    console = _console()
    with opened(path, supporters, exchanges) as folder:
        app = blind_app(supporters, folder)
        secure(app, new_token(host), host)
        where = escape(str(path))
        console.print(f"Ratings go to {where} · tables: [bold]socialsim chat --results {where}[/]", soft_wrap=True)
        serve(app, host, port, open_browser=browser, console=console)


def _console() -> Console:
    console = Console(highlight=False)
    handler = RichHandler(console=console, show_path=False)
    logging.getLogger("socialsim.web").addHandler(handler)
    logging.getLogger("dspy").setLevel(logging.ERROR)  # a truncated answer is asked again
    return console
