"""A training that is killed, stopped, torn, repeated or shared out ends as one that was left alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune.record import TrainingRecord
from finetune.settings import preset
from socialsim.finetuning import Wish, prepare
from tests import trainings
from tests.command import ROOT, socialsim, start
from tests.trainings import command, dialogues, finetune, record_of, write_corpus

for needed in ("peft", "datasets", "accelerate", "matplotlib"):
    pytest.importorskip(needed, reason="needs socialsim[train]")

LONG = ("--epochs", 12)  # 24 steps, a checkpoint every second one, a row of the curve at each of them


class Corpus:
    """A base, a corpus and held-out dialogues in a folder."""

    def __init__(self, folder: Path) -> None:
        self.base = trainings.write_small_base(folder / "base")
        self.train = write_corpus(folder / "train.jsonl", dialogues(4, exchanges=1))
        self.test = write_corpus(folder / "test.jsonl", dialogues(1, first=9, exchanges=1))

    def arguments(self, out: Path, *more: object) -> list[str]:
        return command(self.train, self.base, out, "--test", self.test, *LONG, *more)


@pytest.fixture(autouse=True, scope="module")
def one_thread_in_children(one_thread: None) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="module")
def whole(given: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The student of a training that was left alone."""
    out = tmp_path_factory.mktemp("whole") / "s"
    assert socialsim(*given.arguments(out)).code == 0
    return out


def session(given: Corpus, out: Path, stop: int | None = None) -> TrainingRecord:
    """The same training as `whole`, in this process; stopped as Ctrl-C would in a step of that number."""
    from finetune.train import Step, Task, train

    settings = preset("cpu", base=str(given.base), precision="float32", batch=2, learning_rate=0.01, seed=1, epochs=12)
    record, lessons, test = prepare(
        Wish((str(given.train),), (str(given.test),), "response", "replies", (), False, settings)
    )

    def on_step(step: Step) -> None:
        if step.step == stop:
            raise KeyboardInterrupt

    return train(Task(record, lessons, out, test, on_step))


def stopped(given: Corpus, out: Path, step: int) -> list[str]:
    """Stop a training; the checkpoints it left."""
    with pytest.raises(KeyboardInterrupt):
        session(given, out, step)
    assert not record_of(out).finished
    return checkpoints(out)


def checkpoints(out: Path) -> list[str]:
    found = (out / "checkpoints").glob("checkpoint-*/trainer_state.json")
    return sorted((file.parent.name for file in found), key=lambda name: int(name.split("-")[1]))


def assert_same(out: Path, whole: Path) -> None:
    """The same adapter and curve, to float tolerance; nothing else left in the folder."""
    import torch
    from safetensors.torch import load_file

    one, other = (load_file(folder / "adapter_model.safetensors") for folder in (out, whole))
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    assert _rows(out) == [[value if value is None else _near(value) for value in row] for row in _rows(whole)]
    assert {file.name for file in out.iterdir()} == {file.name for file in whole.iterdir()}
    assert record_of(out).held_out == pytest.approx(record_of(whole).held_out, rel=1e-4)
    assert record_of(out).steps == record_of(whole).steps == 24


def _near(value: float) -> Any:
    return pytest.approx(value, rel=1e-4, abs=1e-9)


def _rows(out: Path) -> list[list[float | None]]:
    rows = [line.split(",") for line in (out / "loss.csv").read_text().splitlines()[1:]]
    return [[float(value) if value else None for value in row] for row in rows]


# ---------------------------------------------------------------- killed and stopped, in a process of its own


