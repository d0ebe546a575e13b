"""The two-speaker simulation: persona in, dialogue out, turn by turn.

The supporter is called with the visible dialogue and its own progress only: the persona is not
among its inputs, so what the seeker did not say cannot be in its prompt.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import dspy
from pydantic import BaseModel

from programs.turn import ALL_NODES, Seeker, Supporter, seeker_turn, supporter_turn
from signatures.cues import Pace, allowed_strategies, may_raise_concern, seeker_cue, supporter_cue
from socialsim.ask import BadAnswer, Exhausted, ask
from socialsim.render import persona_text, transcript
from socialsim.schema import Dialogue, Flag, Node, Persona, Role, Speaker, Turn
from socialsim.taxonomy import MAX_UTTERANCES, MEAN_UTTERANCES, MIN_UTTERANCES
from socialsim.validation import Finding, check_dialogue, check_reasoning, check_utterance, copy_runs


@dataclass(frozen=True)
class SimulationOptions:
    """What a simulation is asked to do.

    Attributes:
        nodes: reasoning nodes asked of the supporter (none: replies only).
        emoji: whether each utterance ends with an emoji, as in the paper.
        tries: answers asked for a turn before its dialogue is given up.
        strict: whether soft findings reject instead of being flagged.
    """

    nodes: tuple[Node, ...] = ALL_NODES
    emoji: bool = True
    tries: int = 5
    strict: bool = False


def planned_exchanges(persona_id: str, seed: int) -> int:
    """Length of a dialogue in exchanges: 9 to 20, 12 on average (Table 1), drawn per persona."""
    least, most, mean = MIN_UTTERANCES // 2, MAX_UTTERANCES // 2, MEAN_UTTERANCES // 2
    random = Random(f"{seed}:{persona_id}:length")
    chance = (mean - least) / (most - least)
    return least + sum(random.random() < chance for _ in range(most - least))


def demonstration_runs(demos: Iterable[Mapping[str, Any]]) -> frozenset[tuple[str, ...]]:
    """The word runs of a prompt's demonstrations, which no answer may copy."""
    return copy_runs(text for demo in demos for text in _texts(dict(demo)))


def _texts(value: Any) -> Iterator[str]:
    """Every string within an example, whatever form its answer has (a reloaded one is a dict)."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)


async def checked(
    attempt: Callable[[str], Awaitable[Turn]], check: Callable[[Turn], list[Finding]], options: SimulationOptions
) -> Turn:
    """Ask for a turn until it may stand.

    A hard finding is asked again with the reason, up to ``options.tries`` answers; a soft one once,
    then the turn with fewer findings is kept with its flags. An unusable second answer keeps the first.

    Raises:
        Exhausted: if no answer may stand.
    """
    reasons: list[str] = []
    kept: Turn | None = None
    for _ in range(options.tries):
        try:
            turn = flagged(await attempt(reasons[-1] if reasons else ""), check, options)
        except BadAnswer as error:
            reasons.append(str(error))
            if kept is not None:
                return kept
            continue
        if not turn.flags or kept is not None:
            return min([turn, *([kept] if kept else [])], key=lambda one: len(one.flags))
        kept = turn
        reasons.append("; ".join(flag.detail for flag in turn.flags))
    if kept is None:
        raise Exhausted(reasons)
    return kept


def flagged(turn: Turn, check: Callable[[Turn], list[Finding]], options: SimulationOptions) -> Turn:
    """The turn with its soft findings as flags.

    Raises:
        BadAnswer: naming what it must not be, where it may not stand.
    """
    findings = check(turn)
    if any(finding.hard or options.strict for finding in findings):
        raise BadAnswer("; ".join(finding.detail for finding in findings))
    return turn.model_copy(update={"flags": tuple(Flag(kind=f.kind, detail=f.detail) for f in findings)})


class Simulate(dspy.Module):
    """Persona in, dialogue out, two speakers in turn."""

    def __init__(self, options: SimulationOptions | None = None) -> None:
        super().__init__()
        self.options = options or SimulationOptions()
        self.seeker = Seeker(self.options.emoji)
        self.supporter = Supporter(self.options.nodes, self.options.emoji)

    async def aforward(self, persona: Persona, seed: int = 0) -> Dialogue:
        """Simulate one conversation.

        Raises:
            Exhausted: if a turn or the whole dialogue cannot be made to stand.
        """
        profile = persona_text(persona)
        total = planned_exchanges(persona.id, seed)
        turns: list[Turn] = []
        concerns = 0
        for exchange in range(1, total + 1):
            pace = Pace(exchange, total)
            turns.append(await self._seek(profile, pace, turns, concerns))
            concerns += may_raise_concern(turns[:-1], concerns)
            turns.append(await self._support(pace, turns))
        return stand(Dialogue(id=persona.id, persona_id=persona.id, turns=tuple(turns)), self.options)

    async def _seek(self, profile: str, pace: Pace, turns: Sequence[Turn], concerns: int) -> Turn:
        runs = demonstration_runs(self.seeker.speak.demos)

        async def attempt(correction: str) -> Turn:
            now = seeker_cue(pace, turns, concerns)
            inputs = {"persona": profile, "dialogue": transcript(turns), "now": now, "correction": correction}
            return seeker_turn((await ask(Role.SEEKER, self.seeker, **inputs)).model_dump())

        return await checked(
            attempt, lambda turn: check_utterance(turn.text, Speaker.SEEKER, turns, runs), self.options
        )

    async def _support(self, pace: Pace, turns: Sequence[Turn]) -> Turn:
        runs = demonstration_runs(self.supporter.reply.demos)
        nodes = self.options.nodes

        async def attempt(correction: str) -> Turn:
            progress = supporter_cue(pace, turns, Node.STRATEGY in nodes)
            inputs = {"dialogue": transcript(turns), "progress": progress, "correction": correction}
            allowed = allowed_strategies(pace, turns)
            return supporter_turn((await ask(Role.SUPPORTER, self.supporter, allowed=allowed, **inputs)).model_dump())

        def check(turn: Turn) -> list[Finding]:
            return check_utterance(turn.text, Speaker.SUPPORTER, turns, runs) + check_reasoning(turn, nodes, runs)

        return await checked(attempt, check, self.options)


def stand(dialogue: Dialogue, options: SimulationOptions) -> Dialogue:
    """Check a whole dialogue; soft findings become flags.

    Raises:
        Exhausted: if it cannot stand.
    """
    findings = check_dialogue(dialogue, options.nodes)
    if grave := [finding for finding in findings if finding.hard or options.strict]:
        raise Exhausted(["; ".join(f"{finding.kind}: {finding.detail}" for finding in grave)])
    return dialogue.model_copy(update={"flags": tuple(Flag(kind=f.kind, detail=f.detail) for f in findings)})
