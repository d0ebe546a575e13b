"""The command that opens a run for review in a browser: review."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter
from cyclopts.validators import Number

from socialsim.cli.options import MEASURING
from socialsim.errors import UsageError

Port = Annotated[int | None, Parameter(validator=Number(gte=0, lte=65535))]


def register(app: cyclopts.App) -> None:
    """Add the command."""
    app.command(review, group=MEASURING)


def review(
    run: Path,
    /,
    *,
    rater: str | None = None,
    host: str = "127.0.0.1",
    port: Port = None,
    open_browser: Annotated[bool, Parameter(name="--open", negative=())] = False,
) -> None:
    """Review dialogues and personas by hand in a browser: accept, edit or reject, with scores and a note.

    Every decision is on disk at once, in RUN/reviews/RATER.jsonl; the run itself is never changed. Raters do not see
    each other's decisions. Afterwards: **socialsim export RUN --only accepted**, **socialsim calibrate RUN/reviews**.

    Parameters
    ----------
    run
        A run folder.
    rater
        Your name; several people review the same run under their own. Default: the login name.
    host
        Address to bind to. Anything but this machine alone asks for the token in the address that is printed.
    port
        Port. Default: a free one.
    open_browser
        Open the page in the browser, too.
    """
    from rich.console import Console

    from socialsim.reviews import rater_slug

    name = rater_slug(rater or _login())
    try:
        from socialsim.web.review.app import review_app
        from socialsim.web.review.index import Index
        from socialsim.web.review.store import Store
        from socialsim.web.review.views import Reviewing
        from socialsim.web.serve import new_token, secure, serve
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is not installed; run: pip install 'socialsim[web]'") from error
    console, index = Console(highlight=False), Index(run)
    with Store(index, name) as store:
        app = review_app(Reviewing(index, store))
        secure(app, new_token(host), host)
        console.print(f"{run}: rater {name}, decisions in {store.file}", soft_wrap=True, markup=False)
        if stale := store.standing.stale:
            console.print(f"{stale:,} of them are about items that have changed since; they do not count")
        serve(app, host, port, open_browser=open_browser, console=console)


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:  # a container may know no user
        raise UsageError("name yourself with --rater") from error
