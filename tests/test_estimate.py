"""A dry run: what would be called, at what cost, without calling or writing anything."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from programs.simulate import SimulationOptions
from socialsim.estimate import Estimate, estimate, open_items
from socialsim.lms import parse_spec
from socialsim.runconfig import Mode, RunConfig, Stage
from socialsim.schema import Post, Rejection, Role
from tests.answering_server import answering_server
from tests.command import manifest_of, socialsim


def config(
    spec: str = "openai/gpt-4o-mini", *, mode: Mode = Mode.TURN, nodes: bool = True, limit: int | None = None
) -> RunConfig:
    simulation = SimulationOptions() if nodes else SimulationOptions(nodes=())
    return RunConfig(Path("none"), dict.fromkeys(Role, parse_spec(spec)), mode=mode, simulation=simulation, limit=limit)


def by_role(rows: list[Estimate]) -> dict[Role, Estimate]:
    return {row.role: row for row in rows}


def test_calls_follow_from_the_mean_length_of_a_dialogue() -> None:
    rows = by_role(estimate(config(), 10))
    assert {role: row.calls for role, row in rows.items()} == {Role.PERSONA: 20, Role.SEEKER: 120, Role.SUPPORTER: 120}


def test_one_pass_takes_one_call_a_dialogue_and_fewer_prompt_tokens() -> None:
    whole, turns = by_role(estimate(config(mode=Mode.ONEPASS), 1)), by_role(estimate(config(), 1))
    assert whole.keys() == {Role.PERSONA, Role.SUPPORTER}
    assert whole[Role.SUPPORTER].calls == 1
    assert whole[Role.SUPPORTER].prompt_tokens < turns[Role.SUPPORTER].prompt_tokens


def test_reasoning_costs_completion_tokens() -> None:
    with_nodes, without = (by_role(estimate(config(nodes=nodes), 1))[Role.SUPPORTER] for nodes in (True, False))
    assert with_nodes.completion_tokens > 2 * without.completion_tokens


def test_cost_grows_with_the_items() -> None:
    one, ten = (by_role(estimate(config(), items))[Role.SUPPORTER].cost for items in (1, 10))
    assert one is not None
    assert ten == pytest.approx(10 * one)
    assert 0.0001 < one < 0.1  # USD a dialogue


def test_a_local_lm_costs_nothing_and_an_unknown_one_nobody_knows() -> None:
    assert {row.cost for row in estimate(config("http://127.0.0.1:9/v1#m"), 3)} == {0.0}
    assert {row.cost for row in estimate(config("openai/gpt-that-never-was"), 3)} == {None}


def test_nothing_to_do_costs_nothing() -> None:
    assert {(row.calls, row.prompt_tokens, row.cost) for row in estimate(config(), 0)} == {(0, 0, 0.0)}


def test_open_items_are_those_a_limit_leaves() -> None:
    posts = [Post(id=str(i), source="s", description="d") for i in range(5)]
    rejected = [Rejection(id="x", stage="intake", reason="too_short")]
    assert open_items(config(), [*posts, *rejected]) == 5
    assert open_items(config(limit=2), posts) == 2


def test_a_dry_run_calls_nothing_and_writes_nothing(tmp_path: Path) -> None:
    with answering_server() as server:
        ended = socialsim("run", "--dry-run", "--limit", 3, "--out", tmp_path / "r", "--lm", server.spec)
        assert not server.requests
    assert (ended.code, ended.err) == (0, "")
    assert "Dry run: 3 items" in ended.out
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_loads_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCIALSIM_CACHE", str(tmp_path / "cache"))
    ended = socialsim("run", "--dry-run", "--limit", 3, "--out", tmp_path / "r", "--lm", "embedded")
    assert ended.code == 0
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_prints_calls_tokens_and_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    out = socialsim("run", "--dry-run", "--limit", 3, "--out", tmp_path / "r", "--lm", "openai/gpt-4o-mini").out
    row = next(line for line in out.splitlines() if "supporter" in line)
    assert re.search(r"openai/gpt-4o-mini\s*│\s*36\s*│\s*[\d,]+\s*│\s*[\d,]+\s*│\s*\$\d+\.\d\d", row)


def test_a_dry_run_counts_what_the_rules_reject(tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    path.write_text("description\nToo short.\n")
    out = socialsim("run", path, "--dry-run", "--out", tmp_path / "r", "--lm", "openai/gpt-4o-mini").out
    assert "Read 1 items; 1 would be rejected by rule." in out
    assert "Dry run: 0 items" in out


def test_a_dry_run_counts_only_what_a_run_has_left(tmp_path: Path) -> None:
    with answering_server() as server:
        arguments = ("--out", tmp_path, "--lm", server.spec)
        assert socialsim("run", "--limit", 2, *arguments).code == 0
        before = (tmp_path / "manifest.json").read_bytes()
        assert "Dry run: 3 items" in socialsim("run", "--limit", 5, "--dry-run", *arguments).out
        assert "Dry run: 0 items" in socialsim("run", "--limit", 2, "--dry-run", *arguments).out
        assert socialsim("scenarios", "--limit", 4, *arguments).code == 0
        assert "Dry run: 2 items" in socialsim("personas", "--dry-run", *arguments).out
    assert before != (tmp_path / "manifest.json").read_bytes()
    assert manifest_of(tmp_path).counts["scenarios"] == 4


def test_a_dry_run_is_near_what_a_run_takes(tmp_path: Path) -> None:
    with answering_server() as server:
        assert socialsim("run", "--limit", 8, "--out", tmp_path, "--lm", server.spec).code == 0
        made = list(server.requests)
    calls = sum(row.calls for row in estimate(config("http://127.0.0.1:9/v1#m"), 8))
    assert 0.7 * calls < len(made) < 2 * calls


def test_stages_that_are_not_asked_for_are_not_counted() -> None:
    only = RunConfig(Path("none"), dict.fromkeys(Role, parse_spec("openai/gpt-4o-mini")), stages=(Stage.PERSONAS,))
    assert {(row.role, row.calls) for row in estimate(only, 4)} == {(Role.PERSONA, 4)}
