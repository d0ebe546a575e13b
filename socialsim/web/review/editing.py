"""Edited items: what a form sends becomes a record that keeps the rules, or a reason why it does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

from pydantic import Field, StringConstraints, ValidationError

from socialsim.errors import SocialSimError
from socialsim.formats.rows import clean
from socialsim.schema import PROSE, Dialogue, Flag, Node, Persona, Reasoning, Record, StagedStrategy, Turn
from socialsim.validation import Finding, check_dialogue, check_reasoning, check_utterance

MAX_TEXT: Final = 6_000  # characters of one field
Written = Annotated[str, StringConstraints(max_length=MAX_TEXT)]
NODE_FIELDS: Final = ("situation", "thought", "action", "purpose")
PERSONA_FIELDS: Final = (
    *("age", "occupation", "question", "description", "emotions", "attempts", "goals"),
    *("situation", "event_time", "event_location", "event_participants"),
)


class EditRefused(SocialSimError):
    """An edit that breaks a rule: the message says which, and where."""


class TurnForm(Record):
    """An utterance as the form sends it; a field of the reasoning that was not shown is None."""

    text: Written
    situation: Written | None = None
    thought: Written | None = None
    action: Written | None = None
    purpose: Written | None = None
    strategies: Written | None = None


class DialogueForm(Record):
    """A dialogue as the form sends it: every turn, in order."""

    turns: tuple[TurnForm, ...] = Field(max_length=200)


class PersonaForm(Record):
    """A persona as the form sends it: field to text, lists with commas."""

    fields: dict[str, Written] = Field(max_length=len(PERSONA_FIELDS))


def edited_dialogue(shown: Dialogue, form: DialogueForm) -> Dialogue:
    """A dialogue with the words of a form.

    Args:
        shown: what the form was filled with.
        form: what came back.

    Raises:
        EditRefused: if a changed utterance breaks a hard rule, or a strategy or a node is not one.
    """
    if len(form.turns) != len(shown.turns):
        raise EditRefused(f"the dialogue has {len(shown.turns)} utterances, the edit {len(form.turns)}; load it again")
    turns: list[Turn] = []
    for number, (old, new) in enumerate(zip(shown.turns, form.turns, strict=True), 1):
        turns.append(_turn(old, new, turns, f"utterance {number}"))
    edited = shown.model_copy(update={"turns": tuple(turns)})
    return edited.model_copy(update={"flags": tuple(_still_true(shown, edited))})


def _turn(old: Turn, new: TurnForm, history: Sequence[Turn], where: str) -> Turn:
    reasoning = _reasoning(old.reasoning, new, where) if old.reasoning else None
    turn = Turn.model_construct(speaker=old.speaker, text=clean(new.text), reasoning=reasoning, flags=old.flags)
    if (turn.text, turn.reasoning) == (old.text, old.reasoning):
        return old
    found = check_utterance(turn.text, turn.speaker, history) if turn.text != old.text else []
    if reasoning != old.reasoning:
        found = [*found, *check_reasoning(turn, _nodes(old))]
    if hard := [finding for finding in found if finding.hard]:
        raise EditRefused(f"{where}: {hard[0].detail}")
    if turn.text != old.text:  # the run's flags are about other words
        turn = turn.model_copy(update={"flags": tuple(map(_flag, found))})
    return Turn.model_validate(turn.model_dump())


def _reasoning(old: Reasoning, new: TurnForm, where: str) -> Reasoning:
    changes: dict[str, object] = {}
    for name in NODE_FIELDS:
        written = getattr(new, name)
        if written is not None and clean(written) != (getattr(old, name) or "").strip():
            changes[name] = clean(written) or None
    if new.strategies is not None and clean(new.strategies) != strategies_text(old.strategies):
        changes["strategies"] = _strategies(clean(new.strategies), where)
    return old.model_copy(update={**changes, "raw": None}) if changes else old


def _strategies(text: str, where: str) -> tuple[StagedStrategy, ...]:
    try:
        return tuple(StagedStrategy.parse(name.strip()) for name in text.split("+") if name.strip())
    except ValueError as error:
        raise EditRefused(f"{where}, strategy: {_first(error)}") from error


def strategies_text(strategies: Sequence[StagedStrategy]) -> str:
    """Strategies as the form shows them."""
    return " + ".join(map(str, strategies))


def _nodes(turn: Turn) -> tuple[Node, ...]:
    reasoning = turn.reasoning
    texts = {node: getattr(reasoning, PROSE[node]) for node in Node}
    return tuple(node for node, text in texts.items() if text)


def _still_true(shown: Dialogue, edited: Dialogue) -> Iterator[Flag]:
    """The dialogue's flags without those the edit mended; new ones too."""
    nodes = (Node.STRATEGY,) if any(turn.strategies for turn in shown.turns) else ()
    before, after = ({f.kind: f for f in check_dialogue(one, nodes) if not f.hard} for one in (shown, edited))
    there = {flag.kind for flag in shown.flags}
    yield from (flag for flag in shown.flags if flag.kind not in before or flag.kind in after)
    yield from (_flag(found) for kind, found in after.items() if kind not in before and kind not in there)


def _flag(finding: Finding) -> Flag:
    return Flag(kind=finding.kind, detail=finding.detail)


def edited_persona(shown: Persona, form: PersonaForm) -> Persona:
    """A persona with the words of a form; a field a person wrote is inferred no longer.

    Raises:
        EditRefused: if it is no persona of the schema.
    """
    if unknown := form.fields.keys() - set(PERSONA_FIELDS):
        raise EditRefused(f"{', '.join(sorted(unknown))[:80]}: not a field that can be edited")
    written = {name: clean(text) for name, text in form.fields.items()}
    changed = {name: text for name, text in written.items() if text != persona_field(shown, name)}
    if not changed:
        return shown
    values: dict[str, object] = {name: _persona_value(name, text) for name, text in changed.items()}
    values["inferred"] = tuple(name for name in shown.inferred if name not in changed)
    try:
        return Persona.model_validate(shown.model_dump() | values)
    except ValidationError as error:
        raise EditRefused(_first(error)) from error


def persona_field(persona: Persona, name: str) -> str:
    """A field as the form shows it."""
    value = getattr(persona, name)
    return ", ".join(value) if isinstance(value, tuple) else str(value or "").strip()


def _persona_value(name: str, text: str) -> object:
    if name == "emotions":
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text or None


def _first(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    found = error.errors(include_url=False, include_input=False)[0]
    where = " ".join(map(str, found["loc"]))
    return f"{where}: {found['msg']}".lstrip(": ")
