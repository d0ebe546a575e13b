"""Rules and duplicates of `socialsim.screening`: what is rejected, and above all what is not."""

from __future__ import annotations

from typing import Any

import pytest

from socialsim.duplicates import Deduplicator
from socialsim.schema import Post, Rejection
from socialsim.screening import (
    MAX_CHARACTERS,
    Reason,
    irrelevant,
    rejected_by_rule,
    screen_by_rule,
    sensitive,
    translation_fault,
)

STORY = (
    "Since my sister moved back in last spring, dinner at our house has become a contest. She corrects how I cook, how "
    "I talk to my son, even how I fold towels. Yesterday I snapped and told her to find her own flat, and she cried in "
    "the hallway for an hour. I feel guilty and still angry, and I do not know how to begin a conversation that does "
    "not end with one of us leaving the room."
)
ZH_STORY = (
    "姐姐去年春天搬回来以后，家里的晚饭就变成了一场比赛。她挑剔我怎么做饭，怎么跟儿子说话，连叠毛巾都要管。昨天我忍不住发火，"
    "让她自己去找房子，她在走廊里哭了一个小时。我很内疚，可是又很生气，不知道怎么开口才不会吵起来。"
)


def post(description: str, id: str = "p", question: str = "", **fields: Any) -> Post:
    return Post(id=id, source="test", question=question, description=description, **fields)


SENSITIVE = [
    (Reason.SELF_HARM, "I have been thinking about suicide"),
    (Reason.SELF_HARM, "Some nights I feel suicidal."),
    (Reason.SELF_HARM, "I want to kill myself over this"),
    (Reason.SELF_HARM, "I’m thinking of killing myself"),
    (Reason.SELF_HARM, "My ex threatens to kill himself when I leave"),
    (Reason.SELF_HARM, "I started cutting myself again in March"),
    (Reason.SELF_HARM, "I keep wanting to hurt myself"),
    (Reason.SELF_HARM, "a history of self-harm"),
    (Reason.SELF_HARM, "Last year she tried to end her life"),
    (Reason.SELF_HARM, "he took his own life"),
    (Reason.SELF_HARM, "I just want to die."),
    (Reason.SELF_HARM, "they would be better off dead without me, I mean me"),
    (Reason.SELF_HARM, "I stood there about to jump off the bridge"),
    (Reason.SELF_HARM, "I don't want to live anymore"),
    (Reason.SELF_HARM, "until it is time to hang my self"),
    (Reason.SELF_HARM, "有时候想死了一了百了"),
    (Reason.SELF_HARM, "我有自杀的念头"),
    (Reason.SELF_HARM, "偶尔会自残"),
    (Reason.SELF_HARM, "真的不想活了"),
    (Reason.SELF_HARM, "她拿着刀割腕"),
    (Reason.SELF_HARM, "我想跳楼"),
    (Reason.RACE, "My landlord is a racist"),
    (Reason.RACE, "I face racial discrimination at school"),
    (Reason.RACE, "they shouted at me to go back to my country"),
    (Reason.RACE, "I was passed over because of my race"),
    (Reason.RACE, "They bullied him for being Black"),
    (Reason.RACE, "因为肤色被同学歧视"),
    (Reason.RACE, "公司里有种族歧视"),
    (Reason.RACE, "他总是辱骂少数民族"),
    (Reason.MEDICAL, "Can I go from 20 mg to 40mg?"),
    (Reason.MEDICAL, "sertraline makes me drowsy"),
    (Reason.MEDICAL, "I stopped taking my medication last week"),
    (Reason.MEDICAL, "I was recently diagnosed with ADHD"),
    (Reason.MEDICAL, "My doctor prescribed me something new"),
    (Reason.MEDICAL, "I need knee surgery in May"),
    (Reason.MEDICAL, "should I wait for my surgery?"),
    (Reason.MEDICAL, "Could someone diagnose me?"),
    (Reason.MEDICAL, "side effects of the pills"),
    (Reason.MEDICAL, "我在吃舍曲林"),
    (Reason.MEDICAL, "医院确诊为中度抑郁"),
    (Reason.MEDICAL, "请问有什么药物可以缓解"),
    (Reason.MEDICAL, "我自己停药了"),
    (Reason.MEDICAL, "我要不要做手术"),
]

