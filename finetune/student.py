"""A student that speaks: a base model with its adapter, its chat format, and one decoder for all who ask."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import Future
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from finetune.base import EMBEDDED, load_model, load_tokenizer, needs
from finetune.chat import ChatFormat
from finetune.format import Message, Variant, messages, read_target
from finetune.record import TrainingRecord, read_record
from socialsim.errors import InputError, LMSpecError, SocialSimError
from socialsim.schema import Dialogue, Turn

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from finetune.decoding import Decoder, Sampling, Written
    from finetune.grammar import Grammars
    from finetune.likelihood import Likelihood

_ADAPTER: Final = "adapter_config.json"
_WEIGHTS: Final = "adapter_model.safetensors"


class Source(NamedTuple):
    """What a student is made of; none of it is loaded yet.

    Attributes:
        base: what `finetune.base` loads.
        adapter: the folder of its LoRA adapter, None for whole weights.
        variant: what it was trained to write; None where it was trained on the programs' own prompts.
        plain: whether it uses the plain format although its base has a chat template.
        four_bit: whether it was trained on a base in 4 bits.
    """

    base: str
    adapter: Path | None
    variant: Variant | None
    plain: bool = False
    four_bit: bool = False


def find_student(where: str) -> Source:
    """What ``student:WHERE`` stands for.

    Args:
        where: a student's folder, a folder with whole weights, PATH.gguf or ``embedded``; the latter three are
            untrained unless a training.json lies beside them, and reply without reasoning.

    Raises:
        LMSpecError: if it is none of them, or its training is not finished.
    """
    if where == EMBEDDED or where.endswith(".gguf"):
        if where != EMBEDDED and not Path(where).expanduser().is_file():
            raise LMSpecError(f"student:{where}: no such file; give the path of a .gguf file")
        return Source(where, None, Variant())
    folder = Path(where).expanduser().absolute()
    if not folder.is_dir():
        raise LMSpecError(f"student:{where}: no such folder; `socialsim finetune` writes one")
    whole = (folder / "config.json").is_file()
    try:
        record = read_record(folder)
    except InputError as error:
        raise LMSpecError(f"student:{where}: {error}") from error
    if record is None:
        if not whole:
            raise LMSpecError(f"student:{where}: no training.json, so not a student; `socialsim finetune` writes one")
        return Source(str(folder), None, Variant())
    if not record.finished:
        raise LMSpecError(f"student:{where}: its training is not finished; run the same `socialsim finetune` again")
    return _trained(where, folder, record, whole)


def _trained(where: str, folder: Path, record: TrainingRecord, whole: bool) -> Source:
    if (folder / _ADAPTER).is_file() and (folder / _WEIGHTS).is_file():
        settings = record.settings
        return Source(settings.base, folder, record.variant, record.plain, settings.four_bit)
    if not whole:
        raise LMSpecError(f"student:{where}: {_ADAPTER} or {_WEIGHTS} is missing; copy the whole folder")
    return Source(str(folder), None, record.variant, record.plain)


class Student:
    """A loaded student. Safe to ask from many threads at once.

    Args:
        source: see `find_student`.
        model: base and adapter, as `load` gives it.
        tokenizer: the base's.
        places: replies written side by side.
    """

    def __init__(
        self, source: Source, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, places: int = 4
    ) -> None:
        from finetune.decoding import Decoder
        from finetune.grammar import Grammars
        from finetune.slots import use_slots

        use_slots(model)
        self.source = source
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.chat = ChatFormat(tokenizer, source.plain)
        self.grammars: Grammars = Grammars(tokenizer)
        self.decoder: Decoder = Decoder(model, self.ends, places)

    @property
    def variant(self) -> Variant:
        """What it writes in the trained format; a student of the programs' prompts has none and replies only."""
        return self.source.variant or Variant()

    @cached_property
    def ends(self) -> frozenset[int]:
        """Tokens that end a text."""
        more = getattr(self.model.generation_config, "eos_token_id", None)
        more = more if isinstance(more, list) else [more]
        return frozenset(one for one in (self.tokenizer.eos_token_id, *more) if isinstance(one, int))

    @property
    def context(self) -> int:
        """Tokens that prompt and reply may have together."""
        return int(getattr(self.model.config.get_text_config(), "max_position_embeddings", 1 << 20))

    def write(
        self, chat: Sequence[Message], sampling: Sampling, schema: dict[str, Any] | None = None
    ) -> Future[Written]:
        """Write the next message of a chat.

        Args:
            chat: system first, a user's message last.
            sampling: how.
            schema: a JSON schema the text must follow; see `finetune.grammar.Grammars`.

        Raises:
            PromptTooLong: if the chat leaves no room for a reply.
            GrammarError: if the schema cannot be enforced.
        """
        prompt = self.chat.prompt_ids(chat)
        room = self.context - len(prompt)
        if room < 1:
            raise PromptTooLong(f"the prompt has {len(prompt)} tokens, the model's context {self.context}")
        follower = self.grammars.follow(self._spaced(schema)) if schema is not None else None
        return self.decoder.submit(prompt, sampling._replace(max_tokens=min(sampling.max_tokens, room)), follower)

    def text(self, written: Written) -> str:
        """What was written, as text."""
        return str(self.tokenizer.decode(list(written.ids), skip_special_tokens=True))

    def submit_reply(self, turns: Sequence[Turn], sampling: Sampling | None = None) -> Future[Written]:
        """The same as `reply` without waiting; `read` makes the turn of what was written."""
        from finetune.decoding import Sampling

        return self.write(messages(turns, self.variant), sampling or Sampling())

    def read(self, written: Written) -> Turn:
        """The supporter turn that was written in the trained format."""
        return read_target(self.text(written).strip(), self.variant)

    def reply(self, turns: Sequence[Turn], sampling: Sampling | None = None) -> Turn:
        """The student's own next turn in the trained format, without any limit but its tokens.

        Args:
            turns: what was said, the seeker first and last.
            sampling: how to choose; None: the best token each time, 256 at most.
        """
        return self.read(self.submit_reply(turns, sampling).result())

    async def areply(self, turns: Sequence[Turn], sampling: Sampling | None = None) -> Turn:
        """The same, asynchronously; replies that are asked for together are written together."""
        import asyncio

        return self.read(await asyncio.wrap_future(self.submit_reply(turns, sampling)))

    def likelihoods(self, dialogues: Sequence[Dialogue], batch: int = 4) -> list[Likelihood]:
        """How well it predicts the replies of dialogues (see `finetune.likelihood.perplexity`).

        Returns:
            Nats and tokens of each dialogue, in order. Replies beyond the model's context are left out; a dialogue
            without any other has 0 of both.
        """
        from finetune.dataset import lesson
        from finetune.likelihood import Likelihood, likelihoods
        from finetune.tree import build_tree

        found = []
        for dialogue in dialogues:
            samples = [self.chat.sample(chat, reply) for chat, reply in lesson(dialogue, self.variant).replies]
            fitting = [sample for sample in samples if len(sample.ids) <= self.context]
            found.append(build_tree(fitting) if fitting else None)
        measured = iter(likelihoods(self.model, (tree for tree in found if tree), batch))
        return [next(measured) if tree else Likelihood(0.0, 0) for tree in found]

    def _spaced(self, schema: dict[str, Any]) -> dict[str, Any]:
        # In the plain format a reply follows "Supporter:" and a space.
        if self.chat.templated or schema.get("type") != "string":
            return schema
        return schema | {"pattern": f" ({schema.get('pattern', '(?s:.*)')})"}


