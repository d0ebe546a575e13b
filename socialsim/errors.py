"""Errors a user can cause. The command line prints each as one line, without a traceback."""

from typing import Any


class SocialSimError(Exception):
    """Base: the message names the file, line, flag or role and says what to do."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process gets the same class with the same line, whatever its constructor takes."""
        return _again, (type(self), str(self))


class InputError(SocialSimError):
    """A file cannot be read as what it should be.

    Args:
        path: the file, as the user named it.
        message: what is wrong and what to do.
        line: 1-based line number where one is known.
    """

    def __init__(self, path: object, message: str, line: int | None = None) -> None:
        where = f"{path}, line {line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {message}")


class OutputError(SocialSimError):
    """A run folder cannot be written."""


class LMSpecError(SocialSimError):
    """An LM spec cannot be used: unknown form, missing key, missing model, server down."""


class LMError(SocialSimError):
    """An LM did not answer; what was finished is kept."""


class UsageError(SocialSimError):
    """An option has a value it cannot have."""


class BudgetError(SocialSimError):
    """What a run may cost is spent; what was answered is kept."""


class ClusterError(SocialSimError):
    """Several machines cannot work together, or lost what they need for it; what was answered is kept."""


def _again(kind: type[SocialSimError], line: str) -> SocialSimError:
    error = kind.__new__(kind)
    Exception.__init__(error, line)
    return error
