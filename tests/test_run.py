"""A run from posts to dialogues: what it makes, how it says so, what a limit and a bad LM do to it."""

from __future__ import annotations

import itertools
import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from dspy.lm15 import Request

from socialsim.formats.ssconv import profiles_text, read_personas
from socialsim.journal import read_records, write_atomically
from socialsim.lms import parse_spec
from socialsim.meter import State
from socialsim.run import Run
from socialsim.runconfig import RunConfig
from socialsim.schema import Dialogue, Persona, Post, Rejection, Role, Speaker
from tests.answering_server import AnsweringServer, answering_server
from tests.command import assert_whole, ids, manifest_of, socialsim
from tests.scripted import schema_of, system_text, user_text, valid_answers


def dialogues(run: Path) -> list[Dialogue]:
    return list(read_records(run / "dialogues.jsonl", Dialogue))


def rejections(run: Path) -> list[Rejection]:
    return list(read_records(run / "rejected.jsonl", Rejection))


def make(server: AnsweringServer, run: Path, *arguments: object, command: str = "run") -> str:
    """Run a command that must succeed; its output."""
    ended = socialsim(command, "--out", run, "--lm", server.spec, *arguments)
    assert (ended.code, ended.err) == (0, "")
    return ended.out


def steady(request: Request) -> dict[str, Any]:
    """A valid answer that depends on the request alone."""
    return valid_answers(crc32(f"{system_text(request)}{user_text(request)}".encode()))(request)


def judging(*verdicts: str, **fixed: Any) -> Callable[[Request], dict[str, Any]]:
    """A script that gives these verdicts in turn where a post is screened."""
    valid, left = valid_answers(**fixed), itertools.cycle(verdicts)

    def answer(request: Request) -> dict[str, Any]:
        made = valid(request)
        return made | {"verdict": next(left)} if "verdict" in made else made

    return answer


def test_a_run_makes_the_five_files(tmp_path: Path) -> None:
    with answering_server() as server:
        out = make(server, tmp_path / "r", "--limit", 3)
    assert set(ids(tmp_path / "r", "scenarios")) == set(_bundled()[:3])
    assert set(ids(tmp_path / "r", "dialogues")) == set(ids(tmp_path / "r", "personas")) == set(_bundled()[:3])
    assert ids(tmp_path / "r", "rejected") == []
    assert_whole(tmp_path / "r")
    assert f"socialsim show {tmp_path / 'r'}" in out


