"""The rubric judge (paper: "Quality", Tables 2 and 11): six dimensions, 0 to 3, by an LM that must quote.

A malformed verdict is an error that is counted, what an LM cannot score is missing; neither
becomes a number. An LM's scores are no human ratings: `calibration_note` says what is known of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from hashlib import sha256
from statistics import fmean, stdev, variance
from typing import Any, NamedTuple, Self

import dspy
from pydantic import Field, model_validator

from metrics.calibrations import UNCALIBRATED, calibration_note, is_calibrated
from metrics.quotable import quotable_sentences, quotes_of
from metrics.quotes import occurs
from signatures.judge import Evidence, JudgeDialogue, Judgement, narrowed
from signatures.rubric import Dimension, guide_text
from socialsim.ask import BadAnswer, Exhausted, ask, ask_until
from socialsim.predict import Predict
from socialsim.schema import Dialogue, Record, Role, Turn, Usage

__all__ = [
    "UNCALIBRATED",
    "Cell",
    "Dimension",
    "Evidence",
    "Judged",
    "Malformed",
    "RubricJudge",
    "RubricLeaf",
    "RubricVerdict",
    "Score",
    "calibration_note",
    "is_calibrated",
    "judge_inputs",
    "quotable",
    "table_row",
]


class Score(Record):
    """One judgement; ``score`` is None where the judge said that it cannot be scored (missing)."""

    dimension: Dimension
    sample: int = Field(ge=1)
    score: int | None = Field(ge=0, le=3)
    discussion: str
    evidence: tuple[Evidence, ...] = ()


class Malformed(Record):
    """A judgement that was given up: what was wrong with each answer, in order."""

    dimension: Dimension
    sample: int = Field(ge=1)
    reasons: tuple[str, ...] = Field(min_length=1)


class RubricVerdict(Record):
    """Everything one judge said of one dialogue: of each dimension and sample a score or an error.

    Attributes:
        id: id of the dialogue.
        text: digest of what was judged (see `text_digest`).
        judge: spec of the LM.
        program: hash of the judge's instructions and demonstrations.
        k: samples of each dimension.
        calibrated: whether this judge's agreement with people was known when it judged.
        retried: malformed answers that were asked again, those of ``errors`` included.
        usage: what the verdict cost.
    """

    id: str
    text: str
    judge: str
    program: str
    k: int = Field(ge=1)
    calibrated: bool
    scores: tuple[Score, ...] = ()
    errors: tuple[Malformed, ...] = ()
    retried: int = 0
    usage: Usage = Usage()

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        items: tuple[Score | Malformed, ...] = (*self.scores, *self.errors)
        there = sorted((item.dimension, item.sample) for item in items)
        if there != sorted((dimension, sample) for dimension in Dimension for sample in range(1, self.k + 1)):
            raise ValueError(f"not one score or error for each dimension and each of {self.k} samples")
        return self

    def samples(self, dimension: Dimension) -> tuple[int, ...]:
        """The scores of a dimension; missing ones and errors are left out."""
        return tuple(item.score for item in self.scores if item.dimension is dimension and item.score is not None)

    def mean(self, dimension: Dimension) -> float | None:
        """Mean score of a dimension over its samples, 0 to 3; None where none was scored."""
        scores = self.samples(dimension)
        return fmean(scores) if scores else None


class RubricLeaf(dspy.Module):
    """Inputs: dialogue, dimension, correction (see `judge_inputs`); answer: a `Judgement`. The leaf to compile.

    ``quotable`` limits what an answer may quote (see `quotable`); it reaches the decoder, not the prompt.
    """

    def __init__(self) -> None:
        super().__init__()
        self.judge = Predict(JudgeDialogue)

    def forward(self, quotable: tuple[str, ...] = (), **inputs: Any) -> dspy.Prediction:
        """Judge one dimension."""
        return self.judge(signature=self._limited(quotable, inputs), **inputs)

    async def aforward(self, quotable: tuple[str, ...] = (), **inputs: Any) -> dspy.Prediction:
        """The same, asynchronously."""
        return await self.judge.acall(signature=self._limited(quotable, inputs), **inputs)

    def _limited(self, quotable: tuple[str, ...], inputs: dict[str, Any]) -> type[dspy.Signature]:
        signature: Any = self.judge.signature
        utterances = str(inputs.get("dialogue", "")).count("\n") + 1  # one a line, see `numbered`
        return narrowed(signature, tuple(quotable), utterances) if quotable else signature


class Judged(NamedTuple):
    """What a judge made of a dialogue, before it is signed."""

    scores: tuple[Score, ...]
    errors: tuple[Malformed, ...]
    retried: int


class RubricJudge(dspy.Module):
    """Judge a dialogue by all six dimensions, one call each; nothing but what was said is shown.

    Args:
        leaf: the leaf program, compiled or not.
        tries: answers asked for at most before a judgement is given up.
        together: ask for all judgements at once, instead of one after another, so that a prompt cache serves all but
            the first.
    """

    def __init__(self, leaf: RubricLeaf | None = None, tries: int = 3, together: bool = False) -> None:
        super().__init__()
        self.leaf = leaf or RubricLeaf()
        self.tries = tries
        self.together = together

    async def aforward(self, dialogue: Dialogue, k: int = 1) -> Judged:
        """Judge each dimension ``k`` times.

        Raises:
            RoleError: if the judge LM did not answer.
        """
        retries: list[str] = []

        async def judged(dimension: Dimension, sample: int) -> Score | Malformed:
            try:
                return await self._score(dialogue, dimension, sample, retries)
            except Exhausted as error:
                return Malformed(dimension=dimension, sample=sample, reasons=error.reasons)

        wanted = [(dimension, sample) for dimension in Dimension for sample in range(1, k + 1)]
        if self.together:
            made = await asyncio.gather(*(judged(*one) for one in wanted))
        else:
            made = [await judged(*one) for one in wanted]
        scores = tuple(one for one in made if isinstance(one, Score))
        return Judged(scores, tuple(one for one in made if isinstance(one, Malformed)), len(retries))

    async def _score(self, dialogue: Dialogue, dimension: Dimension, sample: int, retries: list[str]) -> Score:
        choices = quotable(dialogue)

        async def attempt(correction: str) -> Judgement:
            try:
                inputs = judge_inputs(dialogue, dimension, correction)
                return checked(await ask(Role.JUDGE, self.leaf, quotable=choices, **inputs), dialogue.turns, choices)
            except BadAnswer as error:
                retries.append(str(error))
                raise

        given = await ask_until(attempt, self.tries)
        return Score(dimension=dimension, sample=sample, **dict(given))


def numbered(turns: Sequence[Turn]) -> str:
    """The utterances with their numbers, one a line; reasoning is never shown."""
    said = (" ".join(turn.text.split()) for turn in turns)  # a line break could forge another utterance
    return "\n".join(
        f"{i}. {turn.speaker.capitalize()}: {text}" for i, (turn, text) in enumerate(zip(turns, said, strict=True), 1)
    )


def text_digest(dialogue: Dialogue) -> str:
    """Twelve hex digits that change with what is judged of a dialogue."""
    return sha256(numbered(dialogue.turns).encode()).hexdigest()[:12]


def judge_inputs(dialogue: Dialogue, dimension: Dimension, correction: str = "") -> dict[str, str]:
    """The leaf's inputs, as the prompt shows them."""
    return {"dialogue": numbered(dialogue.turns), "dimension": guide_text(dimension), "correction": correction}


