"""The demonstrations as a set: no topic crowds out another, and the seekers are of every age, trade and kind."""

from __future__ import annotations

from collections import Counter

from socialsim.resources import demonstrations
from socialsim.schema import Personality
from socialsim.taxonomy import Topic

PEOPLE = [demo.persona for demo in demonstrations()]
POLES = [pole for person in PEOPLE for pole in person.personality.poles()]


def test_each_topic_has_five_or_six_of_at_least_fifty() -> None:
    counts = Counter(person.topic for person in PEOPLE)
    assert sum(counts.values()) >= 50
    assert {topic: counts[topic] for topic in Topic if counts[topic] not in (5, 6)} == {}


def test_ages_are_spread_over_the_range() -> None:
    ages = [person.age for person in PEOPLE]
    assert min(ages) <= 14
    assert max(ages) >= 58
    decades = Counter(age // 10 for age in ages)
    assert {decade: decades[decade] for decade in (1, 2, 3, 4, 5) if decades[decade] < 4} == {}
    assert max(decades.values()) <= len(PEOPLE) * 0.4


def test_genders_are_balanced() -> None:
    counts = Counter(person.gender for person in PEOPLE)
    assert min(counts["Female"], counts["Male"]) >= len(PEOPLE) * 0.4


def test_occupations_vary_and_none_dominates_but_the_pupils() -> None:
    counts = Counter(person.occupation for person in PEOPLE)
    assert len(counts) >= 25
    assert {name for name, count in counts.items() if count > 4} <= {"Student"}
    assert counts["Student"] <= 10


def test_every_personality_pole_occurs_ten_times() -> None:
    counts = Counter(POLES)
    assert len(counts) == 2 * len(Personality.model_fields)
    assert {pole: count for pole, count in counts.items() if count < 10} == {}