class PromptTooLong(Exception):
    """A chat that leaves no room for a reply."""


_loading = threading.Lock()  # of the process: roles that name one student share it


def load_student(where: str, places: int = 4, precision: Any = "auto") -> Student:
    """Load a student; one that was loaded before is given again.

    Args:
        where: see `find_student`.
        places: replies written side by side.
        precision: of the weights.

    Raises:
        LMSpecError: if it cannot be loaded, or its adapter does not fit its base.
    """
    needs()
    source = find_student(where)
    with _loading:
        return _loaded(where, source, places, precision)


def unload_students() -> None:
    """Give back the memory of all students that nobody holds any more."""
    _loaded.cache_clear()


@lru_cache(maxsize=4)
def _loaded(where: str, source: Source, places: int, precision: Any) -> Student:
    import torch

    four_bit = source.four_bit and torch.cuda.is_available()
    try:
        model = load_model(source.base, precision, four_bit)
        model = adapted(where, source, model, four_bit) if source.adapter else model
        tokenizer = load_tokenizer(source.base)
    except SocialSimError as error:
        raise LMSpecError(f"student:{where}: {error}") from error
    if torch.cuda.is_available() and not four_bit:
        model = model.to("cuda")  # type: ignore[arg-type]
    return Student(source, model, tokenizer, places)


def adapted(where: str, source: Source, model: PreTrainedModel, four_bit: bool) -> PreTrainedModel:
    """A base with a student's adapter, merged where the base is not in 4 bits.

    Raises:
        LMSpecError: if the adapter belongs to another base.
    """
    from peft import PeftModel
    from peft.utils import get_peft_model_state_dict
    from safetensors import safe_open

    try:
        with warnings.catch_warnings(), safe_open(Path(str(source.adapter)) / _WEIGHTS, "pt") as file:
            warnings.simplefilter("ignore")  # what does not fit is found below
            adapted = PeftModel.from_pretrained(model, str(source.adapter))
            given = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        wanted = {
            name: tuple(one.shape)
            for name, one in get_peft_model_state_dict(adapted, save_embedding_layers=False).items()
        }
    except Exception as error:  # peft and safetensors raise their own
        raise _misfit(where, source) from error
    if given != wanted:
        raise _misfit(where, source)
    # Merged, a step has two products less for each adapted layer; weights in 4 bits cannot take them up exactly.
    whole: PreTrainedModel = adapted if four_bit else adapted.merge_and_unload()
    return whole


def _misfit(where: str, source: Source) -> LMSpecError:
    return LMSpecError(f"student:{where}: its adapter does not fit the base {source.base}; it belongs to another one")
