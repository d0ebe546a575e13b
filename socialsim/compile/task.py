"""A leaf program as something to optimise: its examples, and how an answer is scored.

The inputs of an example are what the program would be shown at that point. What only the metric
may know (the persona behind a supporter's turn, people's ratings) stays with the task, under the
example's ``item``, and so never reaches a prompt.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import dspy
from pydantic import BaseModel

from metrics.composite import Scored
from socialsim.compile.judging import RuleJudge
from socialsim.schema import Role

SHOWN: Final = "_shown"  # where a prediction names the examples of its prompt
Examples = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ExampleSets:
    """What an optimiser learns from, chooses by and is measured on, disjoint by scenario."""

    train: list[dspy.Example]
    validation: list[dspy.Example]
    held_out: list[dspy.Example]

    def hashes(self) -> dict[str, str]:
        """A hash of each set's examples."""
        return {name: examples_hash(examples) for name, examples in vars(self).items()}

    def sizes(self) -> dict[str, int]:
        """Examples in each set."""
        return {"train": len(self.train), "validation": len(self.validation), "held_out": len(self.held_out)}


def examples_hash(examples: Sequence[dspy.Example]) -> str:
    """Twelve hex digits that change with what is in examples, answers included."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(json.dumps(example.toDict(), sort_keys=True, default=str).encode())
    return digest.hexdigest()[:12]


class Task(ABC):
    """One leaf program to optimise.

    Attributes:
        name: of the program.
        role: whose LM plays it.
        leaf_class: makes the leaf without arguments.
        sets: its examples; each names its ``item`` and, before ``#``, its scenario.
        answered: whether the examples hold an answer and so may stand in a prompt.
        judge: a judge LM's part of the score, if it has one.
    """

    name: str
    role: Role
    leaf_class: type[dspy.Module]
    sets: ExampleSets
    answered: bool = True
    judge: RuleJudge | None = None

    def leaf(self) -> dspy.Module:
        """A new leaf without examples, whose predictions name the examples that stood in their prompt."""
        return _watched(self.leaf_class)()

    def few_shot(self, shots: int, seed: int) -> list[dspy.Example]:
        """The authored examples an uncompiled run puts into this prompt; by default it uses none."""
        return []

    @abstractmethod
    def score(self, item: str, inputs: dict[str, Any], answer: BaseModel, shown: Examples = ()) -> Scored:
        """Score an answer.

        Args:
            item: which example it answers.
            inputs: what the program was given.
            answer: what it answered.
            shown: the examples in its prompt.

        Raises:
            BadAnswer: if it cannot be used at all.
        """


def _watched(leaf_class: type[dspy.Module]) -> type[dspy.Module]:
    """A leaf whose predictions carry the examples of its prompt, for the metric; its state is the leaf's own."""

    class Watched(leaf_class):
        def forward(self, **inputs: Any) -> dspy.Prediction:
            return self._named(super().forward(**inputs))

        async def aforward(self, **inputs: Any) -> dspy.Prediction:
            return self._named(await super().aforward(**inputs))

        def _named(self, prediction: dspy.Prediction) -> dspy.Prediction:
            # An attribute, not a field: GEPA shows a reflection LM the fields of a prediction.
            setattr(prediction, SHOWN, [dict(demo) for demo in self.predictors()[0].demos])
            return prediction

    return Watched
