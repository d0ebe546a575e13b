"""The closed vocabularies: their sizes, and the names under which they are known elsewhere."""

from __future__ import annotations

import pytest

from socialsim.taxonomy import (
    EMOJIS,
    OCCUPATIONS,
    STAGED_STRATEGIES,
    SUBTOPICS,
    Stage,
    Strategy,
    Topic,
    canonical_subtopic,
    canonical_subtopics,
    parse_strategy,
    parse_topic,
)


def test_the_vocabularies_have_the_sizes_of_the_paper() -> None:
    names = [name for names in SUBTOPICS.values() for name in names]
    assert (len(Topic), len(names), len(set(names))) == (9, 101, 101)
    assert (len(Strategy), len(Stage), len(set(OCCUPATIONS))) == (8, 3, 53)
    assert len(set(EMOJIS)) == len(EMOJIS)


def test_a_strategy_stands_once_in_each_of_its_stages() -> None:
    assert len(STAGED_STRATEGIES) == 12
    assert {"Exploration#Question", "Comforting#Reflection of Feelings", "Others"} <= set(STAGED_STRATEGIES)


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        ("Questions", Strategy.QUESTION),
        ("Information", Strategy.INFORMATION),
        ("Other", Strategy.OTHERS),
        ("Reflection of feelings", Strategy.REFLECTION),
        (" providing   suggestions ", Strategy.SUGGESTIONS),
        *((str(strategy), strategy) for strategy in Strategy),
    ],
)
def test_strategies_are_known_under_the_names_of_other_corpora(name: str, strategy: Strategy) -> None:
    assert parse_strategy(name) is strategy


@pytest.mark.parametrize(
    ("name", "topic"),
    [("Emotional Communication", Topic.EMOTION), ("self growth", Topic.SELF_GROWTH), *((str(t), t) for t in Topic)],
)
def test_topics_are_known_under_their_other_names(name: str, topic: Topic) -> None:
    assert parse_topic(name) is topic


@pytest.mark.parametrize("parse", [parse_strategy, parse_topic, canonical_subtopic])
def test_an_unknown_name_is_refused_by_name(parse: object) -> None:
    assert callable(parse)
    with pytest.raises(ValueError, match="'Astrology'"):
        parse("Astrology")


def test_near_twins_map_to_one_label() -> None:
    assert canonical_subtopic("emotional regulation") == canonical_subtopic("Emotion Regulation")
    assert sum(len(canonical_subtopics(topic)) for topic in Topic) == 98
