"""The supporter's program in the format a student was trained in.

A student knows one prompt: the chat. So the task, the progress, a correction and demonstrations of the prompt are not
sent; the limits of the answer are, as a pattern that the decoder enforces. Every other program's prompt is the usual.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import dspy

from finetune.format import REPLY, Variant, messages, read_target
from socialsim.adapter import CompactAdapter, response_schema
from socialsim.errors import UsageError
from socialsim.formats.reasoning import TAGS
from socialsim.render import talked, transcript
from socialsim.schema import Node, Speaker, Turn
from socialsim.taxonomy import STAGED_STRATEGIES
from socialsim.text import split_emoji

_INPUTS: Final = {"dialogue", "progress", "correction"}
_FREE: Final = r"[^\[\]\n]{1,300}"  # a node that the run does not ask for
_LINE: Final = re.compile(r"(?m)^(Seeker|Supporter): ")


class StudentAdapter(CompactAdapter):
    """Sends a student the chat alone, and reads its tagged text as the supporter's answer.

    Args:
        variant: what the student writes.
    """

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.variant = variant

    def check_nodes(self, nodes: Iterable[Node]) -> None:
        """Check that the student writes the reasoning that is asked for.

        Raises:
            UsageError: naming the nodes it writes.
        """
        own = self.variant.nodes
        if missing := [node for node in nodes if node not in own]:
            give = ",".join(own) or "none"
            lacks = ", ".join(missing)
            raise UsageError(f"the supporter's student was not trained to write {lacks}; give --nodes {give}")

    def _messages(
        self, signature: type[dspy.Signature], demos: list[dict[str, Any]], inputs: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """The chat so far for the supporter, the usual messages for any other."""
        if not is_supporter(signature):
            return super()._messages(signature, demos, inputs)
        self.check_nodes(_asked(signature))
        return [dict(message) for message in messages(visible_turns(str(inputs["dialogue"])), self.variant)]

    def _read(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        """The answer; one beyond the limits raises ``AdapterParseError``."""
        if is_supporter(signature):
            names = signature.output_fields["answer"].annotation.model_fields
            answer = answer_of(read_target(completion.strip(), self.variant), emoji="emoji" in names)
            completion = json.dumps({name: value for name, value in answer.items() if name in names})
        return super()._read(signature, completion)

    def _prepare_response_format(
        self, lm: dspy.BaseLM, lm_kwargs: dict[str, Any], signature: type[dspy.Signature]
    ) -> None:
        super()._prepare_response_format(lm, lm_kwargs, signature)
        if is_supporter(signature):
            schema = {"name": "reply", "schema": text_schema(signature, self.variant), "strict": True}
            lm_kwargs["response_format"] = {"type": "json_schema", "json_schema": schema}


def is_supporter(signature: type[dspy.Signature]) -> bool:
    """Whether a signature asks for the supporter's next turn."""
    return set(signature.input_fields) == _INPUTS and "utterance" in _answer_fields(signature)


def _answer_fields(signature: type[dspy.Signature]) -> dict[str, Any]:
    fields: dict[str, Any] = response_schema(signature)["properties"]
    return fields


def _asked(signature: type[dspy.Signature]) -> list[Node]:
    fields = _answer_fields(signature)
    return [node for node in Node if _field(node) in fields]


def _field(node: Node) -> str:
    return "strategies" if node is Node.STRATEGY else node.value


def text_schema(signature: type[dspy.Signature], variant: Variant) -> dict[str, Any]:
    """What the student may write for an answer, as the schema of a bare text (see `finetune.grammar.Grammars`)."""
    fields = _answer_fields(signature)
    thought = " ".join(f"{re.escape(TAGS[node])} {_node(node, fields)}" for node in variant.nodes)
    reply = _inner(fields["utterance"]["pattern"])
    if "emoji" in fields:
        reply += f" {_one_of(fields['emoji']['enum'])}"
    pattern = f"{thought}\n{re.escape(REPLY)} {reply}" if thought else reply
    return {"type": "string", "pattern": pattern}


def _node(node: Node, fields: dict[str, Any]) -> str:
    if node is not Node.STRATEGY:
        return _inner(fields[node.value]["pattern"]) if node.value in fields else _FREE
    listed = fields.get("strategies", {"items": {"enum": STAGED_STRATEGIES}, "maxItems": 2})
    items = listed["items"]
    one = rf"\({_one_of(items['enum'] if 'enum' in items else [items['const']])}\)"
    chosen = f"{one} strategy" if listed["maxItems"] < 2 else f"({one} strategy|{one} and {one} strategies)"
    purpose = _inner(fields["purpose"]["pattern"]) if "purpose" in fields else rf"to {_FREE}"
    return f"I hereby choose the {chosen} {purpose}"


def _inner(pattern: str) -> str:
    return pattern.removeprefix("^").removesuffix("$")


def _one_of(texts: Iterable[str]) -> str:
    return f"({'|'.join(map(re.escape, texts))})"


def answer_of(turn: Turn, emoji: bool) -> dict[str, Any]:
    """The fields of a supporter's answer that a turn gives; those that it lacks are left out."""
    thought = turn.reasoning
    closed = split_emoji(turn.text) if emoji else None
    fields = {
        "situation": thought and thought.situation,
        "thought": thought and thought.thought,
        "action": thought and thought.action,
        "strategies": [str(choice) for choice in turn.strategies],
        "purpose": thought and thought.purpose,
        "utterance": (closed.text if closed else turn.text).strip(),
        "emoji": closed and closed.emoji,
    }
    return {name: value for name, value in fields.items() if value}


def visible_turns(dialogue: str) -> Sequence[Turn]:
    """The turns of the visible conversation.

    Where they were set by `socialsim.render.talk`, they keep the reasoning of earlier replies; else they are read
    back from the transcript.

    Args:
        dialogue: what `socialsim.render.transcript` wrote.
    """
    turns = talked()
    return turns if turns and transcript(turns) == dialogue else read_transcript(dialogue)


def read_transcript(dialogue: str) -> tuple[Turn, ...]:
    """The inverse of `socialsim.render.transcript`; a line without a speaker belongs to the turn before it."""
    parts = _LINE.split(dialogue)[1:]
    return tuple(
        Turn(speaker=Speaker(speaker.lower()), text=text.strip() or "…")
        for speaker, text in zip(parts[::2], parts[1::2], strict=True)
    )
