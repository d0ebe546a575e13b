"""How many posts went in, how many came out, and why the others did not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from rich.table import Table

from socialsim.schema import Rejection, Scenario
from socialsim.screening import Reason


@dataclass
class Funnel:
    """Counts of the outcomes of an intake; feed it each Scenario and each Rejection once."""

    kept: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    @property
    def read(self) -> int:
        """Posts with an outcome."""
        return self.kept + self.rejected.total()

    def add(self, outcome: Scenario | Rejection) -> None:
        """Count one outcome."""
        if isinstance(outcome, Rejection):
            self.rejected[outcome.reason] += 1
        else:
            self.kept += 1

    def rows(self) -> list[tuple[str, int]]:
        """Read, rejected by reason in the order of screening, kept."""
        order = [str(reason) for reason in Reason]
        reasons = sorted(self.rejected, key=lambda name: (order.index(name) if name in order else len(order), name))
        return [("read", self.read), *((name, self.rejected[name]) for name in reasons), ("kept", self.kept)]

    def table(self, title: str = "Intake") -> Table:
        """The rows with their share of the posts read."""
        table = Table("", "posts", "share", title=title)
        for column in table.columns[1:]:
            column.justify = "right"
        for name, count in self.rows():
            style = "bold" if name in {"read", "kept"} else None
            table.add_row(name, f"{count:,}", f"{count / self.read:.1%}" if self.read else "-", style=style)
        return table
