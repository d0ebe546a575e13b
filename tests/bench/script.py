"""What the simulated endpoint says: the authored demonstrations of 24 utterances, line by line.

Real text of real length that every check lets pass, so that a run of N dialogues makes N x 24 calls.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache

from programs.demonstrations import seeker_examples, supporter_examples
from signatures.cues import Pace, allowed_strategies
from socialsim.resources import demonstrations, training_demonstrations
from socialsim.schema import Demonstration, Persona, Turn
from socialsim.taxonomy import MEAN_UTTERANCES

HEADING = "## Dialogue\n"


@lru_cache(maxsize=1)
def scripts() -> tuple[Demonstration, ...]:
    """Demonstrations of 24 utterances that no prompt shows as an example and whose strategies a run would allow."""
    shown = {demo.dialogue.id for demo in training_demonstrations()}
    return tuple(demo for demo in demonstrations() if demo.dialogue.id not in shown and _plays(demo.dialogue.turns))


def _plays(turns: tuple[Turn, ...]) -> bool:
    """Whether a dialogue is one that the simulation's pace lets happen."""
    return len(turns) == MEAN_UTTERANCES and all(
        {str(choice) for choice in turn.strategies}
        <= {*allowed_strategies(Pace(at // 2 + 1, len(turns) // 2), turns[:at])}
        for at, turn in enumerate(turns)
        if at % 2
    )


def personas(count: int) -> Iterator[Persona]:
    """``count`` personas, each of a script."""
    for index in range(count):
        persona = scripts()[index % len(scripts())].persona
        yield persona.model_copy(update={"id": f"{persona.id}-{index}"})


class Script:
    """Answers by what a prompt holds: the persona's question before the first line, the first line after it."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}
        self._openings: dict[str, str] = {}
        for demo in scripts():
            opening = demo.dialogue.turns[0].text
            self._openings[f"My question: {demo.persona.question}\n"] = opening
            pairs = zip(seeker_examples(demo), supporter_examples(demo), strict=True)
            answers = [example.answer.model_dump(mode="json") for pair in pairs for example in pair]
            self._lines[opening] = [json.dumps(answer, ensure_ascii=False) for answer in answers]

    def answer(self, prompt: str) -> str:
        """The next line of the dialogue that the last message of a prompt holds."""
        said = prompt.partition(HEADING)[2].partition("\n\n## ")[0].split("\n")
        if said[0].startswith("Seeker: "):
            return self._lines[said[0].removeprefix("Seeker: ")][len(said)]
        opening = next(opening for question, opening in self._openings.items() if question in prompt)
        return self._lines[opening][0]
