"""One compiled program on several LMs, one of them down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from programs.turn import Seeker
from socialsim.artifacts import save_state
from socialsim.compile.demonstrated import SeekerTask, Sets
from socialsim.compile.portability import port
from socialsim.lms import parse_spec
from tests.command import Ended, socialsim
from tests.tutored_server import MAGIC, good, poor, tutored_server

pytest.importorskip("numpy", reason="needs socialsim[metrics]")

SMALL = ("--scenarios", 3, "--per-dialogue", 2, "--concurrency", 2)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def rows(ended: Ended) -> dict[str, list[str]]:
    """The table's cells by LM."""
    lines = [line.strip("│ \n").split("│") for line in ended.out.splitlines() if line.startswith("│")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}


def score(cell: str) -> float:
    return float(cell.split(" ")[0])


def portability(*lms: str, options: tuple[object, ...] = SMALL) -> Ended:
    return socialsim("portability", "seeker", "--lms", ",".join(lms), *options)


def test_each_lm_has_a_row_and_one_that_is_down_an_error_line() -> None:
    with tutored_server(good) as down:
        pass
    with tutored_server(good) as one, tutored_server(poor) as other:
        ended = portability(one.spec, other.spec, down.spec)
        assert (ended.code, ended.err) == (0, "")
        assert len(one.bodies) == len(other.bodies) == 6
    found = rows(ended)
    assert set(found) == {one.spec, other.spec, down.spec}
    assert score(found[one.spec][0]) > score(found[other.spec][0]) + 0.2
    assert "[" in found[one.spec][0]
    assert found[one.spec][1:5] == ["0%", "6", "660", "$0.0000"]
    assert found[down.spec][:2] == ["-", "-"]
    (line,) = [line for line in ended.out.splitlines() if line.startswith("seeker LM ")]
    assert down.spec in line
    assert "is the server up" in line


def test_an_lm_that_goes_down_meanwhile_has_no_score() -> None:
    with tutored_server(lambda request: {"error": 503}) as failing, tutored_server(good) as one:
        ended = portability(failing.spec, one.spec)
        assert ended.code == 0
    assert rows(ended)[failing.spec][0] == "-"
    assert score(rows(ended)[one.spec][0]) > 0.7
    assert f"seeker LM {failing.spec}: " in ended.out


def test_all_down_is_a_failure() -> None:
    with tutored_server(good) as one, tutored_server(good) as other:
        specs = one.spec, other.spec
    ended = portability(*specs)
    assert ended.code == 1
    assert all(rows(ended)[spec][0] == "-" for spec in specs)
    assert sum(line.startswith("seeker LM ") for line in ended.out.splitlines()) == 2


def test_unusable_answers_are_counted_and_score_nothing() -> None:
    with tutored_server(lambda request: "no JSON at all") as server:
        ended = portability(server.spec)
    assert ended.code == 0
    assert rows(ended)[server.spec][:2] == ["0.000 [0.000, 0.000]", "100%"]


def test_one_scenario_has_a_score_without_an_interval() -> None:
    with tutored_server(good) as server:
        ended = portability(server.spec, options=("--scenarios", 1, "--per-dialogue", 2))
    assert (ended.code, ended.err) == (0, "")
    assert 0 < float(rows(ended)[server.spec][0]) <= 1


def compiled(path: Path, word: str = MAGIC) -> Path:
    leaf = Seeker()
    leaf.speak.signature = leaf.speak.signature.with_instructions(f"Speak like a {word}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_state(leaf, "seeker", path)
    return path


def test_the_state_a_run_would_use_for_the_first_lm_is_scored_on_all(tmp_path: Path) -> None:
    compiled(tmp_path / "compiled" / "seeker" / "scripted.json")
    with tutored_server(good) as one, tutored_server(good) as other:
        ended = portability(one.spec, other.spec)
        bodies = one.bodies + other.bodies
    assert "Program: compiled/seeker/scripted.json" in ended.out
    assert len(bodies) == 12
    assert all(MAGIC in json.dumps(body["messages"]) for body in bodies)


def test_a_named_state_wins(tmp_path: Path) -> None:
    compiled(tmp_path / "compiled" / "seeker" / "scripted.json", "Lemur")
    path = compiled(tmp_path / "mine.json")
    with tutored_server(good) as server:
        ended = portability(server.spec, options=(*SMALL, "--state", path))
        assert all("Lemur" not in json.dumps(body) for body in server.bodies)
        assert all(MAGIC in json.dumps(body) for body in server.bodies)
    assert str(path) in ended.out


def test_without_a_state_the_program_is_scored_as_written_and_it_is_said() -> None:
    with tutored_server(good) as server:
        ended = portability(server.spec)
        assert not any(m["role"] == "assistant" for body in server.bodies for m in body["messages"])
    assert "Program: as written, without examples" in ended.out


def test_a_foreign_state_and_a_bad_spec_end_in_one_line_before_anything_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text("{}")
    with tutored_server(good) as server:
        assert portability(server.spec, options=(*SMALL, "--state", path)).problem.startswith(f"{path}: ")
        assert "unknown LM spec" in portability(server.spec, "nonsense").problem
        assert "--lms is empty" in portability("").problem
        assert "program nobody" in socialsim("portability", "nobody", "--lms", server.spec).problem
        assert not server.bodies


def test_rows_come_in_the_order_of_the_specs_and_say_what_was_spent() -> None:
    with tutored_server(good) as one, tutored_server(poor) as other:
        specs = [parse_spec(one.spec), parse_spec(other.spec)]
        found = list(port(SeekerTask(Sets.read(2), 2), specs, None, 2))
    assert [row.spec for row in found] == [one.spec, other.spec]
    assert [(row.usage.calls, row.answers, row.failures, row.error) for row in found] == [(4, 4, 0, "")] * 2
    assert all(row.score.low <= row.score.value <= row.score.high for row in found)  # type: ignore[operator]
