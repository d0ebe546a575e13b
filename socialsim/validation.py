"""What an utterance and a dialogue must satisfy while they are generated.

Two levels. A hard finding makes a turn or a dialogue unusable: it is asked again with the
reason, then rejected. A soft finding is asked again once, then kept and shown as a flag
(``--strict`` makes every soft finding hard). Pure functions; no LM.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

from rapidfuzz import fuzz, process

from socialsim.history import History, history_of
from socialsim.schema import PROSE, Dialogue, Node, Speaker, Turn
from socialsim.taxonomy import (
    MAX_UTTERANCES,
    MIN_UTTERANCES,
    SEEKER_MAX_WORDS,
    SUPPORTER_MAX_WORDS,
    Stage,
    Strategy,
)
from socialsim.text import Guarded, count_words, joined, may_recur, ngrams, plain, sentences, spoken, words

MAX_WORDS = {Speaker.SEEKER: SEEKER_MAX_WORDS, Speaker.SUPPORTER: SUPPORTER_MAX_WORDS}

# Words a person may also use ("my therapist: ...") are a speaker's label at the start of a sentence only.
_SPEAKER_LINE = Guarded(
    re.compile(
        r"(?i)(?:^|[\s\"'(\[*])(?:help[- ]?)?(?:seeker|supporter)\s*\**[:：]|"
        r"(?:^|[.!?…]\s+|[\n\"(\[*]\s*)(?:user|assistant|human|counsell?or|therapist)\s*\**[:：]"
    ),
    *":：",
)
_PLACEHOLDER = Guarded(
    re.compile(
        r"(?i)[{}]|<[^<>]{1,40}>|\[[^\]]{0,40}\]|_{3,}|\bexchange \d+ of \d|\blorem ipsum\b|"
        r"\b(?:insert (?:your |the |a )?|seeker'?s? |supporter'?s? )(?:name|text|reply|utterance)\b|"
        r"\byour (?:name|text|reply|utterance|line) here\b|\byour (?:next line|reply), at most\b|"
        r"^\W*your (?:next )?(?:name|text|reply|utterance|line)\W*$"
    ),
    *("{", "}", "<", "[", "___", "exchange", "lorem", "name", "text", "reply", "utterance", "line"),
)
_FIELD_NAMES = frozenset(
    [
        "utterance",
        "reply",
        "text",
        "string",
        "emoji",
        "situation",
        "thought",
        "action",
        "strategy",
        "strategies",
        "purpose",
        "none",
        "null",
        "n",
        "a",
    ]
)
# Advice the paper's rules rule out: it fits everyone, so it helps nobody in particular.
_GENERIC_ADVICE = Guarded(
    re.compile(
        r"(?i)\b(?:meditat(?:e|ing|ion)|mindfulness|journall?ing|"
        r"(?:keep|keeping|start|starting|write in|writing in|try) (?:an? |your )?(?:\w+ )?(?:journal|diary)|"
        r"(?:take|taking|try) (?:an? |some |a few |\w+ )?deep breaths?|deep breathing|breathing exercises?|"
        r"write (?:it|things|them) down|self[- ]care|stay(?:ing)? positive|think positive(?:ly)?|"
        r"consider(?:ing)? (?:therapy|counsell?ing)|(?:go|going) to therapy|"
        r"(?:get|seek|find)(?:ing)? professional help|"
        r"(?:see|seek|talk(?:ing)? to|speak(?:ing)? (?:to|with)|reach(?:ing)? out to|consult\w*|find) "
        r"(?:an? |some |with )*(?:mental health |licensed |trained |qualified )*"
        r"(?:professionals?|therapists?|counsell?ors?|psycholog\w+|psychiatr\w+)"
        r"(?! (?:photo|cook|chef|cleaner|mover)))\b"
    ),
    *("meditat", "mindful", "journal", "diary", "breath", " down", "self", "positive"),
    *("therap", "counsel", "professional", "psycholog", "psychiatr"),
)
_COPIED_RUN = 8  # words in a row shared with a demonstration that make a copy
_PART = 4  # words of such a run that are looked for first
_LONG = 6  # words of a sentence
_NEAR_SAME = 90.0  # rapidfuzz ratio (0-100) from which two utterances are the same


@dataclass(frozen=True)
class Finding:
    """One violated rule: its kind, what to change in words, and how grave it is."""

    kind: str
    detail: str
    hard: bool


def check_utterance(
    text: str,
    speaker: Speaker,
    history: Sequence[Turn],
    demonstration_runs: CopyRuns | None = None,
) -> list[Finding]:
    """Check a new utterance (closing emoji included) against the turns before it.

    Args:
        text: the utterance.
        speaker: who says it.
        history: the turns before it.
        demonstration_runs: word runs of the demonstrations in the prompt (see `copy_runs`).

    Returns:
        The findings, hard ones first.
    """
    bare = plain(text)
    found = list(_known_findings(bare, speaker, history_of(history)))
    grave = any(finding.hard for finding in found)
    if demonstration_runs and not grave and demonstration_runs.shared(words(bare)):
        found.append(Finding("copied", "use your own words, not those of the example", hard=False))
    return found


def _known_findings(bare: str, speaker: Speaker, before: History) -> tuple[Finding, ...]:
    """Asked while a dialogue is written, and again by the rule on wording."""
    found: tuple[Finding, ...] | None = before.found.get((bare, speaker))
    if found is None:
        found = before.found[bare, speaker] = _findings(bare, speaker, before)
    return found


def _findings(bare: str, speaker: Speaker, before: History) -> tuple[Finding, ...]:
    if grave := tuple(_hard_findings(bare, words(bare), speaker)):
        return grave
    return tuple(_soft_findings(bare, speaker, before))


def _hard_findings(bare: str, tokens: tuple[str, ...], speaker: Speaker) -> Iterable[Finding]:
    limit = MAX_WORDS[speaker]
    if not tokens:
        yield Finding("empty", "say something in words", hard=True)
    elif _PLACEHOLDER.search(bare) or (len(tokens) <= 2 and set(tokens) <= _FIELD_NAMES):
        yield Finding("placeholder", "write real words, not a placeholder or a field name", hard=True)
    if count_words(bare) > limit:
        yield Finding("too_long", f"use at most {limit} words, not {count_words(bare)}", hard=True)
    if _SPEAKER_LINE.search(bare) or "\n" in bare:
        yield Finding("other_speaker", f"write only the {speaker}'s own words, on one line", hard=True)


def _soft_findings(bare: str, speaker: Speaker, before: History) -> Iterable[Finding]:
    if _repeats(bare, before.texts, before.lowered, before):
        own, other = before.said_by(speaker), before.not_said_by(speaker)
        if _repeats(bare, own, _lowered(own), before):
            yield Finding("repeated", f"the {speaker} said this before; say something new", hard=False)
        if _repeats(bare, other, _lowered(other), before):
            yield Finding("echoed", "do not repeat the other speaker's words; answer them", hard=False)
    if _loops(bare):
        yield Finding("looping", "do not repeat the same words within one utterance", hard=False)
    if speaker is Speaker.SUPPORTER and (generic := _GENERIC_ADVICE.search(bare)):
        yield Finding("generic_advice", f"'{generic.group(0)}' fits anyone; be specific to this seeker", hard=False)
    if bare[-1].isalnum() or bare[-1] in ",;:-–—":
        yield Finding("cut_off", "end with a complete sentence", hard=False)


def _lowered(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text.lower() for text in texts)


def _repeats(bare: str, earlier: tuple[str, ...], lowered: tuple[str, ...], before: History) -> bool:
    """Whether some of the texts before say the same, in a long sentence or as a whole."""
    recurs = may_recur(spoken(bare), before.spoken, _LONG)
    if recurs and not _long_sentences(bare).isdisjoint(joined(_long_sentences, earlier)):
        return True
    if len(words(bare)) < 4:
        return False
    return process.extractOne(bare.lower(), lowered, scorer=fuzz.ratio, score_cutoff=_NEAR_SAME) is not None


@lru_cache(maxsize=512)
def _long_sentences(text: str) -> frozenset[tuple[str, ...]]:
    """Greetings and thanks may recur; a long sentence may not."""
    return frozenset(tokens for part in sentences(text) if len(tokens := words(part)) >= _LONG)


def _loops(bare: str) -> bool:
    tokens = words(bare)
    return len(set(pairwise(tokens))) < len(tokens) - 1 and len(ngrams(tokens, 4)) < len(tokens) - 3


class CopyRuns(frozenset[tuple[str, ...]]):
    """Word runs of demonstration texts, none of which an utterance may share."""

    def shared(self, tokens: tuple[str, ...]) -> bool:
        """Whether some tokens hold one; where they do, every fifth part of four words shows it."""
        parts = self._parts
        near = [at for at in range(0, len(tokens), _COPIED_RUN - _PART + 1) if tokens[at : at + _PART] in parts]
        return bool(near) and not self.isdisjoint(ngrams(tokens, _COPIED_RUN))

    @cached_property
    def _parts(self) -> frozenset[tuple[str, ...]]:
        return frozenset(run[at : at + _PART] for run in self for at in range(_COPIED_RUN - _PART + 1))


def copy_runs(texts: Iterable[str]) -> CopyRuns:
    """The word runs of demonstration texts that an utterance may not share."""
    return CopyRuns(run for text in texts for run in ngrams(words(text), _COPIED_RUN))


def check_reasoning(turn: Turn, nodes: Sequence[Node], demonstration_runs: CopyRuns | None = None) -> list[Finding]:
    """Check that a supporter turn carries every node that was asked for, in words; a strategy says its purpose.

    Hard: a node is missing. Soft: a node copies a demonstration of the prompt.
    """
    reasoning = turn.reasoning
    found = []
    for node in nodes:
        value = getattr(reasoning, PROSE[node], None)
        unchosen = node is Node.STRATEGY and not turn.strategies
        if unchosen or not value or not words(value) or _PLACEHOLDER.search(value):
            found.append(Finding("reasoning", f"the {node} node is missing or a placeholder", hard=True))
        elif demonstration_runs and demonstration_runs.shared(words(value)):
            found.append(
                Finding("copied_reasoning", f"{node}: reason about this seeker, not the example's", hard=False)
            )
    return found


def check_dialogue(dialogue: Dialogue, nodes: Sequence[Node]) -> list[Finding]:
    """Check order, length and coverage of a whole dialogue.

    Hard: the seeker begins, speakers alternate, the supporter ends, 18 to 40 utterances.
    Soft: all eight strategies appear, the first suggestion does not precede exploration.
    """
    turns = dialogue.turns
    found = []
    speakers = [turn.speaker for turn in turns]
    if speakers != [Speaker.SEEKER, Speaker.SUPPORTER] * (len(turns) // 2):
        found.append(Finding("order", "the seeker begins, speakers alternate, the supporter ends", hard=True))
    if not MIN_UTTERANCES <= len(turns) <= MAX_UTTERANCES:
        detail = f"{len(turns)} utterances; allowed are {MIN_UTTERANCES} to {MAX_UTTERANCES}"
        found.append(Finding("length", detail, hard=True))
    if Node.STRATEGY in nodes:
        found.extend(_strategy_findings(turns))
    return found


def _strategy_findings(turns: Sequence[Turn]) -> Iterable[Finding]:
    staged = [choice for turn in turns for choice in turn.strategies]
    missing = [strategy.value for strategy in Strategy if strategy not in {choice.strategy for choice in staged}]
    if missing:
        yield Finding("strategy_missing", ", ".join(missing), hard=False)
    stages = [choice.stage for choice in staged if choice.stage]
    if Stage.ACTION in stages and Stage.EXPLORATION not in stages[: stages.index(Stage.ACTION)]:
        yield Finding("stage_order", "the supporter acts before it explores", hard=False)
