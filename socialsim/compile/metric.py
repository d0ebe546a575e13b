"""A task's score in the forms DSPy's optimisers call."""

from __future__ import annotations

import threading
from typing import Any

import dspy

from metrics.composite import Scored
from socialsim.ask import BadAnswer
from socialsim.compile.task import SHOWN, Task


class Metric:
    """Composite score with feedback; counts what it could not score.

    Attributes:
        errors: what scoring raised, first come first; such an answer is one failed example to an optimiser.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._lock = threading.Lock()
        self.errors: list[str] = []

    def score(self, example: dspy.Example, prediction: Any, trace: Any = None) -> float:
        """The score alone: for bootstrap, MIPRO and SIMBA."""
        return self._scored(example, prediction).score

    def feedback(
        self,
        gold: dspy.Example,
        pred: Any,
        trace: Any = None,
        pred_name: str | None = None,
        pred_trace: Any = None,
    ) -> dspy.Prediction:
        """Score and what to change in words: GEPA's five-argument form."""
        scored = self._scored(gold, pred)
        return dspy.Prediction(score=scored.score, feedback=scored.feedback)

    def _scored(self, example: dspy.Example, prediction: Any) -> Scored:
        answer = getattr(prediction, "answer", None)
        if answer is None:  # SIMBA hands over an empty prediction where the call failed
            return Scored(0.0, "The answer was not the JSON object that was asked for.", {})
        try:
            return self._task.score(example.item, example.inputs().toDict(), answer, getattr(prediction, SHOWN, ()))
        except BadAnswer as error:
            return Scored(0.0, str(error), {})
        except Exception as error:
            with self._lock:
                self.errors.append(f"{type(error).__name__}: {error}")
            raise
