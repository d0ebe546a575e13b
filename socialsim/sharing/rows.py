"""A dialogue with its persona as one row of a table, and the records back from a row.

A table has the same columns in every row: what a record maps from name to value becomes a list of pairs, and
where LMs are named the row holds their public names only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from socialsim.schema import Dialogue, Persona, Provenance
from socialsim.sharing.names import public_lm

Row = dict[str, Any]
# The maps of a provenance, and what the two columns of their pairs are called.
MAPS: Final[Mapping[str, tuple[str, str]]] = {
    "lms": ("role", "lm"),
    "programs": ("program", "hash"),
    "checks": ("rule", "score"),
}


def row(dialogue: Dialogue, persona: Persona | None) -> Row:
    """One row of the data set."""
    own = dialogue.model_dump(mode="json")
    return {
        "id": own["id"],
        "persona_id": own["persona_id"],
        "persona": _persona(persona) if persona else None,
        "turns": own["turns"],
        "flags": own["flags"],
        "provenance": _provenance(dialogue.provenance),
    }


def dialogue_of(row: Mapping[str, Any]) -> Dialogue:
    """The dialogue of a row.

    Raises:
        ValidationError: if the row is not one of ours.
    """
    fields = {name: value for name, value in row.items() if name != "persona"}
    return Dialogue.model_validate(fields | {"provenance": _mapped(row["provenance"])})


def persona_of(row: Mapping[str, Any]) -> Persona | None:
    """The persona of a row, None where it has none.

    Raises:
        ValidationError: if the row is not one of ours.
    """
    persona = row["persona"]
    return None if persona is None else Persona.model_validate(persona | {"provenance": _mapped(persona["provenance"])})


def public_provenance(provenance: Provenance | None) -> Provenance | None:
    """How an item was made, with the public names of LMs."""
    if provenance is None:
        return None
    lms = {role: public_lm(spec) for role, spec in provenance.lms.items()}
    return provenance.model_copy(update={"lms": lms})


def _persona(persona: Persona) -> Row:
    return persona.model_dump(mode="json") | {"provenance": _provenance(persona.provenance)}


def _provenance(provenance: Provenance | None) -> Row | None:
    public = public_provenance(provenance)
    return None if public is None else _in_maps(public.model_dump(mode="json"), _pairs)


def _mapped(provenance: Mapping[str, Any] | None) -> Row | None:
    return None if provenance is None else _in_maps(dict(provenance), _dict_of)


def _in_maps(provenance: Row, change: Callable[[Any, str, str], Any]) -> Row:
    return provenance | {name: change(provenance[name], *columns) for name, columns in MAPS.items()}


def _pairs(mapping: Mapping[str, Any], key: str, value: str) -> list[Row]:
    return [{key: name, value: held} for name, held in mapping.items()]


def _dict_of(pairs: list[Row], key: str, value: str) -> dict[str, Any]:
    return {pair[key]: pair[value] for pair in pairs}
