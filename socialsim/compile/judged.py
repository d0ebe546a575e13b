"""The judge as a leaf to compile: its verdicts against people's ratings."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import dspy
from pydantic import BaseModel

from metrics.agreement import judge_score
from metrics.composite import Scored
from metrics.rubric import RubricLeaf, checked, judge_inputs, quotable
from socialsim.compile.task import Examples, ExampleSets, Task
from socialsim.errors import UsageError
from socialsim.ratings import LabelledItem
from socialsim.schema import Dialogue, Role

_SHARES = (5, 7)  # of ten dialogues: five to learn from, two to choose by, three held out


class JudgeTask(Task):
    """One dimension of one dialogue, against the mean of people's ratings.

    The split follows from the dialogues' ids, so that it is the same for every label file.

    Args:
        items: the labelled dialogues.

    Raises:
        UsageError: if the labels are too few to fill three sets.
    """

    name, role, leaf_class, answered = "judge", Role.JUDGE, RubricLeaf, False

    def __init__(self, items: Sequence[LabelledItem]) -> None:
        self.gold: dict[str, LabelledItem] = {}
        parts: dict[str, list[LabelledItem]] = {"train": [], "validation": [], "held_out": []}
        for item in items:
            parts[_part(item.dialogue)].append(item)
        if empty := [name for name, found in parts.items() if not found]:
            raise UsageError(f"--labels: too few rated dialogues, none is left for the {empty[0]} set")
        self.sets = ExampleSets(**{name: self._examples(found) for name, found in parts.items()})

    def _examples(self, items: Sequence[LabelledItem]) -> list[dspy.Example]:
        found = []
        for labelled in items:
            item = f"{labelled.dialogue.id}#{labelled.dimension}"
            self.gold[item] = labelled
            inputs = judge_inputs(labelled.dialogue, labelled.dimension)
            example = dspy.Example(**inputs, quotable=quotable(labelled.dialogue), item=item, rating=labelled.score)
            found.append(example.with_inputs(*inputs, "quotable"))
        return found

    def score(self, item: str, inputs: dict[str, Any], answer: BaseModel, shown: Examples = ()) -> Scored:
        """1 where the verdict is people's mean, 0 three points off or missing.

        Raises:
            BadAnswer: if its evidence is not in the dialogue.
        """
        labelled = self.gold[item]
        choices = inputs.get("quotable", ())
        verdict = checked(answer, labelled.dialogue.turns, choices)  # type: ignore[arg-type]
        score = judge_score(labelled.score, verdict.score)
        given = "no score" if verdict.score is None else f"{verdict.score}"
        line = f"{labelled.dimension}: you gave {given}; people gave {labelled.score:.1f} on average"
        return Scored(score, line if score < 1 else "Nothing to change.", {str(labelled.dimension): score})


def _part(dialogue: Dialogue) -> str:
    digit = int(hashlib.sha256(dialogue.id.encode()).hexdigest(), 16) % 10
    return "train" if digit < _SHARES[0] else "validation" if digit < _SHARES[1] else "held_out"
