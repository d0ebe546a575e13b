"""Chats as tokens: what is trained is the supporter's reply and its end, after the prompt that is generated from."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import lru_cache
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.chat import ChatFormat, Sample
from finetune.dataset import Counted, lesson, trees
from finetune.format import History, Message, Variant, messages, system_text, target
from finetune.tree import build_tree
from socialsim.errors import UsageError
from socialsim.resources import demonstrations
from socialsim.schema import Dialogue
from tests import students, trainings

DEMOS = list(islice(demonstrations(), 3))
VARIANTS = ["response", "reasoning", "strategy", "situation,thought"]
CHAT: list[Message] = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "I am sad."},
    {"role": "assistant", "content": "What happened?"},
    {"role": "user", "content": "I lost my job."},
]


def _with(template: str | None) -> Any:
    other = copy.deepcopy(students.tokenizer())
    other.chat_template = template
    return other


@lru_cache
def templated() -> ChatFormat:
    return ChatFormat(students.tokenizer())


@lru_cache
def plain() -> ChatFormat:
    """What a base without a template, such as Llama-2-7b-hf, gets."""
    return ChatFormat(_with(None))


@lru_cache
def llama2() -> ChatFormat:
    return ChatFormat(_with(trainings.LLAMA2_TEMPLATE))


FORMATS = pytest.mark.parametrize("format", [templated, plain, llama2])


def _text(format: ChatFormat, ids: tuple[int, ...]) -> str:
    return str(format.tokenizer.decode(list(ids)))


def assert_masked(format: ChatFormat, chat: list[Message], reply: str) -> Sample:
    """The loss covers the reply and its end, and nothing else; the prompt is the one generated from."""
    sample = format.sample(chat, reply)
    end = str(format.tokenizer.eos_token)
    assert _text(format, sample.ids[: sample.start]) == format.prompt(chat)
    assert _text(format, sample.ids[sample.start :]).replace(f" {end}", end).lstrip(" ") == reply + end
    assert list(sample.ids[: sample.start]) == format.prompt_ids(chat)
    assert sample.ids[-1] == format.tokenizer.eos_token_id
    return sample


@FORMATS
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("history", list(History))
def test_real_demonstrations_train_the_supporters_tokens_only(
    format: Callable[[], ChatFormat], variant: str, history: History
) -> None:
    made, chosen = format(), Variant.parse(variant, history)
    for dialogue in (demo.dialogue for demo in DEMOS[:2]):
        replies = lesson(dialogue, chosen).replies
        assert len(replies) == len(dialogue.turns) // 2
        for index, (chat, reply) in enumerate(replies):
            turn = dialogue.turns[2 * index + 1]
            assert (list(chat), reply) == (messages(dialogue.turns[: 2 * index + 1], chosen), target(turn, chosen))
            sample = assert_masked(made, list(chat), reply)
            trained = _text(made, sample.ids[sample.start :])
            assert dialogue.turns[2 * index].text not in trained
            assert system_text(chosen) not in trained


@FORMATS
@given(said=st.text(st.characters(exclude_categories=["C"]), min_size=1).map(str.strip).filter(bool))
@settings(max_examples=60, deadline=None)
def test_any_reply_is_trained_whole_after_the_prompt_it_is_generated_from(
    format: Callable[[], ChatFormat], said: str
) -> None:
    made = format()
    sample = made.sample(CHAT, said)
    assert list(sample.ids[: sample.start]) == made.prompt_ids(CHAT)
    assert said in _text(made, sample.ids[sample.start :])


def test_the_plain_format_is_as_documented() -> None:
    made = plain()
    begin, end = made.tokenizer.bos_token, made.tokenizer.eos_token
    head = f"{begin}Be kind.\n\nSeeker: I am sad.\nSupporter: What happened?{end}\nSeeker: I lost my job.\nSupporter:"
    assert made.prompt(CHAT) == head
    assert made.completion(CHAT, "I am sorry.") == f" I am sorry.{end}"
    assert ChatFormat(students.tokenizer(), plain=True).prompt(CHAT) == head
    assert templated().prompt(CHAT) != head


def test_a_template_that_puts_the_system_message_into_the_first_turn() -> None:
    made = llama2()
    begin, end = made.tokenizer.bos_token, made.tokenizer.eos_token
    opening = f"{begin}[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nI am sad. [/INST] What happened? {end}"
    assert made.prompt(CHAT) == f"{opening}{begin}[INST] I lost my job. [/INST]"
    assert made.completion(CHAT, "I am sorry.") == f" I am sorry. {end}"


def test_a_template_whose_turns_end_otherwise_still_learns_to_stop() -> None:
    made = ChatFormat(_with(trainings.TEMPLATE.replace("<|im_end|>", "<|endoftext|>")))
    assert made.completion(CHAT, "I am sorry.").endswith(made.tokenizer.eos_token)


def _one_line(format: ChatFormat, chat: list[Message] | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        format.sample(chat or CHAT, "I am sorry.")
    line = " ".join(str(caught.value).split())  # as the command line prints it
    assert "--plain" in line
    return line


def test_a_template_that_refuses_a_system_message() -> None:
    tokenizer = _with(trainings.NO_SYSTEM)
    assert "refuses this chat (System role not supported)" in _one_line(ChatFormat(tokenizer))
    assert_masked(ChatFormat(tokenizer, plain=True), CHAT, "I am sorry.")


def test_a_template_that_is_broken() -> None:
    assert "refuses this chat" in _one_line(ChatFormat(_with("{% for m in messages %}{{ m['content'] }}")))


@pytest.mark.parametrize(
    "template",
    [
        trainings.TEMPLATE.replace("m['content']", "m['content'] | upper"),
        trainings.TEMPLATE.replace("m['content']", "m['content'].replace('sorry', '')"),
        # Only the last answer is rewritten, so that the prompt is no beginning of the whole.
        "{% for m in messages %}{{ loop.length }} {{ m['content'] }}<|im_end|>{% endfor %}",
    ],
)
def test_a_template_that_rewrites_what_it_is_given_is_caught(template: str) -> None:
    assert "rewrites" in _one_line(ChatFormat(_with(template)))


# ---------------------------------------------------------------- a dialogue's replies together


def _tree_of(format: ChatFormat, dialogue: Dialogue, variant: Variant) -> tuple[int, int, list[tuple[int, ...]]]:
    """Tokens of the tree, tokens of the single samples, and its paths' sizes with what they branch from."""
    counted = Counted()
    (tree,) = trees([lesson(dialogue, variant)], format, 10_000, counted)
    return counted.tokens, counted.one_by_one, [(path.stop - path.start, len(path.before)) for path in tree.paths()]


