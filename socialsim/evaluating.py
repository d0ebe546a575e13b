"""Evaluate models on test sets with gold history (paper: Tables 3 and 4).

Every reply is journalled when it is there and never asked for again, which is all that resume is. With nothing left to
do no model is loaded and no corpus read: the metrics are computed from the journals.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Final

import dspy

from finetune.corpora import DEMONSTRATIONS
from metrics.replies import missing
from metrics.reply_table import reply_table
from signatures.cues import Pace
from socialsim.adapter import CompactAdapter
from socialsim.errors import LMError, OutputError, UsageError
from socialsim.evaluation import (
    EvaluationConfig,
    EvaluationResult,
    all_versions,
    model_replies,
    remembered,
    sources_of,
)
from socialsim.lms import LMSpec, parse_spec
from socialsim.meter import Meter, State
from socialsim.predicting import (
    Asked,
    Asking,
    ProgramReplier,
    Replier,
    can_tell,
    forget_students,
    make_replier,
    weights_digest,
)
from socialsim.predictions import (
    EvaluationFolder,
    EvaluationSettings,
    GoldLikelihood,
    ModelRecord,
    Prediction,
    likelihood_id,
    prediction_id,
    read_begun,
)
from socialsim.schema import Dialogue
from socialsim.testsets import Gold, GoldSets, described, gold_replies

_CHUNK: Final = 8  # dialogues whose likelihood is measured before it is journalled


class Evaluation:
    """One session.

    Args:
        config: what to do.
        on_change: called with the state whenever something is done.
    """

    def __init__(self, config: EvaluationConfig, on_change: Callable[[State], None] = lambda _: None) -> None:
        self.config = config
        self.on_change = on_change
        self.state = State(Meter({}))
        self._sets = GoldSets()

    def execute(self) -> EvaluationResult:
        """Do what is left, then compute the tables.

        Raises:
            SocialSimError: in one line, where a corpus, the folder, a model or a metric's source fails.
        """
        before = read_begun(self.config.out, bool(self.config.models), bool(self.config.tests))
        self.settings = wanted = self._wanted(before)
        missing(sources_of(wanted))  # a source that cannot be used is told before anything is generated
        with EvaluationFolder(self.config.out) as folder:
            self._folder = folder
            folder.begin(wanted, before)
            self._generate()
            return self._result()

    def _wanted(self, before: EvaluationSettings | None) -> EvaluationSettings:
        config, known = self.config, before or EvaluationSettings(versions=all_versions())
        models = dict(known.models) | {name: self._model(name, spec, known) for name, spec in config.models.items()}
        if not models or not (config.tests or known.tests):
            flag, form = ("--tests", "NAME=PATH") if models else ("--models", "NAME=SPEC")
            raise UsageError(f"{flag}: name at least one, as in {flag} {form} ({config.out} holds no evaluation)")
        reference = config.reference or known.reference or next(iter(models))
        if reference not in models:
            raise UsageError(f"--reference {reference}: no model of that name; there are {', '.join(models)}")
        limit = config.limit or known.limit
        changes: dict[str, object] = {"models": models, "reference": reference, "limit": limit}
        changes["tests"] = described(config.tests, known.tests, limit, self._sets, limit != known.limit)
        changes |= {"nodes": known.nodes if config.nodes is None else config.nodes}
        changes |= {"shots": known.shots if config.shots is None else config.shots}
        return known.model_copy(update=changes | remembered(config.sources))

    def _model(self, name: str, spec: LMSpec, known: EvaluationSettings) -> ModelRecord:
        if (old := known.models.get(name)) and old.spec == spec.text and not weights_digest(spec):
            return old
        return ModelRecord(spec=spec.text, likelihoods=can_tell(spec), weights=weights_digest(spec))

    def _generate(self) -> None:
        settings, folder = self.settings, self._folder
        told = sum(model.likelihoods for model in settings.models.values())
        tests = settings.tests.values()
        self.state.total = sum(one.replies * len(settings.models) + one.dialogues * told for one in tests)
        self.state.done = len(folder.predictions) + len(folder.likelihoods)
        if self.state.done == self.state.total:
            return
        for name, model in settings.models.items():
            if self._open(name, model):
                self._check_weights(name, model)
                replier = make_replier(parse_spec(model.spec), Asking(settings.nodes, settings.shots), self.state.meter)
                self._refuse_examples(replier)
                self._use(name, model, replier)
                del replier
                forget_students()

    def _open(self, name: str, model: ModelRecord) -> bool:
        """Whether a model has something left to do."""
        for test, record in self.settings.tests.items():
            replies = sum(one.startswith(f"{test}/{name}/") for one in self._folder.predictions.ids)
            told = sum(one.startswith(f"{test}/{name}/") for one in self._folder.likelihoods.ids)
            if replies < record.replies or (model.likelihoods and told < record.dialogues):
                return True
        return False

    def _check_weights(self, name: str, model: ModelRecord) -> None:
        now = weights_digest(parse_spec(model.spec))
        if now != model.weights:
            raise OutputError(
                f"{self.config.out}: model {name} ({model.spec}) was trained again since; give it another name or --out"
            )

    def _refuse_examples(self, replier: Replier) -> None:
        shown = set(replier.examples()) if isinstance(replier, ProgramReplier) else set()
        for test, record in self.settings.tests.items():
            if record.source.startswith(DEMONSTRATIONS) and (
                seen := shown & {one.id for one in self._sets.dialogues(test, record)}
            ):
                way = "test demonstrations:held_out, or give --shots 0"
                raise UsageError(f"test {test}: {sorted(seen)[0]} is an example in the prompt, too; {way}")

    def _use(self, name: str, model: ModelRecord, replier: Replier) -> None:
        for test, record in self.settings.tests.items():
            dialogues = self._sets.dialogues(test, record)
            asyncio.run(self._reply_all(test, name, replier, dialogues))
            if model.likelihoods:
                self._measure(test, name, replier, dialogues)

    async def _reply_all(self, test: str, name: str, replier: Replier, dialogues: Sequence[Dialogue]) -> None:
        left, done = iter(dialogues), self._folder.predictions

        async def worker() -> None:
            for dialogue in left:  # one iterator, shared by all workers
                # One after another: a prompt cache serves all but the first.
                for gold in gold_replies(dialogue):
                    if prediction_id(test, name, dialogue.id, gold.turn) not in done:
                        await self._reply(test, name, replier, dialogue, gold)

        flights = self.config.concurrency or replier.flights
        with dspy.context(adapter=CompactAdapter(), disable_history=True, max_trace_size=0):
            workers = [asyncio.create_task(worker()) for _ in range(min(flights, len(dialogues)))]
            ticker = asyncio.create_task(self._tick())
            try:
                await asyncio.gather(*workers)
            finally:
                for task in (ticker, *workers):
                    task.cancel()
                await asyncio.gather(ticker, *workers, return_exceptions=True)

    async def _tick(self) -> None:
        while True:
            self.on_change(self.state)
            await asyncio.sleep(1)

    async def _reply(self, test: str, name: str, replier: Replier, dialogue: Dialogue, gold: Gold) -> None:
        turns = dialogue.turns[: 2 * gold.turn - 1]
        said = await replier.reply(Asked(turns, Pace(gold.turn, gold.total), self.settings.tests[test].emoji))
        self._folder.predictions.append(
            Prediction(
                id=prediction_id(test, name, dialogue.id, gold.turn),
                test=test,
                model=name,
                dialogue=dialogue.id,
                turn=gold.turn,
                gold=gold.text,
                spec=self.settings.models[name].spec,
                **said._asdict(),
            )
        )
        self._count(1, bool(said.failure))

    def _measure(self, test: str, name: str, replier: Replier, dialogues: Sequence[Dialogue]) -> None:
        journal = self._folder.likelihoods
        left = [one for one in dialogues if likelihood_id(test, name, one.id) not in journal]
        for start in range(0, len(left), _CHUNK):
            some = left[start : start + _CHUNK]
            for one, (nats, tokens) in zip(some, replier.likelihoods(some), strict=True):
                if not math.isfinite(nats):
                    raise LMError(f"model {name}: its likelihoods are no numbers; load it in a higher precision")
                key = likelihood_id(test, name, one.id)
                journal.append(GoldLikelihood(id=key, test=test, model=name, dialogue=one.id, nats=nats, tokens=tokens))
            self._count(len(some), False)

    def _count(self, done: int, failed: bool) -> None:
        self.state.done += done
        self.state.failed += failed
        self.on_change(self.state)

    def _result(self) -> EvaluationResult:
        settings = self.settings
        predictions = sorted(self._folder.predictions, key=lambda one: (one.dialogue, one.turn))
        told = list(self._folder.likelihoods)
        tables = {}
        for test in settings.tests:
            models = {
                name: model_replies(
                    [one for one in predictions if (one.test, one.model) == (test, name)],
                    [one for one in told if (one.test, one.model) == (test, name)],
                    model,
                )
                for name, model in settings.models.items()
            }
            tables[test] = reply_table(models, settings.reference, sources_of(settings))
        return EvaluationResult(settings, tables, predictions)
