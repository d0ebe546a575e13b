"""The command line; heavy imports wait until a command needs them."""

from __future__ import annotations

import sys

import cyclopts

from socialsim import __version__
from socialsim.cli import (
    arena,
    calibrate,
    chat,
    check,
    compile,
    corpus,
    evaluate,
    finetune,
    judge,
    lms,
    report,
    review,
    split,
    work,
)
from socialsim.errors import SocialSimError

app = cyclopts.App(
    name="socialsim",
    version=__version__,
    help_format="markdown",
    help="""Synthetic emotional-support conversations from real help-seeking posts.

Begin with **socialsim run --limit 2 --out runs/first** (embedded 135M model: no key, no server), then
**socialsim show runs/first**. Point it at a capable LM with **--lm**; **socialsim lms** lists the forms.""",
)
work.register(app)
corpus.register(app)
for commands in (check, judge, review, calibrate, report, compile, split, finetune, evaluate, arena, chat):
    commands.register(app)
lms.register(app)


def main() -> None:
    """Entry point: an error a user can cause ends in one line on stderr and a non-zero exit code."""
    try:
        app(sys.argv[1:], print_error=False, exit_on_error=False)
    except cyclopts.CycloptsError as error:
        _end(f"{error}; see `socialsim {error.command_chain[0] if error.command_chain else ''} --help`", 2)
    except SocialSimError as error:
        _end(str(error), 1)
    except BrokenPipeError:  # the reader of a pipe went away, as with `| head`
        sys.stderr.close()
        raise SystemExit(0) from None


def _end(message: str, code: int) -> None:
    line = " ".join(message.split())
    print(f"socialsim: {line}", file=sys.stderr)
    raise SystemExit(code) from None
