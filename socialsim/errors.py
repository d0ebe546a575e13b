"""Errors a user can cause. The command line prints each as one line, without a traceback."""


class SocialSimError(Exception):
    """Base: the message names the file, line, flag or role and says what to do."""


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
