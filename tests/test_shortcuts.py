"""What was made quick says the same as the plain way, whatever the text."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import check_reasoning, check_seeker, mentions
from metrics.check_words import shared_run_share
from socialsim import text as texts_module
from socialsim.history import history_of
from socialsim.render import transcript
from socialsim.schema import Reasoning, Speaker, Turn
from socialsim.text import may_recur, ngrams, one_dialogue, plain, spoken, words
from socialsim.validation import check_utterance, copy_runs

CHARACTERS = st.text(alphabet="abiIÀéLs .,;'’-–!?123\n", max_size=60)
FEW_WORDS = st.lists(st.sampled_from(["the", "a", "lamp", "went", "out", "I", "saw", "it"]), max_size=40).map(" ".join)
TURN = st.builds(
    Turn,
    speaker=st.sampled_from(Speaker),
    text=FEW_WORDS.map(lambda said: said or "Well."),
    reasoning=st.none() | st.builds(Reasoning, situation=FEW_WORDS.map(lambda said: said or None)),
)


@given(CHARACTERS)
def test_words_of_ascii_text(text: str) -> None:
    lowered = text.lower().replace("’", "'")
    assert words(text) == tuple(texts_module._WORD.findall(lowered))


@given(CHARACTERS)
def test_tokens_of_ascii_text(text: str) -> None:
    reading = mentions.Reading(text)
    found = list(mentions._TOKEN.finditer(text))
    assert [(token.start, token.end) for token in reading.tokens] == [one.span() for one in found]
    assert [forms.bare for forms in reading.forms] == [mentions.bare(token) for token in reading.tokens]
    assert reading.tokens[1:] == list(reading.tokens)[1:]
    for start in range(len(text)):
        within = [at for at, one in enumerate(found) if start <= one.start() < start + 7]
        assert list(reading.tokens.within(start, start + 7)) == within


@given(CHARACTERS)
def test_a_capital_is_a_name_where_a_sentence_goes_on_before_it(text: str) -> None:
    plainly = re.compile(r"(?<=[a-zà-ÿ,;] )([A-ZÀ-Þ][\w'’-]+(?: [A-ZÀ-Þ][\w'’-]+)*)")
    assert check_seeker._NAME.findall(text) == plainly.findall(text)


@given(CHARACTERS)
def test_an_own_voice_is_heard_in_an_i_alone(text: str) -> None:
    plainly = re.compile(r"(?i)\b(?:i|i'm|i've|i'll|i'd)\b")
    assert bool(check_reasoning._OWN_VOICE.search(text)) == bool(plainly.search(text))


@given(FEW_WORDS | CHARACTERS, st.lists(FEW_WORDS | CHARACTERS, max_size=4), st.sampled_from([3, 4, 5, 6]))
def test_runs_that_texts_share_are_not_overlooked(text: str, earlier: list[str], length: int) -> None:
    runs = ngrams(words(text), length)
    shared = runs & {run for one in earlier for run in ngrams(words(one), length)}
    assert may_recur(spoken(text), spoken(*earlier), length) or not shared
    with one_dialogue():
        assert shared_run_share(text, earlier, length) == (len(shared) / len(runs) if runs else 0.0)


@given(CHARACTERS, st.lists(CHARACTERS, max_size=3))
def test_a_name_or_figure_is_invented_where_no_text_has_its_words(text: str, told: list[str]) -> None:
    parts = {part for one in told for word in words(one) for part in word.replace("'", "-").split("-")}

    def known(figure: str) -> bool:
        return figure in parts or parts.issuperset(re.split("[.,:]", figure))

    names = check_seeker._NAME.findall(text)
    plainly = [name for name in names if (forms := check_seeker._forms_of(name)) and parts.isdisjoint(forms)]
    found = check_seeker.invented_in(text, *map(spoken, told))
    assert [one for one in found if not one[0].isdigit()] == list(dict.fromkeys(plainly))
    spelt = {figure for figure in check_seeker._FIGURE.findall(text) if check_seeker._spelt(figure)}
    assert not [one for one in found if one[0].isdigit() and known(one)]
    assert {one for one in check_seeker._FIGURE.findall(text) if not known(one)} - spelt <= set(found)


@given(FEW_WORDS, st.lists(FEW_WORDS, max_size=3), st.integers(0, 12), st.integers(8, 12))
def test_a_copied_run_is_found_wherever_it_stands(text: str, told: list[str], at: int, length: int) -> None:
    tokens = words(text)
    copied = " ".join(tokens[at : at + length])
    runs = copy_runs([*told, copied])
    assert runs.shared(tokens) == (not runs.isdisjoint(ngrams(tokens, 8)))


@given(FEW_WORDS)
def test_words_that_recur_within_an_utterance(text: str) -> None:
    tokens = words(text)
    found = [finding.kind for finding in check_utterance(text or "Well.", Speaker.SEEKER, ())]
    assert ("looping" in found) == (len(ngrams(tokens, 4)) < len(tokens) - 3)


@given(st.lists(TURN, max_size=8), st.lists(st.integers(0, 8), max_size=6))
@settings(max_examples=60)
def test_a_history_is_what_its_turns_are_in_whatever_order_they_are_asked_for(
    turns: list[Turn], ends: list[int]
) -> None:
    with one_dialogue():
        for end in [*ends, len(turns), len(turns)]:
            before = turns[:end]
            history = history_of(before)
            assert history.turns == tuple(before)
            assert history.transcript == transcript(before)
            assert history.texts == tuple(plain(turn.text) for turn in before)
            assert history.spoken == "".join(f"|{spoken(text)}" for text in history.texts)
            assert history.lowered == tuple(text.lower() for text in history.texts)
            thought = [turn.reasoning.situation for turn in before if turn.reasoning]
            assert history.thoughts["situation"] == tuple(said.lower() for said in thought if said)
            for speaker in Speaker:
                own = tuple(plain(turn.text) for turn in before if turn.speaker is speaker)
                assert history.said_by(speaker) == own
                assert set(history.not_said_by(speaker)) == {
                    plain(turn.text) for turn in before if turn.speaker is not speaker
                }
        assert history_of(turns) is history_of(list(turns))


@given(st.lists(TURN, min_size=1, max_size=8))
def test_the_turn_before_is_checked_late_with_the_history_it_had(turns: list[Turn]) -> None:
    with one_dialogue():
        for end in range(len(turns)):
            before = history_of(turns[:end])
            assert history_of(turns[: end + 1]) is not before
            assert history_of(turns[:end]) is before
