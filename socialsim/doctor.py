"""Does each configured LM answer, how fast, and does it honour a JSON schema?"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.table import Table

from socialsim.errors import LMSpecError
from socialsim.lm_errors import explain_lm_error, reason, redact
from socialsim.lms import FORMS, LMSpec, build_batch_lm, build_lm, ollama_host
from socialsim.prices import price
from socialsim.schema import Role

if TYPE_CHECKING:
    import dspy

_ROLES: Final = (Role.PERSONA, Role.SEEKER, Role.SUPPORTER)


_SETTINGS: Final = (
    "Of an LM behind HTTP: timeout=SECONDS for one answer (120) · retries=N at least of a request that failed (5) · "
    "patience=SECONDS with a server that refuses or is gone (180) · temperature, top_p, max_tokens"
)

# An LM that ignores the schema would have to guess one of these words.
_WORDS: Final = ("quince", "medlar")
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"verdict": {"type": "string", "enum": list(_WORDS)}},
    "required": ["verdict"],
    "additionalProperties": False,
}
# Enough for a word and some thinking before it; without a bound an LM that ignores the schema rambles.
_MAX_TOKENS: Final = 512


@dataclass(frozen=True)
class Health:
    """What a probe found; ``problem`` is None where the LM answers.

    Attributes:
        seconds: latency of the second call; the first may load a model.
        schema: whether the answer honoured the JSON schema.
    """

    seconds: float = 0.0
    schema: bool = False
    problem: str | None = None


def probe(role: Role, spec: LMSpec, pull: bool = False, console: Console | None = None) -> Health:
    """Ask an LM twice, without retries, for one word that only the schema names.

    Args:
        role: for the message, should the LM not answer.
        spec: the LM.
        pull: let Ollama download a model that is not there.
        console: where that download shows its progress.
    """
    from socialsim.engines.patient_lm import PatientLM

    try:
        check_server(spec, pull, console)
        lm = build_lm(spec)
        if isinstance(lm, PatientLM):
            lm.patience.retries = 0
        _ask(lm)
        started = time.monotonic()
        schema = _ask(lm)
    except LMSpecError as error:
        return Health(problem=f"{role} LM: {redact(str(error))}")
    except Exception as error:
        return Health(problem=explain_lm_error(role, spec.text, error))
    return Health(time.monotonic() - started, schema)


def _ask(lm: dspy.LM) -> bool:
    """Whether the LM answers with a word that only the schema names."""
    asked: dict[str, Any] = {}
    if lm.supports_response_schema:
        schema = {"name": "probe", "schema": _SCHEMA, "strict": True}
        asked["response_format"] = {"type": "json_schema", "json_schema": schema}
    if not (lm.supports_reasoning or "max_completion_tokens" in lm.kwargs):
        asked["max_tokens"] = _MAX_TOKENS
    said = lm("Name a fruit. Answer as JSON with the key verdict.", **asked)[0]
    try:
        return json.loads(said["text"] if isinstance(said, dict) else said)["verdict"] in _WORDS
    except (ValueError, KeyError, TypeError):
        return False


def bind_lm(role: Role, spec: LMSpec, batch: bool = False) -> dspy.LM:
    """The LM of a role, its server seen to be up.

    Args:
        role: for the message, should it not be to be had.
        spec: the LM.
        batch: let its requests go through the provider's Batch API.

    Raises:
        LMSpecError: naming the role, if it cannot be used.
    """
    try:
        if batch:
            return build_batch_lm(spec)
        check_server(spec)
        return build_lm(spec)
    except LMSpecError as error:
        raise LMSpecError(f"{role} LM: {redact(str(error))}") from error


def check_server(spec: LMSpec, pull: bool = False, console: Console | None = None) -> None:
    """For Ollama: is the server up, is the model there? Pull it if asked.

    Raises:
        LMSpecError: saying which command helps.
    """
    if not spec.model.startswith("ollama/"):
        return
    import ollama

    name = spec.model.removeprefix("ollama/")
    try:
        known = {model.model for model in ollama.Client(host=ollama_host(), timeout=10).list().models}
    except Exception as error:  # the client raises ConnectionError, httpx errors and its own
        raise LMSpecError(
            f"{spec.text}: no Ollama server at {redact(ollama_host())} ({reason(error)}); "
            "start it with `ollama serve`, or set OLLAMA_HOST"
        ) from error
    if name in known or f"{name}:latest" in known:
        return
    if not pull:
        raise LMSpecError(
            f"{spec.text}: Ollama does not have {name}; "
            f"run `socialsim lms --lm {spec.model} --pull` or `ollama pull {name}`"
        )
    _pull(ollama.Client(host=ollama_host()), name, console or Console())


def _pull(client: Any, name: str, console: Console) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(f"pulling {name}", total=None)
        try:
            for step in client.pull(name, stream=True):
                progress.update(
                    task, description=f"{name}: {step.status}", total=step.total, completed=step.completed or 0
                )
        except Exception as error:
            raise LMSpecError(
                f"ollama/{name}: cannot be pulled ({reason(error)}); check the name and the network"
            ) from error


def show_lms(specs: Mapping[Role, LMSpec], pull: bool = False, check: bool = True) -> bool:
    """Print the forms and, for each role, what a probe found; False if an LM does not answer."""
    console = Console(highlight=False)
    forms = Table("spec", "what it is", title="LM specs (settings: SPEC?temperature=0.9&max_tokens=4000)")
    for form in FORMS:
        forms.add_row(escape(form.spec), escape(form.meaning))
    console.print(forms)
    console.print(_SETTINGS, soft_wrap=True)
    roles = Table("role", "LM", "price, USD per million tokens", "answers", "JSON schema", title="Configured roles")
    found: dict[LMSpec, Health] = {}
    for role in _ROLES:
        spec = specs[role]
        if check and spec not in found:
            found[spec] = probe(role, spec, pull, console)
        roles.add_row(role, escape(spec.text), _price(spec), *_verdict(found.get(spec)))
    console.print(roles)
    problems = {health.problem for health in found.values() if health.problem}
    for problem in sorted(problems):
        console.print(f"[red]✗[/] {escape(problem)}", soft_wrap=True)
    return not problems


def _price(spec: LMSpec) -> str:
    known = price(spec)
    if known is None:
        return "unknown"
    return "free" if known == (0, 0, 0) else f"{known.prompt * 1e6:.2f} in, {known.completion * 1e6:.2f} out"


def _verdict(health: Health | None) -> tuple[str, str]:
    if health is None:
        return "not asked", ""
    if health.problem:
        return "[red]no[/]", ""
    return f"[green]yes[/], {health.seconds:.2f} s", "[green]honoured[/]" if health.schema else "[yellow]ignored[/]"
