"""The paper's eight rules of quality control as scores from 0 to 1 (appendix, "rules for quality control").

Each turn gets one verdict for each rule that applies to it, a dialogue its own besides. A rule that
cannot be checked (no persona, no reasoning) gives no verdict: neither 1 nor 0. Scores are graded and
feedback names what to change, so that an optimiser can climb them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from metrics.check_moment import Marks, Moment
from metrics.check_reasoning import asked_nodes, check_reasoning, node_text
from metrics.check_seeker import check_seeker, detail_of_seeker
from metrics.check_supporter import check_control, check_supporter, detail_of_reply
from metrics.check_whole import check_whole
from metrics.verdicts import CheckVerdict, Rule
from socialsim.schema import Dialogue, Node, Persona, Speaker, Turn
from socialsim.text import count_words, one_dialogue, plain
from socialsim.validation import MAX_WORDS, Finding, check_utterance

__all__ = ["Moment", "check_content", "check_dialogue", "check_turn", "nodes_of"]


def check_turn(turn: Turn, moment: Moment) -> list[CheckVerdict]:
    """Check one utterance against the rules that apply to it.

    Args:
        turn: the utterance, a supporter's with its reasoning.
        moment: where it stands.

    Returns:
        A seeker's turn: consistency (with a persona), specificity (after the greeting), detail, format.
        A supporter's: control (with a persona), reasoning (with reasoning, or nodes asked for), match
        (with strategies), detail, format. ``turn`` of each verdict is the utterance's number.
    """
    return [*check_content(turn, moment), *check_wording(turn, moment)]


def check_content(turn: Turn, moment: Moment) -> Iterator[CheckVerdict]:
    """The rules on what is said and thought: consistency, specificity, control, match, reasoning."""
    text = plain(turn.text)
    if turn.speaker is Speaker.SEEKER:
        yield from check_seeker(text, moment)
        return
    yield from check_supporter(text, turn, moment)
    if reasoned := check_reasoning(text, turn, moment):
        yield reasoned


def check_persona_told(turn: Turn, moment: Moment) -> Iterator[CheckVerdict]:
    """The one rule on a reply that needs the persona: control."""
    if turn.speaker is Speaker.SUPPORTER and moment.persona is not None:
        yield check_control(plain(turn.text), moment, moment.persona)


def check_wording(turn: Turn, moment: Moment) -> Iterator[CheckVerdict]:
    """The rules on how it is said, detail and format, which validation looks after while a dialogue is written."""
    text = plain(turn.text)
    findings = check_utterance(turn.text, turn.speaker, moment.history)
    soft = [finding for finding in findings if not finding.hard]
    if turn.speaker is Speaker.SEEKER:
        yield detail_of_seeker(text, moment, soft)
    else:
        yield detail_of_reply(text, turn, moment, soft)
    yield _format(turn, text, moment, findings)


def _format(turn: Turn, text: str, moment: Moment, findings: list[Finding]) -> CheckVerdict:
    """Limits of an utterance, and completeness of the chain before it."""
    marks = Marks(Rule.FORMAT, moment.number)
    limit, length = MAX_WORDS[turn.speaker], count_words(text)
    for finding in findings:
        if finding.kind == "too_long":
            marks.mark(0.5 * limit / length, finding.detail)
        elif finding.hard:
            marks.mark(0.0, finding.detail)
    if turn.speaker is Speaker.SUPPORTER and moment.nodes:
        nodes = asked_nodes(turn, moment)
        missing = [node for node in nodes if not node_text(turn.reasoning, node)]
        if missing:
            marks.mark(0.5 * (1 - len(missing) / len(nodes)), f"missing in the reasoning: {', '.join(missing)}")
    return marks.verdict()


def nodes_of(dialogue: Dialogue) -> tuple[Node, ...]:
    """The nodes a dialogue was asked for: as its provenance says, else those any of its turns has."""
    if dialogue.provenance is not None:
        return dialogue.provenance.nodes
    return tuple(node for node in Node if any(node_text(turn.reasoning, node) for turn in dialogue.turns))


def check_dialogue(
    dialogue: Dialogue,
    persona: Persona | None,
    nodes: tuple[Node, ...] | None = None,
    copied_from: frozenset[tuple[str, ...]] = frozenset(),
    known: Callable[[int, Turn], list[CheckVerdict] | None] | None = None,
) -> list[CheckVerdict]:
    """Check every turn of a dialogue and the dialogue as a whole.

    Args:
        dialogue: any dialogue; imported ones may lack reasoning, strategies, alternation.
        persona: the seeker's, None where there is none.
        nodes: the reasoning nodes asked for; None finds them out (see `nodes_of`).
        copied_from: word runs of the examples in the prompt (see `socialsim.validation.copy_runs`).
        known: the verdicts on a turn, by its number, that was checked before; None for one that was not.

    Returns:
        The turns' verdicts in order, then those of the whole dialogue (``turn`` None).
    """
    asked, verdicts = nodes_of(dialogue) if nodes is None else nodes, list[CheckVerdict]()
    with one_dialogue():
        for index, turn in enumerate(dialogue.turns):
            before = known(index + 1, turn) if known else None
            moment = Moment(dialogue.turns[:index], persona, asked, copied_from)
            verdicts += check_turn(turn, moment) if before is None else before
        return [*verdicts, *check_whole(dialogue, persona)]
