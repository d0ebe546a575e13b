"""Seeker realism: signs in words, measures counted by hand, the comparison of two corpora."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import sqrt
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import signs
from metrics.realism import Measure, Realism, compare, realism, seeker_facts
from metrics.signs import agrees, resists, vader
from socialsim.errors import UsageError
from socialsim.journal import Journal
from socialsim.schema import Dialogue, Persona, Turn
from tests.command import socialsim
from tests.samples import persona, seeker, supporter

SUGGESTION, QUESTION = "Providing Suggestions", "Question"


def number_in(text: str) -> float:
    """A valence tests can write down: the text's last word."""
    try:
        return float(text.split()[-1])
    except ValueError:
        return 0.0


def talk(*texts: str, strategy: str = QUESTION, name: str = "d") -> Dialogue:
    turns: list[Turn] = []
    for text in texts:
        turns += [seeker(text), supporter("Go on.", strategy)]
    return Dialogue(id=name, turns=tuple(turns))


def felt(*values: float, name: str = "d") -> Dialogue:
    return talk(*(f"I feel {value}" for value in values), name=name)


def measured(*dialogues: Dialogue) -> Realism:
    return realism(seeker_facts(dialogues, number_in))


def value(measure: Measure, *dialogues: Dialogue) -> float | None:
    return measured(*dialogues).figures[measure].value


@pytest.mark.parametrize(
    "text",
    [
        "Yes, but he never listens.",
        "No, that is not it.",
        "Hm. Nope",
        "I don't think so.",
        "I dont know if that is wise",
        "I’m not really sure about it.",
        "I have tried that twice.",
        "I already did.",
        "It doesn’t really help me.",
        "I can't tell her.",
        "What if he laughs?",
        "It is hard to begin.",
        "There is no point.",
    ],
)
def test_a_turn_that_pushes_back(text: str) -> None:
    assert resists(text)


@pytest.mark.parametrize(
    "text", ["Good idea, I will try it.", "No problem!", "I know her button.", "Nobody knows.", ""]
)
def test_a_turn_that_does_not_push_back(text: str) -> None:
    assert not resists(text)


@pytest.mark.parametrize(
    "text",
    [
        "Thank you so much",
        "thanks!",
        "You’re absolutely right.",
        "That's a really good idea.",
        "That makes a lot of sense.",
        "I'll definitely try that.",
        "This really helped.",
        "I agree.",
        "That is so true.",
    ],
)
def test_a_turn_that_thanks_or_agrees(text: str) -> None:
    assert agrees(text)


@pytest.mark.parametrize(
    "text", ["Yes.", "I was right to leave.", "I disagree.", "It makes no sense.", "My boss had an idea.", "He tried."]
)
def test_a_turn_that_neither_thanks_nor_agrees(text: str) -> None:
    assert not agrees(text)


def test_lengths_vary_within_and_between_dialogues() -> None:
    even, uneven = talk("one two three", "one two three", name="a"), talk("one", "one two three", name="b")
    figures = measured(even, uneven).figures
    assert figures[Measure.WORDS][::3] == (10 / 4, 4)
    # lengths 1 and 3: deviation 1, mean 2
    assert figures[Measure.VARIATION][::3] == ((0 + 1 / 2) / 2, 2)
    # dialogue means 3 and 2: deviation 1/2, mean 5/2
    assert figures[Measure.BETWEEN].value == pytest.approx(0.5 / 2.5)
    assert figures[Measure.BETWEEN].n == 2


def test_one_turn_has_no_variation() -> None:
    figures = measured(talk("Hello there")).figures
    assert figures[Measure.VARIATION][::3] == (None, 0)
    assert figures[Measure.BETWEEN].value is None


def test_split_turns_count_as_one() -> None:
    turns = (seeker("one"), seeker("two three"), supporter("Go on.", QUESTION), seeker("a b c"))
    found = measured(Dialogue(id="d", turns=turns))
    assert found.turns == 2
    assert found.figures[Measure.VARIATION].value == 0


def test_resistance_is_counted_right_after_a_suggestion() -> None:
    turns = (
        seeker("But I am sad."),  # after nothing
        supporter("Why?", QUESTION),
        seeker("I don't think I know."),  # after a question
        supporter("Sleep.", "Reflection of Feelings", SUGGESTION),
        seeker("But I can't."),  # after a suggestion
        supporter("Walk.", SUGGESTION),
        seeker("I will."),  # after a suggestion
        supporter("Good."),
        seeker("But how?"),  # after a reply that names no strategy
    )
    figures = measured(Dialogue(id="d", turns=turns)).figures
    assert figures[Measure.RESISTANCE][::3] == (1 / 2, 2)
    assert figures[Measure.ELSEWHERE][::3] == (1.0, 1)


