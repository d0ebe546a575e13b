"""A compile that was stopped asks no question twice, and ends where an uninterrupted one ends."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from socialsim.compile.card import Card, read_card
from socialsim.journal import RunLock
from tests.command import socialsim, start, wait_for
from tests.tutored_server import TutoredServer, mixed, poor, tutored_server

pytest.importorskip("numpy", reason="needs socialsim[metrics]")

SMALL = ("--scenarios", 2, "--per-dialogue", 3, "--candidates", 3)
CONCURRENCY = 2


def command(server: TutoredServer, out: Path, optimizer: str, *options: object) -> tuple[object, ...]:
    named = ("--optimizer", optimizer, "--lm", server.spec, "--out", out, "--concurrency", CONCURRENCY)
    return ("compile", "seeker", *named, *SMALL, *options)


def result(out: Path, optimizer: str) -> tuple[dict[str, Any], Card]:
    """The state without what changes with the clock, and its card."""
    path = out / "seeker" / f"scripted.{optimizer}.json"
    card = read_card(path.with_suffix(".card.json"))
    assert card is not None
    return json.loads(path.read_text()), card


def scores(card: Card) -> dict[str, Any]:
    found: dict[str, Any] = card.model_dump(exclude={"usage", "date", "lms"})
    return found


@pytest.mark.parametrize("optimizer", ["bootstrap", "gepa"])
def test_killed_again_and_again_a_compile_asks_no_question_twice(tmp_path: Path, optimizer: str) -> None:
    with tutored_server(mixed, delay=0.005) as server:
        assert socialsim(*command(server, tmp_path / "whole", optimizer)).code == 0
        needed = len(server.bodies)
        rng, kills = random.Random(7), 3
        for kill in range(kills):
            begun = len(server.bodies)
            # Each session gets a part of the way; what was answered before is not sent again.
            calls = begun + rng.randint(2, max(2, (needed - (begun - needed)) // (kills - kill + 1)))
            child = start(*command(server, tmp_path / "cut", optimizer), stdout=subprocess.DEVNULL)
            wait_for(lambda calls=calls: len(server.bodies) >= calls, child)  # type: ignore[misc]
            child.kill()
            assert child.wait() == -signal.SIGKILL
        assert not (tmp_path / "cut" / "seeker").exists(), "the kills came too late to mean anything"
        before = len(server.bodies)
        assert socialsim(*command(server, tmp_path / "cut", optimizer)).code == 0
        assert len(server.bodies) > before
        assert len(server.bodies) - needed <= needed + kills * CONCURRENCY
    (state, card), (whole_state, whole_card) = (
        result(tmp_path / "cut", optimizer),
        result(tmp_path / "whole", optimizer),
    )
    assert state == whole_state
    assert scores(card) == scores(whole_card)


def test_two_compiles_of_one_seed_are_alike(tmp_path: Path) -> None:
    with tutored_server(mixed) as server:
        for name in ("a", "b"):
            assert socialsim(*command(server, tmp_path / name, "simba")).code == 0
    assert result(tmp_path / "a", "simba")[0] == result(tmp_path / "b", "simba")[0]


def test_another_optimiser_need_not_measure_the_same_program_again(tmp_path: Path) -> None:
    with tutored_server(mixed) as server:
        socialsim(*command(server, tmp_path / "alone", "bootstrap"))
        alone = len(server.bodies)
        socialsim(*command(server, tmp_path, "labeled"))
        shared = len(server.bodies)
        socialsim(*command(server, tmp_path, "bootstrap"))
        assert len(server.bodies) - shared < alone


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(tmp_path: Path) -> None:
    with tutored_server(mixed, delay=0.05) as server:
        child = start(*command(server, tmp_path, "bootstrap"))
        wait_for(lambda: len(server.bodies) >= 8, child)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
        assert (child.returncode, err) == (130, "")
        assert "Stopped. Nothing is lost: run the same command again to go on." in out
        assert not (tmp_path / "seeker").exists()
        server.delay = 0
        asked = len(server.bodies)
        assert socialsim(*command(server, tmp_path, "bootstrap")).code == 0
        whole = len(server.bodies)
        socialsim(*command(server, tmp_path / "whole", "bootstrap"))
        assert whole <= len(server.bodies) - whole + CONCURRENCY + 1
        assert whole > asked
    assert result(tmp_path, "bootstrap")[0] == result(tmp_path / "whole", "bootstrap")[0]


def test_a_second_process_on_a_compile_is_refused(tmp_path: Path) -> None:
    with tutored_server(mixed) as server:
        socialsim(*command(server, tmp_path, "labeled"))
        (work,) = (tmp_path / ".work").glob("*/labeled-*")
        calls = len(server.bodies)
        with RunLock(work):
            problem = socialsim(*command(server, tmp_path, "labeled")).problem
        assert problem.startswith(f"{work} is in use by process ")
        assert len(server.bodies) == calls


def test_other_settings_are_another_compile_and_their_answers_are_not_mixed(tmp_path: Path) -> None:
    with tutored_server(mixed) as server:
        socialsim(*command(server, tmp_path, "gepa"))
        socialsim(*command(server, tmp_path, "gepa", "--seed", 5))
    assert len(list((tmp_path / ".work").glob("*/gepa-*"))) == 2
    assert result(tmp_path, "gepa")[1].settings["seed"] == 5


@pytest.mark.parametrize(
    ("optimizer", "status"),
    [("bootstrap", 401), ("gepa", 429), ("mipro", 500), ("bootstrap", 503), ("simba", 503)],
)
def test_an_lm_that_goes_down_ends_the_compile_in_one_line_and_is_no_bad_score(
    tmp_path: Path, optimizer: str, status: int
) -> None:
    seen: list[int] = []

    def failing(request: Any) -> dict[str, Any]:
        seen.append(1)
        return {"error": status} if len(seen) > 7 else mixed(request)

    with tutored_server(failing) as server:
        problem = socialsim(*command(server, tmp_path, optimizer)).problem
        assert problem.startswith((f"seeker LM {server.spec}: ", f"reflection LM {server.spec}: "))
        assert "what was answered is kept in" in problem
        assert not (tmp_path / "seeker").exists()
        assert len(server.bodies) <= 7 + CONCURRENCY + 1
        server.answer = mixed
        assert socialsim(*command(server, tmp_path, optimizer)).code == 0
    assert result(tmp_path, optimizer)[1].after.failures == 0


def test_an_lm_that_is_not_there_is_named_with_its_role(tmp_path: Path) -> None:
    with tutored_server(poor) as server:
        arguments = command(server, tmp_path, "bootstrap")
    problem = socialsim(*arguments).problem
    assert problem.startswith(f"seeker LM {server.spec}: ")
    assert "is the server up" in problem
    assert not (tmp_path / "seeker").exists()


def test_a_reflection_lm_that_is_down_is_named_with_its_role(tmp_path: Path) -> None:
    with tutored_server(poor) as other:
        down = other.spec
    with tutored_server(poor) as server:
        problem = socialsim(*command(server, tmp_path, "gepa", "--reflection-lm", down)).problem
    assert problem.startswith(f"reflection LM {down}: ")
