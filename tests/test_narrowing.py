"""What a decoder is bound to and a prompt does not show: judges can only quote what is there."""

from __future__ import annotations

import re
from pathlib import Path

import dspy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.checks_judge import CheckJudge
from metrics.consistency_judge import LeakJudge, StanceJudge, judged_leaks, judged_stances, limits_of
from metrics.quotable import quotable_sentences, quotes_of
from metrics.quotes import occurs
from metrics.rubric import Dimension, RubricJudge, RubricLeaf, Score, checked, judge_inputs, numbered, quotable
from signatures.judge import Evidence, Judgement
from socialsim.adapter import CompactAdapter
from socialsim.artifacts import load_state, save_state
from socialsim.compile.judged import JudgeTask
from socialsim.ratings import LabelledItem
from socialsim.render import persona_text
from socialsim.resources import demonstrations
from socialsim.schema import Dialogue, Role
from tests.samples import persona, seeker, supporter
from tests.scripted import ScriptedLM, schema_of, scripted_lm, system_text, user_text, valid_answers

DEMOS = list(demonstrations())
CHAT = Dialogue(
    id="d1",
    turns=(
        seeker("Hi. Zorblat sold our house! I haven’t slept since Monday…"),
        supporter("Zorblat sold our house! That sounds frightening."),
        seeker("Thanks. 🙂"),
        supporter("Zorblat sold our house!"),
    ),
)
SENTENCES = ("Zorblat sold our house!", "I haven’t slept since Monday…", "That sounds frightening.", "Thanks.")


def on(lm: ScriptedLM) -> dspy.context:
    return dspy.context(lms={Role.JUDGE: lm}, lm=lm, adapter=CompactAdapter())


def judgement(quote: str, utterance: int) -> Judgement:
    return Judgement(discussion="So it is.", evidence=(Evidence(utterance=utterance, quote=quote),), score=2)


# ---------------------------------------------------------------- what may be quoted


def test_sentences_of_three_words_may_be_quoted_or_all_of_an_utterance_without_one() -> None:
    assert quotable(CHAT) == SENTENCES


def test_what_is_more_than_a_strict_schema_may_list_is_quoted_freely() -> None:
    assert len(quotable_sentences(f"This is sentence {n}." for n in range(250))) == 250
    assert quotable_sentences(f"This is sentence {n}." for n in range(251)) == ()
    assert quotable_sentences(f"{n} " + 20 * "and more words " for n in range(41)) == ()


def test_a_quote_can_be_kept_in_a_verdict_however_long_the_sentence() -> None:
    [cut] = quotes_of("and so on " * 60)
    assert len(cut) <= 300
    assert cut.endswith(("and", "so", "on"))


@given(st.lists(st.text(max_size=400), max_size=4))
def test_whatever_may_be_quoted_stands_in_the_text(texts: list[str]) -> None:
    for text in texts:
        assert all(occurs(quote, text) and len(quote) <= 300 for quote in quotes_of(text))


def test_every_utterance_of_a_demonstration_can_be_quoted() -> None:
    for demo in DEMOS:
        choices = set(quotable(demo.dialogue))
        assert all(choices & set(quotes_of(turn.text)) for turn in demo.dialogue.turns)


# ---------------------------------------------------------------- the rubric judge


def requests_of(**options: tuple[str, ...]) -> list[tuple[str, str]]:
    """System and user text of each dimension's request."""
    lm, leaf = scripted_lm(), RubricLeaf()
    with on(lm):
        for dimension in Dimension:
            leaf(**judge_inputs(CHAT, dimension), **options)
    return [(system_text(request), user_text(request)) for request in lm.requests]


def test_the_prompt_is_the_same_whatever_may_be_quoted() -> None:
    free, bound = requests_of(), requests_of(quotable=quotable(CHAT))
    assert free == bound
    assert len({system for system, _ in bound}) == 1
    assert len({user.split("## Dimension")[0] for _, user in bound}) == 1


