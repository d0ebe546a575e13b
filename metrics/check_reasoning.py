"""Whether a reply's reasoning holds: complete, about this seeker, distinct, its own, fit for the moment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final, NamedTuple

from rapidfuzz import fuzz, process

from metrics.check_moment import Marks, Moment, blend
from metrics.check_seeker import invented_in
from metrics.check_words import content, content_of, content_once, copied_share, shared_run_share, word_set
from metrics.verdicts import CheckVerdict, Rule
from socialsim.schema import PROSE, Node, Reasoning, Speaker, Turn
from socialsim.taxonomy import Stage, Strategy
from socialsim.text import words

_THINKING: Final = (Node.SITUATION, Node.THOUGHT, Node.ACTION)
_GROUND: Final = {0: 0.55, 1: 0.85}  # factor by the content words the three nodes share with the talk
_RECENT: Final = 6  # turns
_THOUGHT_BEFORE: Final = 85.0  # rapidfuzz ratio (0-100) from which a node says what an earlier one said
_OWN_VOICE: Final = re.compile(r"[iI](?<!\w[iI])(?!\w)")
_SEEKER: Final = re.compile(
    r"(?i)\b(?:he|she|they|him|her|his|hers|them|their|"
    r"seeker|person|someone|somebody|stranger|visitor|newcomer|user|client)\b"
)
# First verbs of a purpose that belong to one strategy and to no other.
_HALLMARKS: Final[dict[Strategy, frozenset[str]]] = {
    Strategy.QUESTION: word_set("ask inquire enquire"),
    Strategy.RESTATEMENT: word_set("restate paraphrase rephrase summarise summarize"),
    Strategy.SELF_DISCLOSURE: word_set("disclose confess"),
    Strategy.AFFIRMATION: word_set("affirm praise reassure"),
    Strategy.SUGGESTIONS: word_set("suggest propose advise"),
    Strategy.INFORMATION: word_set("inform educate"),
    Strategy.OTHERS: word_set("greet welcome"),
}


def asked_nodes(turn: Turn, moment: Moment) -> tuple[Node, ...]:
    """The nodes that are checked: those asked for, else those the turn has."""
    return moment.nodes or tuple(node for node in Node if node_text(turn.reasoning, node))


def node_text(reasoning: Reasoning | None, node: Node) -> str:
    """The words of a node, empty where it is missing; a strategy's are its purpose."""
    if reasoning is None:
        return ""
    return getattr(reasoning, PROSE[node]) or ""


def check_reasoning(text: str, turn: Turn, moment: Moment) -> CheckVerdict | None:
    """Judge the nodes of a reply by its words.

    Args:
        text: the reply without its closing emoji.
        turn: the reply with its reasoning.
        moment: where it stands.

    Returns:
        The verdict, None where no reasoning was asked for and there is none, or only its raw text is known.
    """
    nodes = asked_nodes(turn, moment)
    raw_only = (
        turn.reasoning is not None
        and turn.reasoning.raw is not None
        and not any(node_text(turn.reasoning, node) for node in Node)
    )
    if not nodes or raw_only:
        return None
    texts = {node: node_text(turn.reasoning, node) for node in nodes}
    meant = {node: content_once(node_words) for node, node_words in texts.items()}
    near, replied = _near(meant), content(text)
    marks, scores = Marks(Rule.REASONING, moment.number), []
    for node in nodes:
        one = Marks(Rule.REASONING)
        _mark_node(one, _Thought(node, texts[node], near[node], _alike(meant[node], replied)), moment)
        if node is Node.STRATEGY:
            _mark_strategy(one, turn, moment)
        score, feedback = one.score(), one.feedback()
        scores.append(score)
        if feedback:
            marks.note(score, f"{node}: {feedback}")
    _mark_ground(marks, [meant[node] for node in _THINKING if texts.get(node)], moment)
    return marks.verdict(blend(scores))


