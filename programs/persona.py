"""From a scenario to a seeker persona: extract, infer what is missing, repair."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import dspy
from pydantic import BaseModel, ValidationError

from programs.nearest import nearest
from signatures.persona import ChooseTopic, RetellPost, persona_signature
from socialsim.ask import BadAnswer, ask, ask_until, explain
from socialsim.predict import Predict
from socialsim.schema import Persona, Personality, Role, Scenario
from socialsim.taxonomy import MIN_AGE, SUBTOPICS, Topic, Trait, canonical_subtopic
from socialsim.text import words

_TEENS = ["twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty"]
_DIGITS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_FIRST_PERSON = frozenset(["i", "i'm", "i've", "i'd", "i'll", "me", "my", "mine", "myself", "we", "our", "us"])


class PersonaWriter(dspy.Module):
    """The leaf that fills in a profile; the topic decides which subtopics may be chosen.

    Attributes:
        nearest: examples shown, those nearest to the post; 0 shows all.
    """

    def __init__(self) -> None:
        super().__init__()
        self.nearest = 0
        self.write = Predict(persona_signature(next(iter(Topic))))

    def answer_type(self, topic: str) -> type[BaseModel]:
        """The type of an answer for a topic."""
        answer: type[BaseModel] = persona_signature(Topic(topic)).output_fields["answer"].annotation
        return answer

    def _typed(self, topic: str) -> type[dspy.Signature]:
        # Instructions may have been optimised; only the answer's type follows the topic.
        return _answering(self.write.signature, self.answer_type(topic))

    def forward(self, **inputs: Any) -> dspy.Prediction:
        """Fill in the profile of one post."""
        return self.write(signature=self._typed(inputs["topic"]), demos=self._shown(inputs), **inputs)

    async def aforward(self, **inputs: Any) -> dspy.Prediction:
        """The same, asynchronously."""
        return await self.write.acall(signature=self._typed(inputs["topic"]), demos=self._shown(inputs), **inputs)

    def _shown(self, inputs: dict[str, Any]) -> list[Any]:
        return nearest(self.write.demos, inputs, self.nearest)


@lru_cache(maxsize=64)
def _answering(signature: type[dspy.Signature], answer: type[BaseModel]) -> type[dspy.Signature]:
    # Kept: a signature is a class, which takes a hundred times the memory of a prompt.
    return signature.with_updated_fields("answer", type_=answer)


class PersonaRealism(dspy.Module):
    """Scenario in, persona out (paper: "Structured Persona Realism").

    Args:
        tries: how often an invalid persona is asked for again, the violation named.
    """

    def __init__(self, tries: int = 4) -> None:
        super().__init__()
        self.tries = tries
        self.choose_topic = Predict(ChooseTopic)
        self.retell = Predict(RetellPost)
        self.persona = PersonaWriter()

    async def aforward(self, scenario: Scenario) -> Persona:
        """Build the persona of one scenario.

        Raises:
            Exhausted: if no try gave a valid one; it carries the reason of each.
        """
        topic = scenario.topic or await self._topic(scenario)
        description = scenario.description
        if not in_first_person(description):
            description = await self._retold(description)

        async def attempt(correction: str) -> Persona:
            answer = await ask(
                Role.PERSONA, self.persona, topic=str(topic), question=scenario.question,
                description=description, correction=correction,
            )  # fmt: skip
            return build_persona(scenario, topic, description, answer)

        return await ask_until(attempt, self.tries)

    async def _topic(self, scenario: Scenario) -> Topic:
        async def attempt(_: str) -> Topic:
            inputs = {"question": scenario.question, "description": scenario.description}
            return Topic((await ask(Role.PERSONA, self.choose_topic, **inputs)).topic)

        return await ask_until(attempt, self.tries)

    async def _retold(self, description: str) -> str:
        async def attempt(correction: str) -> str:
            answer = await ask(Role.PERSONA, self.retell, description=description, correction=correction)
            if not in_first_person(answer.description):
                raise BadAnswer("description: write in the first person (I, me, my)")
            return str(answer.description)

        return await ask_until(attempt, self.tries)


def in_first_person(text: str) -> bool:
    """Whether a text speaks of its writer."""
    return not _FIRST_PERSON.isdisjoint(words(text))


def build_persona(scenario: Scenario, topic: Topic, description: str, answer: BaseModel) -> Persona:
    """Check an answer and make the persona; the post's own words stay its description.

    Raises:
        BadAnswer: naming each violated rule.
    """
    given = answer.model_dump()
    free_text = [name for name in ("attempts", "goals") if not in_first_person(given[name])]
    if free_text:
        raise BadAnswer("; ".join(f"{name}: write in the first person (I, me, my)" for name in free_text))
    fields = {name: given[name] for name in ("gender", "age", "occupation", "attempts", "goals")}
    try:
        return Persona(
            **fields,
            id=scenario.id,
            personality=Personality(**{trait: given[trait] for trait in Trait}),
            topic=topic,
            # The post's labels, where its source has any, are better than a guess.
            subtopics=known_subtopics(scenario.subtopics, topic) or tuple(dict.fromkeys(given["subtopics"])),
            question=scenario.question or given["question"],
            description=description,
            emotions=tuple(dict.fromkeys(emotion.capitalize() for emotion in given["emotions"])),
            inferred=inferred_fields(scenario, given),
        )
    except ValidationError as error:
        raise BadAnswer(explain(error)) from error


def known_subtopics(names: Iterable[str], topic: Topic) -> tuple[str, ...]:
    """Up to three of a source's labels that are the topic's, each once; labels of other schemes are left out."""
    allowed = {name.lower() for name in SUBTOPICS[topic]}
    known = [canonical_subtopic(name) for name in names if " ".join(name.split()).lower() in allowed]
    return tuple(dict.fromkeys(known))[:3]


def inferred_fields(scenario: Scenario, given: dict[str, Any]) -> tuple[str, ...]:
    """What the LM says it inferred, and what the post plainly does not say."""
    marked = set(given["inferred"])
    post = f"{scenario.question} {scenario.description}"
    if not re.search(rf"\b(?:{given['age']}|{_spelled(given['age'])})\b", post.lower()):
        marked.add("age")
    if given["occupation"].lower() not in post.lower():
        marked.add("occupation")
    marked = marked - {"question"} if scenario.question else marked | {"question"}
    return tuple(name for name in Persona.model_fields if name in marked)


def _spelled(age: int) -> str:
    """A pattern for an age in words, "twenty-seven" for 27."""
    if age < 20:
        return _TEENS[age - MIN_AGE]
    tens, ones = _TENS[age // 10 - 2], age % 10
    return f"{tens}[- ]{_DIGITS[ones - 1]}" if ones else f"{tens}(?![- ](?:{'|'.join(_DIGITS)}))"
