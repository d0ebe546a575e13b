"""What the workers of one machine spend, in memory that they share: a limit holds for all of them at every call."""

from __future__ import annotations

import math
import mmap
import tempfile
from typing import IO, Final

from socialsim.budget import Budget
from socialsim.meter import Meter
from socialsim.schema import Usage

_COLUMNS: Final = 4  # calls, tokens read, tokens written, USD (not a number where it is unknown)
_SIZE: Final = 8  # bytes of a column


def new_ledger(workers: int) -> IO[bytes]:
    """An empty one; it lives as long as the file is open somewhere."""
    file = tempfile.TemporaryFile()  # noqa: SIM115
    file.truncate(workers * _COLUMNS * _SIZE)
    return file


class Ledger:
    """A row a worker. Only its worker writes a row, so that none waits for a lock that a killed one held.

    Args:
        file: descriptor of a `new_ledger`.
        place: the worker's row; it goes on where the one before it at this place died.
        budget: what the run may spend.
        earlier: what earlier sessions spent.
    """

    def __init__(self, file: int, place: int, budget: Budget, earlier: Usage) -> None:
        self._cells = memoryview(mmap.mmap(file, 0)).cast("d")
        self._row = slice(place * _COLUMNS, (place + 1) * _COLUMNS)
        self._before = self._cells[self._row].tolist()
        self._budget = budget
        self._earlier = earlier

    def note(self, meter: Meter) -> None:
        """Write what this worker spent."""
        cost = math.nan if meter.cost is None else meter.cost
        spent = (meter.calls, meter.prompt_tokens, meter.completion_tokens, cost)
        for at, (old, new) in enumerate(zip(self._before, spent, strict=True), self._row.start):
            self._cells[at] = old + new

    def total(self) -> Meter:
        """What all workers spent in this session."""
        cells = self._cells.tolist()
        calls, read, written, cost = (sum(cells[column::_COLUMNS]) for column in range(_COLUMNS))
        known = None if math.isnan(cost) else cost
        return Meter({}, calls=int(calls), prompt_tokens=int(read), completion_tokens=int(written), cost=known)

    def check(self) -> None:
        """Called before each call.

        Raises:
            BudgetError: if all workers together have spent what the run may.
        """
        self._budget.check(self._earlier, self.total())
