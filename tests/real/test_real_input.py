"""The command on real posts and real dialogues, and once on the embedded LM."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import Request

from socialsim.journal import read_records
from socialsim.schema import Rejection, Scenario
from socialsim.text import count_words, is_chinese
from tests.answering_server import answering_server
from tests.command import assert_whole, ids, manifest_of, socialsim
from tests.scripted import schema_of, sentences, user_text, valid_answers

DATA = Path(os.environ.get("SOCIALSIM_SHARED", Path(__file__).parents[3] / "shared")) / "data"

real = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no real data in {DATA}; set SOCIALSIM_SHARED to the folder that holds data/"
)


def translating(request: Request) -> dict[str, Any]:
    """A suitable verdict, and for a translation about 0.7 words for each Chinese character of each field."""
    if "description" not in schema_of(request)["properties"]:
        return valid_answers(verdict="suitable")(request)
    parts = dict(
        part.split("\n", 1) for part in user_text(request).removeprefix("## ").split("\n\n## ") if "\n" in part
    )
    return {name: _english(parts.get(name.capitalize(), "")) for name in ("question", "description")}


def _english(chinese: str) -> str:
    said, wanted = "", int(0.7 * count_words(chinese))
    plain = sentences()
    while count_words(said) < wanted:
        said = f"{said} {next(plain)}".strip()
    return " ".join(said.split()[: max(wanted, 1)])


@real
def test_esconv_situations_are_taken_in_and_simulated(tmp_path: Path) -> None:
    with answering_server(valid_answers(verdict="suitable")) as server:
        ended = socialsim(
            "run",
            DATA / "esconv_situations.jsonl",
            "--min-words",
            8,
            "--limit",
            3,
            "--out",
            tmp_path,
            "--lm",
            server.spec,
        )
    assert (ended.code, ended.err) == (0, "")
    assert len(ids(tmp_path, "dialogues")) == len(ids(tmp_path, "scenarios")) == 3
    assert_whole(tmp_path)


@real
def test_each_esconv_situation_ends_as_scenario_or_rejection(tmp_path: Path) -> None:
    with answering_server() as server:
        arguments = ("--min-words", 8, "--out", tmp_path, "--lm", server.spec, "--no-screen-by-lm")
        out = socialsim("scenarios", DATA / "esconv_situations.jsonl", *arguments).out
        assert not server.requests
    counts = manifest_of(tmp_path).counts
    assert counts["scenarios"] + counts["rejected"] == 164
    assert counts["scenarios"] > 82
    assert "164" in next(line for line in out.splitlines() if "read" in line)


@real
def test_psyqa_is_translated_and_its_original_kept(tmp_path: Path) -> None:
    with answering_server(translating) as server:
        arguments = ("--out", tmp_path, "--lm", server.spec, "--screen-by-lm")
        assert socialsim("scenarios", DATA / "psyqa_examples.json", *arguments).code == 0
    scenarios = list(read_records(tmp_path / "scenarios.jsonl", Scenario))
    rejected = list(read_records(tmp_path / "rejected.jsonl", Rejection))
    assert len(scenarios) + len(rejected) == 50
    assert len(scenarios) >= 20
    assert not {one.reason for one in rejected} & {"untranslatable", "unscreened"}
    for scenario in scenarios:
        assert scenario.original is not None
        assert is_chinese(scenario.original.description)
        assert not is_chinese(scenario.description)
        assert count_words(scenario.original.description) >= 65


@real
def test_psyqa_is_not_translated_twice(tmp_path: Path) -> None:
    with answering_server(translating) as server:
        arguments = (DATA / "psyqa_examples.json", "--out", tmp_path, "--lm", server.spec)
        assert socialsim("scenarios", *arguments).code == 0
        calls, before = len(server.requests), (tmp_path / "scenarios.jsonl").read_bytes()
        assert socialsim("scenarios", *arguments).code == 0
        assert len(server.requests) == calls
    assert (tmp_path / "scenarios.jsonl").read_bytes() == before


@real
def test_an_esconv_dialogue_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    out = socialsim("show", DATA / "esconv_dev.json").out
    assert "Seeker:" in out
    assert "Strategy: Question" in out
    assert "211 dialogues: esconv_dev-1, " in out


@pytest.mark.embedded
@pytest.mark.timeout(600)
def test_the_embedded_lm_ends_a_dialogue_or_says_why_not(tmp_path: Path) -> None:
    ended = socialsim("run", "--limit", 1, "--repair", 0, "--out", tmp_path, "--lm", "embedded")
    assert (ended.code, ended.err) == (0, "")
    assert_whole(tmp_path)
    assert len(ids(tmp_path, "scenarios")) == 1
    rejected = list(read_records(tmp_path / "rejected.jsonl", Rejection))
    assert len(ids(tmp_path, "dialogues")) + len(rejected) == 1
    assert all(one.trace for one in rejected)
    assert manifest_of(tmp_path).usage.completion_tokens > 100
