"""What an authored demonstration must satisfy; also by hand: python -m tests.check_demonstration FILE…"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import dspy
from pydantic import BaseModel, ValidationError

from programs.demonstrations import onepass_example, persona_example, seeker_examples, supporter_examples
from programs.persona import in_first_person
from socialsim.ask import explain
from socialsim.schema import Demonstration, Node, Persona, Speaker
from socialsim.text import split_emoji
from socialsim.validation import Finding, check_dialogue, check_reasoning, check_utterance

NODES = tuple(Node)


def problems(path: Path) -> list[str]:
    """Every rule a file breaks, one line each; none where it is a good demonstration."""
    try:
        demo = Demonstration.model_validate_json(path.read_bytes())
    except ValidationError as error:
        return [explain(error)]
    found = [*_names(path.stem, demo), *_voice(demo.persona), *_findings(demo)]
    # Only a text without findings can be told apart into the fields of an example.
    return found or list(_patterns(demo))


def _names(stem: str, demo: Demonstration) -> Iterator[str]:
    persona, dialogue = demo.persona, demo.dialogue
    if (dialogue.id, persona.id, dialogue.persona_id) != (stem, f"demo-{stem}", persona.id):
        ids = f"{dialogue.id}, {persona.id}, {dialogue.persona_id}"
        yield f"the ids are {ids}; by the file name {stem}, demo-{stem}, demo-{stem}"
    if stem.rpartition("-")[0] != persona.topic.lower().replace(" ", "-"):
        yield f"the file name does not begin with the topic {persona.topic}"


def _voice(persona: Persona) -> Iterator[str]:
    for name in ("description", "attempts", "goals"):
        if not in_first_person(getattr(persona, name)):
            yield f"persona: {name} is not in the first person"


def _findings(demo: Demonstration) -> Iterator[str]:
    turns = demo.dialogue.turns
    yield from _lines("dialogue", check_dialogue(demo.dialogue, NODES))
    for index, turn in enumerate(turns):
        where = f"turn {index + 1}"
        yield from _lines(where, check_utterance(turn.text, turn.speaker, turns[:index]))
        if turn.speaker is Speaker.SUPPORTER:
            yield from _lines(where, check_reasoning(turn, NODES))
        if split_emoji(turn.text).emoji is None:
            yield f"{where}: does not end with one of our emoji"


def _lines(where: str, findings: Sequence[Finding]) -> Iterator[str]:
    yield from (f"{where}: {finding.kind}: {finding.detail}" for finding in findings)


def _patterns(demo: Demonstration) -> Iterator[str]:
    """Texts that an LM whose decoder honours our patterns could not have written."""
    examples: list[dspy.Example] = [persona_example(demo), *seeker_examples(demo), *supporter_examples(demo)]
    answers: list[BaseModel] = [example.answer for example in examples]
    answers += onepass_example(demo).answer.exchanges
    for answer in answers:
        for name, field in type(answer).model_fields.items():
            extra = field.json_schema_extra
            pattern = extra.get("pattern") if isinstance(extra, dict) else None
            if pattern and not re.search(str(pattern), getattr(answer, name)):
                yield f"{name}: {getattr(answer, name)!r} does not match the field's pattern"


def main(names: Sequence[str]) -> int:
    """Print what is wrong with each file; 1 if anything is."""
    results = {name: problems(Path(name)) for name in names}
    for name, found in results.items():
        print(name, "ok" if not found else "", *(f"\n  {line}" for line in found))
    return int(any(results.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
