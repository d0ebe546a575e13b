"""The leaves that are compiled on authored demonstrations: persona, seeker, supporter, one-pass dialogue."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import dspy
from pydantic import BaseModel

from metrics.checks import Moment, check_dialogue, check_turn
from metrics.composite import DEFAULT_WEIGHTS, ORIGINALITY, Scored, Weights, combine, rule_feedback, rule_parts
from metrics.originality import copied_share, pool_runs
from metrics.persona_match import match_profile
from metrics.verdicts import CheckVerdict
from programs.demonstrations import (
    early_example,
    few_shot,
    onepass_example,
    persona_example,
    seeker_examples,
    supporter_examples,
)
from programs.keep import texts
from programs.onepass import DialogueWriter, exchange_turns
from programs.persona import PersonaWriter, build_persona
from programs.simulate import SimulationOptions
from programs.turn import ALL_NODES, Seeker, Supporter, seeker_turn, supporter_turn
from signatures.cues import Pace, allowed_strategies
from socialsim.ask import BadAnswer
from socialsim.compile.judging import RuleJudge
from socialsim.compile.task import Examples, ExampleSets, Task
from socialsim.resources import demonstrations, read_splits
from socialsim.schema import Demonstration, Dialogue, Persona, Role, Scenario, Speaker, Turn
from socialsim.validation import copy_runs


@dataclass(frozen=True)
class Sets:
    """The demonstrations of each set."""

    train: list[Demonstration]
    validation: list[Demonstration]
    held_out: list[Demonstration]

    @classmethod
    def read(cls, most: int | None = None) -> Sets:
        """The project's fixed split, ``most`` scenarios of each set."""
        splits, known = read_splits(), {demo.dialogue.id: demo for demo in demonstrations()}
        return cls(**{name: [known[i] for i in getattr(splits, name)][:most] for name in type(splits).model_fields})


class Gold(NamedTuple):
    """What the metric knows of an example beyond its inputs."""

    persona: Persona
    history: tuple[Turn, ...] = ()


class DemonstratedTask(Task):
    """A leaf with demonstrations for examples.

    Args:
        sets: the demonstrations; those of the training set may stand in a prompt, and no answer may copy them.
        per_dialogue: examples taken from a dialogue at most, spread over it.
        weights: weights of the composite.
        judge: adds what an LM judges; a profile is compared with an authored one and needs none.
    """

    def __init__(
        self,
        sets: Sets,
        per_dialogue: int = 4,
        weights: Weights = DEFAULT_WEIGHTS,
        judge: RuleJudge | None = None,
    ) -> None:
        self.judge = judge
        self.train = sets.train
        self.per_dialogue = per_dialogue
        self.weights = weights
        self.gold: dict[str, Gold] = {}
        told = list(_texts(sets.train))
        self._pool = pool_runs(told)
        self._copies = copy_runs(told)
        self.sets = ExampleSets(**{name: self.examples(demos) for name, demos in vars(sets).items()})

    @abstractmethod
    def _of(self, demo: Demonstration) -> Iterator[tuple[dspy.Example, Gold]]:
        """All examples of a demonstration."""

    def examples(self, demos: Iterable[Demonstration]) -> list[dspy.Example]:
        """The examples of demonstrations; each names its ``item`` and, before ``#``, its scenario."""
        found = []
        for demo in demos:
            pairs = list(self._of(demo))
            for index in _spread(len(pairs), self.per_dialogue):
                example, gold = pairs[index]
                item = f"{demo.dialogue.id}#{index + 1}"
                self.gold[item] = gold
                found.append(dspy.Example(example, item=item).with_inputs(*example.inputs().keys()))
        return found

    def few_shot(self, shots: int, seed: int) -> list[dspy.Example]:
        """The authored examples an uncompiled run puts into this prompt."""
        chosen = few_shot(self.train, shots, seed)
        return [early_example([example for example, _ in self._of(demo)], index) for index, demo in enumerate(chosen)]

    def _originality(self, answer: BaseModel, inputs: dict[str, Any], shown: Examples) -> tuple[float, str]:
        # An optimiser may put an LM's own answers into the prompt: copying those is no better.
        pool = self._pool | pool_runs(text for demo in shown for text in texts(dict(demo)))
        copied = copied_share(texts(answer), pool, [str(value) for value in inputs.values()])
        line = f"{copied:.0%} of your words are an example's; use your own" if copied > 0.05 else ""
        return 1 - copied, line


