"""The programs' own prompts as lessons: a student that learns them answers as the programs ask, without examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import dspy

from finetune.dataset import Lesson
from finetune.format import Message
from programs.demonstrations import persona_example, seeker_examples, supporter_examples
from programs.turn import Seeker, Supporter
from signatures.persona import persona_signature
from socialsim.adapter import CompactAdapter
from socialsim.schema import Demonstration, Role

_Examples = Callable[[Demonstration], Iterable[dspy.Example]]


def program_lessons(demos: Iterable[Demonstration], roles: Iterable[Role]) -> Iterator[Lesson]:
    """One lesson a demonstration and role: each prompt of the role's program, and the authored answer.

    Args:
        demos: personas with their dialogues.
        roles: seeker, supporter, persona.
    """
    chosen = list(roles)
    for demo in demos:
        for role in chosen:
            yield Lesson(f"{demo.dialogue.id}/{role}", tuple(_replies(demo, role)))


def _replies(demo: Demonstration, role: Role) -> Iterator[tuple[tuple[Message, ...], str]]:
    adapter = CompactAdapter()
    for signature, example in _ASKED[role](demo):
        chat = adapter.format(signature, [], dict(example.inputs()))
        said = adapter.format_assistant_message_content(signature, dict(example.labels()))
        yield tuple(Message(role=one["role"], content=one["content"]) for one in chat), said


def _seeker(demo: Demonstration) -> Iterator[tuple[type[dspy.Signature], dspy.Example]]:
    signature = Seeker().speak.signature
    return ((signature, example) for example in seeker_examples(demo))


def _supporter(demo: Demonstration) -> Iterator[tuple[type[dspy.Signature], dspy.Example]]:
    signature = Supporter().reply.signature
    return ((signature, example) for example in supporter_examples(demo))


def _persona(demo: Demonstration) -> Iterator[tuple[type[dspy.Signature], dspy.Example]]:
    yield persona_signature(demo.persona.topic), persona_example(demo)


_ASKED: Final = {Role.SEEKER: _seeker, Role.SUPPORTER: _supporter, Role.PERSONA: _persona}
