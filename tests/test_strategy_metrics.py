"""Strategy use, divergence, preference and flows, counted by hand."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from metrics.flows import PUBLISHED, flows, transitions
from metrics.strategy import STAGES, divergence, js_divergence, preference_bias, stage_of, strategy_use
from socialsim.schema import Dialogue, Speaker, Turn
from socialsim.taxonomy import Strategy
from tests.samples import seeker, supporter

NAMES = {
    "Q": "Question",
    "P": "Restatement or Paraphrasing",
    "R": "Reflection of Feelings",
    "D": "Self-disclosure",
    "A": "Affirmation and Reassurance",
    "S": "Providing Suggestions",
    "I": "Share Information",
    "O": "Others",
}
Q, R, D, A, S = (Strategy(NAMES[letter]) for letter in "QRDAS")


def dialogue(code: str, name: str = "d") -> Dialogue:
    """A seeker turn before each reply; ``"Q AS -"``: a question, two strategies in one turn, none."""
    turns: list[Turn] = []
    for reply in code.split():
        turns += [seeker("I see."), supporter("Go on.", *(NAMES[letter] for letter in reply if letter != "-"))]
    return Dialogue(id=name, turns=tuple(turns))


def test_the_stage_of_an_utterance_is_its_position_among_all() -> None:
    # k/N up to and with a quarter is the first stage.
    assert [stage_of(k, 8) for k in range(1, 9)] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [stage_of(k, 6) for k in range(1, 7)] == [0, 1, 1, 2, 3, 3]


@given(st.integers(1, 200).flatmap(lambda size: st.tuples(st.integers(1, size), st.just(size))))
def test_the_stage_follows_the_definition(pair: tuple[int, int]) -> None:
    k, size = pair
    stage = stage_of(k, size)
    assert stage * size < STAGES * k <= (stage + 1) * size


def test_strategies_are_counted_by_stage_and_two_in_a_turn_count_both() -> None:
    use = strategy_use([dialogue("Q R AS S"), dialogue("Q Q - S")])
    assert (use.dialogues, use.named, use.unnamed) == (2, 7, 1)
    first, second, third, last = use.by_stage
    assert first[Q] == 2 == sum(first.values())
    assert (second[R], second[Q]) == (1, 1)
    assert (third[A], third[S]) == (1, 1)
    assert last[S] == 2 == sum(last.values())
    shares = use.shares(2)
    assert shares is not None
    assert shares[A] == shares[S] == 0.5
    overall = use.shares()
    assert overall is not None
    assert overall[Q] == overall[S] == 3 / 8


def test_a_strategy_named_in_two_stages_of_one_turn_counts_once() -> None:
    turn = supporter("I felt that too.", "Exploration#Self-disclosure", "Action#Self-disclosure")
    assert strategy_use([Dialogue(id="d", turns=(turn,))]).counts[D] == 1


def test_a_stage_without_strategies_is_missing_and_not_zero() -> None:
    use = strategy_use(
        [Dialogue(id="d", turns=(seeker("Hi."), seeker("Well."), seeker("So."), supporter("Hm.", "Others")))]
    )
    assert use.shares(0) is None
    assert use.shares(3) is not None
    assert strategy_use([]).shares() is None


def test_the_seeker_counts_for_the_position_of_the_supporter() -> None:
    turns = (supporter("Hi.", "Question"), *(seeker("I see.") for _ in range(7)))
    assert strategy_use([Dialogue(id="d", turns=turns)]).by_stage[0][Q] == 1


def test_the_divergence_of_known_distributions() -> None:
    assert js_divergence({Q: 3, S: 1}, {Q: 6, S: 2}) == pytest.approx(0)
    assert js_divergence({Q: 5}, {S: 2}) == pytest.approx(1)
    # p = (1, 0), q = (1/2, 1/2), m = (3/4, 1/4): H(m) - H(q)/2
    expected = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25)) - 0.5
    assert js_divergence({Q: 4}, {Q: 1, S: 1}) == pytest.approx(expected)
    assert js_divergence({Q: 1}, {}) is None


COUNTS = st.dictionaries(st.sampled_from(Strategy), st.integers(0, 50), min_size=1).filter(lambda d: any(d.values()))


@given(COUNTS, COUNTS)
def test_the_divergence_is_symmetric_bounded_and_the_square_of_scipys_distance(
    one: dict[Strategy, int], other: dict[Strategy, int]
) -> None:
    found = js_divergence(one, other)
    assert found is not None
    assert found == pytest.approx(js_divergence(other, one), abs=1e-12)
    assert 0 <= found <= 1 + 1e-12
    first, second = ([counts.get(name, 0) for name in Strategy] for counts in (one, other))
    assert found == pytest.approx(jensenshannon(first, second, base=2) ** 2, abs=1e-9)


def test_corpora_differ_by_stage_although_they_agree_overall() -> None:
    early, late = [dialogue("S Q Q Q", str(i)) for i in range(20)], [dialogue("Q Q Q S", str(i)) for i in range(20)]
    found = divergence(early, late)
    assert found.overall == pytest.approx(0)
    assert found.by_stage == pytest.approx((1, 0, 0, 1))
    assert found.chance_by_stage[0] is not None
    assert found.chance_by_stage[0] < 0.2


def test_two_halves_of_one_corpus_differ_no_more_than_chance_allows() -> None:
    kinds = ("Q R A S", "Q Q S S", "R P D A", "Q I O O")
    corpus = [dialogue(kinds[i % 4], str(i)) for i in range(80)]
    found = divergence(corpus[:40], corpus[40:])
    assert found.overall is not None
    assert found.chance is not None
    assert found.overall < found.chance
    assert found == divergence(corpus[:40], corpus[40:])


def test_a_corpus_without_strategies_has_no_divergence() -> None:
    found = divergence([dialogue("- -")], [dialogue("Q S")])
    assert found.overall is None
    assert found.chance is None


def test_preference_counted_by_hand() -> None:
    bias = preference_bias([dialogue("Q Q Q S", "a"), dialogue("Q A Q A", "b"), dialogue("- -", "c")])
    assert (bias.uses, bias.dialogues, bias.commonest) == (8, 2, Q)
    assert bias.commonest_share == 5 / 8
    assert bias.own_share == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert (bias.longest_run, bias.max_run) == (2.0, 3)
    assert (bias.suggesting, bias.first_suggestion, bias.early) == (1, 1.0, 0.0)
    entropy = -sum(p * math.log2(p) for p in (5 / 8, 2 / 8, 1 / 8))
    assert bias.unevenness == pytest.approx(1 - entropy / 3)


def test_even_use_has_no_bias_and_single_use_has_all() -> None:
    assert preference_bias([dialogue(" ".join(NAMES))]).unevenness == pytest.approx(0)
    assert preference_bias([dialogue("S S S S")]).unevenness == pytest.approx(1)
    assert preference_bias([]).unevenness is None


def test_advice_in_the_first_quarter_is_early() -> None:
    bias = preference_bias([dialogue("S Q Q Q", "a"), dialogue("Q Q QS Q", "b")])
    assert bias.early == 0.5
    assert bias.first_suggestion == pytest.approx((2 / 8 + 6 / 8) / 2)


def test_transitions_take_the_first_strategy_and_break_where_none_is_named() -> None:
    found = transitions([dialogue("Q QS A - S S")])
    assert found.n == 3
    assert (found.counts[Q][Q], found.counts[Q][A], found.counts[S][S]) == (1, 1, 1)
    assert found.shares(Q) == {name: 0.5 if name in (Q, A) else 0 for name in Strategy}
    assert found.shares(A) is None


def test_the_papers_commonest_flow_is_found() -> None:
    found = flows([dialogue("Q Q R S A", "a"), dialogue("Q Q R S A", "b"), dialogue("Q R S A A", "c")])
    assert found.n == 3
    assert found.commonest[0] == found.published == (PUBLISHED, 2, 2 / 3)


def test_flows_overlap_and_collapse() -> None:
    corpus = [dialogue("Q Q R R S A")]
    kept, collapsed = flows(corpus, steps=4), flows(corpus, steps=4, collapse=True)
    assert Counter(dict(flow[:2] for flow in kept.commonest)) == {(Q, Q, R, R): 1, (Q, R, R, S): 1, (R, R, S, A): 1}
    assert [flow[:2] for flow in collapsed.commonest] == [((Q, R, S, A), 1)]
    assert collapsed.published is None  # it repeats a strategy


def test_flows_follow_the_commonest_strategies_only_and_never_others() -> None:
    corpus = [dialogue("O O O O Q Q S S I Q Q S")]
    found = flows(corpus, steps=2, top=2)
    assert set(found.among) == {Q, S}
    assert {flow.steps for flow in found.commonest} == {(Q, Q), (Q, S), (S, S)}
    assert found.n == 5


def test_no_flow_without_strategies() -> None:
    found = flows([dialogue("- -")])
    assert (found.n, found.commonest, found.published) == (0, (), (PUBLISHED, 0, 0.0))


def test_only_the_supporter_is_counted() -> None:
    said = supporter("I ask.", "Question").model_copy(update={"speaker": Speaker.SEEKER})
    assert strategy_use([Dialogue(id="d", turns=(said,))]).named == 0
