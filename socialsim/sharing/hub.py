"""One push to the Hugging Face hub: checked first, private unless public is asked for, one commit."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from socialsim.errors import OutputError, UsageError
from socialsim.lm_errors import redact

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

EXTRA: Final = "pip install 'socialsim[share]'"
Content = Path | bytes


@dataclass(frozen=True)
class Target:
    """Where something is pushed to.

    Attributes:
        repo: ``OWNER/NAME``.
        kind: of the repository.
        public: whether everybody may read it.
    """

    repo: str
    kind: Literal["dataset", "model"]
    public: bool = False


def needs(*packages: str) -> None:
    """Check that packages of the ``share`` extra are there.

    Raises:
        UsageError: naming the one that is missing.
    """
    for name in packages:
        if find_spec(name) is None:
            raise UsageError(f"{name} is not installed; run: {EXTRA}")


def check_target(target: Target) -> None:
    """Find what can be found wrong without the network: the name, a missing token.

    Raises:
        UsageError: in one line.
    """
    from huggingface_hub import get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(target.repo)
    except HFValidationError as error:
        raise UsageError(f"--push {target.repo}: not a repository's name ({error}); give OWNER/NAME") from error
    if "/" not in target.repo:
        raise UsageError(f"--push {target.repo}: give OWNER/NAME, the owner being you or an organisation")
    if not get_token():
        raise UsageError("--push: no token of the Hugging Face hub; set HF_TOKEN, or run: hf auth login")


def push(target: Target, files: Mapping[str, Content], message: str, replaces: str = "") -> str:
    """Make the repository if there is none, and commit the files at once.

    Args:
        target: where to.
        files: path in the repository to a file, or to its content.
        message: of the commit.
        replaces: pattern of earlier files that go unless they are among ``files``.

    Returns:
        The repository's address.

    Raises:
        OutputError: if the hub cannot be reached or refuses, or the repository is public and that was not asked for.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi()
    with _one_line(target):
        made = api.create_repo(target.repo, repo_type=target.kind, private=not target.public, exist_ok=True)
        _refuse_other_visibility(api, target)
        old = [name for name in api.list_repo_files(target.repo, repo_type=target.kind) if fnmatch(name, replaces)]
        adds = [CommitOperationAdd(name, _content(content)) for name, content in files.items()]
        deletes = [CommitOperationDelete(name) for name in old if name not in files]
        api.create_commit(target.repo, [*adds, *deletes], commit_message=message, repo_type=target.kind)
    return str(made)


def _content(content: Content) -> str | bytes:
    return str(content) if isinstance(content, Path) else content


def _refuse_other_visibility(api: HfApi, target: Target) -> None:
    """A repository that was there already keeps its visibility, whatever was asked for."""
    private = api.repo_info(target.repo, repo_type=target.kind).private
    if not private and not target.public:
        raise OutputError(f"--push {target.repo}: that repository is public; add --public, or name another one")
    if private and target.public:
        raise OutputError(f"--push {target.repo}: that repository is private; leave out --public, or publish it there")


@contextmanager
def _one_line(target: Target) -> Iterator[None]:
    from httpx import TransportError
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    kept = "the files on disk are complete, so run the same command again"
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise OutputError(f"--push {target.repo}: HF_HUB_OFFLINE is set; unset it; {kept}") from error
    except HfHubHTTPError as error:
        raise OutputError(f"--push {target.repo}: {_refusal(error)}; {kept}") from error
    except (TransportError, ConnectionError, TimeoutError) as error:
        where = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
        raise OutputError(f"--push {target.repo}: {redact(where)} cannot be reached; {kept}") from error
    except ValueError as error:  # the hub's own check of the card's front matter
        raise OutputError(f"--push {target.repo}: refused ({redact(_first_line(error))}); correct that") from error


def _refusal(error: HfHubHTTPError) -> str:
    status = error.response.status_code
    if status == 401:
        return "the token is refused; set another HF_TOKEN, or run: hf auth login"
    if status == 403:
        return "the token may not write there; use one with write access, or another owner"
    return f"the hub refused (status {status}: {redact(error.server_message or _first_line(error))})"


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
