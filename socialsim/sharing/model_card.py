"""The card of a student: README.md beside the files of its adapter."""

from __future__ import annotations

from typing import Any, Final

from finetune.base import EMBEDDED
from finetune.format import History, system_text, target
from finetune.record import DataRecord, TrainingRecord
from socialsim.schema import Reasoning, Speaker, StagedStrategy, Turn
from socialsim.sharing.dataset_card import MARKER
from socialsim.sharing.licence import UNKNOWN
from socialsim.sharing.markdown import code, fill, plain, table
from socialsim.sharing.names import is_hub_id, public_base
from socialsim.taxonomy import Stage, Strategy

NO_ADDRESS: Final = "path/to/this/folder"
_REPLY: Final = Turn(
    speaker=Speaker.SUPPORTER,
    text="…",
    reasoning=Reasoning(
        situation="…",
        thought="…",
        action="…",
        strategies=(StagedStrategy(strategy=Strategy.QUESTION, stage=Stage.EXPLORATION),),
        purpose="to …",
    ),
)
_RANKS: Final = (8, 16, 32, 64, 128, 256, 320, 512)  # what vLLM's --max-lora-rank takes


def model_card(record: TrainingRecord, name: str, licence: str, repo: str | None, curve: bool) -> str:
    """The whole card.

    Args:
        record: training.json.
        name: of the folder.
        licence: the hub's id of the licence, or ``unknown``.
        repo: where it is pushed to, None if nowhere.
        curve: whether the folder holds loss.png.
    """
    base, title = public_base(record.settings.base), repo.rpartition("/")[2] if repo else name
    return fill(
        "model_card.md",
        front_matter=front_matter(record, licence),
        marker=MARKER,
        title=plain(title),
        base=code(base),
        prompts=_prompts(record),
        address=repo or NO_ADDRESS,
        base_address=base if _on_a_hub(record) else f"path/to/{base}",
        lora_rank=str(next((rank for rank in _RANKS if rank >= record.settings.rank), record.settings.rank)),
        training=_training(record),
        curve="![Loss of the training](loss.png)" if curve else "",
        limits=_limits(record),
        licence=_licence(licence),
    )


def front_matter(record: TrainingRecord, licence: str) -> str:
    """YAML: what the hub files the adapter under; the base is named where a hub has it."""
    from huggingface_hub import CardData

    fields: dict[str, Any] = {"license": licence, "language": ["en"], "library_name": "peft"}
    fields |= {"pipeline_tag": "text-generation", "tags": ["lora", "emotional-support", "dialogue", "socialsim"]}
    if _on_a_hub(record):
        fields |= {"base_model": public_base(record.settings.base), "base_model_relation": "adapter"}
    return CardData(**fields).to_yaml().rstrip()


def _on_a_hub(record: TrainingRecord) -> bool:
    return record.settings.base == EMBEDDED or is_hub_id(record.settings.base)


def _prompts(record: TrainingRecord) -> str:
    if record.variant is None:
        return (
            f"It was trained on whole prompts of SocialSim's programs: {', '.join(record.roles)} (`--variant program`)."
        )
    shape = "plain lines (`Seeker: …`, `Supporter: …`)" if record.plain else "the base's chat template where it has one"
    earlier = "with their reasoning" if record.variant.history is History.REASONING else "without their reasoning"
    return (
        f"Variant {code(record.variant.name)}; earlier replies stand in a prompt {earlier}. Prompts use {shape}, the "
        "seeker as user, the supporter as assistant, after this system message:\n\n"
        f"> {plain(system_text(record.variant))}"
        + (f"\n\nIt answers:\n\n~~~~text\n{target(_REPLY, record.variant)}\n~~~~" if record.variant.nodes else "")
    )


def _training(record: TrainingRecord) -> str:
    settings = record.settings
    rows = [
        ("base", code(public_base(settings.base))),
        ("LoRA", f"rank {settings.rank}, alpha {settings.alpha:g}, dropout {settings.dropout:g}"),
        ("adapted layers", ", ".join(map(code, settings.targets))),
        ("epochs", f"{settings.epochs:g}"),
        ("learning rate", f"{settings.learning_rate:g}, {settings.schedule}, warm-up {settings.warmup:g} of the steps"),
        ("batch", f"{settings.batch} dialogues a step and device, {settings.accumulation} steps added up"),
        ("longest sample", f"{settings.cutoff:,} tokens"),
        ("precision", record.precision + (", base in 4 bits" if settings.four_bit else "")),
        ("seed", str(settings.seed)),
        *_data("trained on", record.data),
        *(_data("held out", record.test) if record.test else []),
        ("steps", f"{record.steps:,} in {record.seconds:,.0f} s on {plain(record.device)}"),
        *_results(record),
        ("versions", ", ".join(f"{name} {version}" for name, version in record.versions.items())),
    ]
    return table(("", "value"), rows)


def _data(what: str, data: DataRecord) -> list[tuple[str, str]]:
    size = f"{data.dialogues:,} dialogues, {data.replies:,} replies" if data.dialogues else ""
    return [
        (what, ", ".join(filter(None, (code(data.source), size)))),
        (f"{what}: SHA-256", code(data.sha256)),
    ]


def _results(record: TrainingRecord) -> list[tuple[str, str]]:
    rows = []
    if record.loss is not None:
        rows.append(("last loss", f"{record.loss:.4f} nats a token"))
    if record.held_out:
        rows.append(("held-out perplexity", " → ".join(f"{value:.2f}" for value in record.held_out)))
    return rows


def _limits(record: TrainingRecord) -> str:
    found = [
        "Nobody has tested it with people; figures on held-out dialogues say nothing about safety.",
        "It learnt from simulated or acted conversations: expect its seekers' evenness and its supporters' habits.",
        "It may advise too early, invent experiences of its own, or miss that someone is in danger.",
    ]
    if record.settings.base == EMBEDDED:
        found.append(
            "The base has 135M parameters and loses the thread of a conversation. The adapter was trained on its "
            "weights in 4 bits (GGUF, Q4_1), so that it differs a little on the full ones named here."
        )
    if not _on_a_hub(record):
        found.append(
            f"Its base, {code(public_base(record.settings.base))}, was a folder or file: you need the same one."
        )
    if not record.held_out:
        found.append("No held-out perplexity was measured.")
    return "\n".join(f"- {line}" for line in found)


def _licence(licence: str) -> str:
    if licence == UNKNOWN:
        return (
            "**Not chosen.** The licence of the base and that of the training data decide. Until the owner of this "
            "adapter has chosen one, do not use it."
        )
    return f"{code(licence)}, as chosen by the owner of this adapter. The base keeps its own licence."
