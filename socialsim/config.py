"""Which LM plays which role: flags win over the environment, the environment over ``socialsim.toml``."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from socialsim.errors import InputError, LMSpecError
from socialsim.lms import DEFAULT_SPEC, LMSpec, parse_spec
from socialsim.schema import Role

CONFIG_FILE: Final = "socialsim.toml"


def setting_name(role: Role | None) -> str:
    """Name of a setting in the file: ``lm`` for all roles, ``seeker_lm`` and so on for one."""
    return f"{role}_lm" if role else "lm"


def variable_name(role: Role | None) -> str:
    """Name of the same setting in the environment: ``SOCIALSIM_LM``, ``SOCIALSIM_SEEKER_LM``, …"""
    return f"SOCIALSIM_{setting_name(role).upper()}"


def resolve_lms(flags: Mapping[Role | None, str | None], folder: Path = Path()) -> dict[Role, LMSpec]:
    """The spec of each role.

    A role takes its own setting from the highest source that has one, else the setting for all
    roles, else the embedded model. A role's own setting wins over a general one of any source.

    Args:
        flags: what the command line said; None as key is ``--lm``.
        folder: where `CONFIG_FILE` is looked for.

    Raises:
        LMSpecError: if a spec is malformed; the message names where it came from.
        InputError: if the file is malformed.
    """
    file = read_config(folder / CONFIG_FILE)
    found = {key: _first(key, flags.get(key), file) for key in (None, *Role)}
    general = found[None] or (DEFAULT_SPEC, "the default")
    specs = {}
    for role in Role:
        text, source = found[role] or general
        try:
            specs[role] = parse_spec(text)
        except LMSpecError as error:
            raise LMSpecError(f"{role} LM (from {source}): {error}") from error
    return specs


def _first(key: Role | None, flag: str | None, file: Mapping[str, str]) -> tuple[str, str] | None:
    name, variable = setting_name(key), variable_name(key)
    if flag is not None:
        return flag, f"--{name.replace('_', '-')}"
    if os.environ.get(variable):
        return os.environ[variable], variable
    return (file[name], CONFIG_FILE) if name in file else None


def read_config(path: Path) -> dict[str, str]:
    """Read ``socialsim.toml``; an absent file is empty.

    Raises:
        InputError: if it is not TOML, or holds an unknown key or a value that is not text.
    """
    if not path.is_file():
        return {}
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(path, f"cannot be read as TOML: {error}") from error
    known = [setting_name(key) for key in (None, *Role)]
    for name, value in values.items():
        if name not in known:
            raise InputError(path, f"unknown key {name!r}; known: {', '.join(known)}")
        if not isinstance(value, str):
            raise InputError(path, f"{name} takes an LM spec in quotes, not {value!r}")
    return values