# Ordinary posts that share words with the sensitive ones.
NEAR_MISSES = [
    "this job is killing me", "my feet are killing me", "the suspense kills me", "I could die of shame",
    "I wanted to die of embarrassment", "I thought I would die laughing", "I don't want to die alone in this town",
    "I am dead tired", "a dead end job", "deadlines pile up", "I could have killed myself for forgetting her birthday",
    "I was killing myself to please them", "I am killing myself over one report", "I would kill for a quiet evening",
    "speaking up would be career suicide", "that tweet was social suicide", "we watched Suicide Squad",
    "cut down on sugar", "my boss cut my pay", "I cut myself shaving before the interview",
    "I cut myself off from my friends", "I should cut myself some slack", "I hurt myself playing football",
    "I don't want to hurt her", "I don't want to live here anymore", "he was my whole life and now it ended",
    "would end my life as a dancer", "I like to hang out", "I keep jumping from one job to another",
    "an overdose of advice", "an overdose of coffee", "she overdosed on series all weekend", "shoot me an email",
    "my race starts at nine", "I trained for my race on Sunday", "my thoughts race at night", "tired of the rat race",
    "a biracial family", "a niggling doubt", "black humour at work", "discriminated against as a mother",
    "I wore black to the wedding and was mocked for it", "a chink in the armour", "he was rejected for being late",
    "I work as a doctor and the shifts are long", "I am a surgeon and miss my kids", "my dad is in hospital",
    "our operation in business terms failed", "my business operation is losing money", "I run a tree surgery firm",
    "I work at the reception in my surgery", "my son had heart surgery", "my boss was diagnosed with cancer",
    "I am undiagnosed but restless", "the consultant's diagnosis of our company", "I diagnosed the fault in the engine",
    "a hard pill to swallow", "my prescription glasses broke", "as a pharmacist I fill prescriptions all day",
    "I suspect he's not taking his medication", "the lithium battery factory laid me off", "a dose of reality",
    "retail therapy", "my therapist moved away", "I feel depressed since the move", "I think I may have a panic attack",
    "累死了", "笑死我了", "烦死了", "气死我了", "想死你了", "我不想死", "不想活得这么累", "不想活在别人的期待里",
    "跳楼价买的衣服", "这家店活不下去了", "有时候就是想不开", "想不通我为什么活着", "地域歧视", "性别歧视让我很难受",
    "妈妈做手术住院了", "我妈妈要做手术，我很担心", "我是外科医生，今天做了三台手术", "吃了感冒药", "药店的工作很累",
    "我是不是抑郁了", "确诊新冠以后一直没精神", "他像个死人一样不讲话", "死要面子", "自尊心受损", "游戏里的种族选错了",
]  # fmt: skip


@pytest.mark.parametrize(("reason", "text"), SENSITIVE)
def test_sensitive_is_found(reason: Reason, text: str) -> None:
    found = sensitive(text)
    assert found is not None
    assert found[0] is reason, found


@pytest.mark.parametrize("text", NEAR_MISSES)
def test_ordinary_distress_passes(text: str) -> None:
    for sentence in (text, text.capitalize() + ".", f"{STORY} {text}."):
        assert sensitive(sentence) is None


def test_a_sensitive_word_in_the_question_counts() -> None:
    rejection = rejected_by_rule(post(STORY, question="How do I live with my brother's suicide?"))
    assert rejection
    assert rejection.reason == Reason.SELF_HARM
    assert "suicide" in rejection.detail


def test_the_treatment_theme_of_psyqa_is_medical() -> None:
    rejection = rejected_by_rule(post(ZH_STORY, keywords=("治疗", "心理咨询")))
    assert rejection
    assert rejection.reason == Reason.MEDICAL
    assert rejected_by_rule(post(ZH_STORY, keywords=("家庭", "家庭关系"))) is None


