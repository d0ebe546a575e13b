"""Strategy, coverage and realism on real dialogues: what is known of them must come out.

The figures were read off once; the bounds are wide, and each would fail if the code were wrong.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from metrics.coverage import coverage
from metrics.flows import flows, transitions
from metrics.realism import Measure, Realism, compare, realism, seeker_facts
from metrics.sentences import sentence_embeddings
from metrics.signs import vader
from metrics.strategy import divergence, preference_bias, strategy_use
from socialsim.formats import read_dialogues
from socialsim.resources import demonstrations
from socialsim.schema import Dialogue, Speaker
from socialsim.taxonomy import Strategy

DATA = Path(os.environ.get("SOCIALSIM_SHARED", Path(__file__).parents[3] / "shared")) / "data"

real = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no real data in {DATA}; set SOCIALSIM_SHARED to the folder that holds data/"
)


@cache
def esconv() -> tuple[Dialogue, ...]:
    return tuple(read_dialogues(DATA / "esconv_dev.json"))


@cache
def authored() -> tuple[Dialogue, ...]:
    return tuple(demonstration.dialogue for demonstration in demonstrations())


@real
def test_esconv_uses_each_strategy_as_often_as_published() -> None:
    use = strategy_use(esconv())
    assert (use.dialogues, use.named, use.unnamed) == (211, 3084, 0)
    assert list(use.counts.values()) == [662, 177, 251, 283, 494, 477, 201, 539]


@real
def test_esconv_asks_first_and_suggests_later() -> None:
    use = strategy_use(esconv())
    quarters = [use.shares(stage) or {} for stage in range(4)]
    asked = [shares[Strategy.QUESTION] for shares in quarters]
    assert asked == sorted(asked, reverse=True)
    assert 0.4 < asked[0] == max(quarters[0].values())
    suggested = [shares[Strategy.SUGGESTIONS] for shares in quarters]
    assert suggested[0] < 0.05 < 0.1 < min(suggested[1:])
    assert max(suggested) == suggested[2] == max(quarters[2].values())
    # Greetings and farewells are Others.
    others = [shares[Strategy.OTHERS] for shares in quarters]
    assert max(others) == others[3] == max(quarters[3].values())


@real
def test_esconv_has_no_strong_preference() -> None:
    bias = preference_bias(esconv())
    assert bias.commonest is Strategy.QUESTION
    assert bias.commonest_share == 662 / 3084
    assert bias.unevenness is not None
    assert 0.03 < bias.unevenness < 0.08
    assert bias.first_suggestion is not None
    assert 0.4 < bias.first_suggestion < 0.6


@real
def test_every_pair_of_supporter_turns_in_esconv_is_a_transition() -> None:
    found = transitions(esconv())
    assert found.n == 3084 - 211
    after = found.shares(Strategy.QUESTION) or {}
    assert max(after, key=lambda name: after[name]) is Strategy.QUESTION
    top = flows(esconv())
    assert Strategy.QUESTION in top.commonest[0].steps
    assert top.commonest[0].share < 0.05  # real supporters follow no script


@real
def test_esconv_is_like_itself_and_the_demonstrations_are_in_another_order() -> None:
    halves = divergence(esconv()[::2], esconv()[1::2])
    assert halves.overall is not None
    assert halves.overall < 0.01
    found = divergence(authored(), esconv())
    for level, chance in zip(found.by_stage, found.chance_by_stage, strict=True):
        assert level is not None
        assert chance is not None
        assert chance < 0.03 < level < 0.5


def test_the_demonstrations_are_about_their_own_persona() -> None:
    pairs = list(demonstrations())
    personas = {pair.persona.id: pair.persona for pair in pairs}
    found = coverage(authored(), personas, embed=sentence_embeddings)
    assert (found.dialogues, found.without_persona, found.others) == (50, 0, 5)
    assert found.similarity is not None
    for curves, margin in ((found.overlap, 0.05), (found.similarity, 0.08)):
        for speaker in Speaker:
            level, higher = curves[speaker].overall, curves[speaker].higher
            assert level.own is not None
            assert level.other is not None
            assert level.own > level.other + margin
            assert higher is not None
            assert higher >= 0.9
        seekers, supporters = curves[Speaker.SEEKER].overall.own, curves[Speaker.SUPPORTER].overall.own
        assert seekers is not None
        assert supporters is not None
        assert seekers > supporters  # as the paper finds
        # The greeting says little of the persona, the story after it most.
        own = [level.own or 0.0 for level in curves[Speaker.SEEKER].bins]
        assert own[1] > own[0] + 0.2
        assert own.index(max(own)) in (1, 2)


def test_without_function_words_the_margin_is_wider() -> None:
    personas = {pair.persona.id: pair.persona for pair in demonstrations()}
    plain, content = (coverage(authored(), personas, content_words=flag).overlap for flag in (False, True))
    for speaker in Speaker:
        ratios = [(one.overall.own or 0) / (one.overall.other or 1) for one in (plain[speaker], content[speaker])]
        assert ratios[1] > ratios[0] + 0.5


def measured(dialogues: Sequence[Dialogue]) -> Realism:
    return realism(seeker_facts(dialogues, lambda _: 0.0))


@real
def test_people_speak_unevenly_and_push_back_more_after_a_suggestion() -> None:
    found = measured(esconv())
    figures = found.figures
    assert found.dialogues == 211
    assert found.turns == sum(n for _, n in found.trajectory) == figures[Measure.AGREEABLENESS].n
    variation, resistance, elsewhere, kind = (
        figures[name].value or 0.0
        for name in (Measure.VARIATION, Measure.RESISTANCE, Measure.ELSEWHERE, Measure.AGREEABLENESS)
    )
    assert 0.5 < variation < 0.75
    assert 0.25 < resistance < 0.45
    assert elsewhere < resistance
    assert 0.1 < kind < 0.3


@real
def test_written_seekers_speak_more_evenly_than_people() -> None:
    ours, theirs = (seeker_facts(corpus, lambda _: 0.0) for corpus in (authored(), esconv()))
    found = compare(ours, theirs)
    for measure in (Measure.VARIATION, Measure.BETWEEN):
        assert (found[measure].value or 0.0) < -0.2
        assert found[measure].excludes_zero


@real
def test_people_feel_better_at_the_end_but_not_steadily() -> None:
    pytest.importorskip("vaderSentiment", reason="vaderSentiment comes with the metrics extra")
    figures = realism(seeker_facts(esconv(), vader())).figures
    assert (figures[Measure.CHANGE].value or 0.0) > 0.1
    assert figures[Measure.CHANGE].excludes_zero
    assert (figures[Measure.RECOVERING].value or 0.0) > 0.6
    assert 0 < (figures[Measure.MONOTONY].value or 0.0) < 0.5
