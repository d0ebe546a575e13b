"""`socialsim finetune` given what it cannot use: one line that says what to do, and a second try that works."""

from __future__ import annotations

import errno
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from socialsim.schema import Dialogue
from tests import trainings
from tests.command import socialsim
from tests.journals import in_tmpfs
from tests.trainings import dialogues, finetune, record_of, write_corpus

for needed in ("peft", "datasets", "accelerate", "matplotlib"):
    pytest.importorskip(needed, reason="needs socialsim[train]")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "train.jsonl", dialogues(2))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "s"


def assert_second_try(corpus: object, base: Path, out: Path, *more: object) -> None:
    """Nothing is left that keeps a right command from working."""
    ended = finetune(corpus, base, out, "--epochs", 1, *more)
    assert (ended.code, ended.err) == (0, "")
    assert record_of(out).finished


# ---------------------------------------------------------------- the corpus


def test_no_corpus_no_out_no_preset_no_variant(base: Path, corpus: Path, out: Path) -> None:
    assert "name a corpus, such as" in socialsim("finetune", "--out", out).problem
    assert "name the student's folder with --out" in socialsim("finetune", corpus, "--preset", "cpu").problem
    assert finetune(corpus, base, out, "--preset", "big").problem == "--preset big: use paper, small, cpu"
    assert "--variant mood: use response" in finetune(corpus, base, out, variant="mood").problem
    assert "--history all: use replies or reasoning" in finetune(corpus, base, out, "--history", "all").problem
    assert "--epochs: Input should be greater than 0" in finetune(corpus, base, out, "--epochs", 0).problem
    assert "--precision: Input should be" in finetune(corpus, base, out, "--precision", "int3").problem
    assert not out.exists()


def test_a_corpus_without_reasoning_for_reasoning(base: Path, out: Path, tmp_path: Path) -> None:
    bare = write_corpus(tmp_path / "bare.jsonl", dialogues(2, reasoned=False))
    problem = finetune(bare, base, out, variant="reasoning").problem
    assert problem.startswith(f"{bare}: no dialogue has situation, thought, action, strategy before every reply")
    assert problem.endswith("use response")
    assert not out.exists()
    assert_second_try(bare, base, out)


def test_a_corpus_that_is_missing_empty_or_torn(base: Path, out: Path, tmp_path: Path) -> None:
    missing = tmp_path / "none.jsonl"
    assert str(missing) in finetune(missing, base, out).problem
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    assert str(empty) in finetune(empty, base, out).problem
    torn = tmp_path / "torn.jsonl"
    torn.write_text('{"id": "d1", "turns": [\n{}\n')
    assert str(torn) in finetune(torn, base, out).problem
    assert "demonstrations:mine" in finetune("demonstrations:mine", base, out).problem
    assert not out.exists()


def test_a_held_out_dialogue_that_is_in_the_corpus(base: Path, corpus: Path, out: Path, tmp_path: Path) -> None:
    shouted = [_shouted(dialogue) for dialogue in dialogues(1, first=1)]
    test = write_corpus(tmp_path / "test.jsonl", [*dialogues(2, first=8), *shouted])
    problem = finetune(corpus, base, out, "--test", test).problem
    assert problem.startswith(f"--test {test}: 1 of its dialogues are in the corpus, too (d1)")
    assert not out.exists()


def _shouted(dialogue: Dialogue) -> Dialogue:
    turns = tuple(turn.model_copy(update={"text": turn.text.upper()}) for turn in dialogue.turns)
    return dialogue.model_copy(update={"turns": turns})


def test_programs_need_personas_and_known_roles(base: Path, corpus: Path, out: Path) -> None:
    assert "needs personas with their dialogues" in finetune(corpus, base, out, variant="program").problem
    problem = finetune("demonstrations", base, out, "--roles", "judge", variant="program").problem
    assert problem == "--roles judge: use seeker,supporter,persona"


def test_a_cutoff_shorter_than_a_turn(base: Path, corpus: Path, out: Path) -> None:
    problem = finetune(corpus, base, out, "--cutoff", 30).problem
    assert problem.startswith("--cutoff 30: the first reply of dialogue d0 has ")
    assert_second_try(corpus, base, out, "--cutoff", problem.split()[-1])


# ---------------------------------------------------------------- the base


def test_a_base_that_is_none(base: Path, corpus: Path, out: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    problem = finetune(corpus, tmp_path / "folder", out).problem
    assert problem == f"base {tmp_path / 'folder'}: the folder holds no config.json, so it is not a model"
    assert "no such folder; give a hub id" in finetune(corpus, tmp_path / "gone", out).problem
    assert "no such file; give the path of a .gguf" in finetune(corpus, tmp_path / "gone.gguf", out).problem
    (tmp_path / "noise.gguf").write_bytes(b"noise" * 100)
    assert "cannot be loaded (" in finetune(corpus, tmp_path / "noise.gguf", out).problem
    assert_second_try(corpus, base, out)


def test_a_base_with_torn_weights(base: Path, corpus: Path, out: Path, tmp_path: Path) -> None:
    torn = trainings.write_small_base(tmp_path / "torn")
    weights = torn / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    assert f"base {torn}: cannot be loaded (" in finetune(corpus, torn, out).problem
    assert_second_try(corpus, base, out)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import GPT2Config, GPT2LMHeadModel

    folder, tokenizer = tmp_path_factory.mktemp("gpt2"), trainings.small_tokenizer()
    GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=1, n_head=2)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_base_with_other_names_for_its_layers(gpt2: Path, corpus: Path, out: Path) -> None:
    problem = finetune(corpus, gpt2, out).problem
    assert problem == f"base {gpt2} has no layer q_proj, v_proj; name its layers with --targets"
    assert_second_try(corpus, gpt2, out, "--targets", "c_attn")


