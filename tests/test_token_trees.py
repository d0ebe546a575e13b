"""Replies trained together: the tree, the packing, and that nothing but speed changes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from finetune.chat import Sample
from finetune.packing import pack, reply_loss, use_packed_attention
from finetune.tree import TokenTree, build_tree
from tests.tiny import tiny_llama

SAMPLES = st.lists(
    st.lists(st.integers(0, 3), min_size=2, max_size=9).flatmap(
        lambda ids: st.integers(1, len(ids) - 1).map(lambda start: Sample(tuple(ids), start))
    ),
    min_size=1,
    max_size=6,
)


def _ancestors(tree: TokenTree) -> list[list[int]]:
    """For each token the indices of those it sees, itself included."""
    seen: list[list[int]] = [[] for _ in tree.ids]
    for path in tree.paths():
        before = [index for begin, end in path.before for index in range(begin, end)]
        for index in range(path.start, path.stop):
            seen[index] = [*before, *range(path.start, index + 1)]
    return seen


@given(SAMPLES)
def test_a_tree_holds_each_sample_and_trains_each_of_its_trained_tokens(samples: list[Sample]) -> None:
    tree = build_tree(samples)
    seen = _ancestors(tree)
    whole = {tuple(tree.ids[index] for index in path) for path in seen}
    assert all(sample.ids in whole for sample in samples)
    # What is predicted after what: the multiset of (all tokens before, token).
    predicted = sorted((tuple(tree.ids[i] for i in seen[one.source]), one.token) for one in tree.trained)
    assert predicted == sorted(
        (sample.ids[:index], sample.ids[index]) for sample in samples for index in range(sample.start, len(sample.ids))
    )
    assert [len(path) - 1 for path in seen] == list(tree.positions)


@given(SAMPLES)
def test_a_tree_computes_each_shared_beginning_once(samples: list[Sample]) -> None:
    beginnings = {sample.ids[:end] for sample in samples for end in range(1, len(sample.ids) + 1)}
    assert len(build_tree(samples).ids) == len(beginnings)


def test_a_chain_is_one_path_and_a_dialogue_with_branches_keeps_its_trunk_in_one() -> None:
    chain = build_tree([Sample((1, 2, 3), 2), Sample((1, 2, 3, 4, 5), 4)])
    assert [(path.start, path.stop, path.before) for path in chain.paths()] == [(0, 5, ())]
    # Prompts 1, then 1 2, then 1 2 3; replies 7, 8 and 9 are not what the next prompt holds.
    branched = build_tree([Sample((1, 7, 7), 1), Sample((1, 2, 8, 8), 2), Sample((1, 2, 3, 9, 9), 3)])
    assert branched.ids[:3] == (1, 2, 3)
    assert [path.before for path in branched.paths()] == [(), ((0, 2),), ((0, 1),)]


def test_a_sample_without_a_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match="prompt"):
        build_tree([Sample((1, 2), 0)])


def _single(model: torch.nn.Module, sample: Sample) -> tuple[torch.Tensor, int]:
    """Summed loss of one sample, by the model's own ordinary attention."""
    ids = torch.tensor([sample.ids])
    logits = model(input_ids=ids).logits[0, sample.start - 1 : -1]
    labels = ids[0, sample.start :]
    return torch.nn.functional.cross_entropy(logits, labels, reduction="sum"), len(labels)


def _packed(model: torch.nn.Module, dialogues: Sequence[Sequence[Sample]]) -> torch.Tensor:
    batch = pack([build_tree(samples) for samples in dialogues])
    labels = batch.pop("labels")
    return reply_loss(model(**batch, use_cache=False), labels)


def test_packed_losses_and_gradients_are_those_of_single_samples() -> None:
    torch.manual_seed(0)
    plain, packed = tiny_llama(), tiny_llama()
    packed.load_state_dict(plain.state_dict())
    use_packed_attention(packed)
    chat = [Sample((1, 2, 3, 4), 2), Sample((1, 2, 3, 4, 5, 6, 7, 8), 6)]
    reasoned = [Sample((1, 2, 9, 9, 3), 2), Sample((1, 2, 3, 4, 9, 8, 5), 4), Sample((1, 2, 3, 4, 5, 6, 7, 9, 8), 7)]
    dialogues = [chat, reasoned, [Sample((4, 4, 4), 1)]]
    sums = [_single(plain, sample) for samples in dialogues for sample in samples]
    expected = torch.stack([loss for loss, _ in sums]).sum() / sum(count for _, count in sums)
    got = _packed(packed, dialogues)
    assert got.item() == pytest.approx(expected.item(), abs=1e-6)
    expected.backward()
    got.backward()
    for one, other in zip(plain.parameters(), packed.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(one.grad, other.grad, atol=1e-6, rtol=1e-4)


def test_no_dialogue_sees_another() -> None:
    model = tiny_llama()
    use_packed_attention(model)
    first, second = [Sample((1, 2, 3, 4, 5), 2)], [Sample((5, 4, 3, 2, 1), 2)]
    other = [Sample((6, 6, 6, 6, 6), 2)]

    def logits(dialogues: list[list[Sample]]) -> torch.Tensor:
        batch = pack([build_tree(samples) for samples in dialogues])
        batch.pop("labels")
        return model(**batch, use_cache=False).logits[0, -3:]

    torch.testing.assert_close(logits([first, second]), logits([other, second]), atol=0, rtol=0)
    assert not torch.equal(logits([first, second]), logits([first, other]))


def test_a_packed_model_still_reads_an_ordinary_padded_batch() -> None:
    plain, packed = tiny_llama(), tiny_llama()
    packed.load_state_dict(plain.state_dict())
    use_packed_attention(packed)
    ids = torch.tensor([[0, 0, 3, 4], [1, 2, 3, 4]])
    seen = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    one, other = (model(input_ids=ids, attention_mask=seen).logits for model in (plain, packed))
    torch.testing.assert_close(one[1], other[1])
    torch.testing.assert_close(one[0, 2:], other[0, 2:])
