"""Messages that speak of self-harm or danger are found, whoever says it and however; figures of speech are not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialsim.chat.danger import Danger, all_clear, danger
from tests.scripted import sentences

DIRECT = [
    "I want to die.",
    "i wanna die",
    "I want to kill myself",
    "I'm going to kill myself tonight",
    "i keep thinking about suicide",
    "I'm suicidal",
    "I have been cutting myself again",
    "I hurt myself last night",
    "I started burning my self with a lighter",
    "I’m going to end my life.",
    "I took all my pills",
    "I just swallowed 30 sleeping pills",
    "I am standing on a bridge",
    "I'm sitting on the ledge and I can't stop crying",
    "kms lol",
    "i want to unalive myself",
    "I wrote a goodbye letter to my kids",
    "I thought about jumping in front of a train",
    "I keep wanting to drive my car into a tree",
    "I have a rope and a plan. I plan to hang myself.",
    "I want to k\u200bill myself",
    "I WANT TO DIE",
    "I want\nto die",
    "suic1de is all I think of",
    "我想死",
    "我不想活了",
    "我想自杀",
    "我昨天又割了自己",
    "我想伤害自己",
    "我吃了一瓶安眠药",
    "我站在天台上",
    "真的好想去死",
    "想结束自己的生命",
]
INDIRECT = [
    "Everyone would be better off without me.",
    "I don't want to be here anymore.",
    "I don't want to wake up tomorrow",
    "I wish I had never been born",
    "I wish I could just not wake up",
    "There is nothing left to live for.",
    "What's the point of living?",
    "I'm so tired of being alive",
    "I just want to disappear forever",
    "I won't be here tomorrow.",
    "I want to sleep and never wake up",
    "life is not worth living",
    "I can't go on anymore",
    "I want to end it",
    "They'd be happier if I was gone",
    "I'm ready to say goodbye to everyone",
    "The pills are in front of me",
    "活着没有意思",
    "没有我他们会更好",
    "真想就这样消失",
    "要是一睡不醒就好了",
    "我不想再醒来",
    "活着好累",
]
NEGATED = [
    "I don't want to kill myself.",
    "I'm not suicidal, just tired.",
    "I would never hurt myself",
    "I no longer think about suicide",
    "我没有想自杀",
    "我不会伤害自己，真的没有想伤害自己",
]
QUOTED = [
    'My sister said "I want to die" and hung up.',
    "She wrote: 'I can't go on living'.",
    "My friend told me he took too many pills",
    "In the film he says he wants to kill himself.",
    "他说他不想活了",
    "我妈妈说“你去死”，我真的想死",
]
BY_OTHERS = [
    "My husband beats me.",
    "he hit me again yesterday",
    "My father has been hitting us",
    "My boyfriend threatened to kill me",
    "he said he will kill me",
    "He is going to kill me.",
    "I was raped.",
    "I am being stalked",
    "I'm in danger",
    "I am not safe",
    "I don't feel safe at home",
    "My ex has a gun",
    "I fear for my life",
    "I'm scared he will hurt me",
    "my uncle touches me at night",
    "There is domestic violence in our house",
    "she threw a plate at me",
    "somebody is following me, I'm being followed",
    "老公打我",
    "他昨天打了我一巴掌",
    "我被家暴了",
    "我被跟踪了",
    "我现在很危险",
    "他说要杀了我",
    "我怕他会杀我",
]
TO_OTHERS = [
    "I want to kill him.",
    "I'm going to stab my boss",
    "I am afraid I might hurt my baby",
    "I hit my son yesterday",
    "I keep thinking about strangling her",
    "I feel like hurting someone",
    "I will shoot up the school",
    "I shook my baby",
    "我想杀了他",
    "我打了孩子",
    "我想和他们同归于尽",
    "我怕自己会伤害孩子",
]
ORDINARY = [
    "Hello",
    "Hi there, how are you?",
    "This job is killing me.",
    "My feet are killing me",
    "I'm dying to see her",
    "I nearly died of embarrassment",
    "I wanted to die of shame when she read it out",
    "I was bored to death",
    "I'm dead tired",
    "That was career suicide.",
    "I beat my brother at chess",
    "He beat me at tennis again",
    "It hit me that she was gone",
    "Hit me up when you are free",
    "He hit me up on Instagram",
    "My mum died last year and I miss her.",
    "My grandfather died of cancer.",
    "I killed the presentation",
    "I want to end things with my boyfriend",
    "I want to end it with him",
    "I don't want to hurt her feelings",
    "I don't want to hurt him, but I have to break up",
    "My boss is going to kill me when she sees the report",
    "I cut myself off from my friends",
    "I cut myself shaving",
    "I cut myself some slack",
    "I worked myself to death, nearly",
    "I kill myself working for them and nobody notices",
    "I want to live with my sister",
    "I'd like to disappear into a book for a weekend",
    "I feel trapped in this job",
    "I can't do this alone",
    "She locked me out of the group chat",
    "He attacked my idea in the meeting",
    "I took two painkillers for my headache",
    "We walked across the bridge and talked.",
    "My dog bit a man",
    "I jumped at the chance",
    "I jumped out of bed",
    "My deadline is tomorrow",
    "I was fired and I'm worried about the rent.",
    "My son is being bullied at school and I feel helpless.",
    "I feel safe with you",
    "She is a murder mystery fan",
    "I want to be alone",
    "He wouldn't hurt a fly",
    "My partner and I argue about money",
    "I don't want to live in this city with my parents any more than they do",
    "累死了",
    "笑死我了",
    "气死我了",
    "烦死了",
    "想死你了",
    "我爸爸去年去世了",
    "他打我电话不接",
    "我打了他电话",
    "我工作压力很大",
    "我不想上班",
    "生活没意思的时候我就看书",
    "我和男朋友分手了",
    "这次打折我吃了一把瓜子",
    "他吃饭不等我",
]


@pytest.mark.parametrize("message", DIRECT + INDIRECT + NEGATED + QUOTED)
def test_what_speaks_of_self_harm_is_found_said_plainly_or_not_denied_or_quoted(message: str) -> None:
    assert danger(message) is Danger.SELF_HARM


@pytest.mark.parametrize("message", BY_OTHERS)
def test_harm_by_others_is_found(message: str) -> None:
    assert danger(message) is Danger.VIOLENCE


@pytest.mark.parametrize("message", TO_OTHERS)
def test_harm_to_others_is_found(message: str) -> None:
    assert danger(message) is Danger.THREAT


@pytest.mark.parametrize("message", ORDINARY)
def test_figures_of_speech_and_everyday_troubles_pass(message: str) -> None:
    assert danger(message) is None


@pytest.mark.parametrize(
    "message", ["I hated being alive", "I have been cutting since March.", "I got threatened with murder"]
)
def test_what_the_corpora_taught_is_found(message: str) -> None:
    assert danger(message) is not None


@given(st.text(max_size=40), st.sampled_from(DIRECT), st.text(max_size=40))
def test_what_stands_around_a_plain_statement_hides_nothing(before: str, said: str, after: str) -> None:
    assert danger(f"{before}\n{said}\n{after}") is not None


def test_ordinary_sentences_pass() -> None:
    said = sentences()
    assert not [text for text in (next(said) for _ in range(300)) if danger(text)]


@pytest.mark.parametrize("piece", ["I want to ", "i ", "he was ", "took all my ", "a", "我", "想要", "to die or not "])
def test_a_long_message_takes_no_time(piece: str) -> None:
    started = time.perf_counter()
    danger((piece * 4000)[:4000])
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    "message",
    ["I am safe", "I'm safe.", "Sorry, I am not in danger", "yes, I'm really safe now", "我很安全", "我没有危险"],
)
def test_a_plain_all_clear_is_understood(message: str) -> None:
    assert all_clear(message)


@pytest.mark.parametrize(
    "message",
    [
        "yes",
        "tonight",
        "I'm not safe",
        "I don't know if I am safe",
        "I'm okay",
        "I am safe if he does not find me",
        "I am safe but I want to die",
        "不安全",
        "",
    ],
)
def test_anything_less_is_no_all_clear(message: str) -> None:
    assert not all_clear(message)
