"""What several test files share; heavy imports stay inside, since every test loads this file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """For files with tiny models: ``pytestmark = pytest.mark.usefixtures("one_thread")``."""
    from tests import students

    with students.one_thread():
        yield


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that trains in a second; no test may change it."""
    from tests import trainings

    return trainings.write_small_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def student_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with the embedded model's tokenizer; no test may change it."""
    from tests import students

    return students.write_base(tmp_path_factory.mktemp("student_base"))
