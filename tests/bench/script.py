"""What the simulated endpoint says: the authored demonstrations of 24 utterances, line by line.

Real text of real length that every check lets pass, so that a run of N dialogues makes N x 24 calls. In each text
one word carries a mark of its dialogue, so that no two dialogues share a line: what a run remembers of one must not
make the next one cheaper.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from string import ascii_lowercase
from typing import NamedTuple

from programs.demonstrations import seeker_examples, supporter_examples
from programs.keep import Moment
from signatures.cues import Pace, allowed_strategies
from socialsim.resources import demonstrations, training_demonstrations
from socialsim.rules import rule_check
from socialsim.schema import Demonstration, Dialogue, Node, Persona, Speaker, Turn
from socialsim.taxonomy import MEAN_UTTERANCES
from socialsim.validation import check_reasoning, check_utterance

HEADING = "## Dialogue\n"
MARK = "zqaaa"
_MARKS = tuple("zq" + "".join(letters) for letters in product(ascii_lowercase, repeat=3))
_FOUND = re.compile(r"zq[a-z]{3}")
_WORD = re.compile(r"\b[a-z]{5,}\b")
_NODES = tuple(Node)


class Script(NamedTuple):
    """A persona and the JSON answers of its dialogue, with `MARK` where each dialogue has its own."""

    persona: Persona
    opening: str
    answers: tuple[str, ...]


@lru_cache(maxsize=1)
def scripts() -> tuple[Script, ...]:
    """Of demonstrations that no prompt shows as an example and whose strategies a run would allow."""
    shown = {demo.dialogue.id for demo in training_demonstrations()}
    free = [demo for demo in demonstrations() if demo.dialogue.id not in shown and _plays(demo.dialogue.turns)]
    return tuple(_script(_marked(demo)) for demo in free)


def _plays(turns: tuple[Turn, ...]) -> bool:
    """Whether a dialogue is one that the simulation's pace lets happen."""
    return len(turns) == MEAN_UTTERANCES and all(
        {str(choice) for choice in turn.strategies} <= {*allowed_strategies(_pace(at, turns), turns[:at])}
        for at, turn in enumerate(turns)
        if at % 2
    )


def _pace(at: int, turns: tuple[Turn, ...]) -> Pace:
    return Pace(at // 2 + 1, len(turns) // 2)


def _script(demo: Demonstration) -> Script:
    pairs = zip(seeker_examples(demo), supporter_examples(demo), strict=True)
    answers = tuple(example.answer.model_dump_json() for pair in pairs for example in pair)
    return Script(demo.persona, demo.dialogue.turns[0].text, answers)


def _marked(demo: Demonstration) -> Demonstration:
    persona = demo.persona.model_copy(
        update={name: _first(getattr(demo.persona, name)) for name in ("question", "description", "attempts", "goals")}
    )
    turns: list[Turn] = []
    for turn in demo.dialogue.turns:
        turns.append(next(filter(lambda made: _stands(made, turns, persona), _variants(turn)), turn))
    return Demonstration(persona=persona, dialogue=Dialogue(id=demo.dialogue.id, turns=tuple(turns)))


def _variants(turn: Turn) -> Iterator[Turn]:
    """The turn with a mark in one word of its text, and one in each node."""
    reasoning = turn.reasoning
    if reasoning is not None:
        nodes = {name: _first(getattr(reasoning, name)) for name in ("situation", "thought", "action", "purpose")}
        reasoning = reasoning.model_copy(update=nodes)
    for word in _WORD.finditer(turn.text):
        text = turn.text[: word.end()] + MARK + turn.text[word.end() :]
        yield turn.model_copy(update={"text": text, "reasoning": reasoning})


def _first(text: str) -> str:
    return _WORD.sub(lambda word: word.group() + MARK, text, count=1)


def _stands(turn: Turn, before: list[Turn], persona: Persona) -> bool:
    seeker = turn.speaker is Speaker.SEEKER
    found = check_utterance(turn.text, turn.speaker, before)
    found += rule_check(_NODES)(turn, Moment(tuple(before), persona))
    return not (found or ([] if seeker else check_reasoning(turn, _NODES)))


def personas(count: int) -> Iterator[Persona]:
    """``count`` personas, each of a script with a mark of its own."""
    for index in range(count):
        persona, mark = scripts()[index % len(scripts())].persona, _MARKS[index]
        fields = persona.model_dump(mode="json") | {"id": f"{persona.id}-{index}"}
        told = {name: value.replace(MARK, mark) for name, value in fields.items() if isinstance(value, str)}
        yield Persona.model_validate(fields | told)


class Prompter:
    """Answers by what a prompt holds: the persona's question before the first line, the first line after it."""

    def __init__(self) -> None:
        self._answers = {script.opening: script.answers for script in scripts()}
        self._openings = {f"My question: {script.persona.question}\n": script.opening for script in scripts()}

    def answer(self, prompt: str) -> str:
        """The next line of the dialogue that the last message of a prompt holds."""
        found = _FOUND.search(prompt)
        assert found, prompt
        mark = found.group()
        said = prompt.partition(HEADING)[2].partition("\n\n## ")[0].split("\n")
        if said[0].startswith("Seeker: "):
            answers = self._answers[said[0].removeprefix("Seeker: ").replace(mark, MARK)]
            return answers[len(said)].replace(MARK, mark)
        told = prompt.partition(HEADING)[0].replace(mark, MARK)
        opening = next(opening for question, opening in self._openings.items() if question in told)
        return self._answers[opening][0].replace(MARK, mark)
