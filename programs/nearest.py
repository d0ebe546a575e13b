"""The examples most like the input at hand: a small model copies its example, so it had better be a near one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rapidfuzz import fuzz

_TEXTS = ("question", "description")


def nearest(demos: Sequence[Any], inputs: Mapping[str, Any], k: int) -> list[Any]:
    """The ``k`` examples nearest to the inputs, the nearest last, next to the input.

    Args:
        demos: examples of posts, each with topic, question and description.
        inputs: the post.
        k: how many; 0 for all, in their order.

    Returns:
        Those of the same topic first, then those that share most words (rapidfuzz's token-set ratio).
    """
    if not k:
        return list(demos)

    def likeness(demo: Any) -> tuple[bool, float]:
        given = dict(demo)
        return given.get("topic") == inputs.get("topic"), fuzz.token_set_ratio(_text(given), _text(inputs))

    return sorted(demos, key=likeness)[-k:]


def _text(fields: Mapping[str, Any]) -> str:
    return " ".join(str(fields.get(name, "")) for name in _TEXTS).lower()
