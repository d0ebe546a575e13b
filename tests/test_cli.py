"""The command line: quick to help, readable where it shows, lossless where it exports."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from socialsim.cli.options import ALL_NODES
from socialsim.cli.work import parse_nodes
from socialsim.formats import read_dialogues
from socialsim.formats.ssconv import read_personas
from socialsim.journal import Journal, read_records
from socialsim.schema import Dialogue, Flag, Node, Persona, Reasoning, Speaker, StagedStrategy, Turn
from tests.answering_server import answering_server
from tests.command import ROOT, socialsim, start

DEMONSTRATION = ROOT / "data" / "demonstrations" / "work-1.json"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two dialogues."""
    folder = tmp_path_factory.mktemp("made") / "r"
    with answering_server() as server:
        assert socialsim("run", "--limit", 2, "--out", folder, "--lm", server.spec).code == 0
    return folder


def reasoning(situation: str = "She lost her job.") -> Reasoning:
    strategy = StagedStrategy.parse("Exploration#Question")
    return Reasoning(situation=situation, thought="T.", action="A.", strategies=(strategy,), purpose="to learn more")


def write(folder: Path, *dialogues: Dialogue) -> Path:
    """A run folder that holds these dialogues and nothing else."""
    folder.mkdir(exist_ok=True)
    with Journal(folder / "dialogues.jsonl", Dialogue) as journal:
        for dialogue in dialogues:
            journal.append(dialogue)
    return folder


def dialogue(name: str = "d1", text: str = "Hello there.", flags: tuple[Flag, ...] = ()) -> Dialogue:
    reply = Turn(speaker=Speaker.SUPPORTER, text="What happened?", reasoning=reasoning(), flags=flags)
    return Dialogue(id=name, turns=(Turn(speaker=Speaker.SEEKER, text=text), reply))


def test_help_is_quick() -> None:
    def seconds() -> float:
        begun = time.perf_counter()
        assert start("--help").wait() == 0
        return time.perf_counter() - begun

    def least() -> float:  # what any such program takes; the machine may be slow, or busy with something else
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import cyclopts"], check=True)
        return time.perf_counter() - begun

    assert any(seconds() < max(0.4, 3.5 * least()) for _ in range(12))


@pytest.mark.parametrize("command", [[], ["run"], ["simulate"], ["stats"], ["lms"], ["review"]])
def test_help_imports_neither_torch_nor_dspy(command: list[str]) -> None:
    code = """
import sys
from socialsim.cli import main
sys.argv = ["socialsim", *sys.argv[1:], "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code
print(sorted({"torch", "dspy", "litellm", "openai", "xllamacpp", "fastapi"} & sys.modules.keys()), file=sys.stderr)
"""
    ended = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, cwd=ROOT, check=True)
    assert ended.stderr == "[]\n"


def test_without_a_command_the_commands_are_listed() -> None:
    ended = socialsim()
    assert ended.code == 0
    assert all(name in ended.out for name in ("run", "scenarios", "personas", "simulate", "show", "stats", "export"))


@pytest.mark.parametrize("command", ["run", "scenarios", "personas", "simulate", "show", "stats", "export", "lms"])
def test_each_command_has_help_of_its_own(command: str) -> None:
    ended = socialsim(command, "--help")
    assert ended.code == 0
    assert ended.out.startswith(f"Usage: socialsim {command}")


def test_a_reader_that_goes_away_is_no_error(run: Path) -> None:
    child = start("show", run)
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.close()
    assert child.stderr.read() == ""
    assert child.wait() in (0, 1)
    child.stderr.close()


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("strategy,situation", (Node.SITUATION, Node.STRATEGY)),
        (" Thought , ACTION,", (Node.THOUGHT, Node.ACTION)),
        ("none", ()),
    ],
)
def test_nodes_are_read_in_the_order_of_the_chain(text: str, nodes: tuple[Node, ...]) -> None:
    assert parse_nodes(text) == nodes


# ---------------------------------------------------------------- show


def test_show_prints_persona_words_and_reasoning(tmp_path: Path) -> None:
    out = socialsim("show", write(tmp_path, dialogue())).out
    for part in (
        "Dialogue d1",
        "Seeker: Hello there.",
        "Supporter: What",
        "Situation: She lost",
        "Thought: T.",
        "Action: A.",
    ):
        assert part in out
    assert "Exploration#Question" in " ".join(out.split())
    assert "Persona" not in out


def test_show_begins_with_the_persona_of_a_run(run: Path) -> None:
    out = socialsim("show", run).out
    [first, *_] = read_records(run / "dialogues.jsonl", Dialogue)
    assert f"Persona {first.persona_id}" in out
    assert "2 dialogues: " in out


def test_show_prints_the_dialogue_that_is_named(run: Path) -> None:
    name = list(read_records(run / "dialogues.jsonl", Dialogue))[1].id
    out = socialsim("show", run, name).out
    assert f"Dialogue {name}" in out
    assert "2 dialogues" not in out


