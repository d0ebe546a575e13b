"""A data set folder for LLaMA-Factory, so that the authors' own toolchain can train on the same texts.

The texts are those of `finetune.format`; how they are wrapped in a prompt is up to LLaMA-Factory's template. It can
train either every assistant message of a conversation, or (``mask_history``) the last one alone. The first serves
where earlier replies stand in the prompt as they were trained; where they stand there without their reasoning, each
reply needs a conversation of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypedDict

from finetune.format import History, Message, Variant, messages, target
from socialsim.errors import OutputError
from socialsim.journal import write_atomically
from socialsim.schema import Dialogue, Speaker
from socialsim.streams import Counted

INFO: Final = "dataset_info.json"
YAML: Final = "socialsim_lora.yaml"
PREFIX: Final = "socialsim_"  # of the names of our data sets
_FROM: Final = {"user": "human", "assistant": "gpt"}

# An utterance as LLaMA-Factory's "sharegpt" formatting has it; "from" is a word of Python.
Said = TypedDict("Said", {"from": str, "value": str})


class Conversation(TypedDict):
    """One sample: human and gpt in turn, gpt last."""

    conversations: list[Said]
    system: str


def masks_history(variant: Variant) -> bool:
    """Whether only the last reply of a conversation may be trained, so that each needs one of its own."""
    return bool(variant.nodes) and variant.history is History.REPLIES


def conversations(dialogue: Dialogue, variant: Variant) -> Iterator[Conversation]:
    """The samples of one dialogue: one for each reply where `masks_history`, else one in all.

    Args:
        dialogue: alternating, the seeker first and the supporter last.
        variant: what a reply is trained to be.
    """
    replies = [index for index, turn in enumerate(dialogue.turns) if turn.speaker is Speaker.SUPPORTER]
    for index in replies if masks_history(variant) else replies[-1:]:
        chat = messages(dialogue.turns[:index], variant)
        yield _conversation([*chat, {"role": "assistant", "content": target(dialogue.turns[index], variant)}])


def write_dataset(folder: Path, sides: Mapping[str, Sequence[Dialogue]], variant: Variant) -> dict[str, int]:
    """Write the data files, ``dataset_info.json``, the paper's training settings and a README.

    Args:
        folder: a new or empty one, or one that this function wrote.
        sides: name (train, and perhaps test) to dialogues; train is trained on.
        variant: what a reply is trained to be; the dialogues have its nodes.

    Returns:
        Samples in each data file, by its name.

    Raises:
        OutputError: if the folder holds anything else, or cannot be written.
    """
    _refuse_other(folder)
    # First: with it an interrupted export is known as ours and can be run again.
    write_atomically(folder / INFO, _json(dataset_info(sides), indent=2))
    counts: dict[str, int] = {}
    for name, dialogues in sides.items():
        samples = Counted(sample for dialogue in dialogues for sample in conversations(dialogue, variant))
        write_atomically(folder / f"{PREFIX}{name}.jsonl", map(_json, samples))
        counts[f"{PREFIX}{name}.jsonl"] = samples.count
    write_atomically(folder / YAML, training_yaml(variant))
    write_atomically(folder / "README.md", readme(variant))
    return counts


def dataset_info(names: Iterable[str]) -> dict[str, object]:
    """The description of the data sets; every key is named, for some versions have no defaults."""
    tags = {
        "role_tag": "from",
        "content_tag": "value",
        "user_tag": "human",
        "assistant_tag": "gpt",
        "observation_tag": "observation",
        "function_tag": "function_call",
        "system_tag": "system",
    }
    columns = {"messages": "conversations", "system": "system"}
    about = {"formatting": "sharegpt", "columns": columns, "tags": tags}
    return {f"{PREFIX}{name}": {"file_name": f"{PREFIX}{name}.jsonl", **about} for name in names}


def training_yaml(variant: Variant) -> str:
    """The paper's settings (Technical Appendix, "Training Configurations") in LLaMA-Factory's words."""
    return f"""\
# Variant {variant.name}, history {variant.history}. Settings of the paper, except where a comment says otherwise.

### model
model_name_or_path: meta-llama/Llama-2-7b-hf

### method
stage: sft
do_train: true
finetuning_type: lora
lora_target: q_proj,v_proj

### data
dataset_dir: .
dataset: {PREFIX}train
template: default  # not named in the paper; LLaMA-Factory's for bases that were not tuned to chat
cutoff_len: 10000
mask_history: {str(masks_history(variant)).lower()}  # not named in the paper; the data files are written for it

### output
output_dir: saves/socialsim_lora  # not named in the paper
logging_steps: 10
plot_loss: true
report_to: none  # not named in the paper

### training
per_device_train_batch_size: 2
gradient_accumulation_steps: 4
learning_rate: 5.0e-5
num_train_epochs: 5.0
lr_scheduler_type: cosine
optim: adamw_torch
fp16: true
"""


def readme(variant: Variant) -> str:
    """One paragraph on how to use the folder and what a sample is."""
    if masks_history(variant):
        sample = (
            "Earlier replies stand in the prompt without their reasoning, which LLaMA-Factory can express only as one "
            "conversation for each reply with `mask_history: true` (the last message alone is trained); a batch of 8 "
            "is therefore 8 replies, not 8 dialogues, and an epoch has that many more steps."
        )
    else:
        sample = (
            "A sample is a whole dialogue, and every message of the supporter is trained (`mask_history: false`): "
            "earlier replies stand in the prompt as they were trained."
        )
    return (
        f"# SocialSim data for LLaMA-Factory: variant {variant.name}, history {variant.history}\n\n"
        f"In this folder, with LLaMA-Factory installed, run `llamafactory-cli train {YAML}`. {sample} "
        "The texts are those that `socialsim finetune` trains on; the words around them are those of "
        "LLaMA-Factory's template.\n"
    )


def _conversation(chat: Sequence[Message]) -> Conversation:
    system, *said = chat
    turns: list[Said] = [{"from": _FROM[message["role"]], "value": message["content"]} for message in said]
    return {"conversations": turns, "system": system["content"]}


def _json(value: object, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent) + "\n"


def _refuse_other(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in folder.iterdir()}
        listed = json.loads((folder / INFO).read_bytes()) if INFO in names else {}
    except OSError as error:
        raise OutputError(f"{folder}: cannot be used ({error.strerror}); name another --out") from error
    except ValueError:
        listed = None
    ours = isinstance(listed, dict) and listed and all(name.startswith(PREFIX) for name in listed)
    if names and not ours:
        raise OutputError(f"{folder} holds files of another kind; name another --out")