def wait_for(out: Path, child: subprocess.Popen[str], least: int) -> int:
    """Wait until a checkpoint of that step or a later one is whole."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and child.poll() is None:
        if (found := checkpoints(out)) and (step := int(found[-1].split("-")[1])) >= least:
            return step
        time.sleep(0.003)
    raise AssertionError(child.communicate(timeout=5))


@pytest.mark.timeout(200)
def test_killed_it_goes_on_from_its_checkpoint_and_ends_as_if_nothing_had_been(
    given: Corpus, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "s"
    child = start(*given.arguments(out))
    step = wait_for(out, child, 8)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    child.communicate()
    spent = record_of(out).seconds
    assert not record_of(out).finished
    ended = socialsim(*given.arguments(out))
    assert (ended.code, ended.err) == (0, "")
    shown = [int(line.split()[1].split("/")[0]) for line in ended.out.splitlines() if line.startswith("steps: ")]
    assert step < shown[0]
    assert shown[-1] == 24
    assert_same(out, whole)
    assert record_of(out).seconds > spent > 0


@pytest.mark.timeout(200)
def test_ctrl_c_says_how_to_go_on(given: Corpus, tmp_path: Path) -> None:
    child = start(*given.arguments(tmp_path / "s", "--accumulation", 1))
    wait_for(tmp_path / "s", child, 2)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Traceback" not in out + err
    assert " ".join(out.split()).endswith(f"Stopped. Run the same command again to go on in {tmp_path / 's'}.")


@pytest.mark.timeout(200)
def test_two_processes_of_a_launcher_share_the_work(given: Corpus, tmp_path: Path) -> None:
    """Two processes with a dialogue each a step are one process with two steps added up."""

    def arguments(out: Path, *more: object) -> list[str]:
        return command(given.train, given.base, out, "--test", given.test, "--batch", 1, *more)

    launched = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "socialsim"]
    done = subprocess.run(
        [*launched, *arguments(tmp_path / "two")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        capture_output=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("student: ") == 1
    assert socialsim(*arguments(tmp_path / "one", "--accumulation", 2)).code == 0
    two, one = record_of(tmp_path / "two"), record_of(tmp_path / "one")
    assert (two.steps, two.data) == (4, one.data)
    assert two.held_out == pytest.approx(one.held_out, rel=1e-4)
    assert two.loss == pytest.approx(one.loss, rel=1e-4)


# ---------------------------------------------------------------- torn, moved, finished


@pytest.mark.parametrize("step", [5, 6, 24])
def test_stopped_anywhere_it_ends_as_if_nothing_had_been(given: Corpus, whole: Path, tmp_path: Path, step: int) -> None:
    left = stopped(given, tmp_path / "s", step)
    assert left == [f"checkpoint-{n}" for n in range((step - 1) // 2 * 2 - 2, step, 2)]
    assert session(given, tmp_path / "s").finished
    assert_same(tmp_path / "s", whole)


def test_stopped_twice_and_before_any_checkpoint(given: Corpus, whole: Path, tmp_path: Path) -> None:
    for step in (1, 2, 9):
        stopped(given, tmp_path / "s", step)
    assert session(given, tmp_path / "s").finished
    assert_same(tmp_path / "s", whole)


def test_killed_after_the_last_step_only_the_end_is_made_up_for(
    given: Corpus, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("finetune.train.write_curve", killed)
        with pytest.raises(KeyboardInterrupt):
            session(given, tmp_path / "s")
    record = session(given, tmp_path / "s")
    assert record.finished
    assert record.tokens_per_second is None  # nothing was trained in this session
    assert_same(tmp_path / "s", whole)


def test_killed_between_an_epoch_and_its_measurement(
    given: Corpus, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finetune.likelihood import likelihoods

    calls = []

    def killed(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return likelihoods(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("finetune.train.likelihoods", killed)
        with pytest.raises(KeyboardInterrupt):
            session(given, tmp_path / "s")
    assert checkpoints(tmp_path / "s")[-1] == "checkpoint-8"
    assert session(given, tmp_path / "s").finished
    assert_same(tmp_path / "s", whole)


def _cut(folder: Path) -> None:
    state = folder / "trainer_state.json"
    state.write_bytes(state.read_bytes()[:100])


@pytest.mark.parametrize(
    "tear",
    [
        _cut,
        lambda folder: (folder / "optimizer.pt").unlink(),
        lambda folder: (folder / "adapter_model.safetensors").unlink(),
    ],
)
def test_a_torn_checkpoint_falls_back_to_the_one_before(
    given: Corpus, whole: Path, tmp_path: Path, tear: Callable[[Path], object]
) -> None:
    from finetune.folder import last_checkpoint

    assert stopped(given, tmp_path / "s", 7) == ["checkpoint-4", "checkpoint-6"]
    tear(tmp_path / "s" / "checkpoints" / "checkpoint-6")
    found = last_checkpoint(tmp_path / "s")
    assert found is not None
    assert found.name == "checkpoint-4"
    assert session(given, tmp_path / "s").finished
    assert_same(tmp_path / "s", whole)


def test_without_any_whole_checkpoint_it_begins_again(given: Corpus, whole: Path, tmp_path: Path) -> None:
    stopped(given, tmp_path / "s", 7)
    for checkpoint in (tmp_path / "s" / "checkpoints").glob("checkpoint-*"):
        _cut(checkpoint)
    assert session(given, tmp_path / "s").finished
    assert_same(tmp_path / "s", whole)


def test_a_finished_student_is_left_as_it_is(given: Corpus, whole: Path, tmp_path: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "s")
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in out.iterdir()}
    ended = socialsim(*given.arguments(out))
    assert (ended.code, ended.err) == (0, "")
    assert "24 steps" in ended.out
    assert {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in out.iterdir()} == before


# ---------------------------------------------------------------- another training on the folder

OTHER: list[tuple[list[object], str]] = [
    (["--lr", 0.02], "other settings (learning_rate 0.01, now 0.02)"),
    (["--seed", 5], "other settings (seed 1, now 5)"),
    (["--targets", "q_proj"], "other settings (targets q_proj,v_proj, now q_proj)"),
    (["--plain"], "other plain (False, now True)"),
]


@pytest.mark.parametrize(("more", "said"), OTHER)
def test_other_settings_are_refused_and_named(given: Corpus, whole: Path, more: list[object], said: str) -> None:
    ended = socialsim(*given.arguments(whole, *more))
    assert ended.problem == f"{whole} was trained with {said}; name another --out"


def test_another_variant_or_corpus_is_refused_and_named(given: Corpus, whole: Path, tmp_path: Path) -> None:
    def problem(*more: object, corpus: object = given.train, variant: str = "response") -> str:
        return finetune(corpus, given.base, whole, *LONG, *more, variant=variant).problem

    held_out = ["--test", given.test]
    assert "other variant (response, now strategy); name another --out" in problem(*held_out, variant="strategy")
    assert "other test (test.jsonl, now none)" in problem()
    other = write_corpus(tmp_path / "more.jsonl", dialogues(5, exchanges=1))
    assert "other data (train.jsonl, now more.jsonl)" in problem(*held_out, corpus=other)
    same_name = write_corpus(tmp_path / "train.jsonl", dialogues(5, exchanges=1))
    assert "other data (the contents of train.jsonl)" in problem(*held_out, corpus=same_name)


def test_an_unfinished_training_is_kept_from_other_settings_too(given: Corpus, tmp_path: Path) -> None:
    stopped(given, tmp_path / "s", 7)
    ended = socialsim(*given.arguments(tmp_path / "s", "--seed", 5))
    assert "other settings (seed 1, now 5)" in ended.problem
    assert checkpoints(tmp_path / "s") == ["checkpoint-4", "checkpoint-6"]


def test_a_folder_of_something_else_is_refused_and_not_touched(given: Corpus, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "thesis.tex").write_text("mine")
    ended = socialsim(*given.arguments(tmp_path / "s"))
    assert ended.problem == f"{tmp_path / 's'} is not empty and holds no training; name another --out"
    assert [file.name for file in (tmp_path / "s").iterdir()] == ["thesis.tex"]


def test_a_record_of_another_version_is_refused(given: Corpus, whole: Path, tmp_path: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "s")
    record = json.loads((out / "training.json").read_text())
    (out / "training.json").write_text(json.dumps(record | {"moon": "full"}))
    assert "training.json: not a training record of this version" in socialsim(*given.arguments(out)).problem


def test_a_second_command_on_the_folder_is_refused(given: Corpus, tmp_path: Path) -> None:
    from socialsim.journal import RunLock

    with RunLock(tmp_path / "s"):
        ended = socialsim(*given.arguments(tmp_path / "s"))
    assert ended.problem == f"{tmp_path / 's'} is in use by process {os.getpid()}; wait until it ends"
