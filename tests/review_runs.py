"""Runs to review: small ones of valid dialogues, and one that holds markup wherever text can stand."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from metrics.verdicts import CheckVerdict, Rule
from socialsim.journal import Journal
from socialsim.schema import Dialogue, Flag, Persona, Scenario, Turn
from tests import samples

SCRIPT = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


def dialogue(name: str, *, persona_id: str | None = None, flags: int = 0, exchanges: int = 9) -> Dialogue:
    made = samples.dialogue(exchanges, "Exploration#Question", "Comforting#Reflection of Feelings")
    first = made.turns[1].model_copy(update={"flags": (Flag(kind="repeated", detail="said before"),) * flags})
    turns = (made.turns[0], first, *made.turns[2:])
    return made.model_copy(update={"id": name, "turns": turns, "persona_id": persona_id})


def write(folder: Path, dialogues: Sequence[Dialogue], personas: Sequence[Persona] = ()) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with Journal(folder / "dialogues.jsonl", Dialogue) as journal:
        for record in dialogues:
            journal.append(record)
    with Journal(folder / "personas.jsonl", Persona) as people:
        for one in personas:
            people.append(one)
    return folder


def run(folder: Path, count: int = 12) -> Path:
    """Dialogues d01, d02 and so on with personas p01, p02; d03 has two flags, d05 three failed checks."""
    names = [f"{number:02}" for number in range(1, count + 1)]
    dialogues = [dialogue(f"d{name}", persona_id=f"p{name}", flags=2 * (name == "03")) for name in names]
    topics: dict[str, Any] = {"topic": "Work", "subtopics": ("Work Pressure",)}
    people = [samples.persona(id=f"p{name}", **(topics if name == "02" else {})) for name in names]
    write(folder, dialogues, people)
    with Journal(folder / "scenarios.jsonl", Scenario) as journal:
        journal.append(samples.scenario(id="p01", description="The post that p01 was made from."))
    verdicts = [CheckVerdict(rule=Rule.DETAIL, score=0.25, feedback="say which house", turn=turn) for turn in (1, 2, 3)]
    write_checks(folder, {"d05": [*verdicts, CheckVerdict(rule=Rule.STRUCTURE, score=1)]})
    return folder


def write_checks(folder: Path, verdicts: dict[str, list[CheckVerdict]]) -> None:
    from socialsim.checking import DialogueChecks

    lines = (DialogueChecks(id=name, verdicts=tuple(given)).model_dump_json() for name, given in verdicts.items())
    (folder / "checks.jsonl").write_text("".join(f"{line}\n" for line in lines))


def hostile(folder: Path) -> Path:
    """Markup in every field that takes any text, the ids included."""
    name = f"d{SCRIPT}"
    flag = Flag(kind=SCRIPT, detail=SCRIPT)
    nodes = dict.fromkeys(("situation", "thought", "action", "purpose"), SCRIPT)
    reply = samples.supporter(SCRIPT, "Exploration#Question", **nodes).model_copy(update={"flags": (flag,)})
    imported = reply.reasoning.model_validate({"raw": SCRIPT}) if reply.reasoning else None
    turns = (samples.seeker(SCRIPT), reply, samples.seeker(SCRIPT), reply.model_copy(update={"reasoning": imported}))
    written = dict.fromkeys(("question", "description", "attempts", "goals", "situation", "event_time"), SCRIPT)
    persona = samples.persona(id=name, emotions=(SCRIPT,), event_location=SCRIPT, event_participants=SCRIPT, **written)
    write(folder, [Dialogue(id=name, persona_id=name, flags=(flag,), turns=turns)], [persona])
    with Journal(folder / "scenarios.jsonl", Scenario) as journal:
        journal.append(samples.scenario(id=name, question=SCRIPT, description=SCRIPT))
    marks = [CheckVerdict(rule=Rule.DETAIL, score=0.1, feedback=SCRIPT, turn=turn) for turn in (1, None)]
    write_checks(folder, {name: marks})
    return folder


def texts(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """Turns as the page's form sends them, unchanged."""
    return [{"text": turn.text} for turn in turns]


def large(folder: Path, count: int) -> Path:
    """As many dialogues of 24 turns with reasoning, personas and checks, written without building each record."""
    from socialsim.resources import demonstrations

    made = [(one.dialogue, one.persona) for one in demonstrations()]
    folder.mkdir(parents=True)
    with ExitStack() as opened:
        dialogues, personas, checks = (
            opened.enter_context((folder / f"{name}.jsonl").open("w")) for name in ("dialogues", "personas", "checks")
        )
        for number in range(count):
            dialogue, persona = made[number % len(made)]
            _copy(dialogues, dialogue, id=f"d{number:05}", persona_id=f"p{number:05}", turns=(dialogue.turns * 2)[:24])
            _copy(personas, persona, id=f"p{number:05}")
            checks.write(f'{{"id": "d{number:05}", "verdicts": [{", ".join(_VERDICTS)}]}}\n')
    return folder


_VERDICTS = [
    f'{{"rule": "detail review", "score": {0.2 if turn % 20 == 7 else 1.0}, "feedback": "say more", "turn": {turn}}}'
    for turn in range(1, 25)
    for _ in range(4)
]


def _copy(file: TextIO, record: Dialogue | Persona, **changes: Any) -> None:
    file.write(record.model_copy(update=changes).model_dump_json(exclude_defaults=True) + "\n")