def test_show_names_the_ids_there_are(tmp_path: Path) -> None:
    problem = socialsim("show", write(tmp_path, dialogue("d1"), dialogue("d2")), "d3").problem
    assert problem == f"{tmp_path}: no dialogue 'd3'; there are d1, d2"


def test_show_of_a_run_without_dialogues_says_so(tmp_path: Path) -> None:
    assert socialsim("show", write(tmp_path)).problem == f"{tmp_path}: no dialogues yet"


def test_show_prints_flags_of_turns_and_of_the_dialogue(tmp_path: Path) -> None:
    made = dialogue(flags=(Flag(kind="echoed", detail="as before"),))
    made = made.model_copy(update={"flags": (Flag(kind="strategy_missing", detail="Others"),)})
    out = socialsim("show", write(tmp_path, made)).out
    assert "⚑ echoed: as before" in out
    assert "⚑ strategy_missing: Others" in out


def test_show_wraps_at_the_width_of_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = socialsim("show", write(tmp_path, dialogue(text="I talk a lot about everything. " * 20))).out
    assert max(len(line) for line in out.splitlines()) <= 80
    assert out.count("everything") == 20


def test_show_takes_brackets_for_text(tmp_path: Path) -> None:
    out = socialsim("show", write(tmp_path, dialogue("[bold]d1", text="I said [red]no[/red] [/]."))).out
    assert "Dialogue [bold]d1" in out
    assert "[red]no[/red] [/]." in " ".join(out.split())


def test_show_stops_after_so_many_turns(run: Path) -> None:
    out = socialsim("show", run, "--turns", 3).out
    assert "(first 3 of " in out
    assert out.count("Seeker:") == 2
    assert out.count("Supporter:") == 1


# ---------------------------------------------------------------- export


def test_export_in_the_format_of_the_release_is_read_back_without_loss(tmp_path: Path) -> None:
    authored = json.loads(DEMONSTRATION.read_text("utf-8"))
    persona = Persona.model_validate(authored["persona"])
    made = Dialogue.model_validate(authored["dialogue"])
    write(tmp_path, made)
    with Journal(tmp_path / "personas.jsonl", Persona) as journal:
        journal.append(persona)
    assert socialsim("export", tmp_path, "--out", tmp_path / "out").code == 0
    [back] = read_dialogues(tmp_path / "out" / "dialogues.json")
    assert [(turn.speaker, turn.text) for turn in back.turns] == [(turn.speaker, turn.text) for turn in made.turns]
    nodes = [turn.reasoning.model_dump(exclude={"raw"}) if turn.reasoning else None for turn in back.turns]
    assert nodes == [turn.reasoning.model_dump(exclude={"raw"}) if turn.reasoning else None for turn in made.turns]
    [profile] = read_personas(tmp_path / "out" / "profiles.json")
    left_out = {"inferred", "provenance"}
    assert profile.model_dump(exclude=left_out) == persona.model_dump(exclude=left_out)


def test_export_has_the_keys_of_the_release(run: Path, tmp_path: Path) -> None:
    assert socialsim("export", run, "-o", tmp_path).code == 0
    [first, _] = json.loads((tmp_path / "dialogues.json").read_text("utf-8"))
    assert first.keys() == {"ID", "Dialogue"}
    assert first["Dialogue"][0].keys() == {"Turn", "Seeker"}
    assert first["Dialogue"][1].keys() == {"Turn", "Supporter Step by Step Reasoning", "Supporter"}
    assert len(json.loads((tmp_path / "profiles.json").read_text("utf-8"))) == 2


def test_export_as_jsonl_keeps_everything(run: Path, tmp_path: Path) -> None:
    assert socialsim("export", run, "--format", "jsonl", "--out", tmp_path).code == 0
    assert (tmp_path / "dialogues.jsonl").read_bytes() == (run / "dialogues.jsonl").read_bytes()
    assert (tmp_path / "personas.jsonl").read_bytes() == (run / "personas.jsonl").read_bytes()


def test_export_goes_beside_the_run_by_default(run: Path) -> None:
    out = socialsim("export", run).out
    assert str(run / "export" / "dialogues.json") in out
    assert (run / "export" / "profiles.json").is_file()


def test_export_to_an_unknown_format_or_a_file_is_refused(run: Path, tmp_path: Path) -> None:
    assert socialsim("export", run, "--format", "xml").problem == "--format xml: use ssconv, jsonl, sharegpt or hf"
    (tmp_path / "taken").touch()
    assert str(tmp_path / "taken") in socialsim("export", run, "--out", tmp_path / "taken").problem


def test_the_default_nodes_are_all_of_them() -> None:
    assert parse_nodes(ALL_NODES) == tuple(Node)
