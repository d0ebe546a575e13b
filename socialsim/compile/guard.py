"""What stops a compile at once: the budget, or an LM that does not answer.

DSPy's optimisers treat every exception as one failed example and go on, which would score a
server that is down as a bad program. These two therefore are not `Exception`s.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dspy.utils import exceptions as kinds
from dspy.utils.callback import BaseCallback

from socialsim.journal import write_atomically
from socialsim.lm_errors import explain_lm_error
from socialsim.lms import LMSpec
from socialsim.meter import Meter, add_up
from socialsim.schema import Role, Usage

_ONE_ANSWER = (kinds.ContextWindowExceededError, kinds.LMInvalidRequestError)
_WRITE_EVERY = 2.0  # seconds


class Halt(BaseException):
    """Ends a compile; the message is for the user."""


class Ledger:
    """What was spent on a compile, earlier sessions included, kept in a file.

    Args:
        path: the file; what it holds already counts.
        meter: counts this session's calls.
        max_cost: USD that may be spent in all; None for no limit.
    """

    def __init__(self, path: Path, meter: Meter, max_cost: float | None) -> None:
        self._path = path
        self._meter = meter
        self._max_cost = max_cost
        self._before = Usage.model_validate_json(path.read_bytes()) if path.is_file() else Usage()
        self._halt: Halt | None = None
        self._written = 0.0
        self._started = time.monotonic()
        self._lock = threading.Lock()

    @property
    def spent(self) -> Usage:
        """Calls, tokens, cost and seconds so far."""
        return add_up([self._before, self._meter.usage(time.monotonic() - self._started)])

    def halt(self, message: str) -> Halt:
        """End the compile: from now on no call is begun, those that wait in other threads included."""
        with self._lock:
            self._halt = self._halt or Halt(message)
            return self._halt

    def check(self) -> None:
        """Write down what was spent, now and then.

        Raises:
            Halt: if the budget is spent, or the compile was ended.
        """
        if self._halt:
            raise self._halt
        spent = self.spent
        if self._max_cost is not None and spent.cost is not None and spent.cost >= self._max_cost:
            self.write()
            raise self.halt(
                f"--max-cost ${self._max_cost:g} is spent (${spent.cost:.4f}); "
                "raise it and run the same command again to go on where this stopped"
            )
        if time.monotonic() - self._written > _WRITE_EVERY:
            self.write()

    def write(self) -> None:
        """Write the file."""
        with self._lock:
            self._written = time.monotonic()
            write_atomically(self._path, self.spent.model_dump_json() + "\n")


class Guard(BaseCallback):
    """Watches the calls of one role's LM; copies of the LM keep it.

    Args:
        role: whose LM it is.
        spec: its spec, for messages.
        ledger: asked before each call.
        on_call: called after each answered call.
    """

    def __init__(self, role: Role, spec: LMSpec, ledger: Ledger, on_call: Callable[[], None] = lambda: None) -> None:
        self._role = role
        self._spec = spec
        self._ledger = ledger
        self._on_call = on_call

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Refuse a call that the budget does not cover."""
        self._ledger.check()

    def on_lm_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """Stop where an LM does not answer at all; a single refused request is one bad example."""
        self._on_call()
        if isinstance(exception, kinds.LMError) and not isinstance(exception, _ONE_ANSWER):
            raise self._ledger.halt(explain_lm_error(self._role, self._spec.text, exception)) from exception
