"""A conversation between a person and a supporter: what was said, and nothing that was not."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from socialsim.chat.crisis import fixed_exchange, fixed_reply, is_fixed
from socialsim.chat.listening import Listener
from socialsim.chat.supporter import BoundSupporter
from socialsim.errors import OutputError, UsageError
from socialsim.journal import Journal, RunLock
from socialsim.meter import add_up
from socialsim.schema import Dialogue, Provenance, Reasoning, Speaker, Turn, Usage

MAX_CHARACTERS: Final = 2_000  # of a message
MAX_TURNS: Final = 400
SAVED: Final = Path("runs/chat/dialogues.jsonl")
# What no keyboard writes, and what would turn text around; line breaks and tabs stay.
_UNSEEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def checked_message(text: str) -> str:
    """A message as it is kept.

    Raises:
        UsageError: if it is empty or too long.
    """
    clean = _UNSEEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if not clean:
        raise UsageError("the message is empty; write something")
    if len(clean) > MAX_CHARACTERS:
        raise UsageError(f"the message has {len(clean):,} characters; use at most {MAX_CHARACTERS:,}")
    return clean


def visible(turns: Sequence[Turn]) -> list[Turn]:
    """The turns an LM may be shown: no exchange that got a fixed text."""
    return [turn for turn in turns if not is_fixed(turn)]


class Conversation:
    """What a person and a supporter said to each other.

    Args:
        supporter: whom the person talks to.
        turns: what was said before, where a conversation goes on.
        usages: what each reply took so far.

    Attributes:
        turns: what was said, message and reply in turn.
        usages: what each reply took; nothing for a fixed text.
        saved: how many turns were saved.
    """

    def __init__(self, supporter: BoundSupporter, turns: Sequence[Turn] = (), usages: Sequence[Usage] = ()) -> None:
        self.supporter = supporter
        self.turns = list(turns)
        self.usages = list(usages)
        self.saved = 0
        self._saved_as = ""
        self.id = f"chat-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"

    @property
    def exchanges(self) -> int:
        """Replies of the supporter itself."""
        return len(visible(self.turns)) // 2

    @property
    def reasoning(self) -> Reasoning | None:
        """What the supporter thought before its last reply, if that is known."""
        return self.turns[-1].reasoning if self.turns else None

    async def say(self, text: str, listener: Listener | None = None) -> Turn:
        """Take a message and give the reply; both are kept once the reply is there.

        Raises:
            UsageError: if the message is empty or too long, or the conversation is.
            LMError: if the LM does not answer; the message is not kept.
            NoReplyError: if no answer may stand; the message is not kept.
        """
        message = checked_message(text)
        if len(self.turns) >= MAX_TURNS:
            raise UsageError(f"this conversation has {len(self.turns)} turns, the most there may be; start another")
        if fixed := fixed_reply(message, self.turns[-1] if self.turns else None):
            said, reply = fixed_exchange(message, fixed)
            self.usages.append(Usage())
        else:
            said = Turn(speaker=Speaker.SEEKER, text=message)
            reply, usage = await self.supporter.reply([*visible(self.turns), said], listener)
            self.usages.append(usage)
        self.turns += [said, reply]
        return reply

    def dialogue(self) -> Dialogue:
        """What was said as a record.

        Raises:
            UsageError: if nothing was said yet.
        """
        if not self.turns:
            raise UsageError("nothing was said yet; there is nothing to save")
        config, usage = self.supporter.config, add_up(self.usages)
        made = Provenance(
            mode="chat",
            seed=config.seed,
            lms={"supporter": config.lm.text},
            programs={"supporter": self.supporter.program},
            nodes=config.nodes,
            demonstrations=self.supporter.demonstrations,
            asked_again=max(usage.calls - self.exchanges, 0),
            usage=usage,
        )
        return Dialogue(id=self.id, turns=tuple(self.turns), provenance=made)

    def save(self, path: Path = SAVED) -> str:
        """Append the conversation to a file of dialogues; saved again after more was said, it gets an id of its own.

        Returns:
            The id under which it was saved.

        Raises:
            UsageError: if nothing was said yet.
            SocialSimError: if the file cannot be written or holds something else.
        """
        dialogue = self.dialogue()
        if self.saved:
            dialogue = dialogue.model_copy(update={"id": f"{self.id}-{len(self.turns)}"})
        if path.suffix != ".jsonl":
            raise OutputError(f"{path}: transcripts are saved as JSON lines; name a file that ends in .jsonl")
        with RunLock(path.parent), Journal(path, Dialogue) as journal:
            if self._saved_as in journal and self.saved == len(self.turns):
                return self._saved_as
            journal.append(dialogue)
        self.saved, self._saved_as = len(self.turns), dialogue.id
        return dialogue.id