def test_the_decoder_can_only_quote_sentences_and_point_at_utterances_there_are() -> None:
    lm = scripted_lm()
    with on(lm):
        RubricLeaf()(**judge_inputs(CHAT, Dimension.SAFETY), quotable=quotable(CHAT))
        RubricLeaf()(**judge_inputs(CHAT, Dimension.SAFETY))
    bound, free = (schema_of(request) for request in lm.requests)
    item = bound["properties"]["evidence"]["items"]
    assert (item["required"], item["additionalProperties"]) == (["utterance", "quote"], False)
    assert item["properties"]["quote"]["enum"] == list(SENTENCES)
    assert (item["properties"]["utterance"]["minimum"], item["properties"]["utterance"]["maximum"]) == (1, 4)
    assert list(bound["properties"]) == list(free["properties"])
    for name in ("discussion", "score"):
        assert bound["properties"][name] == free["properties"][name]
    counts = {key: value for key, value in free["properties"]["evidence"].items() if key in ("minItems", "maxItems")}
    assert bound["properties"]["evidence"].items() >= counts.items()


@pytest.mark.parametrize("seed", range(8))
async def test_an_lm_whose_decoder_honours_the_schema_gives_no_malformed_verdict(seed: int) -> None:
    with on(scripted_lm(valid_answers(seed))):
        made = await RubricJudge(tries=1).acall(dialogue=DEMOS[seed].dialogue)
    assert made.errors == ()
    for score in made.scores:
        assert type(score) is Score
        for item in score.evidence:
            assert item.quote in quotes_of(DEMOS[seed].dialogue.turns[item.utterance - 1].text)


def test_a_listed_sentence_gets_the_number_of_the_nearest_utterance_that_holds_it() -> None:
    def number(quote: str, given_number: int) -> int:
        return checked(judgement(quote, given_number), CHAT.turns, SENTENCES).evidence[0].utterance

    assert number("That sounds frightening.", 99) == 2
    assert [number("Zorblat sold our house!", n) for n in (1, 2, 4, 7)] == [1, 2, 4, 4]


def test_an_lm_that_is_not_bound_may_quote_a_part_of_a_sentence() -> None:
    answer = {"discussion": "Yes.", "evidence": [{"utterance": 1, "quote": "slept since Monday"}], "score": 1}
    with on(scripted_lm([answer])):
        given_ = RubricLeaf()(**judge_inputs(CHAT, Dimension.SAFETY), quotable=SENTENCES).answer
    assert checked(given_, CHAT.turns, SENTENCES).evidence == (Evidence(utterance=1, quote="slept since Monday"),)


def test_a_small_model_cannot_ramble() -> None:
    lm = scripted_lm()
    with on(lm):
        RubricLeaf()(**judge_inputs(CHAT, Dimension.SAFETY))
    discussion = schema_of(lm.requests[0])["properties"]["discussion"]
    assert "maxLength" not in discussion
    assert re.search(discussion["pattern"], "The seeker says “I cannot sleep”, so it is 2. Nothing more is told.")
    assert re.search(discussion["pattern"], "word " * 59 + "word.")
    assert not re.search(discussion["pattern"], "word " * 60 + "word.")


