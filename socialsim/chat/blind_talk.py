"""One session of a blind comparison: two conversations under hidden names, then one rating of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from socialsim.chat.blind import BlindExchange, BlindFolder, BlindRating, BlindSession, BlindSettings
from socialsim.chat.conversation import Conversation
from socialsim.chat.supporter import BoundSupporter
from socialsim.errors import LMError, UsageError
from socialsim.schema import Turn

NAMES: Final = ("Model 1", "Model 2")


class HiddenError(LMError):
    """A model does not answer; its name and address stay hidden."""


class Progress(NamedTuple):
    """How far a conversation is: exchanges that count, and how many are needed."""

    done: int
    needed: int

    @property
    def enough(self) -> bool:
        """Whether the model may be rated."""
        return self.done >= self.needed


class BlindTalk:
    """A session, begun or gone on with.

    Args:
        folder: where everything is kept.
        supporters: name to supporter.
        session: whose it is.
        on_error: told what is wrong with an LM, which the person is not.
    """

    def __init__(
        self,
        folder: BlindFolder,
        supporters: Mapping[str, BoundSupporter],
        session: BlindSession,
        on_error: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.session = session
        self._folder = folder
        self._on_error = on_error
        self.conversations = tuple(self._conversation(supporters[name], name) for name in session.order)

    def _conversation(self, supporter: BoundSupporter, name: str) -> Conversation:
        said = self._folder.said(self.session, name)
        turns = [turn for one in said for turn in (one.seeker, one.supporter)]
        conversation = Conversation(supporter, turns, [one.usage for one in said])
        conversation.id = f"{self.session.id}/{name}"
        return conversation

    def progress(self, place: int) -> Progress:
        """How far the conversation with Model 1 (0) or Model 2 (1) is; fixed texts do not count."""
        return Progress(self.conversations[place].exchanges, self._folder.settings.exchanges)

    @property
    def ready(self) -> bool:
        """Whether both were talked to long enough."""
        return all(self.progress(place).enough for place in range(len(NAMES)))

    @property
    def rated(self) -> bool:
        """Whether the rating is there, and with it the real names may be told."""
        return self.session.id in self._folder.ratings

    async def say(self, place: int, text: str) -> Turn:
        """Say something to Model 1 (0) or Model 2 (1); the exchange is on disk when the reply is there.

        Raises:
            SocialSimError: as a conversation does, without a model's name.
            UsageError: if the session is rated.
        """
        if self.rated:
            raise UsageError("this session is rated; begin another one")
        conversation, name = self.conversations[place], self.session.order[place]
        try:
            reply = await conversation.say(text)
        except LMError as error:
            self._on_error(f"{name}: {error}")
            raise HiddenError(f"{NAMES[place]} does not answer; tell whoever runs this, or try again later") from None
        number = len(conversation.turns) // 2
        self._folder.exchanges.append(
            BlindExchange(
                id=f"{self.session.id}/{name}/{number}",
                session=self.session.id,
                model=name,
                number=number,
                seeker=conversation.turns[-2],
                supporter=reply,
                usage=conversation.usages[-1],
            )
        )
        return reply

    def rate(self, rating: BlindRating) -> tuple[str, str]:
        """Keep the rating, and tell the names of Model 1 and Model 2.

        Raises:
            UsageError: if the conversations are too short, or it is rated already.
        """
        if self.rated:
            raise UsageError("this session is rated; begin another one")
        if not self.ready:
            counts = " and ".join(f"{self.progress(place).done} with {name}" for place, name in enumerate(NAMES))
            needed = self._folder.settings.exchanges
            raise UsageError(f"{counts}: have at least {needed} exchanges with each before you rate")
        self._folder.ratings.append(rating)
        self.keep_dialogues()
        return self.session.order

    def keep_dialogues(self) -> None:
        """Write the conversations of a rated session as dialogues, if a kill came before that."""
        for conversation in self.conversations:
            if conversation.id not in self._folder.dialogues:
                self._folder.dialogues.append(conversation.dialogue())


@contextmanager
def opened(path: Path, supporters: Mapping[str, BoundSupporter], exchanges: int) -> Iterator[BlindFolder]:
    """The folder of a comparison between two supporters; an existing one is gone on with.

    Raises:
        OutputError: if it cannot be written, is in use, or was begun with something else.
    """
    config = next(iter(supporters.values())).config
    settings = BlindSettings(
        models={name: one.config.lm.text for name, one in supporters.items()},
        seed=config.seed,
        exchanges=exchanges,
        nodes=config.nodes,
        shots={name: one.shots for name, one in supporters.items()},
        uncompiled=config.uncompiled,
        programs={name: one.program for name, one in supporters.items()},
    )
    with BlindFolder(path, settings) as folder:
        for session in [one for one in folder.sessions if one.id in folder.ratings]:
            BlindTalk(folder, supporters, session).keep_dialogues()
        yield folder
