"""A dialogue with its persona as one row of a table, in which LMs have their public names only."""

from __future__ import annotations

from typing import Any

from socialsim.formats.hub import in_pairs
from socialsim.schema import Dialogue, Persona, Provenance
from socialsim.sharing.names import public_lm


def row(dialogue: Dialogue, persona: Persona | None) -> dict[str, Any]:
    """One row of the data set; `socialsim.formats.hub` reads it back."""
    own = dialogue.model_dump(mode="json", exclude={"provenance"})
    return {
        "id": own["id"],
        "persona_id": own["persona_id"],
        "persona": _persona(persona) if persona else None,
        "turns": own["turns"],
        "flags": own["flags"],
        "provenance": in_pairs(public_provenance(dialogue.provenance)),
    }


def public_provenance(provenance: Provenance | None) -> Provenance | None:
    """How an item was made, with the public names of LMs."""
    if provenance is None:
        return None
    lms = {role: public_lm(spec) for role, spec in provenance.lms.items()}
    return provenance.model_copy(update={"lms": lms})


def _persona(persona: Persona) -> dict[str, Any]:
    made = in_pairs(public_provenance(persona.provenance))
    return persona.model_dump(mode="json", exclude={"provenance"}) | {"provenance": made}
