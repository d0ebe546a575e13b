"""How a student is trained: one config object, and the presets."""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import Field, model_validator

from socialsim.errors import UsageError
from socialsim.schema import Record

ALL_LINEAR: Final = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class TrainingSettings(Record):
    """Everything that decides what comes out of a training, the data aside.

    The defaults are the paper's (see `PRESETS`).

    Attributes:
        base: hub id, folder, PATH.gguf or ``embedded``.
        rank: LoRA rank; ``alpha`` / ``rank`` scales its product (with ``dropout`` on its input).
        targets: names of the layers that are adapted.
        epochs: passes over the corpus.
        learning_rate: highest one; ``schedule`` and ``warmup`` (share of the steps) shape it.
        batch: dialogues a step on each device, packed into one sequence.
        accumulation: steps whose gradients are added up before the weights move.
        cutoff: tokens a reply may have with all of its history; longer ones are left out.
        precision: of the base's weights; auto: the best the machine computes in.
        four_bit: base in 4 bits (CUDA).
        checkpointing: recompute activations instead of keeping them: a third slower, far less memory.
        logging: steps between two rows of the loss curve.
        seed: decides initial weights, order and dropout.
    """

    base: str = "meta-llama/Llama-2-7b-hf"
    rank: int = Field(default=8, ge=1)
    alpha: float = Field(default=16, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] = ("q_proj", "v_proj")
    epochs: float = Field(default=5, gt=0)
    learning_rate: float = Field(default=5e-5, gt=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(default=0.0, ge=0, lt=1)
    batch: int = Field(default=2, ge=1)
    accumulation: int = Field(default=4, ge=1)
    cutoff: int = Field(default=10_000, ge=2)
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    four_bit: bool = False
    checkpointing: bool = False
    logging: int = Field(default=10, ge=1)
    seed: int = 0

    @model_validator(mode="after")
    def _targets_named(self) -> Self:
        if not self.targets:
            raise ValueError("name at least one layer to adapt")
        return self


# The paper: LoRA on q and v of Llama-2-7b, 5 epochs, AdamW, 5e-5, cosine, 2 x 4, fp16, cutoff 10,000. Rank, alpha and
# dropout are not printed; 8, 16 and 0 are the defaults of the toolchain it names.
PRESETS: Final[dict[str, TrainingSettings]] = {
    "paper": TrainingSettings(),
    "small": TrainingSettings(
        base="HuggingFaceTB/SmolLM2-1.7B-Instruct",
        rank=16,
        alpha=32,
        targets=ALL_LINEAR,
        epochs=3,
        learning_rate=2e-4,
        warmup=0.03,
        batch=8,
        accumulation=1,
        cutoff=4096,
    ),
    "cpu": TrainingSettings(
        base="embedded",
        epochs=2,
        learning_rate=1e-3,
        warmup=0.05,
        batch=4,
        accumulation=1,
        cutoff=4096,
        logging=5,
    ),
}


def preset(name: str, **changes: object) -> TrainingSettings:
    """A preset with some settings changed; None leaves one as it is.

    Raises:
        UsageError: if there is no such preset, or a value cannot be.
    """
    if name not in PRESETS:
        raise UsageError(f"--preset {name}: use {', '.join(PRESETS)}")
    given = {key: value for key, value in changes.items() if value is not None}
    try:
        return TrainingSettings.model_validate(PRESETS[name].model_dump() | given)
    except ValueError as error:
        first = error.errors()[0]  # type: ignore[attr-defined]
        where = "-".join(str(part).replace("_", "-") for part in first["loc"][:1])
        raise UsageError(f"--{where or 'targets'}: {first['msg']}") from error
