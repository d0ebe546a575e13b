"""One compile: optimise a leaf, measure it on held-out scenarios, write it with its card.

Everything an LM answered lies in a cache under ``OUT/.work``: a compile that was killed asks no
question twice when the same command is run again, and another optimiser need not measure the same
uncompiled program again (GEPA also keeps its own state there).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import dspy

from metrics.composite import DEFAULT_WEIGHTS, Weights
from metrics.significance import paired_bootstrap
from socialsim.adapter import CompactAdapter
from socialsim.artifacts import NEAREST, save_state, slug
from socialsim.ask import RoleError
from socialsim.compile.card import Card, JudgeCard, Lift, Measured, read_card
from socialsim.compile.evaluate import Evaluation, evaluate
from socialsim.compile.guard import Guard, Halt, Ledger
from socialsim.compile.metric import Metric
from socialsim.compile.optimizers import Effort, Optimizer, Workbench, optimise
from socialsim.compile.task import Task
from socialsim.doctor import bind_lm
from socialsim.errors import LMError, LMSpecError
from socialsim.journal import RunLock, write_atomically
from socialsim.lm_errors import explain_lm_error
from socialsim.lms import LMSpec
from socialsim.meter import Meter
from socialsim.prices import price
from socialsim.runfolder import versions
from socialsim.schema import Role

_OPTIMISER_LOGGERS = ("dspy", "gepa", "optuna")


@dataclass(frozen=True)
class CompileConfig:
    """What to compile, for which LM, how.

    Attributes:
        lms: the spec of each role; the program's own, reflection and, where ``judged``, judge.
        out: folder of compiled programs.
        effort: how hard the optimiser tries.
        samples: answers to each held-out example.
        shots: authored examples in the prompt of the uncompiled program it is compared with.
        max_cost: USD that may be spent.
    """

    optimizer: Optimizer
    lms: Mapping[Role, LMSpec]
    out: Path = Path("compiled")
    effort: Effort = field(default_factory=Effort)
    weights: Weights = DEFAULT_WEIGHTS
    samples: int = 1
    shots: int = 1
    max_cost: float | None = None


class Compile:
    """A compile session.

    Args:
        task: the program and its examples.
        config: how.
        on_step: told what is being done now.
        on_call: called after each answered call.

    Raises:
        LMSpecError: if an LM cannot be used, or has no known price although a budget is set.
    """

    def __init__(
        self,
        task: Task,
        config: CompileConfig,
        on_step: Callable[[str], None] = lambda _: None,
        on_call: Callable[[], None] = lambda: None,
    ) -> None:
        self.config = config
        self._on_step = on_step
        self._on_call = on_call
        self.task = task
        self._roles = [self.task.role, Role.REFLECTION] + ([Role.JUDGE] if task.judge else [])
        name = slug(config.lms[self.task.role])
        self._state = config.out / task.name / f"{name}.json"
        self.path = self._state.with_name(f"{name}.{config.optimizer}.json")
        self._shared = config.out / ".work" / f"{task.name}-{name}"
        self.work = self._shared / f"{config.optimizer}-{self._fingerprint()}"

    def _fingerprint(self) -> str:
        """What a cached answer or an optimiser's state depends on."""
        specs = {str(role): self.config.lms[role].text for role in self._roles}
        told: list[object] = [specs, asdict(self.config.effort), self.task.sets.sizes()]
        told += [self.task.sets.hashes(), self.config.weights.model_dump(mode="json")]
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:8]

    def execute(self) -> Card:
        """Optimise, measure, write.

        Raises:
            SocialSimError: in one line, where an LM, the budget or the folder ends it; the same
                command goes on from there.
        """
        with RunLock(self.work):
            self._open()
            try:
                with self._context():
                    return self._compile()
            except Halt as halt:
                raise LMError(f"{halt}; what was answered is kept in {self.work}") from halt
            except RoleError as error:
                spec = self.config.lms[error.role].text
                raise LMError(explain_lm_error(error.role, spec, error.error)) from error
            finally:
                self.ledger.write()

    def _open(self) -> None:
        specs = {role: self.config.lms[role] for role in self._roles}
        self._lms = {role: bind_lm(role, spec) for role, spec in specs.items()}
        prices = {lm.model: price(specs[role]) for role, lm in self._lms.items()}
        if self.config.max_cost is not None and (unknown := [s.text for s in specs.values() if price(s) is None]):
            raise LMSpecError(f"--max-cost: the price of {unknown[0]} is unknown; leave the flag out or use another LM")
        self._meter = Meter(prices)
        self.ledger = Ledger(self.work / "spent.json", self._meter, self.config.max_cost)
        for role, lm in self._lms.items():
            lm.cache = True
            lm.callbacks = [Guard(role, specs[role], self.ledger, self._on_call)]
        dspy.configure_cache(disk_cache_dir=str(self._shared / "cache"), enable_memory_cache=False)

    @contextlib.contextmanager
    def _context(self) -> Iterator[None]:
        """The LMs by role; what the optimisers print goes to a log."""
        own = self._lms[self.task.role]
        for name in _OPTIMISER_LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        with (
            (self.work / "log.txt").open("a", encoding="utf-8") as log,
            contextlib.redirect_stdout(log),
            contextlib.redirect_stderr(log),
            dspy.context(
                lm=own,
                lms=self._lms,
                adapter=CompactAdapter(),
                usage_tracker=self._meter,
                disable_history=True,
                max_errors=sys.maxsize,  # an unusable answer is worth 0; ten of them are no reason to stop
            ),
        ):
            yield

    def _compile(self) -> Card:
        config, task, sets = self.config, self.task, self.task.sets
        metric, reflection = Metric(task), self._lms[Role.REFLECTION]
        bench = Workbench(
            name=str(config.optimizer),
            metric=metric,
            train=sets.train,
            validation=sets.validation,
            reflection=reflection,
            folder=self.work,
            effort=config.effort,
            answered=task.answered,
        )
        self._on_step(f"optimising with {config.optimizer}")
        compiled = self._plain(optimise(config.optimizer, task.leaf(), bench))
        chosen = self._measure("validation", compiled, sets.validation, 1)
        after = self._measure("held-out, compiled", compiled, sets.held_out, config.samples)
        before = self._measure("held-out, uncompiled", self._uncompiled(), sets.held_out, config.samples)
        bare = self._measure("held-out, without examples", task.leaf(), sets.held_out, config.samples)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        save_state(compiled, task.name, self.path)
        card = self._card(chosen, bare, before, after)
        return self._publish(card.model_copy(update={"metric_errors": tuple(metric.errors)}))

    def _plain(self, compiled: dspy.Module) -> dspy.Module:
        """A new leaf with the optimiser's instructions and examples, and nothing else of what it left behind."""
        leaf = self.task.leaf()
        for (_, ours), (_, theirs) in zip(leaf.named_predictors(), compiled.named_predictors(), strict=True):
            ours.signature = ours.signature.with_instructions(theirs.signature.instructions)
            fields = set(ours.signature.fields)
            ours.demos = [_only(demo, fields) for demo in theirs.demos]
        if shown := getattr(compiled, NEAREST, 0):
            setattr(leaf, NEAREST, shown)
        return leaf

    def _uncompiled(self) -> dspy.Module:
        leaf = self.task.leaf()
        for _, predictor in leaf.named_predictors():
            predictor.demos = self.task.few_shot(self.config.shots, self.config.effort.seed)
        return leaf

    def _measure(self, name: str, leaf: dspy.Module, examples: list[dspy.Example], samples: int) -> Evaluation:
        self._on_step(f"measuring: {name}")
        return asyncio.run(evaluate(leaf, self.task, examples, samples, self.config.effort.concurrency))

    def _card(self, chosen: Evaluation, bare: Evaluation, before: Evaluation, after: Evaluation) -> Card:
        config = self.config
        settings = asdict(config.effort) | {"samples": config.samples}
        settings |= {"shots_before": config.shots, "weights": json.dumps(config.weights.model_dump(mode="json"))}
        return Card(
            program=self.task.name,
            optimizer=config.optimizer,
            lms={str(role): config.lms[role].text for role in self._roles},
            settings=settings,
            versions=versions(),
            data=self.task.sets.hashes(),
            sizes=self.task.sets.sizes(),
            usage=self.ledger.spent,
            validation=Measured.of(chosen),
            bare=Measured.of(bare),
            before=Measured.of(before),
            after=Measured.of(after),
            lift=lift(before, after),
            lift_over_bare=lift(bare, after),
            judge=self._judge(),
            state=hashlib.sha256(self.path.read_bytes()).hexdigest()[:12],
            date=date.today().isoformat(),
        )

    def _judge(self) -> JudgeCard | None:
        """Who judged; what the control rules' judge is worth against people is not known."""
        if self.task.judge is None:
            return None
        return JudgeCard(lm=self.config.lms[Role.JUDGE].text, malformed=self.task.judge.malformed)

    def _publish(self, card: Card) -> Card:
        """Write the card; make the program the LM's default if it is better than none and than the present one."""
        present = read_card(self._state.with_suffix(".card.json"))
        card = card.model_copy(update={"default": card.lift.certain and _beats(card, present)})
        text = card.model_dump_json(indent=2) + "\n"
        write_atomically(self.path.with_suffix(".card.json"), text)
        if card.default:
            write_atomically(self._state, self.path.read_text("utf-8"))
            write_atomically(self._state.with_suffix(".card.json"), text)
        return card


def _only(demo: Any, fields: set[str]) -> dspy.Example:
    """An example with the prompt's own fields, empty ones left out."""
    return dspy.Example(**{name: value for name, value in dict(demo).items() if name in fields and value != ""})


def lift(before: Evaluation, after: Evaluation) -> Lift:
    """The paired difference of two evaluations of the same examples, samples of one averaged."""
    old, new = _by_item(before), _by_item(after)
    items = [item for item in old if item in new]
    scenarios = [item.partition("#")[0] for item in items]
    return Lift.of(paired_bootstrap([old[i] for i in items], [new[i] for i in items], scenarios))


def _by_item(evaluation: Evaluation) -> dict[str, float]:
    scores: dict[str, list[float]] = {}
    for outcome in evaluation.outcomes:
        if outcome.scored:
            scores.setdefault(outcome.item, []).append(outcome.scored.score)
    return {item: sum(values) / len(values) for item, values in scores.items()}


def _beats(card: Card, present: Card | None) -> bool:
    """By the validation score, where both were measured on the same data with the same weights."""
    if present is None or present.state == card.state or present.data != card.data:
        return True
    if present.settings.get("weights") != card.settings.get("weights"):
        return True
    return (card.validation.score or 0.0) > (present.validation.score or 0.0)
