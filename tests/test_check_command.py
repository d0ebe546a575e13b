"""`socialsim check`: one row a rule, the worst turns, the verdicts in a file; an LM only where one is given."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from dspy.lm15 import Request

from metrics.verdicts import Rule
from socialsim.checking import DialogueChecks
from socialsim.cli import app
from socialsim.cli.check import register
from socialsim.formats import ssconv
from socialsim.journal import Journal, read_records, write_atomically
from socialsim.resources import demonstrations
from socialsim.schema import Dialogue, Persona, Provenance, Speaker
from tests.answering_server import AnsweringServer, answering_server
from tests.command import Ended, socialsim
from tests.scripted import schema_of, user_text

if "check" not in app:
    register(app)

DEMONSTRATIONS = tuple(demonstrations())[:3]


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with the first three demonstrations."""
    return run_of(tmp_path / "run", [demo.dialogue for demo in DEMONSTRATIONS])


@pytest.fixture
def nameless(run: Path) -> Path:
    """The same without personas: a judge is asked about replies only."""
    (run / "personas.jsonl").unlink()
    return run


def run_of(folder: Path, dialogues: list[Dialogue]) -> Path:
    folder.mkdir()
    with Journal(folder / "dialogues.jsonl", Dialogue) as journal:
        for one in dialogues:
            journal.append(one)
    with Journal(folder / "personas.jsonl", Persona) as personas:
        for demo in DEMONSTRATIONS:
            personas.append(demo.persona)
    return folder


def row(out: str, rule: str) -> list[str]:
    """The cells of a rule's row: checked, passed, mean, commonest feedback."""
    [line] = [line for line in out.splitlines() if re.match(rf" +{re.escape(rule)}  ", line)]
    return re.split(r"  +", line.strip())[1:]


def checks_of(file: Path) -> list[DialogueChecks]:
    return list(read_records(file, DialogueChecks))


def judging(score: int | None = 2, quote: str | None = None) -> Callable[[Request], dict[str, Any]]:
    """A judge that gives this score and quotes the first words of what it judges, or ``quote``."""

    def answer(request: Request) -> dict[str, Any]:
        nothing = {"discussion": "Nothing of the kind.", "field": "none", "fact": "", "quote": ""}
        asked = schema_of(request)["properties"]
        if "stance" in asked or "leaks" in asked:
            return nothing | ({"stance": "neutral"} if "stance" in asked else {"leaks": False})
        judged = re.search(r"(?im)^\W*(?:reasoning|reply)\W*\s+(.+)$", user_text(request))
        words = " ".join(judged[1].split()[:5]) if judged else "nothing"
        return {"discussion": "So it is.", "quote": quote or words, "score": score, "change": "Ask about the folder."}

    return answer


def judged(server: AnsweringServer, run: Path, *arguments: object) -> Ended:
    return socialsim("check", run, "--judge-lm", server.spec, *arguments)


def test_a_run_is_checked_by_all_eight_rules(run: Path) -> None:
    ended = socialsim("check", run)
    assert ended.code == 0, ended.err
    for rule in Rule:
        checked, passed, mean, *_ = row(ended.out, rule)
        assert int(checked.replace(",", "")) > 0
        assert passed.endswith("%")
        assert float(mean) >= 0.9


def test_the_verdicts_lie_in_the_run_folder_one_record_a_dialogue(run: Path) -> None:
    ended = socialsim("check", run)
    records = checks_of(run / "checks.jsonl")
    assert [record.id for record in records] == [demo.dialogue.id for demo in DEMONSTRATIONS]
    for record, demo in zip(records, DEMONSTRATIONS, strict=True):
        assert {item.turn for item in record.verdicts} == {None, *range(1, len(demo.dialogue.turns) + 1)}
    assert "checks.jsonl" in ended.out
    assert [file.name for file in run.glob(".*")] == []


def test_checking_again_replaces_the_file(run: Path) -> None:
    socialsim("check", run)
    before = (run / "checks.jsonl").read_bytes()
    assert socialsim("check", run).code == 0
    assert (run / "checks.jsonl").read_bytes() == before


