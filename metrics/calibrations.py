"""Is a judge calibrated against people? Read from the cards that a calibration leaves behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from socialsim.resources import compiled_folder

UNCALIBRATED: Final = "not calibrated against people"
_CARD_KEYS: Final = frozenset({"judge", "program", "calibrated", "summary", "labels", "n"})


def is_calibrated(judge: str, program: str) -> bool:
    """Whether a judge was compared with people and found reliable (arguments: see `calibration_note`)."""
    return (_card(judge, program) or {}).get("calibrated") is True


def calibration_note(judge: str, program: str) -> str:
    """What is known of a judge's agreement with people, in a few words; `UNCALIBRATED` where nothing is.

    A card, ``calibration/*.json`` here or among the compiled programs, counts for one LM spec and one program only:
    with other settings or instructions it is another judge. Of several cards of a judge the one on most dialogues
    counts, of equal ones the newest.

    Args:
        judge: spec of the LM, as its verdicts name it.
        program: hash of the program, as its verdicts name it.
    """
    card = _card(judge, program)
    if card is None:
        return UNCALIBRATED
    known = f"{card['n']} dialogues rated by people in {card['labels']}: {card['summary']}"
    return f"calibrated on {known}" if card["calibrated"] else f"{UNCALIBRATED}: too little agreement on {known}"


def _card(judge: str, program: str) -> dict[str, Any] | None:
    folders = (Path("calibration"), compiled_folder() / "calibration")
    read = [read_card(path) for folder in folders for path in sorted(folder.glob("*.json"))]
    own = [card for card in read if card and (card["judge"], card["program"]) == (judge, program)]
    return max(own, key=lambda card: (card["n"], str(card.get("date", ""))), default=None)


def read_card(path: Path) -> dict[str, Any] | None:
    """A calibration card; None where the file is none (a folder of this name may hold anything)."""
    try:
        card = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    known = isinstance(card, dict) and card.keys() >= _CARD_KEYS and isinstance(card["n"], int)
    return card if known else None
