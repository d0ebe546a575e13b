"""The supporter's reasoning as the SSConv release writes it: one string of four tagged parts.

``[SEEKER'S SITUATION] … [SEEKER'S THOUGHT] … [SEEKER'S ACTION] … [SUPPORTER'S STRATEGY] I hereby
choose the (Exploration#Question) strategy to …``. Parts that are not there are left out.
"""

from __future__ import annotations

import re

from socialsim.schema import Node, Reasoning, StagedStrategy
from socialsim.taxonomy import parse_strategy

TAGS: dict[Node, str] = {
    Node.SITUATION: "[SEEKER'S SITUATION]",
    Node.THOUGHT: "[SEEKER'S THOUGHT]",
    Node.ACTION: "[SEEKER'S ACTION]",
    Node.STRATEGY: "[SUPPORTER'S STRATEGY]",
}
_TAG = re.compile(r"(?i)\[(?:SEEKER['’]S (SITUATION|THOUGHT|ACTION)|SUPPORTER['’]S (STRATEGY))\]")
# The first run of bracketed names, then the purpose.
_CHOICE = re.compile(
    r"(?is)(?P<names>\([^()]*\)(?:[\s,&]*(?:and\s*)?\([^()]*\))*)\s*(?:strateg(?:y|ies)\b)?\s*(?P<purpose>.*)"
)
_BETWEEN_NAMES = re.compile(r"(?i)[(),;&]|\band\b(?=\s*[(\w/]+[#(])")


def render_reasoning(reasoning: Reasoning) -> str:
    """Write the nodes of a chain as one string, without those that are None or empty.

    ``raw`` is not looked at; `reasoning_text` prefers it.
    """
    texts = {
        Node.SITUATION: reasoning.situation,
        Node.THOUGHT: reasoning.thought,
        Node.ACTION: reasoning.action,
        Node.STRATEGY: _choice(reasoning),
    }
    return " ".join(f"{TAGS[node]} {text}" for node, text in texts.items() if text)


def reasoning_text(reasoning: Reasoning) -> str:
    """The chain as text: to the letter as it was imported, or rendered."""
    return render_reasoning(reasoning) if reasoning.raw is None else reasoning.raw


def parse_reasoning(text: str) -> Reasoning:
    """Read a chain; never fails.

    Unknown strategies are left out; a stage that is unknown or does not fit its strategy is left
    out. Whenever rendering the result would not give ``text`` again, ``raw`` keeps it.
    """
    parts = _TAG.split(text)  # text before the first tag, then (node, node, text) for each tag
    found: dict[Node, str] = {}
    for left, right, part in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        found.setdefault(Node((left or right).lower()), part.strip())
    strategies, purpose = _parse_choice(found.get(Node.STRATEGY, ""))
    parsed = Reasoning(
        situation=found.get(Node.SITUATION) or None,
        thought=found.get(Node.THOUGHT) or None,
        action=found.get(Node.ACTION) or None,
        strategies=strategies,
        purpose=purpose,
    )
    return parsed if render_reasoning(parsed) == text else parsed.model_copy(update={"raw": text})


def _choice(reasoning: Reasoning) -> str | None:
    if not reasoning.strategies:
        return reasoning.purpose
    names = " and ".join(f"({choice})" for choice in reasoning.strategies)
    noun = "strategy" if len(reasoning.strategies) == 1 else "strategies"
    return f"I hereby choose the {names} {noun}" + (f" {reasoning.purpose}" if reasoning.purpose else ".")


def _parse_choice(text: str) -> tuple[tuple[StagedStrategy, ...], str | None]:
    choice = _CHOICE.search(text)
    names = _BETWEEN_NAMES.split(choice["names"]) if choice else []
    strategies = tuple(known for known in map(_known, names) if known)
    if choice is None or not strategies:
        return (), text or None
    return strategies, choice["purpose"] if choice["purpose"] not in ("", ".") else None


def _known(name: str) -> StagedStrategy | None:
    for candidate in (name, name.rpartition("#")[2]):
        try:
            return StagedStrategy.parse(candidate)
        except ValueError:
            continue
    return None


def strategy_only(name: str) -> Reasoning | None:
    """The reasoning of a corpus that names a strategy and nothing else; None for an empty name.

    Raises:
        ValueError: if the strategy is unknown.
    """
    return Reasoning(strategies=(StagedStrategy(strategy=parse_strategy(name)),)) if name.strip() else None
