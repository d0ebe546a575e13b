"""The paper's one-pass generation: persona and a demonstration in, the whole dialogue out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import dspy
from pydantic import BaseModel

from programs.keep import Moment, TurnCheck, best, demonstration_runs, flagged, no_check
from programs.simulate import SimulationOptions, stand
from programs.turn import seeker_turn, supporter_turn
from signatures.dialogue import onepass_signature
from socialsim.ask import BadAnswer, ask
from socialsim.predict import Predict
from socialsim.render import persona_text
from socialsim.schema import Dialogue, Persona, Role, Speaker, Turn
from socialsim.validation import CopyRuns, check_reasoning, check_utterance


class DialogueWriter(dspy.Module):
    """The leaf: inputs persona, correction; answer: all exchanges."""

    def __init__(self, options: SimulationOptions) -> None:
        super().__init__()
        self.write = Predict(onepass_signature(options.nodes, options.emoji))

    def forward(self, **inputs: Any) -> dspy.Prediction:
        """Write one dialogue."""
        return self.write(**inputs)

    async def aforward(self, **inputs: Any) -> dspy.Prediction:
        """The same, asynchronously."""
        return await self.write.acall(**inputs)


class OnePass(dspy.Module):
    """Persona in, dialogue out, in one call; one LM writes both speakers and sees the persona.

    Args:
        options: as for the two-speaker program.
        pool: demonstrations to draw one from for each dialogue, as the paper does; a compiled
            program's own demonstrations come first.
        check: a further check of each turn.
    """

    def __init__(
        self,
        options: SimulationOptions | None = None,
        pool: Sequence[dspy.Example] = (),
        check: TurnCheck = no_check,
    ) -> None:
        super().__init__()
        self.options = options or SimulationOptions()
        self.check = check
        self.pool = tuple(pool)
        self.onepass = DialogueWriter(self.options)

    async def aforward(self, persona: Persona, seed: int = 0) -> Dialogue:
        """Write one conversation; soft findings are asked again, then flagged.

        Raises:
            Exhausted: if no answer can stand.
        """
        demos = list(self.onepass.write.demos) or self._drawn(persona, seed)
        runs = demonstration_runs(demos)

        async def attempt(correction: str) -> Dialogue:
            inputs = {"persona": persona_text(persona), "correction": correction, "demos": demos}
            return self._checked(persona, await ask(Role.SUPPORTER, self.onepass, **inputs), runs)

        return await best(attempt, lambda made: list(_flag_lines(made)), self.options.tries, self.options.repair)

    def _drawn(self, persona: Persona, seed: int) -> list[dspy.Example]:
        return [Random(f"{seed}:{persona.id}:demo").choice(self.pool)] if self.pool else []

    def _checked(self, persona: Persona, answer: BaseModel, runs: CopyRuns) -> Dialogue:
        turns: list[Turn] = []
        for turn in exchange_turns(answer):
            turns.append(self._flagged(turn, turns, persona, runs))
        return stand(Dialogue(id=persona.id, persona_id=persona.id, turns=tuple(turns)), self.options)

    def _flagged(self, turn: Turn, before: list[Turn], persona: Persona, runs: CopyRuns) -> Turn:
        found = check_utterance(turn.text, turn.speaker, before, runs)
        found += check_reasoning(turn, self.options.nodes, runs) if turn.speaker is Speaker.SUPPORTER else []
        found += self.check(turn, Moment(tuple(before), persona))
        try:
            return flagged(turn, found, self.options.strict)
        except BadAnswer as error:
            raise BadAnswer(f"utterance {len(before) + 1}: {error}") from error


def _flag_lines(dialogue: Dialogue) -> Iterator[str]:
    yield from (f"{flag.kind}: {flag.detail}" for flag in dialogue.flags)
    for number, turn in enumerate(dialogue.turns, start=1):
        yield from (f"utterance {number}: {flag.detail}" for flag in turn.flags)


def exchange_turns(answer: BaseModel) -> list[Turn]:
    """The turns of a one-pass answer, in order."""
    turns = []
    for exchange in answer.model_dump()["exchanges"]:
        seeker = {"utterance": exchange.pop("seeker"), "emoji": exchange.pop("seeker_emoji", None)}
        turns += [seeker_turn(seeker), supporter_turn(exchange)]
    return turns
