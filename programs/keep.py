"""What may stand: an answer is taken, asked again with what was wrong, kept with a flag, or given up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel

from socialsim.ask import BadAnswer, Exhausted
from socialsim.identity import Same
from socialsim.schema import Flag, Persona, Turn
from socialsim.text import ngrams, words
from socialsim.validation import CopyRuns, Finding, copy_runs

T = TypeVar("T")
_PARROTED = 6  # words in a row shared with a correction


class Moment(NamedTuple):
    """Where a turn stands: what a check beyond validation may look at.

    What a check finds is told to the speaker. Where that is a supporter who may not know the
    persona, the check is given none: not even a correction can leak.
    """

    history: tuple[Turn, ...]
    persona: Persona | None = None


# A further check of a turn; metrics are handed in this way, since programs do not know them.
TurnCheck = Callable[[Turn, Moment], list[Finding]]


def no_check(turn: Turn, moment: Moment) -> list[Finding]:
    """The check that finds nothing."""
    return []


async def best(
    attempt: Callable[[str], Awaitable[T]], faults: Callable[[T], Sequence[str]], tries: int, repair: int
) -> T:
    """Ask until an answer may stand.

    Args:
        attempt: takes what was wrong with the last answer ("" at first); raises `BadAnswer` or `Exhausted` for an
            answer that may not stand.
        faults: what is wrong with one that may, but should not.
        tries: answers asked for at most.
        repair: how often an answer with faults is asked again; then the one with the fewest is kept.

    Raises:
        Exhausted: if no answer may stand.
    """
    reasons: list[str] = []
    kept: list[T] = []
    repairs = 0
    for _ in range(tries):
        try:
            made = await attempt(reasons[-1] if reasons else "")
        except (BadAnswer, Exhausted) as error:
            reasons.append(str(error))
        else:
            kept.append(made)
            if not (found := faults(made)):
                break
            reasons.append("; ".join(found))
        if kept and repairs == repair:
            break
        repairs += bool(kept)
    if not kept:
        raise Exhausted(reasons)
    return min(kept, key=lambda made: len(faults(made)))


def parroted(text: str, correction: str) -> list[Finding]:
    """What a very small model does with a correction: it says it."""
    if correction and ngrams(words(text), _PARROTED) & ngrams(words(correction), _PARROTED):
        return [Finding("parroted", "a correction is for you alone; say what you would say to the other", hard=False)]
    return []


def flagged(turn: Turn, findings: Sequence[Finding], strict: bool) -> Turn:
    """The turn with its soft findings as flags.

    Raises:
        BadAnswer: naming what it must not be, where it may not stand.
    """
    if any(finding.hard or strict for finding in findings):
        raise BadAnswer("; ".join(finding.detail for finding in findings))
    if not findings and not turn.flags:
        return turn
    return turn.model_copy(update={"flags": tuple(Flag(kind=f.kind, detail=f.detail) for f in findings)})


def demonstration_runs(demos: Iterable[Mapping[str, Any]]) -> CopyRuns:
    """The word runs of a prompt's demonstrations, which no answer may copy."""
    return _runs_of(Same(demos))  # the same few in every prompt of a run


@lru_cache(maxsize=128)
def _runs_of(demos: Same[Mapping[str, Any]]) -> CopyRuns:
    return copy_runs(text for demo in demos.items for text in texts(dict(demo)))


def texts(value: Any) -> Iterator[str]:
    """Every string within an example or an answer, whatever form it has (a reloaded one is a dict)."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from texts(part)
