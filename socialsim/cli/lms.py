"""The command that checks LMs."""

from __future__ import annotations

import cyclopts

from socialsim.cli.options import LMOptions

LM_DEFAULT = LMOptions()


def register(app: cyclopts.App) -> None:
    """Add the command."""
    app.command(lms, group=cyclopts.Group("LMs", sort_key=7))


def lms(*, pull: bool = False, check: bool = True, lms: LMOptions = LM_DEFAULT) -> None:
    """List the forms of an LM spec, then ask each configured LM: does it answer, how fast, and in a JSON schema?

    Settings go behind a question mark: **openai/gpt-4o-mini?temperature=0.9&max_tokens=4000**.
    Flags win over the environment (SOCIALSIM_LM, SOCIALSIM_SEEKER_LM, …), the environment over socialsim.toml.

    Parameters
    ----------
    pull
        Let Ollama download a model that is not there.
    check
        Call the LMs; --no-check only lists the forms and the roles.
    """
    from socialsim.doctor import show_lms

    if not show_lms(lms.resolve(), pull=pull, check=check):
        raise SystemExit(1)