def _spread(total: int, most: int) -> list[int]:
    """Up to ``most`` indices spread over ``range(total)``, the greeting left out where others are left."""
    if total <= most:
        return list(range(total))
    return [1 + (total - 1) * step // most for step in range(most)]


def _texts(demos: Iterable[Demonstration]) -> Iterator[str]:
    for demo in demos:
        yield from (demo.persona.attempts, demo.persona.goals, demo.persona.question)
        for turn in demo.dialogue.turns:
            yield turn.text
            if turn.reasoning:
                nodes = (turn.reasoning.situation, turn.reasoning.thought, turn.reasoning.action)
                yield from (text for text in (*nodes, turn.reasoning.purpose) if text)


class _DialogueWriter(DialogueWriter):
    def __init__(self) -> None:
        super().__init__(SimulationOptions())


class PersonaTask(DemonstratedTask):
    """Post to profile, against the authored profile."""

    name, role, leaf_class = "persona", Role.PERSONA, PersonaWriter

    def _of(self, demo: Demonstration) -> Iterator[tuple[dspy.Example, Gold]]:
        example = persona_example(demo)
        gold = demo.persona.model_copy(update={"inferred": tuple(example.answer.inferred)})
        yield example, Gold(gold)

    def score(self, item: str, inputs: dict[str, Any], answer: BaseModel, shown: Examples = ()) -> Scored:
        """Match the profile; one that cannot become a persona is refused."""
        gold, given = self.gold[item].persona, answer.model_dump()
        post = Scenario(id=item, source="demonstration", question=inputs["question"], description=inputs["description"])
        build_persona(post, gold.topic, gold.description, answer)
        parts = match_profile(given, gold, f"{post.question} {post.description}")
        lines = [f"{part}: {_expected(part, given, gold)}" for part, value in parts.items() if value < 0.6]
        own, copied = self._originality(answer, inputs, shown)
        return combine(parts | {ORIGINALITY: own}, [*lines, copied], self.weights)


def _expected(part: str, given: dict[str, Any], gold: Persona) -> str:
    if part == "personality":
        return f"a reader sees {', '.join(gold.personality.poles())}"
    wanted = getattr(gold, part)
    wanted = ", ".join(wanted) if isinstance(wanted, tuple) else wanted
    told = ", ".join(given[part]) if isinstance(given[part], list) else given[part]
    return f"you wrote {told!r}; a careful reader of the post writes {wanted!r}"


class _RuleTask(DemonstratedTask):
    """A leaf whose answers are turns: scored by the control rules."""

    def _verdicts(self, turn: Turn, moment: Moment) -> list[CheckVerdict]:
        judged = self.judge.verdicts(turn, moment) if self.judge else []
        return check_turn(turn, moment) + judged

    def _combined(
        self, verdicts: Sequence[CheckVerdict], answer: BaseModel, inputs: dict[str, Any], shown: Examples
    ) -> Scored:
        own, copied = self._originality(answer, inputs, shown)
        parts = rule_parts(verdicts) | {ORIGINALITY: own}
        return combine(parts, [*rule_feedback(verdicts), copied], self.weights)


class SeekerTask(_RuleTask):
    """One line as the seeker, against the control rules."""

    name, role, leaf_class = "seeker", Role.SEEKER, Seeker

    def _of(self, demo: Demonstration) -> Iterator[tuple[dspy.Example, Gold]]:
        for number, example in enumerate(seeker_examples(demo)):
            yield example, Gold(demo.persona, demo.dialogue.turns[: 2 * number])

    def score(self, item: str, inputs: dict[str, Any], answer: BaseModel, shown: Examples = ()) -> Scored:
        """Check the line at its place in the dialogue."""
        gold = self.gold[item]
        moment = Moment(gold.history, gold.persona, copied_from=self._copies)
        return self._combined(self._verdicts(seeker_turn(answer.model_dump()), moment), answer, inputs, shown)


class SupporterTask(_RuleTask):
    """Reasoning and reply, against the control rules; the persona is known to the metric only."""

    name, role, leaf_class = "supporter", Role.SUPPORTER, Supporter

    def _of(self, demo: Demonstration) -> Iterator[tuple[dspy.Example, Gold]]:
        total = len(demo.dialogue.turns) // 2
        for number, example in enumerate(supporter_examples(demo)):
            history = demo.dialogue.turns[: 2 * number + 1]
            allowed = allowed_strategies(Pace(number + 1, total), history)
            shown = dspy.Example(example, allowed=allowed).with_inputs(*example.inputs().keys(), "allowed")
            yield shown, Gold(demo.persona, history)

    def score(self, item: str, inputs: dict[str, Any], answer: BaseModel, shown: Examples = ()) -> Scored:
        """Check reasoning and reply at their place in the dialogue."""
        gold = self.gold[item]
        moment = Moment(gold.history, gold.persona, ALL_NODES, self._copies)
        return self._combined(self._verdicts(supporter_turn(answer.model_dump()), moment), answer, inputs, shown)


class OnePassTask(_RuleTask):
    """A whole dialogue in one answer, against all eight rules."""

    name, role, leaf_class = "onepass", Role.SUPPORTER, _DialogueWriter

    def _of(self, demo: Demonstration) -> Iterator[tuple[dspy.Example, Gold]]:
        yield onepass_example(demo), Gold(demo.persona)

    def score(self, item: str, inputs: dict[str, Any], answer: BaseModel, shown: Examples = ()) -> Scored:
        """Check the dialogue."""
        turns = exchange_turns(answer)
        if not turns or turns[0].speaker is not Speaker.SEEKER:
            raise BadAnswer("write the dialogue, the seeker first")
        dialogue = Dialogue(id=item, turns=tuple(turns))
        persona = self.gold[item].persona
        verdicts = check_dialogue(dialogue, persona, ALL_NODES, self._copies)
        if self.judge:
            for index, turn in enumerate(turns):
                verdicts += self.judge.verdicts(turn, Moment(tuple(turns[:index]), persona))
        return self._combined(verdicts, answer, inputs, shown)
