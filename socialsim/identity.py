"""A sequence of objects that have no hash of their own as the key of a cache."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Same(Generic[T]):
    """Equal to another where both hold the very same objects in the same order; it keeps them alive."""

    __slots__ = ("_ids", "items")

    def __init__(self, items: Iterable[T]) -> None:
        self.items = tuple(items)
        self._ids = tuple(map(id, self.items))

    def __hash__(self) -> int:
        return hash(self._ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self._ids == other._ids
