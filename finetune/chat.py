"""Messages to text and tokens for one tokenizer: its chat template, or our plain format.

The plain format, for bases without a template such as ``Llama-2-7b-hf``::

    <s>{system}

    Seeker: {user}
    Supporter: {assistant}</s>
    Seeker: {user}
    Supporter:
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from finetune.format import Message
from socialsim.errors import UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SPEAKER = {"user": "Seeker:", "assistant": "Supporter:"}


class Sample(NamedTuple):
    """One reply to learn: tokens of the prompt, then of what is to be written.

    Attributes:
        ids: all token ids.
        start: index of the first trained token; everything from there on is trained, nothing before it.
    """

    ids: tuple[int, ...]
    start: int


@dataclass(frozen=True)
class ChatFormat:
    """Writes chats for a tokenizer.

    Attributes:
        tokenizer: a fast tokenizer (offsets of tokens are needed).
        plain: use the plain format although there is a template.
    """

    tokenizer: PreTrainedTokenizerBase
    plain: bool = False

    @cached_property
    def templated(self) -> bool:
        """Whether the tokenizer's chat template is used."""
        return bool(self.tokenizer.chat_template) and not self.plain

    def prompt(self, chat: Sequence[Message]) -> str:
        """The text after which the model writes the next reply.

        Raises:
            UsageError: if the template refuses a system message or the order of roles.
        """
        if self.templated:
            return self._render(chat, add_generation_prompt=True)
        return "".join(self._plain(chat)) + _SPEAKER["assistant"]

    def completion(self, chat: Sequence[Message], reply: str) -> str:
        """What the model is to write after `prompt`, its end-of-turn token included."""
        if not self.templated:
            return f" {reply}{self.tokenizer.eos_token}"
        whole = self._render([*chat, {"role": "assistant", "content": reply}])
        before = self.prompt(chat)
        if not whole.startswith(before):
            raise UsageError("the base's chat template rewrites what it is given; use --plain")
        written = whole[len(before) :]
        if reply.strip() not in written:  # it would learn to write what nobody wrote
            raise UsageError("the base's chat template rewrites replies; use --plain")
        end = written.rfind(self.tokenizer.eos_token)
        # A template may go on with a line break, which nobody has to learn.
        return written[: end + len(self.tokenizer.eos_token)] if end >= 0 else written + self.tokenizer.eos_token

    def prompt_ids(self, chat: Sequence[Message]) -> list[int]:
        """The prompt's tokens."""
        ids: list[int] = self.tokenizer(self.prompt(chat), add_special_tokens=False)["input_ids"]
        return ids

    def sample(self, chat: Sequence[Message], reply: str) -> Sample:
        """Prompt and completion as one sequence of tokens.

        Both are tokenised as one text, as they stand in a longer dialogue; a token that straddles the border
        belongs to the prompt.
        """
        prompt = self.prompt(chat)
        whole = prompt + self.completion(chat, reply)
        coded = self.tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
        starts = (i for i, (begin, _) in enumerate(coded["offset_mapping"]) if begin >= len(prompt))
        return Sample(tuple(coded["input_ids"]), next(starts))

    def _render(self, chat: Sequence[Message], add_generation_prompt: bool = False) -> str:
        try:
            text = self.tokenizer.apply_chat_template(
                [{"role": one["role"], "content": one["content"]} for one in chat],
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
            )
        except Exception as error:  # a template raises jinja2 errors of its own
            raise UsageError(f"the base's chat template refuses this chat ({error}); use --plain") from error
        return str(text)

    def _plain(self, chat: Sequence[Message]) -> Iterator[str]:
        yield self.tokenizer.bos_token or ""
        for message in chat:
            if message["role"] == "system":
                yield f"{message['content']}\n\n"
            else:
                end = self.tokenizer.eos_token if message["role"] == "assistant" else ""
                yield f"{_SPEAKER[message['role']]} {message['content']}{end}\n"
