"""What tests of training share: a base that trains in a second, a small corpus, the command."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from finetune.record import TrainingRecord, read_record
from socialsim.journal import Journal
from socialsim.schema import Dialogue
from tests import samples
from tests.command import Ended, socialsim
from tests.scripted import sentences

STRATEGIES = ("Exploration#Question", "Comforting#Reflection of feelings", "Action#Providing Suggestions")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA2_TEMPLATE = (
    "{% set ns = namespace(system='') %}{% for m in messages %}{% if m['role'] == 'system' %}"
    "{% set ns.system = '<<SYS>>\n' + m['content'] + '\n<</SYS>>\n\n' %}{% elif m['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + ns.system + m['content'].strip() + ' [/INST]' }}{% set ns.system = '' %}"
    "{% else %}{{ ' ' + m['content'].strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not\nsupported') }}{% endif %}" + TEMPLATE
)


@lru_cache(maxsize=1)
def small_tokenizer() -> Any:
    """A byte-level BPE of 600 tokens with a chat template; it writes any text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    said = [turn.text for dialogue in dialogues(4) for turn in dialogue.turns]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=special, initial_alphabet=alphabet)
    inner.train_from_iterator([*said, "system user assistant Seeker: Supporter:"], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def write_small_base(folder: Path) -> Path:
    """A random Llama of two layers and 600 tokens, in full precision."""
    from tests.tiny import tiny_llama

    tiny_llama(len(small_tokenizer()), seed=5).save_pretrained(folder)
    small_tokenizer().save_pretrained(folder)
    return folder


def dialogues(count: int, first: int = 0, exchanges: int = 2, reasoned: bool = True) -> list[Dialogue]:
    """Dialogues of other words each; those of another ``first`` share none with them."""
    said = [line for line, _ in zip(sentences(), range((first + count) * 2 * exchanges), strict=False)]
    found = []
    for number in range(first, first + count):
        turns, begin = [], number * 2 * exchanges
        for place in range(begin, begin + 2 * exchanges, 2):
            strategy = STRATEGIES[place // 2 % 3]
            reply = samples.supporter(said[place + 1], strategy, situation=said[place][:40])
            turns += [samples.seeker(said[place]), reply if reasoned else reply.model_copy(update={"reasoning": None})]
        found.append(Dialogue(id=f"d{number}", turns=tuple(turns)))
    return found


def write_corpus(path: Path, made: Sequence[Dialogue]) -> Path:
    """A corpus file."""
    with Journal(path, Dialogue) as journal:
        for dialogue in made:
            journal.append(dialogue)
    return path


def command(corpus: object, base: Path, out: Path, *more: object, variant: str = "response") -> list[str]:
    """Arguments of a training of a few steps; ``more`` replaces what is usual."""
    usual = {"--base": base, "--preset": "cpu", "--precision": "float32", "--batch": 2, "--lr": 0.01, "--seed": 1}
    kept = [one for name, value in usual.items() if name not in more for one in (name, value)]
    return [str(one) for one in ("finetune", corpus, "--variant", variant, *kept, "--out", out, *more)]


def finetune(corpus: object, base: Path, out: Path, *more: object, variant: str = "response") -> Ended:
    """Run such a training in this process."""
    return socialsim(*command(corpus, base, out, *more, variant=variant))


def record_of(out: Path) -> TrainingRecord:
    """A student's record, which must be there."""
    record = read_record(out)
    assert record is not None
    return record
