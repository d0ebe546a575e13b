"""What ships in compiled/: every state loads, every card tells the truth about it, nothing held out is shown."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from socialsim.artifacts import load_state, program_of
from socialsim.compile.card import Card, read_card
from socialsim.compile.tasks import DEMONSTRATED
from socialsim.resources import compiled_folder, demonstrations, read_splits

STATES = sorted(path for path in compiled_folder().glob("*/*.json") if not path.name.endswith(".card.json"))
DEFAULTS = [path for path in STATES if path.stem.count(".") == 0]


def card_of(path: Path) -> Card:
    card = read_card(path.with_suffix(".card.json"))
    assert card is not None, f"{path} has no card"
    return card


@pytest.mark.parametrize("path", STATES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_state_loads_and_is_the_one_its_card_describes(path: Path) -> None:
    program, card = program_of(path), card_of(path)
    load_state(DEMONSTRATED[program].leaf_class(), path, program)
    assert program == card.program == path.parent.name
    assert card.state == hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    assert card.after.answers > 0
    assert card.usage.calls > 0


@pytest.mark.parametrize("path", DEFAULTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_runs_use_beats_the_uncompiled_program(path: Path) -> None:
    card = card_of(path)
    assert card.default
    assert card.lift.certain
    twin = path.with_name(f"{path.stem}.{card.optimizer}.json")
    assert twin.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", STATES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_that_is_held_out_stands_in_a_state(path: Path) -> None:
    unseen, text = {*read_splits().held_out, *read_splits().validation}, path.read_text("utf-8")
    for demo in demonstrations():
        if demo.dialogue.id in unseen:
            assert demo.persona.description[:60] not in text
            assert not [turn.text for turn in demo.dialogue.turns if len(turn.text) > 40 and turn.text[:40] in text]
