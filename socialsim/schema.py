"""Frozen records that cross a file: scenarios, personas, dialogues, rejections.

Every record forbids unknown keys, so that a file from another version or another tool is
refused at its first odd line rather than half read.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from socialsim.taxonomy import (
    MAX_AGE,
    MIN_AGE,
    OCCUPATIONS,
    POLES,
    STRATEGY_STAGES,
    SUBTOPICS,
    Stage,
    Strategy,
    Topic,
    Trait,
    canonical_subtopic,
    parse_strategy,
)

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Record(BaseModel):
    """Base of every record: frozen, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Speaker(StrEnum):
    """Who says an utterance."""

    SEEKER = "seeker"
    SUPPORTER = "supporter"


class Role(StrEnum):
    """The parts an LM can play."""

    PERSONA = "persona"
    SEEKER = "seeker"
    SUPPORTER = "supporter"
    JUDGE = "judge"
    REFLECTION = "reflection"


class Node(StrEnum):
    """The four nodes of the supporter's cognitive reasoning."""

    SITUATION = "situation"
    THOUGHT = "thought"
    ACTION = "action"
    STRATEGY = "strategy"


# The field of a `Reasoning` that holds a node's prose.
PROSE: Final = {node: "purpose" if node is Node.STRATEGY else node.value for node in Node}


class Original(Record):
    """A post as it was before translation."""

    language: str
    question: str
    description: str


class Post(Record):
    """One help-seeking post as a reader found it, before any screening."""

    id: Text
    source: Text
    question: str = ""
    description: str = ""
    topic: Topic | None = None
    subtopics: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    emotion: str | None = None


class Scenario(Record):
    """One screened help-seeking post (paper: "Help-Seeking Scenario Collection")."""

    id: Text
    source: Text
    question: str = ""
    description: Text
    topic: Topic | None = None
    subtopics: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    emotion: str | None = None
    language: str = "en"
    original: Original | None = None


def _known_occupation(name: str) -> str:
    for known in OCCUPATIONS:
        if known.lower() == name.strip().lower():
            return known
    raise ValueError(f"occupation {name!r} is not one of the paper's {len(OCCUPATIONS)}")


class Personality(Record):
    """One pole of each of the five traits (Five-Factor Model)."""

    openness: Literal["Openness", "Closedness"]
    conscientiousness: Literal["Conscientiousness", "Unconscientiousness"]
    extraversion: Literal["Extraversion", "Introversion"]
    neuroticism: Literal["Neuroticism", "Emotional Stability"]
    agreeableness: Literal["Agreeableness", "Antagonism"]

    def poles(self) -> tuple[str, ...]:
        """The five poles in the order of the paper."""
        return tuple(getattr(self, trait) for trait in Trait)

    @classmethod
    def from_poles(cls, poles: list[str] | tuple[str, ...]) -> Self:
        """Build from pole names in any order and any case.

        Raises:
            ValueError: if a pole is unknown, or a trait has none or two.
        """
        by_name = {pole.lower(): (trait, pole) for trait, both in POLES.items() for pole in both}
        values: dict[str, str] = {}
        for name in poles:
            trait, pole = by_name.get(" ".join(name.split()).lower(), (None, name))
            if trait is None:
                raise ValueError(f"unknown personality pole {name!r}")
            if trait in values:
                raise ValueError(f"two poles for {trait.value}: {values[trait]} and {pole}")
            values[trait] = pole
        return cls.model_validate(values)


class Usage(Record):
    """What an item cost. ``cost`` is USD, or None where a price is unknown."""

    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = 0.0
    seconds: float = 0.0

    def since(self, before: Usage) -> Usage:
        """What was used after an earlier count."""
        known = self.cost is not None and before.cost is not None
        return Usage(
            calls=self.calls - before.calls,
            prompt_tokens=self.prompt_tokens - before.prompt_tokens,
            cached_tokens=self.cached_tokens - before.cached_tokens,
            completion_tokens=self.completion_tokens - before.completion_tokens,
            cost=self.cost - before.cost if known else None,  # type: ignore[operator]
            seconds=self.seconds - before.seconds,
        )


class Provenance(Record):
    """How an item was made, and what the checks made of it.

    Attributes:
        asked_again: answers of a dialogue that were asked again, for whatever reason.
        checks: mean score of each control rule, 0 to 1.
    """

    mode: str
    seed: int
    lms: dict[str, str]
    programs: dict[str, str] = Field(default_factory=dict)
    nodes: tuple[Node, ...] = ()
    demonstrations: tuple[str, ...] = ()
    asked_again: int = 0
    checks: dict[str, float] = Field(default_factory=dict)
    usage: Usage = Usage()


