"""The product's messages without the product: what the bare loops send, growing by what is answered."""

from __future__ import annotations

import json
from typing import Any

from programs.simulate import Simulate, SimulationOptions
from socialsim.adapter import CompactAdapter, response_schema
from socialsim.loading import load_programs
from socialsim.render import persona_text
from tests.bench.measure import CALLS, Load
from tests.bench.script import personas


class Conversation:
    """One dialogue: the two speakers' fixed prompts, and the lines so far."""

    def __init__(self, fixed: tuple[dict[str, Any], dict[str, Any]], persona: str) -> None:
        self._fixed = fixed
        self._persona = persona
        self._lines: list[str] = []

    def request(self) -> dict[str, Any] | None:
        """The next request's body; None at the end."""
        if len(self._lines) == CALLS:
            return None
        seeks = len(self._lines) % 2 == 0
        body = self._fixed[not seeks]
        said = "\n".join(self._lines) or "(nobody has spoken yet)"
        text = f"## Persona\n{self._persona}\n\n## Dialogue\n{said}" if seeks else f"## Dialogue\n{said}"
        return {**body, "messages": [*body["messages"], {"role": "user", "content": f"{text}\n\n## Now\nGo on."}]}

    def add(self, content: str) -> None:
        """Take an answer in."""
        answer = json.loads(content)
        name = "Supporter" if len(self._lines) % 2 else "Seeker"
        self._lines.append(f"{name}: {answer['utterance']} {answer['emoji']}")


def conversations(load: Load) -> list[Conversation]:
    """The dialogues of a load."""
    program = load_programs(False, SimulationOptions(exchanges=CALLS // 2), False, load.shots, 0).dialogue
    assert isinstance(program, Simulate)
    fixed = (_body(program.seeker.speak), _body(program.supporter.reply))
    return [Conversation(fixed, persona_text(persona)) for persona in personas(load.dialogues)]


def _body(predictor: Any) -> dict[str, Any]:
    messages = CompactAdapter().format(predictor.signature, predictor.demos, {})
    schema = {"name": "answer", "schema": response_schema(predictor.signature), "strict": True}
    form = {"type": "json_schema", "json_schema": schema}
    return {"model": "scripted", "messages": messages, "temperature": 0.8, "max_tokens": 8000, "response_format": form}
