"""Where in a conversation with a person a reply stands.

A simulated conversation has a length before it begins; one with a person has not. So the plan slides: it is the paper's
mean of 12 exchanges, and always at least `AHEAD` longer than what was said, so that the supporter explores, then
comforts, then helps to act, and never says goodbye first. The farewell is due when the person takes leave. Somebody who
opens with the trouble instead of a greeting is past the greeting.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from signatures.cues import Pace
from socialsim.schema import Speaker, Turn
from socialsim.taxonomy import MEAN_UTTERANCES
from socialsim.text import count_words, split_emoji

PLAN: Final = MEAN_UTTERANCES // 2
AHEAD: Final = 4
_GREETING: Final = 8  # words a mere greeting has at most
_FAREWELL: Final = 30  # words a farewell has at most
_LEAVE: Final = re.compile(
    r"\b(?:good ?bye|bye(?:[- ]bye)?|good ?night|see (?:you|ya)(?: later| soon| around)?|farewell|take care)\b"
    r"|\b(?:talk|speak|chat) (?:to you |with you )?(?:later|soon|tomorrow|again soon)\b"
    r"|\b(?:(?:have|need|got|ought) to|gotta|must|should|will|'ll) (?:be going|go|leave|sign off)(?: now| soon)?\W*$"
    r"|\bthat(?:'s| is| will be| was) all(?: for (?:now|today|tonight))?\W*$"
    r"|再见|拜拜|晚安|下次(?:再)?聊|先(?:这样|聊到这)|我(?:先)?走了",
    re.IGNORECASE,
)


def pace_of(turns: Sequence[Turn]) -> Pace:
    """The pace of the supporter's next turn.

    Args:
        turns: what was said, the person's line last.
    """
    said = [turn.text for turn in turns if turn.speaker is Speaker.SEEKER]
    exchange = len(said) + (count_words(said[0]) > _GREETING)
    if len(said) > 1 and takes_leave(said[-1]):
        return Pace(exchange, exchange)
    return Pace(exchange, max(PLAN, exchange + AHEAD))


def takes_leave(message: str) -> bool:
    """Whether a message is a farewell."""
    text = split_emoji(message.strip()).text
    return count_words(text) <= _FAREWELL and bool(_LEAVE.search(text))
