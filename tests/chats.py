"""What tests of `socialsim chat` share: supporters on scripted LMs, messages, a rating."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dspy.lm15 import Request

from signatures.arena import Aspect
from socialsim.chat.blind import BlindFolder
from socialsim.chat.blind_talk import opened
from socialsim.chat.supporter import BoundSupporter, SupporterConfig
from socialsim.lms import parse_spec
from tests.scripted import Script, ScriptedLM, scripted_lm, user_text

SPEC = "http://localhost:1/v1#scripted-secret-name"
MESSAGES = (
    "Hello",
    "I lost my job last week and cannot tell my wife.",
    "They closed the whole line after nine years.",
    "Every morning I leave the house as if I went to work.",
    "I sit in the car by the river until five.",
    "She would ask how we pay the rent.",
    "Maybe I could say it on a walk.",
    "Yes, the letter is in the glove box.",
    "Thank you for listening.",
)


def bound(script: Script | None = None, spec: str = SPEC, **changes: Any) -> BoundSupporter:
    """A supporter on a scripted LM."""
    lm = scripted_lm(script)
    made = BoundSupporter(SupporterConfig(parse_spec(spec), shots=0, **changes), lm)
    assert made.lm is lm
    return made


def requests(supporter: BoundSupporter) -> list[Request]:
    """What its LM was asked."""
    assert isinstance(supporter.lm, ScriptedLM)
    return supporter.lm.requests


def seen(supporter: BoundSupporter) -> str:
    """Everything its LM was shown."""
    return "\n".join(user_text(request) for request in requests(supporter))


def two(a: Script | None = None, b: Script | None = None) -> dict[str, BoundSupporter]:
    """Two supporters with names that occur nowhere else."""
    return {
        "Quxmodel": bound(a, "http://localhost:1/v1#quxspec"),
        "Zormodel": bound(b, "http://localhost:2/v1#zorspec"),
    }


@contextmanager
def comparison(
    path: Path, exchanges: int = 2, **scripts: Any
) -> Iterator[tuple[BlindFolder, dict[str, BoundSupporter]]]:
    """An open folder of a comparison and its supporters."""
    supporters = two(**scripts)
    with opened(path, supporters, exchanges) as folder:
        yield folder, supporters


def aspects(first: int = 2, second: int = 1, preferred: str = "first") -> dict[str, dict[str, Any]]:
    """The same rating for every aspect."""
    return {str(aspect): {"first": first, "second": second, "preferred": preferred} for aspect in Aspect}
