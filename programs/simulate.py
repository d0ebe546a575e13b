"""The two-speaker simulation: persona in, dialogue out, turn by turn; and one reply to a visible dialogue.

The supporter is called with the visible dialogue and its own progress only: the persona is not
among its inputs, so what the seeker did not say cannot be in its prompt.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random

import dspy

from programs.keep import Moment, TurnCheck, best, demonstration_runs, flagged, no_check, parroted
from programs.turn import ALL_NODES, Seeker, Supporter, seeker_turn, supporter_turn
from signatures.cues import Pace, allowed_strategies, may_raise_concern, seeker_cue, supporter_cue
from socialsim.ask import Exhausted, ask
from socialsim.history import history_of
from socialsim.render import persona_text, talk
from socialsim.schema import Dialogue, Flag, Node, Persona, Role, Speaker, Turn
from socialsim.taxonomy import MAX_UTTERANCES, MEAN_UTTERANCES, MIN_UTTERANCES
from socialsim.validation import Finding, check_dialogue, check_reasoning, check_utterance


@dataclass(frozen=True)
class SimulationOptions:
    """What a simulation is asked to do.

    Attributes:
        nodes: reasoning nodes asked of the supporter (none: replies only).
        emoji: whether each utterance ends with an emoji, as in the paper.
        tries: answers asked for a turn before its dialogue is given up.
        strict: whether soft findings reject instead of being flagged.
        repair: how often a turn with soft findings is asked again before the best one is kept.
        rules: whether the eight rules are checked while a dialogue is written; they belong to whoever makes programs.
        exchanges: length of every dialogue, outside Table 1's bounds too; None draws one for each persona.
    """

    nodes: tuple[Node, ...] = ALL_NODES
    emoji: bool = True
    tries: int = 5
    strict: bool = False
    repair: int = 1
    rules: bool = True
    exchanges: int | None = None


def planned_exchanges(persona_id: str, seed: int) -> int:
    """Length of a dialogue in exchanges: 9 to 20, 12 on average (Table 1), drawn per persona."""
    least, most, mean = MIN_UTTERANCES // 2, MAX_UTTERANCES // 2, MEAN_UTTERANCES // 2
    random = Random(f"{seed}:{persona_id}:length")
    chance = (mean - least) / (most - least)
    return least + sum(random.random() < chance for _ in range(most - least))


class Simulate(dspy.Module):
    """Persona in, dialogue out, two speakers in turn.

    Args:
        options: what is asked for.
        check: a further check of each turn; what it finds is asked again like any other finding.
    """

    def __init__(self, options: SimulationOptions | None = None, check: TurnCheck = no_check) -> None:
        super().__init__()
        self.options = options or SimulationOptions()
        self.check = check
        self.seeker = Seeker(self.options.emoji)
        self.supporter = Supporter(self.options.nodes, self.options.emoji)

    async def aforward(self, persona: Persona, seed: int = 0) -> Dialogue:
        """Simulate one conversation.

        Raises:
            Exhausted: if a turn or the whole dialogue cannot be made to stand.
        """
        profile = persona_text(persona)
        total = self.options.exchanges or planned_exchanges(persona.id, seed)
        turns: list[Turn] = []
        concerns = 0
        for exchange in range(1, total + 1):
            pace = Pace(exchange, total)
            turns.append(await self._seek(persona, profile, pace, turns, concerns))
            concerns += may_raise_concern(turns[:-1], concerns)
            turns.append(await self.reply(pace, turns))
        return stand(Dialogue(id=persona.id, persona_id=persona.id, turns=tuple(turns)), self.options)

    async def _seek(self, persona: Persona, profile: str, pace: Pace, turns: Sequence[Turn], concerns: int) -> Turn:
        before = history_of(turns)
        moment = Moment(before.turns, persona)
        runs = demonstration_runs(self.seeker.speak.demos)

        async def attempt(correction: str) -> Turn:
            now = seeker_cue(pace, turns, concerns)
            inputs = {"persona": profile, "dialogue": before.transcript, "now": now, "correction": correction}
            return seeker_turn(vars(await ask(Role.SEEKER, self.seeker, **inputs)))

        def check(turn: Turn) -> list[Finding]:
            return check_utterance(turn.text, Speaker.SEEKER, before.turns, runs) + self.check(turn, moment)

        return await self._kept(attempt, check)

    async def reply(self, pace: Pace, turns: Sequence[Turn]) -> Turn:
        """The supporter's next turn in a visible dialogue, whoever the seeker is.

        Args:
            pace: where in the conversation it stands.
            turns: all that was said, the seeker's line last.

        Raises:
            Exhausted: if no answer may stand.
            RoleError: if the LM did not answer.
        """
        before = history_of(turns)
        moment = Moment(before.turns)
        runs = demonstration_runs(self.supporter.reply.demos)
        nodes = self.options.nodes

        async def attempt(correction: str) -> Turn:
            progress = supporter_cue(pace, turns, Node.STRATEGY in nodes)
            inputs = {"dialogue": before.transcript, "progress": progress, "correction": correction}
            allowed = allowed_strategies(pace, turns)
            with talk(moment.history):
                answer = await ask(Role.SUPPORTER, self.supporter, allowed=allowed, **inputs)
            return supporter_turn(vars(answer))

        def check(turn: Turn) -> list[Finding]:
            found = check_utterance(turn.text, Speaker.SUPPORTER, before.turns, runs)
            return found + check_reasoning(turn, nodes, runs) + self.check(turn, moment)

        return await self._kept(attempt, check)

    async def _kept(self, attempt: Callable[[str], Awaitable[Turn]], check: Callable[[Turn], list[Finding]]) -> Turn:
        options = self.options

        async def checked(correction: str) -> Turn:
            turn = await attempt(correction)
            return flagged(turn, check(turn) + parroted(turn.text, correction), options.strict)

        return await best(checked, lambda turn: [flag.detail for flag in turn.flags], options.tries, options.repair)


def stand(dialogue: Dialogue, options: SimulationOptions) -> Dialogue:
    """Check a whole dialogue; soft findings become flags.

    Raises:
        Exhausted: if it cannot stand.
    """
    found = check_dialogue(dialogue, options.nodes)
    findings = [finding for finding in found if options.exchanges is None or finding.kind != "length"]
    if grave := [finding for finding in findings if finding.hard or options.strict]:
        raise Exhausted(["; ".join(f"{finding.kind}: {finding.detail}" for finding in grave)])
    return dialogue.model_copy(update={"flags": tuple(Flag(kind=f.kind, detail=f.detail) for f in findings)})