def quotable(dialogue: Dialogue) -> tuple[str, ...]:
    """The sentences of a dialogue that a judge may quote; () where they are too many to list (see `RubricLeaf`)."""
    return quotable_sentences(turn.text for turn in dialogue.turns)


def checked(answer: Judgement, turns: Sequence[Turn], quotable: Sequence[str] = ()) -> Judgement:
    """The answer, if its evidence is in the dialogue; what is missing needs none, and loses what is not there.

    Args:
        answer: what the judge said.
        turns: what it judged.
        quotable: the sentences its answer was limited to. One of them is evidence whatever number comes with it: the
            number is only a pointer, and moves to the nearest utterance that holds the sentence.

    Raises:
        BadAnswer: if a score has no evidence, or evidence that does not occur where it is said to.
    """
    if quotable:
        answer = answer.model_copy(update={"evidence": tuple(_pointed(item, turns) for item in answer.evidence)})
    faults = [_fault(item, turns) for item in answer.evidence]
    if answer.score is None:
        kept = tuple(item for item, fault in zip(answer.evidence, faults, strict=True) if not fault)
        return answer.model_copy(update={"evidence": kept})
    if not answer.evidence:
        raise BadAnswer("evidence: a score needs 1 to 3 quotes, each with the number of its utterance")
    if any(faults):
        raise BadAnswer("; ".join(fault for fault in faults if fault))
    return answer