class Persona(Record):
    """A seeker persona (Table 7). Free-text fields are in the first person."""

    id: Text
    gender: Literal["Female", "Male"]
    age: int = Field(ge=MIN_AGE, le=MAX_AGE)
    occupation: Annotated[str, AfterValidator(_known_occupation)]
    personality: Personality
    topic: Topic
    subtopics: tuple[Annotated[str, AfterValidator(canonical_subtopic)], ...] = Field(min_length=1, max_length=3)
    question: Text
    description: Text
    emotions: tuple[Text, ...] = Field(min_length=1)
    attempts: Text
    goals: Text
    situation: str | None = None
    event_time: str | None = None
    event_location: str | None = None
    event_participants: str | None = None
    inferred: tuple[str, ...] = ()
    provenance: Provenance | None = None

    @model_validator(mode="after")
    def _subtopics_fit(self) -> Self:
        allowed = {canonical_subtopic(name) for name in SUBTOPICS[self.topic]}
        if len(set(self.subtopics)) != len(self.subtopics):
            raise ValueError("a subtopic is named twice")
        if not allowed & set(self.subtopics):
            raise ValueError(f"none of the subtopics {', '.join(self.subtopics)} belongs to topic {self.topic}")
        unknown = [name for name in self.inferred if name not in Persona.model_fields]
        if unknown:
            raise ValueError(f"inferred names unknown fields: {', '.join(unknown)}")
        return self


class StagedStrategy(Record):
    """A strategy in the stage it serves; ``stage`` is None where a corpus names none."""

    strategy: Strategy
    stage: Stage | None = None

    @model_validator(mode="after")
    def _stage_allowed(self) -> Self:
        if self.stage is not None and self.stage not in STRATEGY_STAGES[self.strategy]:
            raise ValueError(f"{self.strategy} is not a strategy of stage {self.stage}")
        return self

    def __str__(self) -> str:
        return f"{self.stage}#{self.strategy}" if self.stage else str(self.strategy)

    @classmethod
    def parse(cls, name: str) -> Self:
        """Read ``Stage#Strategy`` or a bare strategy name.

        Raises:
            ValueError: if the stage or the strategy is unknown, or they do not go together.
        """
        stage, sep, strategy = name.rpartition("#")
        return cls(strategy=parse_strategy(strategy), stage=Stage(stage.strip().capitalize()) if sep else None)


class Reasoning(Record):
    """What the supporter thought before a reply. A node that was not asked for is None.

    ``purpose`` says what the strategies are for and begins with "to".
    ``raw`` keeps an imported chain to the letter where rendering the parsed one would differ.
    """

    situation: str | None = None
    thought: str | None = None
    action: str | None = None
    strategies: tuple[StagedStrategy, ...] = ()
    purpose: str | None = None
    raw: str | None = None


class Flag(Record):
    """A soft finding that was kept after a second try."""

    kind: Text
    detail: str = ""


class Turn(Record):
    """One utterance; only a supporter's has reasoning."""

    speaker: Speaker
    text: Text
    reasoning: Reasoning | None = None
    flags: tuple[Flag, ...] = ()

    @property
    def strategies(self) -> tuple[StagedStrategy, ...]:
        """The strategies of a supporter turn, empty where none is known."""
        return self.reasoning.strategies if self.reasoning else ()


class Dialogue(Record):
    """A conversation; ``persona_id`` is None for corpora without personas."""

    id: Text
    turns: tuple[Turn, ...] = Field(min_length=1)
    persona_id: str | None = None
    flags: tuple[Flag, ...] = ()
    provenance: Provenance | None = None

    def all_flags(self) -> tuple[Flag, ...]:
        """The dialogue's own flags and those of its turns, in order."""
        return self.flags + tuple(flag for turn in self.turns for flag in turn.flags)


class Demonstration(Record):
    """An authored persona with a complete dialogue, for few-shot prompts and training."""

    persona: Persona
    dialogue: Dialogue


class Rejection(Record):
    """An item set aside: at which stage, why, and what was tried."""

    id: Text
    stage: Literal["intake", "persona", "simulate"]
    reason: Text
    detail: str = ""
    trace: tuple[str, ...] = ()
    post: Post | None = None
    usage: Usage = Usage()