def test_limit_out_and_worst(run: Path, tmp_path: Path) -> None:
    ended = socialsim("check", run, "--limit", 2, "--worst", 1, "--out", tmp_path / "new" / "v.jsonl")
    assert ended.code == 0, ended.err
    assert len(checks_of(tmp_path / "new" / "v.jsonl")) == 2
    assert not (run / "checks.jsonl").exists()
    assert "2 dialogues" in ended.out


def test_the_worst_turn_is_named_with_its_dialogue_utterance_and_feedback(tmp_path: Path) -> None:
    dialogue = DEMONSTRATIONS[1].dialogue
    turns = list(dialogue.turns)
    turns[9] = turns[9].model_copy(update={"text": "Take a deep breath and stay positive."})
    ended = socialsim(
        "check", run_of(tmp_path / "bad", [dialogue.model_copy(update={"turns": tuple(turns)})]), "--worst", 1
    )
    worst = ended.out[ended.out.index("Turns that need work most") :]
    assert re.search(rf"{dialogue.id} +10 ", worst)
    assert "asks nothing" in worst or "fits anyone" in worst


def test_worst_0_shows_no_turns(run: Path) -> None:
    assert "Turns that need work" not in socialsim("check", run, "--worst", 0).out


def test_a_corpus_file_has_no_personas_and_its_reasoning_is_read(tmp_path: Path) -> None:
    file = tmp_path / "release.json"
    write_atomically(file, ssconv.dialogues_text(demo.dialogue for demo in DEMONSTRATIONS))
    ended = socialsim("check", file)
    assert ended.code == 0, ended.err
    assert row(ended.out, Rule.CONTROL)[:3] == ["-", "-", "-"]
    assert row(ended.out, Rule.CONSISTENCY)[:3] == ["-", "-", "-"]
    assert int(row(ended.out, Rule.REASONING)[0]) == sum(len(d.dialogue.turns) // 2 for d in DEMONSTRATIONS)
    assert "no persona" in ended.out
    assert list(tmp_path.iterdir()) == [file]


def test_a_corpus_without_reasoning_is_checked_by_the_rest(tmp_path: Path) -> None:
    said = [
        ["usr" if turn.speaker is Speaker.SEEKER else "sys", turn.text] for turn in DEMONSTRATIONS[0].dialogue.turns
    ]
    file = tmp_path / "aug.json"
    file.write_text(json.dumps([{"text": json.dumps(said)}]), "utf-8")
    ended = socialsim("check", file, "--out", tmp_path / "checks.jsonl")
    assert ended.code == 0, ended.err
    for rule in (Rule.REASONING, Rule.MATCH, Rule.STRUCTURE, Rule.CONTROL):
        assert row(ended.out, rule)[0] == "-"
    for rule in (Rule.SPECIFICITY, Rule.DETAIL, Rule.FORMAT):
        assert row(ended.out, rule)[0] != "-"
    assert len(checks_of(tmp_path / "checks.jsonl")) == 1


def test_words_of_the_examples_in_the_prompt_are_found(tmp_path: Path) -> None:
    source = DEMONSTRATIONS[0].dialogue
    made = Provenance(mode="turn", seed=0, lms={}, nodes=(), demonstrations=(source.id,))
    run = run_of(tmp_path / "copied", [source.model_copy(update={"id": "copy", "provenance": made})])
    own = run_of(tmp_path / "own", [source])
    copied, fair = (socialsim("check", folder).out for folder in (run, own))
    assert float(row(copied, Rule.DETAIL)[2]) < 0.2 < float(row(fair, Rule.DETAIL)[2])
    assert "not those of the example" in row(copied, Rule.DETAIL)[3]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere.jsonl",), "nowhere.jsonl"),
        (("empty",), "not a run folder"),
        (("none",), "holds no dialogue yet"),
        (("run", "--judge-lm", "nonsense"), "--judge-lm"),
        (("run", "--out", "empty"), "is a folder"),
        (("run", "--out", "run/dialogues.jsonl"), "dialogues.jsonl"),
        (("run", "--limit", "0"), "limit"),
    ],
)
def test_bad_input_ends_in_one_line(run: Path, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "empty").mkdir()
    run_of(tmp_path / "none", [])
    before = (run / "dialogues.jsonl").read_bytes()
    assert said in socialsim("check", *arguments).problem
    assert (run / "dialogues.jsonl").read_bytes() == before


