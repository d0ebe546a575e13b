"""The control rules on real conversations: what the cues catch, and that worse dialogues score lower.

Strategy cues on ESConv dev (consecutive utterances merged) and on the authored demonstrations: the share of a
strategy's own replies on which its cue gives clear evidence, and of all other replies. ESConv's
annotations are one person's reading each, and many replies do more than one thing.

| strategy | ESConv: own | others | demonstrations: own | others |
| --- | --- | --- | --- | --- |
| Question | 0.89 | 0.25 | 1.00 | 0.18 |
| Restatement or Paraphrasing | 0.61 | 0.30 | 0.90 | 0.66 |
| Reflection of Feelings | 0.76 | 0.46 | 0.97 | 0.40 |
| Self-disclosure | 0.79 | 0.11 | 0.96 | 0.05 |
| Affirmation and Reassurance | 0.79 | 0.53 | 0.97 | 0.66 |
| Providing Suggestions | 0.83 | 0.41 | 0.98 | 0.42 |
| Share Information | 0.52 | 0.27 | 0.98 | 0.39 |
| Others | 0.73 | 0.46 | 0.96 | 0.31 |
"""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path
from statistics import fmean

import pytest

from metrics.checks import check_dialogue
from metrics.strategy_cues import fires
from metrics.verdicts import Rule
from socialsim.formats import merge_consecutive, read_dialogues
from socialsim.schema import Dialogue, Speaker
from socialsim.taxonomy import Strategy

DATA = Path(os.environ.get("SOCIALSIM_SHARED", Path(__file__).parents[3] / "shared")) / "data"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no real data in {DATA}; set SOCIALSIM_SHARED to the folder that holds data/"
)

# Own replies on which a cue fires, at least, and the replies of other strategies, at most.
FIRES: dict[Strategy, tuple[float, float]] = {
    Strategy.QUESTION: (0.86, 0.28),
    Strategy.RESTATEMENT: (0.54, 0.32),
    Strategy.REFLECTION: (0.72, 0.5),
    Strategy.SELF_DISCLOSURE: (0.75, 0.14),
    Strategy.AFFIRMATION: (0.75, 0.56),
    Strategy.SUGGESTIONS: (0.8, 0.45),
    Strategy.INFORMATION: (0.48, 0.3),
    Strategy.OTHERS: (0.7, 0.5),
}


@cache
def corpus(name: str) -> tuple[Dialogue, ...]:
    return tuple(map(merge_consecutive, read_dialogues(DATA / name)))


@cache
def means(name: str) -> dict[Rule, float]:
    scores: dict[Rule, list[float]] = {}
    for dialogue in corpus(name):
        for verdict in check_dialogue(dialogue, None):
            scores.setdefault(verdict.rule, []).append(verdict.score)
    return {rule: fmean(given) for rule, given in scores.items()}


@pytest.mark.parametrize("strategy", list(Strategy))
def test_a_cue_fires_on_its_own_replies_more_than_on_others(strategy: Strategy) -> None:
    own: list[bool] = []
    others: list[bool] = []
    for dialogue in corpus("esconv_dev.json"):
        seeker: list[str] = []
        for turn in dialogue.turns:
            if turn.speaker is Speaker.SEEKER:
                seeker.append(turn.text)
            elif turn.strategies:
                chosen = {choice.strategy for choice in turn.strategies}
                (own if strategy in chosen else others).append(fires(strategy, turn.text, seeker))
    least, most = FIRES[strategy]
    assert fmean(own) >= least
    assert fmean(others) <= most


def test_real_dialogues_get_the_verdicts_they_can_get() -> None:
    found = means("esconv_dev.json")
    assert set(found) == {Rule.SPECIFICITY, Rule.MATCH, Rule.STRUCTURE, Rule.DETAIL, Rule.FORMAT}
    assert all(0.6 < score < 0.99 for score in found.values())


def test_dialogues_rejected_for_quality_score_lower() -> None:
    good, bad = means("esconv_dev.json"), means("failed_esconv.json")
    for rule in (Rule.SPECIFICITY, Rule.MATCH, Rule.STRUCTURE, Rule.DETAIL):
        assert bad[rule] < good[rule] - 0.02, rule


def test_a_real_turn_is_checked_within_milliseconds() -> None:
    some = corpus("esconv_dev.json")[:30]
    started = time.process_time()
    for dialogue in some:
        check_dialogue(dialogue, None)
    assert (time.process_time() - started) / sum(len(dialogue.turns) for dialogue in some) < 0.006
