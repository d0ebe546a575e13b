from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the tree, unpacked far from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    with ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def outside(installed: Path, *command: str) -> str:
    """Output of a command that sees the wheel and not the checkout."""
    done = subprocess.run(
        [sys.executable, "-P", *command],
        cwd=installed.parent,
        env={"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin", "HOME": str(installed.parent)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_bundled_data_travels_in_the_wheel(installed: Path) -> None:
    code = (
        "import socialsim; from socialsim.resources import *; print(socialsim.__file__); "
        "print(len(list(demonstrations())), bundled_scenarios().is_file(), compiled_folder().is_dir())"
    )
    where, found = outside(installed, "-c", code).splitlines()
    assert where.startswith(str(installed))
    assert found == "50 True True"


def test_the_command_line_plans_a_run_outside_the_checkout(installed: Path) -> None:
    assert "45 items" in outside(installed, "-m", "socialsim", "run", "--dry-run", "--out", "none")


def test_the_page_of_the_report_travels_in_the_wheel(installed: Path) -> None:
    folder = installed / "socialsim" / "report" / "page"
    assert all((folder / name).is_file() for name in ("report.html", "report.css"))


def test_the_templates_of_the_cards_travel_in_the_wheel(installed: Path) -> None:
    names = {path.name for path in (installed / "socialsim" / "sharing").glob("*.md")}
    assert names == {"dataset_card.md", "model_card.md"}