def test_without_a_judge_no_lm_is_built_whatever_the_environment_says(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOCIALSIM_JUDGE_LM", "openai/never")
    with patch("socialsim.doctor.build_lm", side_effect=AssertionError("an LM was built")):
        assert socialsim("check", run).code == 0


def test_a_judge_scores_reasoning_match_and_detail_of_each_reply(nameless: Path) -> None:
    with answering_server(judging(2)) as server:
        ended = judged(server, nameless, "--limit", 1)
    assert ended.code == 0, ended.err
    replies = len(DEMONSTRATIONS[0].dialogue.turns) // 2
    for rule in (Rule.REASONING, Rule.MATCH, Rule.DETAIL):
        assert row(ended.out, f"{rule} (judge)")[:3] == [str(replies), "100.0%", "0.667"]
    [record] = checks_of(nameless / "checks.jsonl")
    by_judge = [item for item in record.verdicts if item.judged]
    assert len(by_judge) == len(server.requests) == 3 * replies
    assert {item.feedback for item in by_judge} == {"Ask about the folder."}
    assert "0 malformed, 0 unscored" in ended.out


def test_the_judge_of_replies_sees_neither_persona_nor_a_later_turn(run: Path) -> None:
    with answering_server(judging()) as server:
        judged(server, run, "--limit", 1)
    last = DEMONSTRATIONS[0].dialogue.turns[-2].text
    shown = [user_text(request) for request in server.requests if "score" in schema_of(request)["properties"]]
    assert sum(last in text for text in shown) == 3
    assert not any(DEMONSTRATIONS[0].persona.attempts[:40] in text for text in shown)


def test_with_personas_leaks_and_contradictions_are_judged_too(run: Path) -> None:
    with answering_server(judging()) as server:
        ended = judged(server, run, "--limit", 1)
    turns = len(DEMONSTRATIONS[0].dialogue.turns)
    assert len(server.requests) == 3 * turns // 2 + turns
    for rule in (Rule.CONTROL, Rule.CONSISTENCY):
        assert row(ended.out, f"{rule} (judge)")[:3] == [str(turns // 2), "100.0%", "1.000"]


def test_a_malformed_judgement_is_counted_and_never_a_number(nameless: Path) -> None:
    with answering_server(judging(3, quote="words that nobody ever said here at all")) as server:
        ended = judged(server, nameless, "--limit", 1)
    replies = len(DEMONSTRATIONS[0].dialogue.turns) // 2
    [record] = checks_of(nameless / "checks.jsonl")
    assert ended.code == 0
    assert not any(item.judged for item in record.verdicts)
    assert len(record.errors) == 3 * replies
    assert all("copy its words exactly" in error.reasons[-1] for error in record.errors)
    assert f"{3 * replies:,} malformed" in ended.out
    assert "(judge)" not in ended.out


def test_what_the_judge_cannot_score_is_missing(nameless: Path) -> None:
    with answering_server(judging(None)) as server:
        ended = judged(server, nameless, "--limit", 1)
    assert not any(item.judged for item in checks_of(nameless / "checks.jsonl")[0].verdicts)
    assert f"0 malformed, {len(server.requests)} unscored" in ended.out


def test_judged_records_keep_the_order_of_the_corpus(run: Path) -> None:
    with answering_server(judging(), delay=0.001) as server:
        assert judged(server, run, "--concurrency", 3).code == 0
    assert [one.id for one in checks_of(run / "checks.jsonl")] == [demo.dialogue.id for demo in DEMONSTRATIONS]
    assert server.peak > 1


def test_a_judge_that_goes_down_ends_in_one_line_and_keeps_what_is_finished(nameless: Path) -> None:
    calls = 3 * (len(DEMONSTRATIONS[0].dialogue.turns) // 2)
    answer = judging()

    def failing(request: Request) -> dict[str, Any]:
        return {"error": 503} if len(server.requests) > calls else answer(request)

    with answering_server(failing) as server:
        ended = judged(server, nameless, "--concurrency", 1)
    assert "judge LM" in ended.problem
    assert [one.id for one in checks_of(nameless / "checks.jsonl")] == [DEMONSTRATIONS[0].dialogue.id]