def test_without_strategies_resistance_is_missing_and_not_zero() -> None:
    turns = (supporter("Sleep."), seeker("But no."), supporter("Hm."))
    assert measured(Dialogue(id="d", turns=turns)).figures[Measure.RESISTANCE][::3] == (None, 0)


def test_agreeableness_is_the_share_of_all_turns() -> None:
    assert measured(talk("Thanks.", "Yes.", "You are right.", "Hm.")).figures[Measure.AGREEABLENESS][::3] == (0.5, 4)


def test_start_and_end_are_quarters() -> None:
    corpus = felt(-0.8, -0.6, 0, 0, 0, 0, 0.2, 0.4)
    assert value(Measure.START, corpus) == pytest.approx(-0.7)
    assert value(Measure.END, corpus) == pytest.approx(0.3)
    assert value(Measure.CHANGE, corpus) == pytest.approx(1.0)
    assert value(Measure.RECOVERING, corpus, felt(0.5, 0, 0, -0.5)) == 0.5


def test_too_few_turns_have_no_recovery() -> None:
    figures = measured(felt(-0.5, 0, 0.5)).figures
    assert all(figures[name].n == 0 for name in (Measure.START, Measure.CHANGE, Measure.MONOTONY, Measure.HALFWAY))


def test_monotony_counts_pairs_in_order() -> None:
    assert value(Measure.MONOTONY, felt(-0.5, -0.2, 0.1, 0.4)) == 1
    assert value(Measure.MONOTONY, felt(0.4, 0.1, -0.2, -0.5)) == -1
    assert value(Measure.MONOTONY, felt(0.1, 0.1, 0.1, 0.1)) == 0
    # of six pairs five rise and one falls
    assert value(Measure.MONOTONY, felt(0.1, 0.3, 0.2, 0.4)) == pytest.approx(4 / 6)


def test_a_sudden_recovery_is_halfway_before_a_steady_one() -> None:
    steady = value(Measure.HALFWAY, felt(*(i / 10 for i in range(-4, 5))))
    sudden = value(Measure.HALFWAY, felt(-0.4, -0.4, *[0.4] * 7))
    late = value(Measure.HALFWAY, felt(*[-0.4] * 7, 0.4, 0.4))
    assert steady is not None
    assert sudden is not None
    assert late is not None
    assert steady == pytest.approx(5 / 9)
    assert sudden < steady < late
    assert value(Measure.HALFWAY, felt(0.5, 0, 0, -0.5)) is None


def test_the_trajectory_goes_by_tenths() -> None:
    # Five seeker turns of ten utterances: positions .1, .3, .5, .7, .9.
    found = measured(felt(0.1, 0.3, 0.5, 0.7, 0.9)).trajectory
    assert [cell for cell, n in found if n] == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])
    assert [n for _, n in found] == [1, 0] * 5
    assert found[1] == (None, 0)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.floats(-1, 1), min_size=4, max_size=8), min_size=2, max_size=4))
def test_every_measure_keeps_its_bounds(corpora: Sequence[Sequence[float]]) -> None:
    found = measured(*(felt(*values, name=str(i)) for i, values in enumerate(corpora)))
    assert sum(n for _, n in found.trajectory) == found.turns
    for name in (Measure.RECOVERING, Measure.AGREEABLENESS, Measure.HALFWAY):
        shown = found.figures[name].value
        assert shown is None or 0 <= shown <= 1
    assert -1 <= (found.figures[Measure.MONOTONY].value or 0) <= 1


def test_an_interval_draws_dialogues_and_repeats_itself() -> None:
    corpus = [talk("Thanks." if i % 2 else "Hm.", "Hm.", name=str(i)) for i in range(100)]
    found = measured(*corpus).figures[Measure.AGREEABLENESS]
    assert found.low is not None
    assert found.high is not None
    assert found.value == 0.25
    # half the dialogues have a share of 1/2: standard error 0.25 / sqrt(100)
    error = 0.25 / sqrt(100)
    assert found.low == pytest.approx(0.25 - 1.96 * error, abs=0.015)
    assert found.high == pytest.approx(0.25 + 1.96 * error, abs=0.015)
    assert found == measured(*corpus).figures[Measure.AGREEABLENESS]