def _near(meant: Mapping[Node, frozenset[str]]) -> dict[Node, dict[Node, float]]:
    """The nodes that say more than half of what a node says, each with how much of it."""
    near: dict[Node, dict[Node, float]] = {node: {} for node in meant}
    for one, other in combinations(meant, 2):
        if (alike := _alike(meant[one], meant[other])) > 0.5:
            near[one][other] = near[other][one] = alike
    return near


class _Thought(NamedTuple):
    """A node and its words; the nodes near it, and how much of its content the reply has, 0 to 1."""

    node: Node
    text: str
    near: Mapping[Node, float]
    replied: float


def _mark_node(one: Marks, thought: _Thought, moment: Moment) -> None:
    text = thought.text
    if not words(text):
        one.mark(0.0, "is missing; reason about this seeker in one sentence")
        return
    if len(words(text)) < 3:
        one.mark(0.3, "says too little; write one sentence about this seeker")
    if moment.copied_from:
        copied = copied_share(text, moment.copied_from, 8)
        close = max(0.0, copied_share(text, moment.copied_from, 5) - 0.25)
        one.mark(1 - max(copied, close), "reason about this seeker, not the example's")
    for other, alike in thought.near.items():
        one.mark(1 - alike, f"says the same as the {other}; each node has its own question")
    _mark_sameness(one, thought, moment)
    if thought.node is not Node.STRATEGY:
        _mark_subject(one, text, moment)


def _mark_sameness(one: Marks, thought: _Thought, moment: Moment) -> None:
    text = thought.text
    if thought.replied > 0.6:
        one.mark(1 - thought.replied, "repeats the reply; reason before you reply")
    if moment.may_repeat(text) and shared_run_share(text, moment.said_by(Speaker.SEEKER)) > 0.5:
        one.mark(0.5, "only repeats the seeker's words; say what follows from them")
    earlier = moment.before.thoughts[PROSE[thought.node]]
    if process.extractOne(text.lower(), earlier, scorer=fuzz.ratio, score_cutoff=_THOUGHT_BEFORE):
        one.mark(0.2, "was thought before; the talk has moved on")


def _alike(one: frozenset[str], other: frozenset[str]) -> float:
    """Share of content in common, of the longer text's, 0 to 1."""
    return len(one & other) / max(len(one), len(other)) if one and other else 0.0


def _mark_subject(one: Marks, text: str, moment: Moment) -> None:
    if _OWN_VOICE.search(text) and not _SEEKER.search(text):
        one.mark(0.6, "speaks of 'I'; write about the seeker, as he, she or they")
    if strange := invented_in(text, moment.before.spoken):
        one.mark(0.5, f"speaks of {strange[0]}, which nobody has mentioned")


def _mark_ground(marks: Marks, thinking: Sequence[frozenset[str]], moment: Moment) -> None:
    if not thinking or len(moment.history) < 2:
        return
    recent = content_of(moment.texts[-_RECENT:])
    shared = len(frozenset().union(*thinking) & recent)
    if shared in _GROUND:
        marks.mark(_GROUND[shared], "name what the seeker told (words of the last turns), not a seeker in general")


def _mark_strategy(one: Marks, turn: Turn, moment: Moment) -> None:
    if not turn.strategies:
        one.mark(0.3, "no strategy is chosen")
        return
    chosen = {choice.strategy for choice in turn.strategies}
    first = [word for word in words(node_text(turn.reasoning, Node.STRATEGY)) if word != "to"][:1]
    for strategy, verbs in _HALLMARKS.items():
        if set(first) & verbs and strategy not in chosen:
            one.mark(0.6, f"to {first[0]} is the purpose of {strategy}, not of {' and '.join(sorted(chosen))}")
    _mark_stage(one, {choice.stage for choice in turn.strategies}, moment)


def _mark_stage(one: Marks, stages: set[Stage | None], moment: Moment) -> None:
    told = len(moment.said_by(Speaker.SEEKER))
    if Stage.ACTION in stages and told < 3:
        one.mark(0.5, "acts before the seeker has told what happened; explore first")
    if Stage.COMFORTING in stages and told < 2:
        one.mark(0.6, "comforts before anything was told; explore first")