IRRELEVANT = [
    "https://example.com/a?b=c-d " * 15,
    "See https://example.com/one/two/three and www.example.org/four/five/six/seven",
    "Hurry: limited-time offer on all our products, use the discount code SPRING and order now.",
    "We are hiring! Send your CV to the address below; competitive salary.",
    "诚聘客服数名，五险一金，有意者请投简历",
    "def main():\n    x = [1, 2]\n    for (i) in x {\n        return x;\n    }\nimport os",
    "why " * 80,
    "哈" * 90,
]
RELEVANT = [
    STORY,
    ZH_STORY,
    "We are hiring at work, and as the only HR person I am exhausted.",
    "My boss offered me 20% off as thanks for ten years, and I felt insulted.",
    "I read https://example.com/breakups and it made me cry, since everything in it was about the two of us last year.",
    "他加我微信以后就不理我了，去招聘会也没结果",
    "I failed the exam on for loops; class is a mess;\nI feel stupid\nand everyone else gets it.",
]


@pytest.mark.parametrize("text", IRRELEVANT)
def test_nobody_seeks_help(text: str) -> None:
    assert irrelevant(text)


@pytest.mark.parametrize("text", RELEVANT)
def test_somebody_seeks_help(text: str) -> None:
    assert irrelevant(text) == ""


@pytest.mark.parametrize("text", ["", "   ", " ".join(["word"] * 41), "字" * 64])
def test_too_short(text: str) -> None:
    rejection = rejected_by_rule(post(text))
    assert rejection
    assert rejection.reason == Reason.TOO_SHORT
    assert rejection.stage == "intake"
    assert rejection.detail.endswith("words, at least 65")
    assert rejection.post == post(text)


def test_details_name_the_counts() -> None:
    short = rejected_by_rule(post(" ".join(["word"] * 41)))
    assert short
    assert short.detail == "41 words, at least 65"
    empty = rejected_by_rule(post("🙂"), min_words=0)
    assert empty
    assert empty.reason == Reason.TOO_SHORT
    long = rejected_by_rule(post(STORY * 60))
    assert long
    assert long.reason == Reason.TOO_LONG
    assert f"at most {MAX_CHARACTERS:,}" in long.detail


def test_a_story_passes_and_the_limit_is_inclusive() -> None:
    assert rejected_by_rule(post(STORY)) is None
    assert rejected_by_rule(post(ZH_STORY)) is None
    words = " ".join(f"word{number}" for number in range(65))
    assert rejected_by_rule(post(words)) is None
    assert rejected_by_rule(post(words), min_words=66)


def test_screen_by_rule_keeps_order_and_the_first_copy() -> None:
    posts = [
        post(STORY, "a"), post("too short", "b"), post(ZH_STORY, "c"), post(STORY.upper() + "!!", "d"),
        post(STORY.replace("towels", "shirts"), "e"), post(ZH_STORY.replace("，", " "), "f"),
    ]  # fmt: skip
    out = list(screen_by_rule(iter(posts)))
    assert [item.id for item in out] == list("abcdef")
    assert [item for item in out if isinstance(item, Post)] == [posts[0], posts[2]]
    copies = [item for item in out if isinstance(item, Rejection) and item.reason == Reason.DUPLICATE]
    assert [(item.id, item.detail) for item in copies] == [("d", "a"), ("e", "a"), ("f", "c")]


def test_screen_by_rule_is_lazy_and_can_be_continued() -> None:
    seen = Deduplicator()
    seen.add("earlier", STORY)
    endless = (post(STORY, str(number)) for number in iter(int, 1))
    first = next(screen_by_rule(endless, seen=seen))
    assert isinstance(first, Rejection)
    assert first.detail == "earlier"


@pytest.mark.parametrize(
    ("translated", "fault"),
    [
        ("My sister moved back. " * 20, ""),
        ("", "empty"),
        ("...", "empty"),
        (ZH_STORY, "still in Chinese"),
        ("My sister moved back. " * 20 + "不知道怎么开口才不会吵起来", "still in Chinese"),
        ("She moved back.", "leaves something out"),
        ("My sister moved back. " * 60, "adds something"),
    ],
)
def test_translation_fault(translated: str, fault: str) -> None:
    found = translation_fault(ZH_STORY, translated)
    assert fault in found
    assert bool(found) == bool(fault)


def test_short_texts_may_grow_in_translation() -> None:
    assert translation_fault("怎么办？", "What on earth am I supposed to do now?") == ""
