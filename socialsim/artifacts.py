"""Compiled programs on disk: ``<program>/<lm>.json``, plain DSPy state of one leaf, and its card beside it.

A state holds instructions and demonstrations and nothing else: no pickle, no LM, no address. It
is read as a stranger's file: what is not a state of the leaf at hand is refused with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import dspy
from pydantic import ValidationError

from socialsim.ask import answer_type
from socialsim.errors import InputError
from socialsim.journal import write_atomically
from socialsim.lms import LMSpec
from socialsim.resources import compiled_folder

PROGRAMS: Final = ("persona", "seeker", "supporter", "onepass", "judge")
GENERIC: Final = "generic"
NEAREST: Final = "nearest"  # of a leaf that shows only some of its examples, and of its state's metadata


def slug(spec: LMSpec) -> str:
    """A file name for an LM: its model, without host, path or settings."""
    model = spec.model
    if model.startswith(("http://", "https://")):
        model = model.partition("#")[2]
    elif model.startswith("llamacpp:"):
        model = "-".join(name.removesuffix(".gguf") for name in spec.file_names)
    elif model.startswith("student:"):
        model = "student-" + Path(model.removeprefix("student:")).name
    return re.sub(r"[^\w.]+", "-", model).strip("-.") or "lm"


def find(program: str, spec: LMSpec, folders: Sequence[Path] | None = None) -> Path | None:
    """The compiled state to use: the LM's own, else a generic one, else none.

    Args:
        program: name of the leaf.
        spec: the LM that plays its role.
        folders: where to look, in order; by default ``compiled/`` here, then what ships with the project.
    """
    for folder in folders or (Path("compiled"), compiled_folder()):
        for name in (slug(spec), GENERIC):
            path = folder / program / f"{name}.json"
            if path.is_file():
                return path
    return None


def save_state(leaf: dspy.Module, program: str, path: Path) -> None:
    """Write a leaf's state so that `load_state`, or DSPy's own ``load``, reads it back."""
    from dspy.utils.saving import get_dependency_versions

    state = leaf.dump_state()
    for predictor in state.values():
        predictor |= {"traces": [], "train": [], "lm": None}
    state["metadata"] = {"dependency_versions": get_dependency_versions(), "program": program}
    if shown := getattr(leaf, NEAREST, 0):
        state["metadata"][NEAREST] = shown
    write_atomically(path, json.dumps(state, indent=2, ensure_ascii=False) + "\n")


def load_state(leaf: dspy.Module, path: Path, program: str | None = None) -> None:
    """Give a leaf the instructions and demonstrations of a compiled state.

    Args:
        leaf: a module with one predictor.
        path: the state.
        program: name of the leaf; a state that names another one is refused.

    Raises:
        InputError: naming the file and why it is not a state of this leaf.
    """
    state = _read(path)
    told = state.pop("metadata", None) or {}
    named = told.get("program")
    if program and named not in (None, program):
        raise InputError(path, f"a compiled {named}, not a compiled {program}")
    predictors = dict(leaf.named_predictors())
    if set(state) != set(predictors):
        raise InputError(path, f"holds predictors {_names(state)}; this program has {_names(predictors)}")
    for name, predictor in predictors.items():
        signature, demos = _checked(path, state[name], leaf, predictor.signature)
        predictor.signature, predictor.demos = signature, demos
    if hasattr(leaf, NEAREST):
        setattr(leaf, NEAREST, _shown(path, told.get(NEAREST, 0)))


def _shown(path: Path, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InputError(path, f"metadata: {NEAREST} is {value!r}, not a number of examples")
    return value


def program_of(path: Path) -> str:
    """The program a compiled state was made for.

    Raises:
        InputError: if it is no state, or does not say.
    """
    named = (_read(path).get("metadata") or {}).get("program")
    if named not in PROGRAMS:
        raise InputError(path, "does not say which program it is a state of; compile again")
    return str(named)


def _read(path: Path) -> dict[str, Any]:
    if path.suffix != ".json":
        raise InputError(path, "a compiled program is a .json state; pickles are never read")
    try:
        state = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(path, f"not JSON ({error}); compile again") from error
    if not isinstance(state, dict) or not all(isinstance(value, dict) for value in state.values()):
        raise InputError(path, "not a DSPy state")
    return state


def _names(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"


def _checked(path: Path, state: dict[str, Any], leaf: dspy.Module, signature: Any) -> tuple[Any, list[dspy.Example]]:
    """The signature with the state's instructions, and its demonstrations, each checked against the fields."""
    signed, demos = state.get("signature"), state.get("demos")
    instructions = signed.get("instructions") if isinstance(signed, dict) else None
    if not isinstance(instructions, str) or not instructions.strip() or not isinstance(demos, list):
        raise InputError(path, "not a DSPy state: it has no instructions or no list of demonstrations")
    examples = [_demo(path, demo, leaf, signature, index) for index, demo in enumerate(demos, 1)]
    return signature.with_instructions(instructions), examples


def _demo(path: Path, demo: Any, leaf: dspy.Module, signature: Any, index: int) -> dspy.Example:
    where = f"demonstration {index}"
    if not isinstance(demo, dict):
        raise InputError(path, f"{where} is not an object")
    if unknown := set(demo) - set(signature.fields) - {"augmented"}:
        raise InputError(path, f"{where} has fields this program has not: {_names(unknown)}")
    try:
        answer_type(leaf, demo.get("topic", "")).model_validate(demo.get("answer"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise InputError(path, f"{where} is no answer of this program ({field}: {first['msg']})") from error
    except ValueError as error:
        raise InputError(path, f"{where}: {error}") from error
    return dspy.Example(**demo)
