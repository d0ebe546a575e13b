from __future__ import annotations

from importlib.metadata import version

import pytest


@pytest.mark.parametrize("package", ["transformers", "peft", "datasets", "bert-score", "accelerate", "fastapi"])
def test_the_full_install_has_what_the_extras_name(package: str) -> None:
    assert version(package)


def test_torch_is_the_pinned_build_without_cuda() -> None:
    assert version("torch").split("+")[0] == "2.13.0"
