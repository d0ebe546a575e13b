"""What an utterance, its reasoning and a dialogue must satisfy, with near misses that must pass."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from socialsim.schema import Node, Speaker, Turn
from socialsim.taxonomy import Strategy
from socialsim.validation import check_dialogue, check_reasoning, check_utterance, copy_runs
from tests.samples import dialogue, seeker, supporter

ALL = tuple(Node)
SEEKER, SUPPORTER = Speaker.SEEKER, Speaker.SUPPORTER
COVERING = (
    "Others",
    "Exploration#Question",
    "Exploration#Restatement or Paraphrasing",
    "Exploration#Reflection of Feelings",
    "Comforting#Self-disclosure",
    "Comforting#Affirmation and Reassurance",
    "Action#Providing Suggestions",
    "Action#Share Information",
    "Others",
)


def kinds(text: str, speaker: Speaker = SUPPORTER, history: Sequence[Turn] = ()) -> set[str]:
    return {finding.kind for finding in check_utterance(text, speaker, history)}


def said(count: int) -> str:
    return " ".join(f"word{index}" for index in range(count)) + "."


@pytest.mark.parametrize(("speaker", "limit"), [(SEEKER, 30), (SUPPORTER, 40)])
def test_an_utterance_may_have_just_as_many_words_as_its_speaker_is_allowed(speaker: Speaker, limit: int) -> None:
    assert kinds(said(limit) + " 🙂", speaker) == set()
    (finding,) = check_utterance(said(limit + 1), speaker, ())
    assert (finding.kind, finding.hard) == ("too_long", True)
    assert finding.detail == f"use at most {limit} words, not {limit + 1}"


@pytest.mark.parametrize("text", ["…", "... 🙂", "!?", "—"])
def test_an_utterance_without_words_is_empty(text: str) -> None:
    (finding,) = check_utterance(text, SUPPORTER, ())
    assert (finding.kind, finding.hard) == ("empty", True)


@pytest.mark.parametrize(
    "text",
    [
        "Seeker: I am fine.",
        "I hear you. Supporter: And then?",
        "I hear you Seeker: yes.",
        '"Help-seeker: no."',
        "**Supporter**: hello.",
        "User: hello.",
        "I see. Assistant: what else?",
        "Therapist： tell me.",
        "One line.\nAnother line.",
    ],
)
def test_another_speakers_line_inside_an_utterance_is_hard(text: str) -> None:
    (finding,) = check_utterance(text, SUPPORTER, ())
    assert (finding.kind, finding.hard) == ("other_speaker", True)


@pytest.mark.parametrize(
    "text",
    [
        "My therapist said no.",
        "I told my therapist: enough of this.",
        "Even my assistant: gone since May.",
        "I am no job seeker, I have a job.",
        "She is human: she forgets.",
    ],
)
def test_a_seeker_may_speak_of_other_people_who_help(text: str) -> None:
    assert kinds(text, SEEKER) == set()


@pytest.mark.parametrize(
    "text",
    [
        "{utterance}",
        "Hello [name], how are you?",
        "Hello <your name>.",
        "I am ____ today.",
        "utterance",
        "Text.",
        "N/A",
        "none",
        "Your reply",
        "Your next line.",
        "Insert your text",
        "Your reply here.",
        "your reply, at most 40 words",
        "The seeker's name is unknown.",
        "Lorem ipsum dolor.",
        "Exchange 3 of 12. Stage: exploration.",
    ],
)
def test_a_placeholder_is_hard(text: str) -> None:
    found = check_utterance(text, SUPPORTER, ())
    assert ("placeholder", True) in {(finding.kind, finding.hard) for finding in found}


@pytest.mark.parametrize(
    "text",
    [
        "What is your name?",
        "What did your reply to him say?",
        "Did she read your text before she left?",
        "I <3 that cat.",
        "None of them came.",
        "Our exchange of letters stopped.",
        "The situation at home is worse.",
        "No action from him.",
    ],
)
def test_words_of_our_fields_may_be_said(text: str) -> None:
    assert kinds(text) == set()


def test_a_sentence_said_before_by_the_same_speaker_is_repeated() -> None:
    history = [seeker("Hi."), supporter("Hm. What did your brother say about it?"), seeker("Nothing much.")]
    (finding,) = check_utterance("I see. What did your brother say about it?", SUPPORTER, history)
    assert (finding.kind, finding.hard) == ("repeated", False)


def test_an_utterance_that_differs_by_a_letter_is_repeated() -> None:
    history = [seeker("My brother sold our house. 😔"), supporter("Why?")]
    assert kinds("My brothers sold our house. 😢", SEEKER, history) == {"repeated"}


def test_a_sentence_of_the_other_speaker_is_echoed() -> None:
    history = [seeker("My brother sold our house in May.")]
    (finding,) = check_utterance("My brother sold our house in May.", SUPPORTER, history)
    assert (finding.kind, finding.hard) == ("echoed", False)


def test_thanks_and_short_sentences_may_recur() -> None:
    history = [seeker("Thank you. I wrote to him on Monday."), supporter("And then?")]
    assert kinds("Thank you. He wrote back the same night.", SEEKER, history) == set()


@pytest.mark.parametrize("text", ["I am so tired and I am so tired of it.", "No no no no no."])
def test_the_same_words_within_one_utterance_loop(text: str) -> None:
    assert kinds(text, SEEKER) == {"looping"}


def test_a_word_that_comes_twice_does_not_loop() -> None:
    assert kinds("The more I try, the more I lose.", SEEKER) == set()


def test_eight_words_in_a_row_from_a_demonstration_are_copied() -> None:
    runs = copy_runs(["Then the bride wrote that her grandmother had died on Sunday."])
    (finding,) = check_utterance("He wrote that her grandmother had died on Sunday, too.", SUPPORTER, (), runs)
    assert (finding.kind, finding.hard) == ("copied", False)


def test_seven_words_in_a_row_from_a_demonstration_are_not_copied() -> None:
    runs = copy_runs(["wrote that her grandmother had died on Sunday"])
    assert check_utterance("I heard that her grandmother had died on Friday.", SUPPORTER, (), runs) == []


@pytest.mark.parametrize(
    "text",
    [
        "You could meditate in the morning.",
        "Try journaling.",
        "Keep a gratitude journal.",
        "Take a few deep breaths first.",
        "Deep breathing helps.",
        "Write it down.",
        "Stay positive!",
        "Please practise self-care.",
        "Talk to a therapist.",
        "Please see a licensed mental health professional.",
        "It may help to seek professional help.",
        "Have you considered it? Consider therapy.",
    ],
)
def test_advice_that_fits_everyone_is_soft_for_the_supporter(text: str) -> None:
    (finding,) = check_utterance(text, SUPPORTER, ())
    assert (finding.kind, finding.hard) == ("generic_advice", False)


@pytest.mark.parametrize(
    "text",
    [
        "A journalist asked you that?",
        "That walk was a breath of fresh air.",
        "Was it printed in the court journal?",
        "You took a deep breath and called him.",
        "What did your therapist say?",
        "The diary with the lock was hers?",
    ],
)
def test_words_that_only_look_like_generic_advice_pass(text: str) -> None:
    assert kinds(text) == set()


def test_a_seeker_may_say_what_would_be_generic_advice() -> None:
    assert kinds("I keep a journal and talk to a therapist.", SEEKER) == set()


@pytest.mark.parametrize("text", ["And then I went to", "And then,", "She said:", "He came and -", "And then 😔"])
def test_an_utterance_without_an_end_is_cut_off(text: str) -> None:
    assert kinds(text, SEEKER) == {"cut_off"}


@pytest.mark.parametrize("text", ["And then… 😔", "Really?!", 'She said "no."', "We left (late)."])
def test_any_closing_mark_ends_an_utterance(text: str) -> None:
    assert kinds(text, SEEKER) == set()


def test_hard_findings_are_told_before_anything_soft() -> None:
    assert kinds("Meditate. " + said(40)) == {"too_long"}


def test_reasoning_with_every_node_passes() -> None:
    assert check_reasoning(supporter("Why?", "Exploration#Question"), ALL) == []


@pytest.mark.parametrize("node", ["situation", "thought", "action", "purpose"])
@pytest.mark.parametrize("value", [None, "", "…", "[situation]"])
def test_a_node_that_says_nothing_is_hard(node: str, value: str | None) -> None:
    turn = supporter("Why?", "Exploration#Question", **{node: value})
    (finding,) = check_reasoning(turn, ALL)
    assert finding.hard
    assert finding.detail == f"the {'strategy' if node == 'purpose' else node} node is missing or a placeholder"


def test_a_reply_without_a_strategy_is_hard() -> None:
    assert [finding.kind for finding in check_reasoning(supporter("Why?"), ALL)] == ["reasoning"]


@pytest.mark.parametrize("node", ["situation", "thought", "action", "purpose"])
def test_a_node_copied_from_the_examples_is_flagged(node: str) -> None:
    copied = "to get from the kettle to the words that were said"
    turn = supporter("Why?", "Exploration#Question", **{node: copied})
    (finding,) = check_reasoning(turn, ALL, copy_runs([f"He wants {copied} that night."]))
    assert (finding.kind, finding.hard) == ("copied_reasoning", False)
    assert check_reasoning(turn, ALL, copy_runs(["To get from the kettle to the sink."])) == []


def test_only_nodes_that_were_asked_for_are_missed() -> None:
    turn = Turn(speaker=SUPPORTER, text="Why?")
    assert check_reasoning(turn, ()) == []
    assert len(check_reasoning(turn, (Node.THOUGHT, Node.STRATEGY))) == 2


def test_a_dialogue_that_covers_every_strategy_passes() -> None:
    assert check_dialogue(dialogue(12, *COVERING), ALL) == []


@pytest.mark.parametrize(("exchanges", "stands"), [(8, False), (9, True), (20, True), (21, False)])
def test_a_dialogue_has_18_to_40_utterances(exchanges: int, stands: bool) -> None:
    found = check_dialogue(dialogue(exchanges), ())
    assert [(finding.kind, finding.hard) for finding in found] == ([] if stands else [("length", True)])


@pytest.mark.parametrize("cut", [slice(1, None), slice(0, -1), slice(1, -1)])
def test_the_seeker_begins_and_the_supporter_ends(cut: slice) -> None:
    whole = dialogue(12)
    found = check_dialogue(whole.model_copy(update={"turns": whole.turns[cut]}), ())
    assert [(finding.kind, finding.hard) for finding in found] == [("order", True)]


def test_speakers_alternate() -> None:
    whole = dialogue(10)
    doubled = whole.model_copy(update={"turns": whole.turns[:3] + whole.turns[4:5] + whole.turns[4:]})
    assert [finding.kind for finding in check_dialogue(doubled, ())] == ["order"]


def test_missing_strategies_are_named_softly() -> None:
    (finding,) = check_dialogue(dialogue(12, *COVERING[:5], *COVERING[6:]), ALL)
    assert (finding.kind, finding.detail, finding.hard) == ("strategy_missing", Strategy.AFFIRMATION.value, False)


def test_action_before_exploration_is_soft() -> None:
    found = check_dialogue(dialogue(12, "Action#Share Information", *COVERING), ALL)
    assert [(finding.kind, finding.hard) for finding in found] == [("stage_order", False)]


def test_strategies_are_not_missed_where_none_was_asked_for() -> None:
    assert check_dialogue(dialogue(12), (Node.SITUATION,)) == []