def _pointed(evidence: Evidence, turns: Sequence[Turn]) -> Evidence:
    number = evidence.utterance
    places = [i for i, turn in enumerate(turns, 1) if evidence.quote in quotes_of(turn.text)]
    nearest = min(places, key=lambda place: abs(place - number), default=number)
    return evidence.model_copy(update={"utterance": nearest})


def _fault(evidence: Evidence, turns: Sequence[Turn]) -> str:
    number = evidence.utterance
    if number > len(turns):
        return f"evidence: there is no utterance {number}; the last one is {len(turns)}"
    if occurs(evidence.quote, turns[number - 1].text):
        return ""
    elsewhere = next((i for i, turn in enumerate(turns, 1) if occurs(evidence.quote, turn.text)), None)
    where = f"it is in utterance {elsewhere}" if elsewhere else "copy the words exactly"
    quote = " ".join(evidence.quote.split())[:80]
    return f"evidence: '{quote}' is not in utterance {number}; {where}"


class Cell(NamedTuple):
    """One dimension of one corpus; ``scored + missing + errors`` is dialogues times samples.

    Attributes:
        mean: mean over dialogues of the mean over samples, 0 to 3; None where nothing was scored.
        spread: standard deviation between the dialogues' means; None below two dialogues.
        sample_spread: standard deviation between the samples of a dialogue, pooled over dialogues (root of the
            mean variance); None where no dialogue has two scores.
        dialogues: dialogues with a score.
        scored: judgements with a score.
        missing: judgements the judge could not score.
        errors: judgements given up as malformed.
    """

    mean: float | None
    spread: float | None
    sample_spread: float | None
    dialogues: int
    scored: int
    missing: int
    errors: int


def table_row(verdicts: Iterable[RubricVerdict]) -> dict[Dimension, Cell]:
    """The row of Table 2 that a corpus's verdicts make."""
    given = list(verdicts)
    return {dimension: _cell(given, dimension) for dimension in Dimension}


def _cell(verdicts: Sequence[RubricVerdict], dimension: Dimension) -> Cell:
    samples = [scores for verdict in verdicts if (scores := verdict.samples(dimension))]
    means = [fmean(scores) for scores in samples]
    variances = [variance(scores) for scores in samples if len(scores) > 1]
    items = [item for verdict in verdicts for item in verdict.scores if item.dimension is dimension]
    return Cell(
        mean=fmean(means) if means else None,
        spread=stdev(means) if len(means) > 1 else None,
        sample_spread=fmean(variances) ** 0.5 if variances else None,
        dialogues=len(samples),
        scored=sum(map(len, samples)),
        missing=sum(item.score is None for item in items),
        errors=sum(item.dimension is dimension for verdict in verdicts for item in verdict.errors),
    )
