"""The folder for LLaMA-Factory: it trains on what our own training sees."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from finetune.corpora import read_corpus
from finetune.format import History, Message, Variant, messages, target
from finetune.sharegpt import PREFIX, YAML, masks_history, training_yaml, write_dataset
from socialsim.schema import Dialogue, Speaker
from tests.command import socialsim
from tests.samples import dialogue
from tests.test_corpora import bare, jsonl, many

VARIANTS = [
    Variant.parse(name, history) for name, history in product(["response", "reasoning", "thought,strategy"], History)
]


def ours(dialogues: list[Dialogue], variant: Variant) -> list[tuple[list[Message], str]]:
    """Each reply that our training learns, with its prompt."""
    return [
        (messages(each.turns[:index], variant), target(turn, variant))
        for each in dialogues
        for index, turn in enumerate(each.turns)
        if turn.speaker is Speaker.SUPPORTER
    ]


def theirs(folder: Path, info: dict[str, Any], mask_history: bool) -> Iterator[tuple[list[Message], str]]:
    """Each reply that LLaMA-Factory learns: every gpt message, or with mask_history the last, after what precedes."""
    columns, tags = info["columns"], info["tags"]
    roles = {tags["user_tag"]: "user", tags["assistant_tag"]: "assistant"}
    for line in (folder / info["file_name"]).read_text("utf-8").splitlines():
        sample = json.loads(line)
        chat: list[Message] = [{"role": "system", "content": sample[columns["system"]]}]
        said = sample[columns["messages"]]
        assert [each[tags["role_tag"]] for each in said] == [tags["user_tag"], tags["assistant_tag"]] * (len(said) // 2)
        chat += [{"role": roles[each[tags["role_tag"]]], "content": each[tags["content_tag"]]} for each in said]
        for index in range(2, len(chat), 2):
            if not mask_history or index == len(chat) - 1:
                yield chat[:index], chat[index]["content"]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: f"{variant.name} {variant.history}")
def test_both_toolchains_learn_the_same_replies_after_the_same_prompts(tmp_path: Path, variant: Variant) -> None:
    dialogues = [dialogue(3), read_corpus("demonstrations")[0]]
    folder = tmp_path / "new" / "folder"
    assert write_dataset(folder, {"train": dialogues}, variant).keys() == {f"{PREFIX}train.jsonl"}
    [info] = json.loads((folder / "dataset_info.json").read_text()).values()
    yaml = (folder / YAML).read_text()
    masked = "mask_history: true" in yaml
    assert masked is masks_history(variant)
    assert info["formatting"] == "sharegpt"
    learnt = list(theirs(folder, info, masked))
    assert learnt == ours(dialogues, variant)
    assert f"llamafactory-cli train {YAML}" in (folder / "README.md").read_text()


def test_a_dialogue_is_one_sample_unless_its_history_differs_from_what_is_trained(tmp_path: Path) -> None:
    sizes = [
        write_dataset(tmp_path / str(number), {"train": [dialogue(4)]}, variant)[f"{PREFIX}train.jsonl"]
        for number, variant in enumerate(VARIANTS)
    ]
    assert sizes == [1, 1, 4, 1, 4, 1]


def test_the_settings_are_the_papers() -> None:
    yaml = pytest.importorskip("yaml")
    found = yaml.safe_load(training_yaml(Variant.parse("reasoning")))
    paper = {
        "model_name_or_path": "meta-llama/Llama-2-7b-hf",
        "finetuning_type": "lora",
        "lora_target": "q_proj,v_proj",
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 4,
        "lr_scheduler_type": "cosine",
        "logging_steps": 10,
        "learning_rate": 5e-5,
        "num_train_epochs": 5,
        "plot_loss": True,
        "fp16": True,
        "cutoff_len": 10000,
        "optim": "adamw_torch",
    }
    assert found.items() >= paper.items()
    assert (found["stage"], found["do_train"], found["dataset_dir"]) == ("sft", True, ".")
    assert found["mask_history"] is True


def test_arrow_reads_the_data_as_it_was_written(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow.json")
    write_dataset(tmp_path, {"train": [dialogue(2), dialogue(5)]}, Variant())
    file = tmp_path / f"{PREFIX}train.jsonl"
    rows = arrow.read_json(file).to_pylist()
    assert rows == [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [len(row["conversations"]) for row in rows] == [4, 10]


# ---------------------------------------------------------------- the command


def test_export_of_a_run(tmp_path: Path) -> None:
    jsonl(tmp_path / "dialogues.jsonl", dialogue(3))
    ended = socialsim("export", tmp_path, "--format", "sharegpt", "--variant", "reasoning")
    assert ended.code == 0, ended.err
    assert f"1 dialogues, 3 samples: {tmp_path}/sharegpt/socialsim_train.jsonl" in ended.out
    again = socialsim("export", tmp_path, "--format", "sharegpt", "--history", "reasoning")
    assert "1 dialogues, 1 samples" in again.out


def test_export_of_a_split_keeps_its_sides_apart(tmp_path: Path) -> None:
    corpus, parts, out = jsonl(tmp_path / "c.jsonl", *many(10)), tmp_path / "split", tmp_path / "out"
    assert socialsim("split", corpus, "--test", "2", "--out", parts).code == 0
    assert socialsim("export", parts, "--format", "sharegpt", "--variant", "response", "-o", out).code == 0
    info = json.loads((out / "dataset_info.json").read_text())
    assert list(info) == ["socialsim_train", "socialsim_test"]
    sides = [list(theirs(out, each, False)) for each in info.values()]
    assert [len(side) for side in sides] == [8, 2]
    assert "dataset: socialsim_train\n" in (out / YAML).read_text()


def test_dialogues_that_lack_a_node_are_counted(tmp_path: Path) -> None:
    corpus = jsonl(tmp_path / "c.jsonl", dialogue(2), bare("b", "Hi", "Hey"))
    out = socialsim("export", corpus, "--format", "sharegpt", "--out", tmp_path / "out").out
    assert "1 dialogues left out: a reply lacks a node that --variant reasoning needs" in out


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    corpus, out = jsonl(tmp_path / "c.jsonl", *many(2)), tmp_path / "out"
    share = ("--format", "sharegpt", "--out", out)
    assert "lack it); --variant reasoning needs that, use response" in socialsim("export", corpus, *share).problem
    assert socialsim("export", corpus, "--variant", "odd", *share).problem.startswith("--variant odd: use response")
    assert socialsim("export", corpus, *share[:2]).problem == "export: name a folder with --out"
    assert socialsim("export", corpus, "--variant", "response").problem == "--variant goes with --format sharegpt"
    assert not out.exists()


@pytest.mark.parametrize("content", ['{"alpaca": {}}', "[1]", "oops"])
def test_another_folder_of_llama_factory_is_left_alone(tmp_path: Path, content: str) -> None:
    corpus, data = jsonl(tmp_path / "c.jsonl", *many(2)), tmp_path / "data"
    data.mkdir()
    (data / "dataset_info.json").write_text(content)
    arguments = ("--format", "sharegpt", "--variant", "response", "--out", data)
    assert "holds files of another kind; name another --out" in socialsim("export", corpus, *arguments).problem
    assert [path.name for path in data.iterdir()] == ["dataset_info.json"]
