"""An evaluation's folder: what it was started with, every prediction and every likelihood.

Predictions are journalled one by one, so a killed evaluation goes on and metrics can be computed again without models.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from pydantic import Field

from socialsim.errors import OutputError
from socialsim.journal import Journal, RunLock, read_record, read_records, write_atomically
from socialsim.schema import Node, Record, Usage

FILE: Final = "evaluation.json"
PREDICTIONS: Final = "predictions.jsonl"


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
    return read_record(folder / FILE, EvaluationSettings, "an evaluation")


def read_begun(folder: Path, models: bool, tests: bool) -> EvaluationSettings | None:
    """The same without what no reply was made for, where it is named anew: a mistyped spec must not stay for ever.

    Args:
        folder: of the evaluation.
        models: whether models are named now; those without any reply are left out then.
        tests: the same of tests.
    """
    settings = read_evaluation(folder)
    file = folder / PREDICTIONS
    if settings is None or not file.is_file():
        return settings
    pairs = {(one.test, one.model) for one in read_records(file, Prediction)}
    begun_tests, begun_models = {test for test, _ in pairs}, {model for _, model in pairs}
    changes: dict[str, object] = {}
    if models:
        changes["models"] = {name: one for name, one in settings.models.items() if name in begun_models}
        changes["reference"] = settings.reference if settings.reference in begun_models else ""
    if tests:
        changes["tests"] = {name: one for name, one in settings.tests.items() if name in begun_tests}
    return settings.model_copy(update=changes)


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
            if read_evaluation(path) is None and (other := next(path.glob("*.json*"), None)):
                raise OutputError(f"{path} holds {other.name} and no {FILE}; name another --out")
            self.predictions = opened.enter_context(Journal(path / PREDICTIONS, Prediction))
            self.likelihoods = opened.enter_context(Journal(path / "likelihoods.jsonl", GoldLikelihood))
            self._opened = opened.pop_all()

    def begin(self, wanted: EvaluationSettings, before: EvaluationSettings | None) -> None:
        """Take over what is asked for: more models, more tests, more dialogues; nothing that was begun otherwise.

        Args:
            wanted: everything that is to be here.
            before: what was begun, see `read_begun`.

        Raises:
            OutputError: if what lies here was made with other settings.
        """
        if before and len(self.predictions):
            self._same("--nodes", ",".join(before.nodes) or "none", ",".join(wanted.nodes) or "none")
            self._same("--shots", _or_default(before.shots), _or_default(wanted.shots))
            if wanted.limit is not None and wanted.limit < (before.limit or wanted.limit + 1):
                self._same("--limit", _or_default(before.limit), wanted.limit)
        for name, model in (before.models if before else {}).items():
            self._same(f"model {name} =", model.spec, wanted.models[name].spec)
            self._same(f"weights of {name}", model.weights, wanted.models[name].weights)
        for name, test in (before.tests if before else {}).items():
            self._same(f"dialogues of test {name}", test.digest, wanted.tests[name].digest)
        write_atomically(self.path / FILE, wanted.model_dump_json(indent=2) + "\n")

    def _same(self, what: str, old: object, new: object) -> None:
        if old != new:
            said = f"{self.path} was made with {what} {old}, not {new}"
            raise OutputError(f"{said}; use the same settings, another name, or another --out")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()


def _or_default(value: int | None) -> object:
    return "not given" if value is None else value


def prediction_id(test: str, model: str, dialogue: str, turn: int) -> str:
    """The id of a prediction; names of tests and models hold no slash."""
    return f"{test}/{model}/{dialogue}/{turn}"


def likelihood_id(test: str, model: str, dialogue: str) -> str:
    """The id of a dialogue's likelihood."""
    return f"{test}/{model}/{dialogue}"
