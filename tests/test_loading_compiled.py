"""A run takes compiled programs by itself, says which, and refuses what it cannot use."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import dspy
import pytest

from programs.demonstrations import seeker_examples
from programs.onepass import DialogueWriter
from programs.persona import PersonaWriter
from programs.simulate import SimulationOptions
from programs.turn import Seeker, Supporter
from socialsim.artifacts import save_state
from socialsim.journal import read_records
from socialsim.resources import demonstrations, read_splits, training_demonstrations
from socialsim.schema import Dialogue, Persona
from tests.answering_server import AnsweringServer, answering_server
from tests.command import Ended, manifest_of, socialsim
from tests.scripted import system_text

MAGIC = "Wombat"
LEAVES: dict[str, Callable[[], dspy.Module]] = {
    "persona": PersonaWriter,
    "seeker": Seeker,
    "supporter": Supporter,
    "onepass": lambda: DialogueWriter(SimulationOptions()),
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own to stand in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def server() -> Iterator[AnsweringServer]:
    with answering_server() as running:
        yield running


def compiled(program: str, path: Path, word: str = MAGIC, demos: list[dspy.Example] | None = None) -> Path:
    leaf = LEAVES[program]()
    predictor = leaf.predictors()[0]
    predictor.signature = predictor.signature.with_instructions(
        f"{word} of {program}. {predictor.signature.instructions}"
    )
    predictor.demos = demos or []
    path.parent.mkdir(parents=True, exist_ok=True)
    save_state(leaf, program, path)
    return path


def own(program: str, name: str = "scripted") -> Path:
    return Path("compiled") / program / f"{name}.json"


def run(server: AnsweringServer, *options: object, out: str = "r") -> Ended:
    return socialsim("run", "--out", out, "--lm", server.spec, "--limit", 1, "--no-screen-by-lm", *options)


def told(server: AnsweringServer, words: str) -> int:
    return sum(words in system_text(request) for request in server.requests)


def test_a_run_picks_up_the_lms_own_programs_and_says_which(server: AnsweringServer) -> None:
    for program in ("persona", "seeker", "supporter"):
        compiled(program, own(program))
    ended = run(server)
    assert (ended.code, ended.err) == (0, "")
    for program in ("persona", "seeker", "supporter"):
        assert f"{program} program: compiled/{program}/scripted.json" in ended.out
        assert told(server, f"{MAGIC} of {program}.") >= 1
    # A program without examples of its own is given none of ours.
    assert not [m for request in server.requests for m in request.messages if m.role == "assistant"]


def test_what_is_not_compiled_runs_as_written_and_it_is_said(server: AnsweringServer) -> None:
    compiled("seeker", own("seeker"))
    ended = run(server)
    assert "seeker program: compiled/seeker/scripted.json" in ended.out
    assert "supporter program: as written, 3 authored examples" in ended.out
    assert told(server, f"{MAGIC} of seeker.") > 0
    assert told(server, f"{MAGIC} of supporter.") == 0


def test_the_hash_of_a_compiled_program_is_recorded_with_what_it_made(server: AnsweringServer) -> None:
    run(server, out="plain")
    compiled("seeker", own("seeker"))
    run(server, out="mine")
    plain, mine = manifest_of(Path("plain")).settings, manifest_of(Path("mine")).settings
    assert plain.programs is not None
    assert mine.programs is not None
    changed = {name for name in mine.programs if mine.programs[name] != plain.programs[name]}
    assert changed == {"seeker"}
    (dialogue,) = read_records(Path("mine/dialogues.jsonl"), Dialogue)
    assert dialogue.provenance is not None
    assert dialogue.provenance.programs["seeker"] == mine.programs["seeker"]


def test_a_run_does_not_go_on_with_another_program_unasked(server: AnsweringServer) -> None:
    run(server)
    compiled("seeker", own("seeker"))
    assert run(server).problem.startswith("r was made with programs: seeker")
    assert run(server, "--uncompiled").code == 0


def test_compiled_examples_reach_the_prompt(server: AnsweringServer) -> None:
    example = list(seeker_examples(training_demonstrations()[0]))[1]
    compiled("seeker", own("seeker"), demos=[example])
    run(server)
    asked = [request for request in server.requests if f"{MAGIC} of seeker." in system_text(request)]
    assert asked
    for request in asked:
        shown = [m.text or "" for m in request.messages if m.role == "assistant"]
        assert len(shown) == 1
        assert example.answer.utterance in shown[0]


def test_uncompiled_uses_none(server: AnsweringServer) -> None:
    compiled("seeker", own("seeker"))
    ended = run(server, "--uncompiled")
    assert ended.code == 0
    assert "compiled/seeker" not in ended.out
    assert told(server, MAGIC) == 0


def test_a_named_program_wins(server: AnsweringServer) -> None:
    compiled("seeker", own("seeker"), "Lemur")
    path = compiled("seeker", Path("mine.json"))
    ended = run(server, "--program", path)
    assert "seeker program: mine.json" in ended.out
    assert told(server, f"{MAGIC} of seeker.") > 0
    assert told(server, "Lemur") == 0


def test_a_generic_program_is_for_every_lm_without_its_own(server: AnsweringServer) -> None:
    compiled("supporter", own("supporter", "generic"))
    ended = run(server)
    assert "supporter program: compiled/supporter/generic.json" in ended.out
    assert told(server, f"{MAGIC} of supporter.") > 0
    compiled("supporter", own("supporter", "another-lm"), "Lemur")
    run(server, out="again")
    assert told(server, "Lemur") == 0


def test_one_pass_has_a_program_of_its_own(server: AnsweringServer) -> None:
    for program in ("onepass", "supporter"):
        compiled(program, own(program))
    ended = run(server, "--mode", "onepass")
    assert ended.code == 0, ended.err
    assert "onepass program: compiled/onepass/scripted.json" in ended.out
    assert told(server, f"{MAGIC} of onepass.") > 0
    assert told(server, f"{MAGIC} of supporter.") == 0


@pytest.mark.parametrize("options", [("--nodes", "strategy"), ("--nodes", "none"), ("--no-emoji",)])
def test_with_other_nodes_speakers_run_as_written(server: AnsweringServer, options: tuple[str, ...]) -> None:
    for program in ("persona", "seeker", "supporter"):
        compiled(program, own(program))
    ended = run(server, *options)
    assert ended.code == 0
    assert told(server, f"{MAGIC} of persona.") > 0
    assert told(server, f"{MAGIC} of seeker.") + told(server, f"{MAGIC} of supporter.") == 0


@pytest.mark.parametrize("program", ["seeker", "supporter", "onepass"])
def test_a_named_speaker_with_other_nodes_is_refused(server: AnsweringServer, program: str) -> None:
    path = compiled(program, Path("mine.json"))
    for options in (("--nodes", "strategy"), ("--no-emoji",)):
        problem = run(server, "--program", path, *options).problem
        assert problem == "--program mine.json: made for all nodes and emoji; leave out --nodes and --no-emoji"
    assert not server.requests
    assert not Path("r").exists()


def test_a_named_persona_program_goes_with_any_nodes(server: AnsweringServer) -> None:
    assert run(server, "--program", compiled("persona", Path("p.json")), "--nodes", "none").code == 0
    assert told(server, f"{MAGIC} of persona.") > 0


def test_two_programs_for_one_leaf_are_refused(server: AnsweringServer) -> None:
    first, second = compiled("seeker", Path("a.json")), compiled("seeker", Path("b.json"))
    assert "two states for seeker" in run(server, "--program", first, "--program", second).problem


def test_a_judges_program_is_not_for_a_run(server: AnsweringServer) -> None:
    path = compiled("seeker", Path("a.json"))
    path.write_text(path.read_text().replace('"program": "seeker"', '"program": "judge"'))
    assert run(server, "--program", path).problem == "--program a.json: not for a run"


BROKEN = {
    "not JSON": "{",
    "not a DSPy state": "[]",
    "holds predictors": "{}",
}


@pytest.mark.parametrize("reason", BROKEN)
def test_a_broken_program_ends_a_run_in_one_line_before_anything_is_asked(server: AnsweringServer, reason: str) -> None:
    own("seeker").parent.mkdir(parents=True)
    own("seeker").write_text(BROKEN[reason])
    problem = run(server).problem
    assert problem.startswith("compiled/seeker/scripted.json: ")
    assert reason in problem
    assert not server.requests
    assert not Path("r/dialogues.jsonl").exists()


def test_another_programs_state_under_a_name_is_refused(server: AnsweringServer) -> None:
    compiled("supporter", own("supporter"))
    own("seeker").parent.mkdir(parents=True)
    shutil.copy(own("supporter"), own("seeker"))
    assert "a compiled supporter, not a compiled seeker" in run(server).problem


@pytest.mark.parametrize("name", ["none.json", "x.pkl"])
def test_a_named_program_that_cannot_be_read_is_refused(server: AnsweringServer, name: str) -> None:
    Path("x.pkl").write_bytes(b"\x80\x04.")
    problem = run(server, "--program", name).problem
    assert problem.startswith(f"{name}: ")
    assert not server.requests


def test_an_lm_in_a_state_is_not_called(server: AnsweringServer) -> None:
    path = compiled("seeker", own("seeker"))
    state = json.loads(path.read_text())
    with answering_server() as evil:
        state["speak"]["lm"] = {"model": "openai/evil", "api_base": evil.spec.partition("#")[0], "api_key": "k"}
        path.write_text(json.dumps(state))
        assert run(server).code == 0
        assert not evil.requests
    assert told(server, f"{MAGIC} of seeker.") > 0


def test_examples_of_an_uncompiled_run_are_of_the_training_set(server: AnsweringServer) -> None:
    for out, options in (("a", ()), ("b", ("--mode", "onepass")), ("c", ("--seed", 3, "--shots", 16))):
        run(server, *options, out=out)
        shown = manifest_of(Path(out)).settings.demonstrations
        assert shown
        assert set(shown) <= set(read_splits().train)
    seen = {m.text or "" for request in server.requests for m in request.messages if m.role == "assistant"}
    unseen = [demo for demo in demonstrations() if demo.dialogue.id not in read_splits().train]
    lines = [turn.text[:40] for demo in unseen for turn in demo.dialogue.turns if len(turn.text) > 40]
    goals = [demo.persona.goals for demo in unseen]
    assert seen
    assert not [line for line in (*lines, *goals) if any(line in text for text in seen)]


def test_a_program_is_taken_stage_by_stage(server: AnsweringServer) -> None:
    compiled("persona", own("persona"))
    compiled("seeker", own("seeker"))
    arguments = ("--out", "r", "--lm", server.spec)
    assert socialsim("scenarios", *arguments, "--limit", 1, "--no-screen-by-lm").code == 0
    assert socialsim("personas", *arguments).code == 0
    assert told(server, f"{MAGIC} of persona.") > 0
    assert told(server, f"{MAGIC} of seeker.") == 0
    assert socialsim("simulate", *arguments).code == 0
    assert told(server, f"{MAGIC} of seeker.") > 0
    (made,) = read_records(Path("r/personas.jsonl"), Persona)
    assert made.provenance is not None
