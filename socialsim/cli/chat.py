"""The command that lets a person talk to a supporter, or compare two blindly: chat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter
from cyclopts.validators import Number

from socialsim.cli.arena import GROUP
from socialsim.cli.options import ALL_NODES, LMS
from socialsim.errors import UsageError

if TYPE_CHECKING:
    from socialsim.chat.supporter import SupporterConfig
    from socialsim.lms import LMSpec

WEB = cyclopts.Group("In a browser", sort_key=4)
BLIND = cyclopts.Group("Blind comparison", sort_key=5)


@Parameter(name="*", group=LMS)
@dataclass(frozen=True)
class ChatLMs:
    """Whom the person talks to."""

    lm: str | None = None
    """LM of the supporter; see `socialsim lms`. Default: embedded."""
    supporter_lm: str | None = None
    """The same, where --lm or a setting names another."""


@Parameter(name="*")
@dataclass(frozen=True)
class ChatOptions:
    """How the supporter is asked, and where transcripts go."""

    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None
    """Folder of saved transcripts, or of a blind comparison. Default: runs/chat, runs/blind."""
    nodes: str = ALL_NODES
    """Reasoning nodes, any subset, comma-separated; or none."""
    shots: Annotated[int | None, Parameter(validator=Number(gte=0, lte=16))] = None
    """Authored examples in an uncompiled prompt. Default: 1 in process, else 3."""
    program: Annotated[tuple[Path, ...], Parameter(negative=())] = ()
    """A compiled supporter to use instead of the LM's own."""
    uncompiled: Annotated[bool, Parameter(negative=())] = False
    """Use no compiled program."""
    seed: int = 0
    """Decides the examples in the prompt, and who is Model 1."""


@Parameter(name="*", group=WEB)
@dataclass(frozen=True)
class WebOptions:
    """Where the page is served."""

    web: Annotated[bool, Parameter(negative=())] = False
    """Chat in a browser instead of here."""
    host: str = "127.0.0.1"
    """Address to bind to; with another one the page asks for a token."""
    port: Annotated[int | None, Parameter(validator=Number(gte=0, lte=65535))] = None
    """Port. Default: a free one."""
    browser: bool = True
    """Open the page."""


@Parameter(name="*", group=BLIND)
@dataclass(frozen=True)
class BlindOptions:
    """The interactive evaluation by people."""

    blind: str | None = None
    """Compare two supporters under hidden names: A=SPEC,B=SPEC."""
    exchanges: Annotated[int, Parameter(validator=Number(gte=1, lte=40))] = 8
    """Exchanges with each before they are rated; 8 in the paper."""
    rater: str = ""
    """Your name or a code, for several sessions of one person (terminal; a page asks for it)."""
    results: Annotated[tuple[Path, ...], Parameter(negative=())] = ()
    """Print Tables 5 and 6 of a comparison's folder; may be given several times."""


LM_DEFAULT, DEFAULT, WEB_DEFAULT, BLIND_DEFAULT = ChatLMs(), ChatOptions(), WebOptions(), BlindOptions()


def register(app: cyclopts.App) -> None:
    """Add the command."""
    app.command(chat, group=GROUP)


def chat(
    *,
    lms: ChatLMs = LM_DEFAULT,
    options: ChatOptions = DEFAULT,
    web: WebOptions = WEB_DEFAULT,
    blind: BlindOptions = BLIND_DEFAULT,
) -> None:
    """Talk to a supporter, or compare two under hidden names (the paper's interactive evaluation, Tables 5 and 6).

    Example: **socialsim chat --lm openai/gpt-4o-mini** · **socialsim chat --blind A=student:runs/s,B=ollama/llama3.1
    --web** · **socialsim chat --results runs/blind**

    The supporter is asked what a run asks it: same program, checks and repairs. A conversation with a person has no
    planned length: the plan of 12 exchanges slides, so that the supporter never takes leave first. Nothing is saved
    unless you save it; a blind comparison keeps every exchange. Messages that speak of self-harm or danger get a fixed
    text and reach no LM. This is a research tool, not a counsellor.
    """
    if blind.results:
        _show_results(blind.results)
    elif blind.blind is not None:
        _compare(lms, options, web, blind)
    else:
        _talk(lms, options, web)


def _talk(lms: ChatLMs, options: ChatOptions, web: WebOptions) -> None:
    from socialsim.chat.supporter import BoundSupporter
    from socialsim.config import resolve_lms
    from socialsim.schema import Role

    specs = resolve_lms({None: lms.lm, Role.SUPPORTER: lms.supporter_lm})
    supporter = BoundSupporter(_config(options, specs[Role.SUPPORTER]))
    file = (options.out or Path("runs/chat")) / "dialogues.jsonl"
    if web.web:
        from socialsim.cli.chat_web import serve_chat

        serve_chat(supporter, file, web.host, web.port, web.browser)
    else:
        from socialsim.cli.chat_terminal import Terminal

        Terminal(supporter, file).run()


def _compare(lms: ChatLMs, options: ChatOptions, web: WebOptions, blind: BlindOptions) -> None:
    from socialsim.chat.supporter import BoundSupporter
    from socialsim.cli.named import parse_named_lms

    if lms.lm or lms.supporter_lm or options.program:
        raise UsageError("--blind names both LMs itself; leave out --lm, --supporter-lm and --program")
    models = parse_named_lms("--blind", blind.blind)
    if len(models) != 2:
        raise UsageError(f"--blind: name two models, as in --blind A=SPEC,B=SPEC, not {len(models)}")
    supporters = {name: BoundSupporter(_config(options, spec)) for name, spec in models.items()}
    folder = options.out or Path("runs/blind")
    if web.web:
        from socialsim.cli.chat_web import serve_blind

        serve_blind(supporters, folder, blind.exchanges, web.host, web.port, web.browser)
    else:
        from socialsim.cli.chat_blind import compare

        compare(supporters, folder, blind.exchanges, blind.rater)


def _config(options: ChatOptions, spec: LMSpec) -> SupporterConfig:
    from socialsim.chat.supporter import SupporterConfig
    from socialsim.cli.work import parse_nodes

    return SupporterConfig(
        spec,
        parse_nodes(options.nodes),
        options.seed,
        options.shots,
        options.program,
        options.uncompiled,
    )


def _show_results(paths: tuple[Path, ...]) -> None:
    from rich.console import Console
    from rich.markup import escape

    from metrics.significance import need
    from socialsim.chat.results import read_results, result_notes, result_tables

    need("numpy")
    results = read_results(paths)
    console = Console(highlight=False)
    for table in result_tables(results):
        console.print(table)
    for line in result_notes(results):
        console.print(escape(line), soft_wrap=True)
