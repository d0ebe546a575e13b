"""Records that pass by one at a time, so that a corpus of any size needs little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Counted(Generic[T]):
    """What passes through, and how much of it did.

    Attributes:
        count: of those that have passed.
    """

    def __init__(self, records: Iterable[T]) -> None:
        self._records = records
        self.count = 0

    def __iter__(self) -> Iterator[T]:
        for record in self._records:
            self.count += 1
            yield record
