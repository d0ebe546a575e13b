"""What is looked for before a slow pattern is tried leaves out nothing that the pattern would find."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from metrics import check_seeker, check_supporter, contradictions
from metrics.mentions import Reading
from socialsim import validation
from socialsim.text import Guarded

GUARDED = [
    found
    for module in (validation, check_seeker, check_supporter, contradictions)
    for found in vars(module).values()
    if isinstance(found, Guarded)
]
OF_SELF = (contradictions._AGE, contradictions._DECADE, contradictions._GENDER)


def test_there_are_some() -> None:
    assert len(GUARDED) == 7


@pytest.mark.parametrize("guarded", GUARDED, ids=lambda guarded: guarded.pattern.pattern[:30])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_a_pattern_matches_passes_its_guard(guarded: Guarded, data: st.DataObject) -> None:
    text = data.draw(st.from_regex(guarded.pattern))
    found, plainly = guarded.search(text), guarded.pattern.search(text)
    assert found is not None
    assert plainly is not None
    assert found.span() == plainly.span()


def test_without_a_needle_the_pattern_is_not_tried() -> None:
    assert Guarded(re.compile("(?i)a+b"), "b").search("AAA") is None


@pytest.mark.parametrize("pattern", OF_SELF, ids=lambda pattern: pattern.pattern[:30])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_what_a_seeker_claims_to_be_passes_the_guard_of_such_claims(
    pattern: re.Pattern[str], data: st.DataObject
) -> None:
    text = data.draw(st.from_regex(pattern))
    assert contradictions._of_self(Reading(text))


@pytest.mark.parametrize(
    ("pattern", "holds"),
    [
        (contradictions._JOB, lambda told: contradictions._of_self(told) or "i work as" in told.lower),
        (contradictions._KIN_AGE, lambda told: told.kin and "my " in told.lower),
    ],
    ids=["job", "kin's age"],
)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_so_do_its_job_and_its_relations(
    pattern: re.Pattern[str], holds: Callable[[Reading], object], data: st.DataObject
) -> None:
    text = data.draw(st.from_regex(pattern))
    found = pattern.search(text)
    assert found is not None
    kin = found.groupdict().get("kin")
    assume(kin is None or not text[found.end("kin") :][:1].isalnum())  # "mumand" names nobody
    assert holds(Reading(text))
