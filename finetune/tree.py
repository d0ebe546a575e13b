"""All replies of a dialogue in one pass: samples that share beginnings become one tree of tokens.

Trained one by one, the replies of a dialogue cost its length again and again, for each repeats the history. Here each
shared beginning is computed once. Where a reply's own text is what the next prompt holds (``response``) the
tree is a chain and plain causal attention serves; where it is not (``reasoning``, whose prompts hold earlier replies
without their reasoning), each reasoning is a branch that sees its own history and nothing else. Loss and
gradients are those of the single samples, to float tolerance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from finetune.chat import Sample


class Trained(NamedTuple):
    """A token to be predicted.

    Attributes:
        source: index of the token whose hidden state predicts it.
        token: its id.
    """

    source: int
    token: int


class Path(NamedTuple):
    """Tokens ``start`` to ``stop`` of a tree, each the successor of the one before; the first follows a branching.

    Attributes:
        before: the stretches of earlier tokens that lead there from the root, in order.
    """

    start: int
    stop: int
    before: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class TokenTree:
    """A tree of tokens in depth-first order, the largest subtree first, so that a dialogue stays in one stretch.

    Attributes:
        ids: the tokens, shape (n,).
        positions: distance from the root, shape (n,): a token's position in each of its samples. The order makes it
            tell the shape, too: a token follows the last one before it whose position is one less.
        trained: what is predicted from where; a token that two samples train counts twice.
    """

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    trained: tuple[Trained, ...]

    def paths(self) -> list[Path]:
        """The tree cut at its branchings; a chain is one path."""
        found: list[Path] = []
        last: dict[int, tuple[int, int]] = {}  # position to the last token there: its index, and its path's number
        starts = [i for i, place in enumerate(self.positions) if not i or place != self.positions[i - 1] + 1]
        for start, stop in zip(starts, [*starts[1:], len(self.ids)], strict=True):
            place = self.positions[start]
            before: tuple[tuple[int, int], ...] = ()
            if place:
                index, path = last[place - 1]
                before = (*found[path].before, (found[path].start, index + 1))
            last |= {self.positions[i]: (i, len(found)) for i in range(start, stop)}
            found.append(Path(start, stop, before))
        return found


class _Node:
    """One token and its successors; ``trained`` counts the samples that train it."""

    __slots__ = ("children", "size", "token", "trained")

    def __init__(self, token: int) -> None:
        self.token = token
        self.trained = 0
        self.size = 0  # samples' tokens from here on: the larger, the more goes on behind it
        self.children: dict[int, _Node] = {}


def build_tree(samples: Iterable[Sample]) -> TokenTree:
    """Merge samples by their common beginnings.

    Raises:
        ValueError: if a sample has no prompt token: its first token could not be predicted.
    """
    root = _Node(-1)
    for sample in samples:
        if sample.start < 1:
            raise ValueError("a sample needs at least one prompt token")
        node = root
        for index, token in enumerate(sample.ids):
            node = node.children.setdefault(token, _Node(token))
            node.trained += index >= sample.start
            node.size += len(sample.ids) - index
    return _flatten(root)


def _flatten(root: _Node) -> TokenTree:
    ids: list[int] = []
    positions: list[int] = []
    trained: list[Trained] = []
    # Without recursion: a chain is thousands of tokens deep. An entry is a node with its parent's index.
    waiting = [(node, -1) for node in _largest_last(root)]
    while waiting:
        node, parent = waiting.pop()
        here = len(ids)
        ids.append(node.token)
        positions.append(positions[parent] + 1 if parent >= 0 else 0)
        trained += [Trained(parent, node.token)] * node.trained
        waiting += [(child, here) for child in _largest_last(node)]
    return TokenTree(tuple(ids), tuple(positions), tuple(trained))


def _largest_last(node: _Node) -> list[_Node]:
    return sorted(node.children.values(), key=lambda child: child.size)
