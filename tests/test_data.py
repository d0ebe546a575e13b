"""The data written for this project: every rule of its README holds, and nothing in it is copied."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from programs.persona import in_first_person
from socialsim.resources import bundled_scenarios, demonstrations
from socialsim.schema import Post, Scenario
from socialsim.screening import screen_by_rule
from socialsim.taxonomy import SUBTOPICS, Topic, canonical_subtopic
from socialsim.text import count_words, ngrams, sentences, words
from tests.check_demonstration import main, problems

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"
FILES = sorted((ROOT / "data" / "demonstrations").glob("*.json"))
DEMOS = list(demonstrations())
SCENARIOS = [Scenario.model_validate_json(line) for line in bundled_scenarios().read_text("utf-8").splitlines()]
RUN = 8  # words in a row that nobody writes twice by chance

Runs = set[tuple[str, ...]]


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from strings(part)


def runs(value: Any) -> Runs:
    return {run for text in strings(value) for run in ngrams(words(text), RUN)}


SCENARIO_RUNS = {s.id: runs([s.question, s.description]) for s in SCENARIOS}
DEMO_RUNS = {d.dialogue.id: runs(d.model_dump(mode="json")) for d in DEMOS}


def shared_runs(made: dict[str, Runs], others: Runs) -> dict[str, list[str]]:
    return {name: sorted(map(" ".join, own & others)) for name, own in made.items() if own & others}


@cache
def published() -> Runs:
    """The word runs of the real data and of the paper."""
    paper, folder = SHARED / "paper.txt", SHARED / "data"
    if not paper.is_file() or not folder.is_dir():
        pytest.skip(f"{SHARED} with the real data and the paper is not on this machine")
    found = ngrams(words(paper.read_text("utf-8")), RUN)
    for path in folder.glob("*.json"):
        found |= runs(json.loads(path.read_text("utf-8")))
    for path in folder.glob("*.jsonl"):
        found |= runs([json.loads(line) for line in path.read_text("utf-8").splitlines()])
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_demonstration_breaks_no_rule(path: Path) -> None:
    assert problems(path) == []


def test_there_are_fifty_demonstrations_and_at_least_five_a_topic() -> None:
    counts = Counter(demo.persona.topic for demo in DEMOS)
    assert sum(counts.values()) == 50
    assert {topic: counts[topic] for topic in Topic if counts[topic] < 5} == {}


def test_no_sentence_of_six_words_stands_in_two_dialogues() -> None:
    homes: dict[tuple[str, ...], set[str]] = {}
    for demo in DEMOS:
        for text in strings([turn.model_dump(mode="json") for turn in demo.dialogue.turns]):
            for sentence in sentences(text):
                homes.setdefault(tuple(words(sentence)), set()).add(demo.dialogue.id)
    assert [key for key, found in homes.items() if len(key) >= 6 and len(found) > 1] == []


def test_no_persona_shares_a_run_of_words_with_another() -> None:
    made = {demo.dialogue.id: runs(demo.persona.model_dump(mode="json")) for demo in DEMOS}
    assert [(a, b) for a, b in combinations(made, 2) if made[a] & made[b]] == []


def test_personas_of_demonstrations_differ() -> None:
    people = [demo.persona for demo in DEMOS]
    assert len({(person.age, person.occupation, person.gender) for person in people}) > 45
    assert len({person.occupation for person in people}) >= 20
    assert len({person.personality.poles() for person in people}) >= 15
    assert {person.gender for person in people} == {"Female", "Male"}


def test_a_demonstrations_file_that_breaks_rules_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = json.loads(FILES[0].read_text("utf-8"))
    data["dialogue"]["turns"][3]["text"] = "You could meditate. 🙂"
    data["dialogue"]["turns"][5]["reasoning"]["thought"] = None
    data["dialogue"]["turns"][6]["text"] = "Well."
    (tmp_path / FILES[1].name).write_text(json.dumps(data), "utf-8")
    (tmp_path / "broken.json").write_text("{}", "utf-8")
    assert main([str(FILES[0])]) == 0
    assert main([str(tmp_path / FILES[1].name), str(tmp_path / "broken.json")]) == 1
    report = capsys.readouterr().out
    assert f"{FILES[0]} ok" in report
    for expected in (
        "the ids are",
        "turn 4: generic_advice",
        "turn 6: reasoning: the thought node",
        "turn 7: does not end with one of our emoji",
        "persona: Field required",
    ):
        assert expected in report


def test_there_are_five_scenarios_a_topic() -> None:
    assert Counter(scenario.topic for scenario in SCENARIOS) == dict.fromkeys(Topic, 5)
    assert len({scenario.id for scenario in SCENARIOS}) == 45


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.id)
def test_a_scenario_is_long_enough_in_the_first_person_and_labelled(scenario: Scenario) -> None:
    assert count_words(scenario.description) > 65
    assert in_first_person(scenario.description)
    assert scenario.topic is not None
    allowed = {canonical_subtopic(name) for name in SUBTOPICS[scenario.topic]}
    assert {canonical_subtopic(name) for name in scenario.subtopics} <= allowed
    assert scenario.subtopics
    assert scenario.question


def test_the_rules_of_intake_keep_every_scenario() -> None:
    posts = [Post.model_validate_json(line) for line in bundled_scenarios().read_text("utf-8").splitlines()]
    kept = [outcome for outcome in screen_by_rule(posts, 65) if isinstance(outcome, Post)]
    assert [post.id for post in kept] == [scenario.id for scenario in SCENARIOS]


def test_no_two_scenarios_share_a_run_of_words() -> None:
    assert [(a, b) for a, b in combinations(SCENARIO_RUNS, 2) if SCENARIO_RUNS[a] & SCENARIO_RUNS[b]] == []


def test_no_scenario_shares_a_run_of_words_with_a_demonstration() -> None:
    assert shared_runs(SCENARIO_RUNS, set().union(*DEMO_RUNS.values())) == {}


def test_no_scenario_shares_a_run_of_words_with_published_data() -> None:
    assert shared_runs(SCENARIO_RUNS, published()) == {}


def test_no_demonstration_shares_a_run_of_words_with_published_data() -> None:
    assert shared_runs(DEMO_RUNS, published()) == {}