@FORMATS
def test_replies_without_reasoning_are_one_chain(format: Callable[[], ChatFormat]) -> None:
    for demo in DEMOS:
        tokens, one_by_one, paths = _tree_of(format(), demo.dialogue, Variant())
        assert len(paths) == 1
        assert tokens * len(demo.dialogue.turns) / 4 < one_by_one


@FORMATS
def test_replies_after_reasoning_are_a_branch_each(format: Callable[[], ChatFormat]) -> None:
    for demo in DEMOS:
        replies = len(demo.dialogue.turns) // 2
        tokens, one_by_one, paths = _tree_of(format(), demo.dialogue, Variant.parse("reasoning"))
        roots = [path for path in paths if path[1] == 0]
        assert len(roots) == 1
        # The trunk goes on into one of them; where a prompt goes on with the history instead, a path branches off.
        assert replies <= len(paths) <= 2 * replies
        assert tokens * 2 < one_by_one
        with_reasoning = _tree_of(format(), demo.dialogue, Variant.parse("reasoning", History.REASONING))
        assert len(with_reasoning[2]) == 1


def test_samples_beyond_the_cutoff_are_left_out_and_counted() -> None:
    dialogue, format, counted = DEMOS[0].dialogue, templated(), Counted()
    samples = [format.sample(list(chat), reply) for chat, reply in lesson(dialogue, Variant()).replies]
    cutoff = len(samples[2].ids)
    (tree,) = trees([lesson(dialogue, Variant())], format, cutoff, counted)
    assert (counted.replies, counted.too_long) == (3, len(samples) - 3)
    assert tree.ids == build_tree(samples[:3]).ids == samples[2].ids
    assert counted.trained == len(tree.trained) == sum(len(one.ids) - one.start for one in samples[:3])


def test_a_cutoff_shorter_than_a_turn_says_how_much_is_needed() -> None:
    lessons = [lesson(DEMOS[0].dialogue, Variant())]
    with pytest.raises(UsageError, match=r"--cutoff 10: the first reply .* raise it to at least (\d+)") as caught:
        list(trees(lessons, templated(), 10))
    needed = int(str(caught.value).split()[-1])
    assert [tree.paths() for tree in trees(lessons, templated(), needed)]
