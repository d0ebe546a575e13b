"""Pushes, to a hub on a thread of this process: what arrives, who may read it, and each refusal in one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from socialsim.formats import read_dialogues
from socialsim.schema import Dialogue, Persona
from tests.command import socialsim
from tests.hub import TOKEN, FakeHub, Repo
from tests.shared import items, write_run

for needed in ("datasets", "huggingface_hub"):
    pytest.importorskip(needed, reason="needs socialsim[share]")

NAME = "datasets/ann/esc"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with FakeHub() as running:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", running.url)
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "r", items(4))


def problem(run: Path, *arguments: object) -> str:
    return socialsim("export", run, "--format", "hf", "--push", "ann/esc", *arguments).problem


def pushed(run: Path, *arguments: object) -> str:
    ended = socialsim("export", run, "--format", "hf", "--push", "ann/esc", *arguments)
    assert (ended.code, ended.err) == (0, "")
    return ended.out


def test_the_repository_holds_what_the_folder_holds_and_is_private(hub: FakeHub, run: Path) -> None:
    out = pushed(run)
    assert f"Pushed: {hub.url}/datasets/ann/esc" in out
    repo, folder = hub.repos[NAME], run / "hf"
    assert repo.private
    assert repo.files == {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    assert sorted(repo.files) == [
        "README.md",
        "data/test-00000-of-00001.parquet",
        "data/train-00000-of-00001.parquet",
    ]
    assert 'load_dataset("ann/esc")' in repo.files["README.md"].decode()
    assert set(hub.tokens) - {""} == {TOKEN}  # the client also fetches a public list without one


def test_a_pushed_table_can_be_read(hub: FakeHub, run: Path, tmp_path: Path) -> None:
    pushed(run, "--test", 0)
    file = tmp_path / "got.parquet"
    file.write_bytes(hub.repos[NAME].files["data/train-00000-of-00001.parquet"])
    assert [dialogue.id for dialogue in read_dialogues(file)] == [dialogue.id for _, dialogue in items(4)]


def test_a_second_push_takes_away_tables_that_are_no_more_and_nothing_else(hub: FakeHub, run: Path) -> None:
    hub.repos[NAME] = Repo(private=True, files={"data/train-00001-of-00002.parquet": b"old", "notes.txt": b"kept"})
    pushed(run)
    pushed(run, "--test", 0)
    assert sorted(hub.repos[NAME].files) == ["README.md", "data/train-00000-of-00001.parquet", "notes.txt"]
    assert len(hub.repos[NAME].messages) == 2


def test_public_needs_a_licence(hub: FakeHub, run: Path) -> None:
    for chosen in ((), ("--license", "unknown")):
        assert problem(run, "--public", *chosen).startswith("--public: no licence is known; choose one with --license")
    assert not hub.repos
    assert not (run / "hf").exists()
    pushed(run, "--public", "--license", "cc-by-4.0")
    assert not hub.repos[NAME].private


def test_a_repository_that_is_there_keeps_its_visibility(hub: FakeHub, run: Path) -> None:
    hub.repos[NAME] = Repo(private=False)
    assert problem(run) == "--push ann/esc: that repository is public; add --public, or name another one"
    hub.repos[NAME] = Repo(private=True)
    assert "that repository is private; leave out --public" in problem(run, "--public", "--license", "mit")
    assert hub.repos[NAME].files == {}


@pytest.mark.parametrize("name", ["esc", "a/b/c", "ann/-esc", "ann/e s", "../x", "ann/esc.git", ""])
def test_a_malformed_name(hub: FakeHub, run: Path, name: str) -> None:
    ended = socialsim("export", run, "--format", "hf", "--push", name)
    assert ended.problem.startswith(f"--push {name}".rstrip())
    assert not hub.tokens
    assert not (run / "hf").exists()


def test_no_token(hub: FakeHub, run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    assert problem(run) == "--push: no token of the Hugging Face hub; set HF_TOKEN, or run: hf auth login"
    assert not hub.tokens


@pytest.mark.parametrize(
    ("where", "status", "says"),
    [
        ("create", 401, "the token is refused; set another HF_TOKEN, or run: hf auth login"),
        ("create", 403, "the token may not write there; use one with write access, or another owner"),
        ("commit", 507, "the hub refused (status 507: no room for ***)"),
        ("validate-yaml", 400, "refused (Invalid metadata in README.md.); correct that"),
    ],
)
def test_a_refusal_is_one_line_and_the_folder_is_whole(
    hub: FakeHub, run: Path, where: str, status: int, says: str
) -> None:
    hub.refuse[where] = (status, f"no room for {TOKEN}")
    said = problem(run)
    assert said.startswith(f"--push ann/esc: {says}")
    assert TOKEN not in said
    assert (run / "hf" / "README.md").is_file()
    hub.refuse.clear()
    pushed(run)


def test_no_hub(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with FakeHub() as gone:
        url = gone.url
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    monkeypatch.setenv("HF_ENDPOINT", url)
    assert f"{url} cannot be reached; the files on disk are complete" in problem(run)


def test_an_empty_run_is_not_pushed(hub: FakeHub, tmp_path: Path) -> None:
    nothing: list[tuple[Persona, Dialogue]] = []
    assert "holds no dialogue yet" in problem(write_run(tmp_path / "e", nothing))
    assert not hub.repos
