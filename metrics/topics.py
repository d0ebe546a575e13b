"""What the personas of a corpus seek help for: topics and subtopics (paper: "Topic", Figures 3 and 7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from socialsim.schema import Persona, Record
from socialsim.taxonomy import SUBTOPICS, Topic, canonical_subtopic


class TopicCounts(Record):
    """How many personas there are of each topic and subtopic.

    A persona has one topic and one to three subtopics, which may belong to other topics.

    Attributes:
        personas: all of them.
        topics: personas by topic; every topic has an entry.
        subtopics: personas by canonical subtopic; every one has an entry.
    """

    personas: int
    topics: dict[Topic, int]
    subtopics: dict[str, int]

    def under(self, topic: Topic) -> list[tuple[str, int]]:
        """The subtopics of a topic, the commonest first; equal ones in the order of Figure 7."""
        names = dict.fromkeys(canonical_subtopic(name) for name in SUBTOPICS[topic])
        return sorted(((name, self.subtopics[name]) for name in names), key=lambda item: -item[1])

    def share(self, count: int) -> float:
        """A count as a proportion of the personas."""
        return count / self.personas if self.personas else 0.0


def topic_counts(personas: Iterable[Persona]) -> TopicCounts:
    """Count topics and subtopics; a persona counts for each of its subtopics."""
    topics: Counter[Topic] = Counter()
    subtopics: Counter[str] = Counter()
    for persona in personas:
        topics[persona.topic] += 1
        subtopics.update(persona.subtopics)
    names = [canonical_subtopic(name) for listed in SUBTOPICS.values() for name in listed]
    return TopicCounts(
        personas=topics.total(),
        topics={topic: topics[topic] for topic in Topic},
        subtopics={name: subtopics[name] for name in names},
    )
