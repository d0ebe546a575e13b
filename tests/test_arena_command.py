"""`socialsim arena`: models meet the same seekers, a judge compares the talks, tables show it."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import Request

from metrics.arena import ArenaLeaf
from socialsim.formats.ssconv import profiles_text
from socialsim.journal import write_atomically
from socialsim.loading import program_hash
from socialsim.resources import demonstrations, read_splits
from socialsim.schema import Dialogue, Persona, Speaker
from tests.arenas import always_first, arena, longer, records, row, servers, write_people
from tests.command import socialsim
from tests.samples import persona
from tests.scripted import schema_of, system_text, user_text, valid_answers

UNIQUE = re.compile("Zorblat|Quxville|Flimbury|Wuggins|Rancour|Bewilderment", re.IGNORECASE)


@pytest.fixture(autouse=True)
def _people(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_people(monkeypatch, tmp_path)


def test_the_better_model_wins_in_both_orders_and_the_tables_say_so() -> None:
    with servers() as given:
        ended = arena(given)
        judge, talked = given.judge.spec, sum(given.calls[:3])
    assert (ended.code, ended.err) == (0, "")
    assert row(ended.out, "fluency") == ["100 [100,100]", "0 [0,0]", "0 [0,0]", "100 [100,100]", "3"]
    assert row(ended.out, "A vs. B")[:5] == ["30", "0", "50 [50,50]", "0 [0,0]", "0 [0,0]"]
    table6 = ended.out.partition("Table 6")[2]
    assert row(table6, "A") == ["3.00"] * 5
    assert row(table6, "B") == ["1.00"] * 5
    assert row(table6, "ExTES°*") == ["2.50", "2.26", "2.36", "2.36", "2.31"]
    assert row(ended.out.partition("SSConv° vs. ExTES°*")[2], "suggestion") == ["46", "25", "29", "+21", "72"]
    flat = " ".join(ended.out.split())
    assert "stand in for the paper's 30 workers" in flat
    assert f"Judge {judge}: not calibrated against people." in flat
    assert "published: human ratings by 30 workers" in flat
    assert "intervals from fewer than 10 come out too narrow" in flat
    assert (
        f"3 personas · 8 exchanges · {talked:,} calls to talk ($0.0000) · 30 to judge ($0.0000) · 0 malformed answers"
        in flat
    )


def test_a_judge_of_places_makes_ties_that_are_counted_as_inconsistent() -> None:
    with servers(always_first) as given:
        ended = arena(given)
    assert row(ended.out, "overall") == ["0 [0,0]", "0 [0,0]", "100 [100,100]", "0 [0,0]", "3"]
    assert row(ended.out, "A vs. B")[:4] == ["30", "0", "100 [100,100]", "100 [100,100]"]


def test_malformed_verdicts_are_errors_and_no_ties() -> None:
    def answer(request: Request) -> dict[str, Any] | str:
        return "I cannot say." if "\nComforting. " in user_text(request) else longer(request)

    with servers(answer) as given:
        ended = arena(given)
        assert given.calls[3] == 4 * 6 + 6 * 3
    assert ended.code == 0
    assert row(ended.out, "comforting") == ["-", "-", "-", "-", "0"]
    assert row(ended.out, "fluency")[-1] == "3"
    assert row(ended.out, "A vs. B")[:2] == ["30", "6"]
    assert "6 × verdict: the answer was not the JSON object" in ended.out
    assert "18 malformed answers" in ended.out


def test_every_model_has_the_same_seeker_and_the_same_length() -> None:
    with servers() as given:
        assert arena(given, "--exchanges", 9).code == 0
        speakers = [system_text(request) for request in given.seeker.requests]
    made = records("dialogues", Dialogue)
    assert {one.id for one in made} == {f"p{n}/{model}" for n in range(3) for model in "AB"}
    assert {len(one.turns) for one in made} == {18}
    assert {one.persona_id for one in made} == {"p0", "p1", "p2"}
    assert len(set(speakers)) == 1
    shares = Counter(one.provenance.lms["supporter"] for one in made)
    assert shares == {given.a.spec: 3, given.b.spec: 3}
    assert {one.provenance.lms["seeker"] for one in made} == {given.seeker.spec}


def test_no_model_is_shown_the_persona_and_the_judge_neither_names_nor_reasoning() -> None:
    with servers() as given:
        arena(given, "--limit", 1, models="Xylo={a},Yarrow={b}")
    shown = [system_text(r) + "".join(m.text or "" for m in r.messages) for s in (given.a, given.b) for r in s.requests]
    assert len(shown) >= 16  # some replies are asked again
    assert not [text for text in shown if UNIQUE.search(text)]
    assert all(UNIQUE.search(user_text(request)) for request in given.seeker.requests)
    [reasoned] = [one for one in records("dialogues", Dialogue) if one.id == "p0/Xylo"]
    thoughts = [turn.reasoning.thought for turn in reasoned.turns if turn.speaker is Speaker.SUPPORTER]
    for request in given.judge.requests:
        text = system_text(request) + user_text(request)
        assert "Xylo" not in text
        assert "Yarrow" not in text
        assert not [thought for thought in thoughts if thought in text]


def test_dialogues_are_checked_as_in_a_run_but_not_for_a_length_that_was_asked_for() -> None:
    with servers(b=valid_answers(utterance="I am so very sorry that this happened to you, my friend.")) as given:
        ended = arena(given, "--limit", 1)
    [repeating] = [one for one in records("dialogues", Dialogue) if one.id == "p0/B"]
    kinds = Counter(flag.kind for flag in repeating.all_flags())
    assert kinds["repeated"] == 7
    assert kinds["format"] == kinds["length"] == 0
    assert row(ended.out, "B")[2] == "100%" or int(row(ended.out, "B")[2].rstrip("%")) >= 87


def test_the_order_of_the_models_changes_neither_the_result_nor_what_is_done() -> None:
    with servers() as given:
        one = arena(given).out
        calls = given.calls
        other = arena(given, models="B={b},A={a}")
        assert given.calls == calls
    assert row(one, "overall")[:2] == row(other.out, "overall")[1::-1]
    assert row(one.partition("Table 6")[2], "A") == row(other.out.partition("Table 6")[2], "A")


def test_the_tables_come_again_from_the_folder_alone_and_nobody_is_called() -> None:
    with servers() as given:
        first = arena(given).out
        assert given.calls[3] == 30
    again = socialsim("arena", "--out", "o")  # the servers are gone
    assert (again.code, again.err) == (0, "")
    assert again.out.partition("Dialogues")[2] == first.partition("Dialogues")[2]


def test_more_personas_and_no_more_are_judged_than_asked_for() -> None:
    with servers() as given:
        arena(given, "--limit", 1)
        assert (sorted(one.id for one in records("dialogues", Dialogue)), given.calls[3]) == (["p0/A", "p0/B"], 10)
        arena(given, "--limit", 2)
        calls = given.calls
        assert (len(records("dialogues", Dialogue)), calls[3]) == (4, 20)
        ended = arena(given, "--limit", 1)
        assert given.calls == calls
    assert row(ended.out, "A vs. B")[0] == "10"


def test_three_models_make_three_pairs_and_each_aspect_can_be_judged_more_than_once() -> None:
    with servers() as given:
        ended = arena(given, "--limit", 1, "--judges", 2, models="A={a},B={b},C={b}")
        assert given.calls[3] == 3 * 2 * 5 * 2
    assert ended.code == 0
    for pair in ("A vs. B", "A vs. C", "B vs. C"):
        assert row(ended.out, pair)[0] == "20"
    assert row(ended.out, "overall")[-1] == "2"


def test_ssconv_profiles_and_the_held_out_demonstrations_are_personas_too() -> None:
    write_atomically("profiles.json", profiles_text([persona(id="ssconv-7")]))
    with servers() as given:
        arena(given, "--personas", "profiles.json", "--out", "profiles")
        lms = ["--seeker-lm", given.seeker.spec, "--judge-lm", given.judge.spec, "--limit", "1", "--out", "own"]
        assert socialsim("arena", "--models", f"A={given.a.spec},B={given.b.spec}", *lms).code == 0
    assert [one.id for one in records("personas", Persona, "profiles")] == ["ssconv-7"]
    held_out = [demo.persona.id for demo in demonstrations() if demo.dialogue.id in set(read_splits().held_out)]
    assert [one.id for one in records("personas", Persona, "own")] == held_out[:1]


def test_a_calibrated_judge_is_shown_with_its_card_and_one_that_competes_with_a_warning() -> None:
    Path("calibration").mkdir()
    with servers() as given:
        card = {"judge": given.judge.spec, "program": program_hash(ArenaLeaf()), "calibrated": True}
        card |= {"summary": "agreement 0.8", "labels": "pairs.json", "n": 42}
        Path("calibration/x.json").write_text(json.dumps(card))
        out = " ".join(arena(given, "--limit", 1).out.split())
        assert "calibrated on 42 dialogues rated by people in pairs.json: agreement 0.8" in out
        assert "Mind that the judge" not in out
        given.a.answer = lambda r: longer(r) if "first_score" in schema_of(r)["properties"] else valid_answers()(r)
        other = arena(given, "--limit", 1, "--judge-lm", given.a.spec, "--out", "o2").out
    assert "Mind that the judge is A too" in other


def test_the_tables_fit_a_terminal_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with servers() as given:
        out = arena(given, models="student on ESConv={a},a much larger model={b}").out
    tables = out.partition("Dialogues")[2].partition("personas ·")[0].splitlines()[:-1]
    assert max(map(len, tables)) <= 80
    assert "…" not in out
    assert row(out, "suggestion") == ["100 [100,100]", "0 [0,0]", "0 [0,0]", "100 [100,100]", "3"]
