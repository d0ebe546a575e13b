"""What raters left of a corpus: accepted by most of those who decided, in the form they gave it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from socialsim.reviews import Item, Kind, Standing, Vote, votes
from socialsim.schema import Dialogue, Persona

R = TypeVar("R", Dialogue, Persona)


class Accepted(NamedTuple):
    """What is left of a corpus.

    Attributes:
        dialogues: the accepted ones, edited where they were, in the order of the corpus.
        personas: theirs, and those accepted themselves; the same.
        edited: dialogues and personas that are not as the run made them.
        left_out: why the other dialogues are not there, and how many.
    """

    dialogues: list[Dialogue]
    personas: list[Persona]
    edited: int
    left_out: dict[str, int]


def accepted(dialogues: Sequence[Dialogue], personas: Sequence[Persona], raters: Mapping[str, Standing]) -> Accepted:
    """Keep what is accepted; where as many accept as reject, nothing is decided and the item is left out.

    A dialogue is reviewed beside its persona, so a persona that nobody reviewed itself goes with an accepted dialogue.
    One that was reviewed and not accepted takes its dialogues with it.
    """
    found = votes(raters)
    why = {dialogue.id: _why_not(dialogue, found) for dialogue in dialogues}
    kept = [dialogue for dialogue in dialogues if not why[dialogue.id]]
    theirs = {dialogue.persona_id for dialogue in kept}
    with_them = [one for one in personas if _vote(found, Kind.PERSONA, one.id, default=one.id in theirs)]
    left = [_edited(one, Kind.DIALOGUE, found) for one in kept]
    people = [_edited(one, Kind.PERSONA, found) for one in with_them]
    edited = sum(new is not old for new, old in zip([*left, *people], [*kept, *with_them], strict=True))
    return Accepted(left, people, edited, dict(Counter(reason for reason in why.values() if reason)))


def _why_not(dialogue: Dialogue, found: Mapping[Item, Vote]) -> str:
    """Why a dialogue is left out; empty where it is not."""
    vote = found.get(Item(Kind.DIALOGUE, dialogue.id))
    if vote is None:
        return "not reviewed"
    if vote.kept is not True:
        return "rejected" if vote.kept is False else "a tie"
    return "" if _vote(found, Kind.PERSONA, dialogue.persona_id or "", default=True) else "its persona is not accepted"


def _vote(found: Mapping[Item, Vote], kind: Kind, name: str, default: bool) -> bool:
    vote = found.get(Item(kind, name))
    return default if vote is None else vote.kept is True


def _edited(record: R, kind: Kind, found: Mapping[Item, Vote]) -> R:
    vote = found.get(Item(kind, record.id))
    return vote.edited if vote and isinstance(vote.edited, type(record)) else record
