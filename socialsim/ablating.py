"""Table 4: one student for each of the paper's sets of reasoning nodes, all from the same dialogues."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from finetune.corpora import digest, read_corpus, require_nodes
from finetune.format import Variant
from finetune.splits import content_key
from metrics.navg import PUBLISHED_ABLATION
from socialsim.errors import OutputError, UsageError
from socialsim.journal import write_atomically
from socialsim.schema import Dialogue, Node

if TYPE_CHECKING:
    from finetune.record import TrainingRecord
    from finetune.settings import TrainingSettings
    from finetune.train import Step


def _name(nodes: tuple[Node, ...]) -> str:
    left_out = [node for node in Node if node not in nodes]
    return "none" if not nodes else f"no-{left_out[0]}" if left_out else "all"


# In the paper's order; the name is the student's folder.
SUBSETS: Final[Mapping[str, tuple[Node, ...]]] = {_name(nodes): nodes for nodes in PUBLISHED_ABLATION}
_CORPUS: Final = "corpus.jsonl"


def write_corpus(sources: Sequence[str], test: str, out: Path) -> Path:
    """Keep the dialogues that every student can learn from: those with all nodes before every reply.

    Args:
        sources: corpora; of a split folder the train side.
        test: the test set, which must share no dialogue with them.
        out: the folder.

    Raises:
        InputError: if a corpus cannot be read, or none of its dialogues has all nodes.
        UsageError: if the two share a dialogue.
        OutputError: if the folder was begun with another corpus.
    """
    whole = Variant(nodes=tuple(Node))
    found = [
        dialogue
        for source in sources
        for dialogue in require_nodes(read_corpus(source, "train").dialogues, whole, source).dialogues
    ]
    _refuse_shared(found, test)
    file = out / _CORPUS
    if file.is_file():
        if digest(read_corpus(file).dialogues) != digest(found):
            raise OutputError(f"{out} was begun with another corpus; name another --out")
        return file
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: cannot be made ({error.strerror}); name another --out") from error
    write_atomically(file, "".join(f"{one.model_dump_json(exclude_defaults=True)}\n" for one in found))
    return file


def train_subset(
    name: str,
    corpus: Path,
    out: Path,
    history: str,
    settings: TrainingSettings,
    on_step: Callable[[Step], None] = lambda _: None,
) -> TrainingRecord:
    """Train one student, or go on; a finished one is left as it is.

    Args:
        name: of the subset.
        corpus: see `write_corpus`.
        out: the folder above the student's.
        history: see `finetune.format.History`.
        settings: the same for all.
        on_step: told after each step.

    Raises:
        SocialSimError: see `finetune.train.train`.
    """
    from finetune.train import Task, train
    from socialsim.finetuning import Wish, prepare

    variant = Variant(nodes=SUBSETS[name]).name
    record, lessons, _ = prepare(Wish((str(corpus),), (), variant, history, (), False, settings))
    return train(Task(record, lessons, out / name, None, on_step))


def _refuse_shared(dialogues: Sequence[Dialogue], test: str) -> None:
    known = {content_key(dialogue) for dialogue in dialogues}
    shared = [one.id for one in read_corpus(test, "test").dialogues if content_key(one) in known]
    if shared:
        raise UsageError(
            f"--test {test}: {len(shared)} of its dialogues are in the corpus, too ({shared[0]}); "
            "`socialsim split` makes sides that share none"
        )
