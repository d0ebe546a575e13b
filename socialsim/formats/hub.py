"""A row of the tables that ``socialsim export --format hf`` writes: a dialogue of ours with its persona.

A table has the same columns in every row, so what a record maps from name to value stands there as a list of pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from socialsim.schema import Dialogue, Persona, Provenance

# The maps of a provenance, and what the two columns of their pairs are called.
MAPS: Final[Mapping[str, tuple[str, str]]] = {
    "lms": ("role", "lm"),
    "programs": ("program", "hash"),
    "checks": ("rule", "score"),
}


def dialogue_of(row: Mapping[str, Any]) -> Dialogue:
    """The dialogue of a row; a dialogue as our JSON Lines hold it is one, too.

    Raises:
        ValidationError: if the row is not one of ours.
    """
    return Dialogue.model_validate(_with_maps({name: value for name, value in row.items() if name != "persona"}))


def persona_of(row: Mapping[str, Any]) -> Persona | None:
    """The persona of a row, None where it has none.

    Raises:
        ValidationError: if the row is not one of ours.
    """
    persona = row.get("persona")
    return None if persona is None else Persona.model_validate(_with_maps(persona))


def in_pairs(provenance: Provenance | None) -> dict[str, Any] | None:
    """How an item was made, as a row holds it."""
    return None if provenance is None else _changed(provenance.model_dump(mode="json"), _pairs)


def _with_maps(record: Mapping[str, Any]) -> dict[str, Any]:
    made = record.get("provenance")
    if not (isinstance(made, dict) and isinstance(made.get("lms"), list)):
        return dict(record)
    usage = {"cost": None} | made.get("usage", {})  # an empty cell is a cost that nobody knows, not one of 0
    return dict(record) | {"provenance": _changed(made, _dict) | {"usage": usage}}


def _changed(provenance: Mapping[str, Any], change: Callable[[Any, str, str], Any]) -> dict[str, Any]:
    maps = {name: change(provenance[name], *columns) for name, columns in MAPS.items() if name in provenance}
    return dict(provenance) | maps


def _pairs(mapping: Mapping[str, Any], key: str, value: str) -> list[dict[str, Any]]:
    return [{key: name, value: held} for name, held in mapping.items()]


def _dict(pairs: Any, key: str, value: str) -> Any:
    """A map is one already; what is neither is left for the record to refuse."""
    whole = isinstance(pairs, list) and all(isinstance(pair, dict) and pair.keys() == {key, value} for pair in pairs)
    return {pair[key]: pair[value] for pair in pairs} if whole else pairs