async def test_a_compiled_judge_keeps_its_instructions_and_its_free_quotes(tmp_path: Path) -> None:
    leaf, lm = RubricLeaf(), scripted_lm()
    leaf.judge.signature = leaf.judge.signature.with_instructions("Judge like a strict aunt.")
    with on(lm):
        bound = RubricLeaf()(**judge_inputs(CHAT, Dimension.SAFETY), quotable=quotable(CHAT)).answer
    free = {"discussion": "Warm.", "evidence": [{"utterance": 9, "quote": "I hear you"}], "score": 2}
    shown = {"dialogue": "1. Seeker: Hi", "dimension": "Safety."}
    leaf.judge.demos = [dspy.Example(**shown, answer=answer) for answer in (free, bound)]
    save_state(leaf, "judge", tmp_path / "judge.json")
    again = RubricLeaf()
    load_state(again, tmp_path / "judge.json", "judge")
    with on(lm):
        again(**judge_inputs(CHAT, Dimension.SAFETY), quotable=quotable(CHAT))
    request = lm.requests[-1]
    assert system_text(request).startswith("Judge like a strict aunt.")
    texts = [message.text or "" for message in request.messages]
    assert any("I hear you" in text for text in texts)
    assert len(texts) == 5
    items = schema_of(request)["properties"]["evidence"]["items"]
    assert items["properties"]["quote"]["enum"] == list(SENTENCES)


def test_the_judges_examples_say_what_may_be_quoted_and_the_prompt_does_not() -> None:
    items = [LabelledItem(demo.dialogue, Dimension.SAFETY, 2.0, demo.dialogue.id) for demo in DEMOS]
    task = JudgeTask(items)
    lm = scripted_lm(valid_answers(3))
    for example in task.sets.held_out[:4]:
        labelled = task.gold[example.item]
        inputs = example.inputs().toDict()
        assert inputs["quotable"] == quotable(labelled.dialogue)
        with on(lm):
            answer = task.leaf()(**inputs).answer
        assert task.score(example.item, inputs, answer).parts
        assert user_text(lm.requests[-1]).count(numbered(labelled.dialogue.turns)[:60]) == 1


# ---------------------------------------------------------------- the other judges


@pytest.mark.parametrize("seed", range(4))
async def test_a_bound_check_judge_gives_no_malformed_verdict(seed: int) -> None:
    lm = scripted_lm(valid_answers(seed))
    with on(lm):
        made = await CheckJudge(tries=1).acall(DEMOS[seed].dialogue)
    assert made.errors == ()
    assert made.verdicts
    assert len({system_text(request) for request in lm.requests}) == 3  # one for each rule
    for request in lm.requests:
        quotes = schema_of(request)["properties"]["quote"]["enum"]
        said = user_text(request)
        assert all(occurs(quote, said) for quote in quotes)


async def test_a_check_judge_that_is_not_bound_may_quote_a_part() -> None:
    answer = {"discussion": "It fits.", "quote": "sounds frightening", "score": 3, "change": ""}
    lm = scripted_lm(lambda request: answer if "## Reply" in user_text(request) else answer | {"score": None})
    with on(lm):
        made = await CheckJudge(tries=1).acall(Dialogue(id="d", turns=CHAT.turns[:2]))
    assert made.errors == ()
    assert {verdict.score for verdict in made.verdicts} == {1.0}


def test_a_consistency_judge_may_quote_the_line_the_persona_or_nothing() -> None:
    limits = limits_of("Hi. Zorblat sold our house!", persona())
    assert limits.quote == ("", "Zorblat sold our house!")
    assert limits.fact[0] == ""
    assert str(persona().age) in limits.fact
    assert all(occurs(fact, persona_text(persona())) for fact in limits.fact[1:])


async def test_a_bound_consistency_judge_gives_no_malformed_verdict_where_it_names_a_field_and_a_fact() -> None:
    fixed = {"field": "age", "fact": str(persona().age)}
    stances = scripted_lm(valid_answers(1, stance="supported", quote="Zorblat sold our house!", **fixed))
    talk = Dialogue(id="d", turns=(seeker("Zorblat sold our house!"), supporter("Zorblat sold our house!")))
    with on(stances):
        assert (await judged_stances(talk, persona(), StanceJudge(), tries=1)).malformed == ()
        assert (await judged_leaks(talk, persona(), LeakJudge(), tries=1)).malformed == ()
    for request in stances.requests:
        properties = schema_of(request)["properties"]
        assert properties["quote"]["enum"] == ["", "Zorblat sold our house!"]
        assert str(persona().age) in properties["fact"]["enum"]
