"""An evaluation's folder: what it was started with, every prediction and every likelihood.

Predictions are journalled one by one, so a killed evaluation goes on and metrics can be computed again without models.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from pydantic import Field, ValidationError

from socialsim.errors import InputError, OutputError
from socialsim.journal import Journal, RunLock, write_atomically
from socialsim.schema import Node, Record, Usage

FILE: Final = "evaluation.json"


class Prediction(Record):
    """One reply to a gold history.

    Attributes:
        id: test/model/dialogue/turn.
        turn: number of the supporter turn in its dialogue, from 1.
        reply: what is scored; empty where there is none that can be used.
        reasoning: what the model thought first; kept, never scored.
        failure: why there is no reply.
        spec: the model's.
    """

    id: str
    test: str
    model: str
    dialogue: str
    turn: int
    gold: str
    reply: str = ""
    reasoning: str = ""
    failure: str = ""
    spec: str
    usage: Usage = Usage()


class GoldLikelihood(Record):
    """How well a model predicts the gold replies of a dialogue: negative log-likelihood and tokens."""

    id: str
    test: str
    model: str
    dialogue: str
    nats: float
    tokens: int


class ModelRecord(Record):
    """A model that is evaluated.

    Attributes:
        spec: as the user named it.
        likelihoods: whether it can tell how likely the gold replies are.
        weights: digest of a student's adapter, so that none is retrained half-way.
    """

    spec: str
    likelihoods: bool = False
    weights: str = ""


class SetRecord(Record):
    """A test set.

    Attributes:
        source: as the user named it.
        digest: of all its dialogues (see `finetune.splits.digest`).
        dialogues: those evaluated, with ``replies`` gold replies.
        emoji: whether most gold replies end with one; only then is a prompted LM asked for one.
    """

    source: str
    digest: str
    dialogues: int
    replies: int
    emoji: bool


class EvaluationSettings(Record):
    """``evaluation.json``.

    Attributes:
        models: by name, in the order they came; the first is the reference unless another is named.
        limit: dialogues of each test at most.
        nodes: reasoning asked of prompted LMs; a student writes what it was trained to.
        shots: authored examples in their prompts; None: 1 in process, 3 elsewhere.
        vectors: with ``encoder`` and ``layers``: what the metrics were last computed with.
        versions: of what can change a result, when the evaluation was started.
    """

    models: dict[str, ModelRecord] = Field(default_factory=dict)
    tests: dict[str, SetRecord] = Field(default_factory=dict)
    limit: int | None = None
    nodes: tuple[Node, ...] = ()
    shots: int | None = None
    reference: str = ""
    vectors: str = ""
    encoder: str = ""
    layers: int | None = None
    versions: dict[str, str] = Field(default_factory=dict)


def read_evaluation(folder: Path) -> EvaluationSettings | None:
    """What an evaluation was started with; None where none was started.

    Raises:
        InputError: if the file is not one.
    """
    file = folder / FILE
    if not file.exists():
        return None
    try:
        return EvaluationSettings.model_validate_json(file.read_bytes())
    except OSError as error:
        raise InputError(file, f"cannot be read ({error.strerror}); move it away") from error
    except ValidationError as error:
        raise InputError(
            file, f"not an evaluation of this version ({error.errors()[0]['msg']}); move it away"
        ) from error


class EvaluationFolder:
    """The open journals of an evaluation, locked against a second process.

    Raises:
        OutputError: if the folder cannot be written, is in use, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_dir() and not os.access(path, os.W_OK):
            raise OutputError(f"{path}: cannot be written; name another folder with --out")
        with ExitStack() as opened:
            opened.enter_context(RunLock(path))
            self.settings = read_evaluation(path)
            if self.settings is None and (other := next(path.glob("*.json*"), None)):
                raise OutputError(f"{path} holds {other.name} and no {FILE}; name another --out")
            self.predictions = opened.enter_context(Journal(path / "predictions.jsonl", Prediction))
            self.likelihoods = opened.enter_context(Journal(path / "likelihoods.jsonl", GoldLikelihood))
            self._opened = opened.pop_all()

    def begin(self, wanted: EvaluationSettings) -> EvaluationSettings:
        """Take over what is asked for: more models, more tests, more dialogues; nothing that was begun otherwise.

        Raises:
            OutputError: if what lies here was made with other settings.
        """
        before = self.settings or EvaluationSettings(nodes=wanted.nodes, shots=wanted.shots, versions=wanted.versions)
        if self.settings:
            self._same("--nodes", ",".join(before.nodes) or "none", ",".join(wanted.nodes) or "none")
            self._same("--shots", before.shots, wanted.shots)
            if before.limit != wanted.limit and (wanted.limit or 1e9) < (before.limit or 1e9):
                self._same("--limit", before.limit or "none", wanted.limit)
        for name, model in wanted.models.items():
            old = before.models.get(name, model)
            self._same(f"model {name} =", old.spec, model.spec)
            self._same(f"weights of {name}", old.weights, model.weights)
        for name, test in wanted.tests.items():
            self._same(f"dialogues of test {name}", before.tests.get(name, test).digest, test.digest)
        models, tests = before.models | wanted.models, before.tests | wanted.tests
        kept = {"versions": before.versions, "models": models, "tests": tests}
        self.settings = wanted.model_copy(update=kept)
        write_atomically(self.path / FILE, self.settings.model_dump_json(indent=2) + "\n")
        return self.settings

    def _same(self, what: str, old: object, new: object) -> None:
        if old != new:
            said = f"{self.path} was made with {what} {old}, not {new}"
            raise OutputError(f"{said}; use the same settings, another name, or another --out")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()


def prediction_id(test: str, model: str, dialogue: str, turn: int) -> str:
    """The id of a prediction; names of tests and models hold no slash."""
    return f"{test}/{model}/{dialogue}/{turn}"


def likelihood_id(test: str, model: str, dialogue: str) -> str:
    """The id of a dialogue's likelihood."""
    return f"{test}/{model}/{dialogue}"


def failures(predictions: Mapping[str, Prediction]) -> dict[str, int]:
    """Reasons of failed replies and how often they came, the commonest first."""
    counts: dict[str, int] = {}
    for one in predictions.values():
        if one.failure:
            counts[one.failure] = counts.get(one.failure, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))
