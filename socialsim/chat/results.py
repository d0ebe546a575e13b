"""People's ratings as the paper's Tables 5 and 6, by the code that makes them of a judge's verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from rich.table import Table

from metrics.arena import ArenaVerdict, verdict_id
from signatures.arena import Aspect, Comparison, Preferred
from socialsim.chat.blind import AspectRating, BlindRating, BlindSession, read_settings
from socialsim.errors import InputError, UsageError
from socialsim.journal import read_records
from socialsim.report.arena import table5, table6

FEW: Final = 10  # raters; resampling so few underrates how much others would differ
_PEOPLE: Final = "* published: human ratings by 30 workers who talked to the models"
_SWAPPED: Final = {Preferred.FIRST: Preferred.SECOND, Preferred.SECOND: Preferred.FIRST, Preferred.TIE: Preferred.TIE}


class Results(NamedTuple):
    """What people said of the models.

    Attributes:
        models: names, in the order of the tables.
        verdicts: each rated aspect, in both orders, which agree since a person sees both at once.
        sessions: rated sessions.
        open: sessions without a rating.
        raters: people; one without a name counts as one a session.
        first: aspects with a preference, and those that prefer Model 1, the one shown first.
    """

    models: tuple[str, ...]
    verdicts: list[ArenaVerdict]
    sessions: int
    open: int
    raters: int
    first: tuple[int, int]


def read_results(paths: Sequence[Path]) -> Results:
    """Put the ratings of one or more evaluations together; models of one name are one.

    Raises:
        InputError: if a folder holds no evaluation, or a file is broken.
        UsageError: if nothing was rated yet.
    """
    models: dict[str, None] = {}
    rated: list[tuple[str, BlindSession, BlindRating]] = []
    opened = 0
    for path in paths:
        settings = read_settings(path)
        if settings is None:
            raise InputError(path, "holds no blind comparison; begin one with socialsim chat --blind A=SPEC,B=SPEC")
        models |= dict.fromkeys(sorted(settings.models))
        sessions = {session.id: session for session in read_records(path / "sessions.jsonl", BlindSession)}
        ratings = list(read_records(path / "ratings.jsonl", BlindRating))
        opened += len(sessions) - len(ratings)
        rated += [(f"{path}/{one.id}", sessions[one.id], one) for one in ratings]
    if not rated:
        raise UsageError(f"{', '.join(map(str, paths))}: nothing is rated yet ({opened} sessions are open)")
    groups = [session.rater or where for where, session, _ in rated]
    preferred = [aspect.preferred for _, _, rating in rated for aspect in rating.aspects.values()]
    decided = [one for one in preferred if one is not Preferred.TIE]
    return Results(
        models=tuple(models),
        verdicts=list(_verdicts(groups, rated)),
        sessions=len(rated),
        open=opened,
        raters=len(set(groups)),
        first=(len(decided), decided.count(Preferred.FIRST)),
    )


def _verdicts(groups: Sequence[str], rated: Sequence[tuple[str, BlindSession, BlindRating]]) -> Iterator[ArenaVerdict]:
    """The rater takes the place of the persona: what one person says hangs together."""
    counts: Counter[str] = Counter()
    for group, (_, session, rating) in zip(groups, rated, strict=True):
        counts[group] += 1
        one, other = session.order
        for aspect, given in rating.aspects.items():
            swapped = AspectRating(first=given.second, second=given.first, preferred=_SWAPPED[given.preferred])
            yield _verdict(group, one, other, aspect, counts[group], given)
            yield _verdict(group, other, one, aspect, counts[group], swapped)


def _verdict(group: str, first: str, second: str, aspect: Aspect, sample: int, given: AspectRating) -> ArenaVerdict:
    said = "rated by a person"
    answer = Comparison(
        discussion=said,
        first_quote=said,
        second_quote=said,
        first_score=given.first,
        second_score=given.second,
        preferred=given.preferred,
    )
    made = verdict_id(group, first, second, aspect, sample)
    return ArenaVerdict(
        id=made, persona_id=group, first=first, second=second, aspect=aspect, sample=sample, answer=answer
    )


def result_tables(results: Results) -> tuple[Table, Table]:
    """Tables 5 and 6 of people's ratings."""
    preferred, scores = table5(results.models, results.verdicts), table6(results.models, results.verdicts)
    preferred.caption = f"% of sessions [95% interval over raters]\n{_PEOPLE}"
    scores.caption = f"mean rating, 0 to 3 [95% interval over raters]\n{_PEOPLE}"
    return preferred, scores


def result_notes(results: Results) -> Iterator[str]:
    """What to know when reading the tables."""
    decided, first = results.first
    yield f"{results.sessions:,} rated sessions of {results.raters:,} raters · {results.open:,} sessions not rated"
    if decided:
        yield f"Model 1, the one shown first, is preferred in {first:,} of {decided:,} aspects with a preference."
    if results.raters < FEW:
        yield f"{results.raters:,} raters are few: intervals from fewer than {FEW} come out too narrow."