def test_a_base_that_looks_back_less_far_than_the_cutoff(base: Path, corpus: Path, out: Path, tmp_path: Path) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    folder, small = tmp_path / "mistral", trainings.small_tokenizer()
    sizes: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    config = MistralConfig(vocab_size=len(small), num_key_value_heads=1, sliding_window=300, **sizes)
    MistralForCausalLM(config).save_pretrained(folder)
    small.save_pretrained(folder)
    problem = finetune(corpus, folder, out).problem
    assert problem == f"--cutoff 4096: base {folder} sees its last 300 tokens only; lower it to 300"
    assert_second_try(corpus, folder, out, "--cutoff", 300)


def test_a_base_whose_attention_cannot_be_packed(base: Path, corpus: Path, out: Path, tmp_path: Path) -> None:
    from transformers import GPTJConfig, GPTJForCausalLM

    folder, small = tmp_path / "gptj", trainings.small_tokenizer()
    config = GPTJConfig(vocab_size=len(small), n_embd=32, n_layer=1, n_head=2, rotary_dim=8)
    GPTJForCausalLM(config).save_pretrained(folder)
    small.save_pretrained(folder)
    problem = finetune(corpus, folder, out).problem
    assert problem.startswith(f"base {folder} is a gptj, which computes attention in a way of its own")
    assert_second_try(corpus, base, out)


def test_four_bits_without_a_gpu(base: Path, corpus: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for model in (base, "embedded"):
        problem = finetune(corpus, Path(model), out, "--four-bit").problem
        assert problem == f"base {model}: 4-bit weights need a CUDA GPU; leave out --four-bit"
    assert_second_try(corpus, base, out)


@pytest.mark.parametrize("missing", ["torch", "peft", "datasets", "accelerate", "matplotlib"])
def test_an_extra_that_is_not_installed(
    base: Path, corpus: Path, out: Path, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetune.base.find_spec", lambda name: None if name == missing else find_spec(name))
    problem = finetune(corpus, base, out).problem
    assert problem == f"{missing} is not installed; run: pip install 'socialsim[train]'"
    assert not out.exists()


# ---------------------------------------------------------------- the machine


@pytest.mark.parametrize(
    ("error", "more", "said"),
    [
        ("oom", [], "--batch (now 2; raise --accumulation as much) or --cutoff (now 4096), or add --checkpointing or"),
        ("oom", ["--batch", 1, "--checkpointing"], "lower --cutoff (now 4096), or add --four-bit (CUDA); the same"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), [], "out of memory: lower --batch"),
        (MemoryError(), [], "out of memory: lower --batch"),
    ],
)
def test_out_of_memory_says_what_to_lower(
    base: Path, corpus: Path, out: Path, error: Any, more: list[object], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate") if error == "oom" else error

    with monkeypatch.context() as patch:
        patch.setattr("finetune.train.reply_loss", full)
        problem = finetune(corpus, base, out, *more).problem
    assert said in problem
    assert_second_try(corpus, base, out)  # a smaller one, although the first one had other settings


def test_any_other_runtime_error_is_not_hidden(
    base: Path, corpus: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object, **__: object) -> None:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr("finetune.train.reply_loss", wrong)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        finetune(corpus, base, out)


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("what", ["datasets.Dataset.from_generator", "torch.save", "finetune.train.write_curve"])
def test_a_disk_that_fills_up(base: Path, corpus: Path, out: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise FULL

    with monkeypatch.context() as patch:
        patch.setattr(what, full)
        problem = finetune(corpus, base, out).problem
    assert problem.startswith(f"{out}: No space left on device; make room, then run the same command again")
    assert finetune(corpus, base, out).code == 0
    assert record_of(out).finished


# A training on a small disk: the checkpoints of this many steps do not fit, whatever is written last.
SMALL = """
    import sys
    from pathlib import Path
    from tests import students
    from tests.trainings import dialogues, finetune, write_corpus
    given, disk = Path(sys.argv[2]), Path(sys.argv[1])
    with students.one_thread():
        for room in ROOMS:
            filler = disk / "filler"
            filler.write_bytes(b"0" * 1000 * room)
            ended = finetune(given / "train.jsonl", given / "base", disk / "s", "--epochs", 2)
            filler.unlink()
            print(ended.problem)
        ended = finetune(given / "train.jsonl", given / "base", disk / "s", "--epochs", 2)
        print(ended.code, ended.err, sorted(file.name for file in (disk / "s").iterdir()))
"""


def test_a_real_full_disk(tmp_path: Path) -> None:
    given, disk = tmp_path / "given", tmp_path / "disk"
    given.mkdir()
    disk.mkdir()
    trainings.write_small_base(given / "base")
    write_corpus(given / "train.jsonl", dialogues(2))
    code = SMALL.replace("ROOMS", "(995, 930, 850, 780)").replace("sys.argv[2]", repr(str(given)))
    *problems, last = in_tmpfs(disk, "size=1000k", code)[1].splitlines()
    assert len(problems) == 4
    assert all(line.startswith(str(disk / "s")) and "; make room" in line for line in problems), problems
    assert last.startswith("0 ")
    assert "adapter_model.safetensors" in last


def test_a_folder_that_is_a_file(base: Path, corpus: Path, out: Path) -> None:
    out.write_text("mine")
    problem = finetune(corpus, base, out).problem
    assert str(out) in problem
    assert out.read_text() == "mine"


def test_a_torn_record_is_named(base: Path, corpus: Path, out: Path) -> None:
    out.mkdir()
    (out / "training.json").write_text(json.dumps({"base": "x"}))
    assert f"{out / 'training.json'}: not a training record of this version" in finetune(corpus, base, out).problem
