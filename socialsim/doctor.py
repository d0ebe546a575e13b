"""Does each configured LM answer, how fast, and does it honour a JSON schema?"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import dspy
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.table import Table

from socialsim.errors import LMSpecError
from socialsim.lms import FORMS, LMSpec, build_lm, explain_lm_error, ollama_host, price, redact
from socialsim.schema import Role

_ROLES: Final = (Role.PERSONA, Role.SEEKER, Role.SUPPORTER)


# An LM that ignores the schema would have to guess one of these words.
_WORDS: Final = ("quince", "medlar")
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"verdict": {"type": "string", "enum": list(_WORDS)}},
    "required": ["verdict"],
    "additionalProperties": False,
}


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


def probe(role: Role, spec: LMSpec) -> Health:
    """Ask an LM twice for one word that only the schema names."""
    try:
        check_server(spec)
        lm = build_lm(spec)
        _ask(lm)
        started = time.monotonic()
        schema = _ask(lm)
    except LMSpecError as error:
        return Health(problem=redact(str(error)))
    except Exception as error:
        return Health(problem=explain_lm_error(role, spec.text, error))
    return Health(time.monotonic() - started, schema)


def _ask(lm: dspy.LM) -> bool:
    """Whether the LM answers with a word that only the schema names."""
    from dspy.lm15 import Config, Message, Request

    format_ = {"type": "json_schema", "name": "probe", "schema": _SCHEMA, "strict": True}
    text = "Name a fruit. Answer as JSON with the key verdict."
    config = Config(response_format=format_ if lm.supports_response_schema else None)
    said = lm(request=Request(model=lm.model, messages=(Message.user(text),), config=config)).message.text or ""
    try:
        return json.loads(said)["verdict"] in _WORDS
    except (ValueError, KeyError, TypeError):
        return False


def check_server(spec: LMSpec, pull: bool = False, console: Console | None = None) -> None:
    """For Ollama: is the server up, is the model there? Pull it if asked.

    Raises:
        LMSpecError: saying which command helps.
    """
    if not spec.model.startswith("ollama/"):
        return
    import ollama

    name = spec.model.removeprefix("ollama/")
    client = ollama.Client(host=ollama_host())
    try:
        known = {model.model for model in client.list().models}
    except Exception as error:  # the client raises ConnectionError, httpx errors and its own
        raise LMSpecError(
            f"{spec.text}: no Ollama server at {ollama_host()} ({redact(str(error).splitlines()[0])}); "
            "start it with `ollama serve`, or set OLLAMA_HOST"
        ) from error
    if name in known or f"{name}:latest" in known:
        return
    if not pull:
        raise LMSpecError(
            f"{spec.text}: Ollama does not have {name}; run `socialsim lms --lm {spec.text} --pull` or `ollama pull {name}`"
        )
    _pull(client, name, console or Console())


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
            raise LMSpecError(f"ollama/{name}: cannot be pulled ({redact(str(error).splitlines()[0])})") from error


def show_lms(specs: Mapping[Role, LMSpec], pull: bool = False, check: bool = True) -> bool:
    """Print the forms and, for each role, what a probe found; False if an LM does not answer."""
    console = Console(highlight=False)
    forms = Table("spec", "what it is", title="LM specs (settings: SPEC?temperature=0.9&max_tokens=4000)")
    for form in FORMS:
        forms.add_row(form.spec, form.meaning)
    console.print(forms)
    roles = Table("role", "LM", "price, USD per million tokens", "answers", "JSON schema", title="Configured roles")
    found: dict[LMSpec, Health] = {}
    for role in _ROLES:
        spec = specs[role]
        if check and spec not in found:
            if pull:
                check_server(spec, pull=True, console=console)
            found[spec] = probe(role, spec)
        roles.add_row(role, spec.text, _price(spec), *_verdict(found.get(spec)))
    console.print(roles)
    problems = {health.problem for health in found.values() if health.problem}
    for problem in sorted(problems):
        console.print(f"[red]✗[/] {problem}", markup=True, soft_wrap=True)
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