def _bundled() -> list[str]:
    lines = (Path(__file__).parents[1] / "data" / "scenarios.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["id"] for line in lines]


def test_the_manifest_says_how_a_run_was_made(tmp_path: Path) -> None:
    with answering_server() as server:
        make(server, tmp_path, "--limit", 2, "--seed", 7, "--nodes", "strategy,situation")
        spec, calls = server.spec, len(server.requests)
    manifest = manifest_of(tmp_path)
    assert manifest.versions.keys() == {"socialsim", "dspy", "python"}
    assert manifest.versions["python"] == platform.python_version()
    assert manifest.settings.seed == 7
    assert manifest.settings.nodes == ("situation", "strategy")
    assert manifest.settings.lms == {"persona": spec, "seeker": spec, "supporter": spec}
    assert {"persona", "seeker", "supporter"} <= manifest.settings.programs.keys()
    assert manifest.inputs == ("bundled scenarios",)
    assert manifest.counts == {"scenarios": 2, "personas": 2, "dialogues": 2, "rejected": 0}
    assert manifest.usage.calls == calls
    assert manifest.usage.prompt_tokens == 100 * calls
    assert manifest.usage.completion_tokens == 10 * calls
    assert manifest.usage.cost == 0.0
    assert manifest.wall_seconds > 0


def test_each_item_says_how_it_was_made(tmp_path: Path) -> None:
    with answering_server() as server, answering_server() as seeker:
        make(server, tmp_path, "--limit", 1, "--seeker-lm", seeker.spec)
        specs = (server.spec, seeker.spec)
    [dialogue] = dialogues(tmp_path)
    assert dialogue.provenance is not None
    assert dialogue.provenance.lms == {"supporter": specs[0], "seeker": specs[1]}
    assert dialogue.provenance.mode == "turn"
    assert dialogue.provenance.programs == {
        name: value
        for name, value in manifest_of(tmp_path).settings.programs.items()
        if name in ("seeker", "supporter")
    }
    assert dialogue.provenance.usage.calls >= len(dialogue.turns)
    [persona] = read_records(tmp_path / "personas.jsonl", Persona)
    assert persona.provenance is not None
    assert persona.provenance.lms == {"persona": specs[0]}


def _plain(run: Path, name: str) -> dict[str, Any]:
    """Records by id, without what differs from one time to another."""
    records = [json.loads(line) for line in (run / f"{name}.jsonl").read_text("utf-8").splitlines()]
    for record in records:
        record.get("provenance", {}).get("usage", {}).pop("seconds", None)
    return {record["id"]: record for record in records}


def test_the_stages_one_after_the_other_make_what_a_run_makes(tmp_path: Path) -> None:
    with answering_server(steady) as server:
        make(server, tmp_path / "whole", "--limit", 2)
        make(server, tmp_path / "parts", "--limit", 2, command="scenarios")
        make(server, tmp_path / "parts", command="personas")
        make(server, tmp_path / "parts", command="simulate")
        make(server, tmp_path / "parts", "--limit", 2)  # and the whole of it has nothing left to do
    for name in ("scenarios", "personas", "dialogues"):
        assert _plain(tmp_path / "parts", name) == _plain(tmp_path / "whole", name) != {}
    assert manifest_of(tmp_path / "parts").settings == manifest_of(tmp_path / "whole").settings


def test_personas_are_made_of_scenarios_from_elsewhere(tmp_path: Path) -> None:
    with answering_server() as server:
        make(server, tmp_path / "a", "--limit", 2, command="scenarios")
        make(server, tmp_path / "b", tmp_path / "a" / "scenarios.jsonl", command="personas")
    assert set(ids(tmp_path / "b", "personas")) == set(ids(tmp_path / "a", "scenarios"))


def test_dialogues_are_simulated_from_profiles_of_the_release(tmp_path: Path) -> None:
    with answering_server() as server:
        make(server, tmp_path / "a", "--limit", 3, command="scenarios")
        make(server, tmp_path / "a", command="personas")
        profiles = tmp_path / "profiles.json"
        write_atomically(profiles, profiles_text(read_records(tmp_path / "a" / "personas.jsonl", Persona)))
        make(server, tmp_path / "b", profiles, "--limit", 2, command="simulate")
    given = [persona.id for persona in read_personas(profiles)]
    assert ids(tmp_path / "b", "personas") == given
    assert set(ids(tmp_path / "b", "dialogues")) == set(given[:2])
    assert all(dialogue.persona_id == dialogue.id for dialogue in dialogues(tmp_path / "b"))


def test_in_one_pass_a_dialogue_is_one_call_of_the_supporter(tmp_path: Path) -> None:
    with answering_server() as others, answering_server(valid_answers(1)) as supporter:
        make(others, tmp_path, "--limit", 2, "--mode", "onepass", "--supporter-lm", supporter.spec)
    made = dialogues(tmp_path)
    assert len(made) == 2
    assert len(supporter.requests) == sum(1 + item.provenance.asked_again for item in made if item.provenance)
    assert all("exchanges" in schema_of(request)["properties"] for request in supporter.requests)
    assert all(one.provenance and one.provenance.mode == "onepass" for one in made)
    assert manifest_of(tmp_path).settings.lms.keys() == {"persona", "supporter"}


def test_without_nodes_there_is_no_reasoning(tmp_path: Path) -> None:
    with answering_server() as server:
        make(server, tmp_path, "--limit", 1, "--nodes", "none")
    assert all(turn.reasoning is None for turn in dialogues(tmp_path)[0].turns)


def test_with_the_strategy_node_alone_there_is_nothing_else(tmp_path: Path) -> None:
    with answering_server() as server:
        make(server, tmp_path, "--limit", 1, "--nodes", "strategy")
    for turn in dialogues(tmp_path)[0].turns:
        if turn.speaker is Speaker.SUPPORTER:
            assert turn.reasoning is not None
            assert turn.strategies
            assert turn.reasoning.situation is turn.reasoning.thought is turn.reasoning.action is None


def test_without_emoji_there_is_none(tmp_path: Path) -> None:
    with answering_server() as server:
        make(server, tmp_path, "--limit", 1, "--no-emoji")
    assert all(turn.text.isascii() for turn in dialogues(tmp_path)[0].turns)


def test_a_limit_counts_scenarios_and_not_rejected_posts(tmp_path: Path) -> None:
    with answering_server(judging("irrelevant", "suitable")) as server:
        make(server, tmp_path, "--limit", 3)
    assert len(dialogues(tmp_path)) == 3
    assert {one.reason for one in rejections(tmp_path)} == {"irrelevant"}
    assert 2 <= len(rejections(tmp_path)) <= 4


def test_a_limit_never_judges_more_posts_than_it_must(tmp_path: Path) -> None:
    with answering_server(judging("suitable")) as server:
        make(server, tmp_path, "--limit", 2, command="scenarios")
    assert len(server.requests) == 2


def test_an_lm_that_answers_badly_gives_rejections_and_the_run_goes_on(tmp_path: Path) -> None:
    with answering_server(lambda _: "I would rather not.") as server:
        make(server, tmp_path, "--limit", 2, "--no-screen-by-lm", "--tries", 2)
    assert [one.stage for one in rejections(tmp_path)] == ["persona", "persona"]
    assert all(one.reason == "invalid" and len(one.trace) == 2 for one in rejections(tmp_path))
    assert all(one.usage.calls == 2 for one in rejections(tmp_path))
    assert manifest_of(tmp_path).rejected == {"persona: invalid": 2}


def test_a_dialogue_that_cannot_be_made_is_rejected_with_its_trace(tmp_path: Path) -> None:
    with answering_server() as server, answering_server(lambda _: {"utterance": ""}) as supporter:
        make(server, tmp_path, "--limit", 1, "--supporter-lm", supporter.spec, "--tries", 3)
    [rejection] = rejections(tmp_path)
    assert (rejection.stage, rejection.reason, len(rejection.trace)) == ("simulate", "invalid", 3)
    assert rejection.detail == rejection.trace[-1]


@pytest.mark.parametrize("said", ["", "null", "[]", "{", '{"utterance": "\\ud800"}', "\x00", "{}" * 2000])
def test_whatever_an_lm_says_is_no_traceback(tmp_path: Path, said: str) -> None:
    with answering_server(lambda _: said) as server:
        make(server, tmp_path, "--limit", 1, "--tries", 2, "--no-screen-by-lm")
    assert len(rejections(tmp_path)) == 1


def test_items_in_flight_reach_the_concurrency_and_no_more(tmp_path: Path) -> None:
    with answering_server(delay=0.01) as server:
        make(server, tmp_path, "--limit", 8, "--concurrency", 4)
    assert server.peak == 4


def test_a_duplicate_of_what_an_earlier_session_kept_is_rejected(tmp_path: Path) -> None:
    text = "My sister " + " ".join(f"word{i}" for i in range(80))
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"description": text}) + "\n")
    with answering_server() as server:
        make(server, tmp_path / "r", tmp_path / "a.jsonl", command="scenarios")
        make(server, tmp_path / "r", tmp_path / "b.jsonl", command="scenarios")
    assert [(one.id, one.reason, one.detail) for one in rejections(tmp_path / "r")] == [("b-1", "duplicate", "a-1")]


def test_progress_ends_at_its_total_although_items_are_rejected(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def look(state: State) -> None:
        seen.append((state.done, state.total))

    posts = [Post(id=f"p{i}", source="s", description=" ".join(f"I{i}x{n}" for n in range(70))) for i in range(6)]
    with answering_server(judging("irrelevant", "suitable", "suitable")) as server:
        config = RunConfig(out=tmp_path, lms=dict.fromkeys(Role, parse_spec(server.spec)), limit=5, concurrency=2)
        Run(config, look).execute(posts)
    assert seen[0] == (0, 5)
    assert seen[-1] == (4, 4)
    assert all(done <= total for done, total in seen)


def test_a_summary_counts_reasons_and_flags(tmp_path: Path) -> None:
    with answering_server(judging("irrelevant", "suitable", utterance="I walked home late in the rain.")) as server:
        out = make(server, tmp_path, "--limit", 1)
    assert "intake: irrelevant" in out
    assert "flag: repeated" in out
    assert "wall time" in out