def test_a_comparison_tells_an_agreeable_corpus_from_another_and_a_corpus_from_itself() -> None:
    kind = seeker_facts([talk("Thanks.", "I agree.", "Well.", name=str(i)) for i in range(30)], number_in)
    mixed = [talk("Thanks." if i % 3 == 0 else "Hm.", "Hm.", "Well.", name=str(i)) for i in range(30)]
    plain = seeker_facts(mixed, number_in)
    found = compare(kind, plain)[Measure.AGREEABLENESS]
    assert found.value == pytest.approx(2 / 3 - 1 / 9)
    assert found.excludes_zero
    same = compare(plain, plain)[Measure.AGREEABLENESS]
    assert same.value == 0
    assert not same.excludes_zero
    assert compare(plain, [])[Measure.AGREEABLENESS].value is None


def test_an_empty_corpus_has_no_figures() -> None:
    found = measured()
    assert (found.dialogues, found.turns) == (0, 0)
    assert all(figure[:3] == (None, None, None) for figure in found.figures.values())


def test_vader_knows_negation_and_ignores_our_closing_emoji() -> None:
    pytest.importorskip("vaderSentiment", reason="vaderSentiment comes with the metrics extra")
    valence = vader()
    assert valence("I am so happy and relieved.") > 0.5
    assert valence("I am not happy.") < 0 < valence("I am happy.")
    assert valence("I am happy. 😢") == valence("I am happy.")
    assert valence("😢") == valence("") == 0
    assert valence("I am happy. I am happy.") == pytest.approx(valence("I am happy."))


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vaderSentiment", None)
    monkeypatch.setitem(sys.modules, "vaderSentiment.vaderSentiment", None)
    with pytest.raises(UsageError, match=r"pip install 'socialsim\[metrics\]'"):
        vader()


def write(folder: Path, *dialogues: Dialogue, personas: Sequence[Persona] = ()) -> Path:
    folder.mkdir()
    with Journal(folder / "dialogues.jsonl", Dialogue) as journal:
        for one in dialogues:
            journal.append(one)
    if personas:
        with Journal(folder / "personas.jsonl", Persona) as known:
            for each in personas:
                known.append(each)
    return folder


CORPUS = tuple(felt(-0.5, -0.2, 0.1, 0.4, name=str(i)) for i in range(3))


def test_stats_prints_strategy_beside_the_corpus_it_is_compared_with(tmp_path: Path) -> None:
    mine, other = write(tmp_path / "mine", *CORPUS), write(tmp_path / "other", talk("Hm.", strategy=SUGGESTION))
    out = socialsim("stats", mine, "--strategy", "--against", other).out
    assert "mine: strategies by quarter" in out
    assert "other: strategies by quarter" in out
    divergence = next(line for line in out.splitlines() if "divergence" in line)
    assert divergence.count("1.000") == 2  # overall and in the last quarter; elsewhere the other says nothing
    assert "Table 1" not in out
    assert max(map(len, out.splitlines())) <= 100


def test_stats_prints_realism(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signs, "vader", lambda: number_in)
    mine, other = write(tmp_path / "mine", *CORPUS), write(tmp_path / "other", talk("Thanks.", "Hm."))
    out = socialsim("stats", mine, "--realism", "--against", other).out
    assert "valence: end less start" in out
    assert "0.90" in out
    assert "mine: 3 dialogues, 12 turns; other: 1 dialogues, 2 turns" in " ".join(out.split())


def test_stats_compares_a_corpus_with_one_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signs, "vader", lambda: number_in)
    (tmp_path / "a").mkdir()
    mine, other = write(tmp_path / "r", *CORPUS), write(tmp_path / "a" / "r", talk("Hm."))
    row = next(
        line for line in socialsim("stats", mine, "--realism", "--against", other).out.splitlines() if "words a" in line
    )
    assert row.count("│") == 5  # label, two corpora, difference


def test_stats_on_a_corpus_without_strategies_says_so(tmp_path: Path) -> None:
    bare = Dialogue(id="d", turns=(seeker("Hm."), supporter("Hm.")))
    assert "mine: names no strategy" in socialsim("stats", write(tmp_path / "mine", bare), "--strategy").out


def test_coverage_needs_personas(tmp_path: Path) -> None:
    mine = write(tmp_path / "mine", *CORPUS)
    assert "personas.jsonl" in socialsim("stats", mine, "--coverage").problem
    one = write(tmp_path / "one", CORPUS[0].model_copy(update={"persona_id": "p1"}), personas=[persona()])
    assert "two personas or more" in socialsim("stats", one, "--coverage").problem


def test_against_alone_is_refused(tmp_path: Path) -> None:
    mine = write(tmp_path / "mine", *CORPUS)
    assert "--strategy or --realism" in socialsim("stats", mine, "--against", mine).problem


def test_an_empty_run_is_named(tmp_path: Path) -> None:
    assert (
        socialsim("stats", write(tmp_path / "mine"), "--strategy").problem == f"{tmp_path}/mine: holds no dialogue yet"
    )
