"""The paper's closed vocabularies: topics, strategies and stages, occupations, traits.

Sources: topics and subtopics are Figure 7 with its text copy settled (9 topics, 101 names),
strategies and their stages are the technical appendix ("Socialized Simulation for Dialogue
Generation"), occupations and personality traits are "Structured Persona Realism".
Names are kept as published; near-twins map to one canonical label on reading.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Topic(StrEnum):
    """The nine help-seeking topics (Figure 7)."""

    LOVE_PROBLEM = "Love Problem"
    RELATIONSHIPS = "Relationships"
    SELF_GROWTH = "Self-Growth"
    FAMILY = "Family"
    WORK = "Work"
    BEHAVIOR = "Behavior"
    EMOTION = "Emotion"
    MARRIAGE = "Marriage"
    STUDY = "Study"


class Stage(StrEnum):
    """Hill's helping stages, in the order a conversation usually takes them."""

    EXPLORATION = "Exploration"
    COMFORTING = "Comforting"
    ACTION = "Action"


class Strategy(StrEnum):
    """The eight support strategies."""

    QUESTION = "Question"
    RESTATEMENT = "Restatement or Paraphrasing"
    REFLECTION = "Reflection of Feelings"
    SELF_DISCLOSURE = "Self-disclosure"
    AFFIRMATION = "Affirmation and Reassurance"
    SUGGESTIONS = "Providing Suggestions"
    INFORMATION = "Share Information"
    OTHERS = "Others"


E_, C_, A_ = Stage.EXPLORATION, Stage.COMFORTING, Stage.ACTION

STRATEGY_STAGES: Final[dict[Strategy, tuple[Stage, ...]]] = {
    Strategy.QUESTION: (E_,),
    Strategy.RESTATEMENT: (E_,),
    Strategy.REFLECTION: (E_, C_),
    Strategy.SELF_DISCLOSURE: (E_, C_, A_),
    Strategy.AFFIRMATION: (C_, A_),
    Strategy.SUGGESTIONS: (A_,),
    Strategy.INFORMATION: (A_,),
    Strategy.OTHERS: (),
}

# "Exploration#Question", …, and "Others", which belongs to no stage.
STAGED_STRATEGIES: Final[tuple[str, ...]] = (
    *tuple(f"{stage}#{strategy}" for strategy, stages in STRATEGY_STAGES.items() for stage in stages),
    str(Strategy.OTHERS),
)

_STRATEGY_ALIASES: Final[dict[str, Strategy]] = {
    "questions": Strategy.QUESTION,
    "information": Strategy.INFORMATION,
    "other": Strategy.OTHERS,
    "self disclosure": Strategy.SELF_DISCLOSURE,
    "providing suggestion": Strategy.SUGGESTIONS,
    "sharing information": Strategy.INFORMATION,
} | {strategy.lower(): strategy for strategy in Strategy}


def parse_strategy(name: str) -> Strategy:
    """Map a strategy name of the paper, the release or ESConv to the paper's strategy.

    Raises:
        ValueError: if the name is none of them.
    """
    found = _STRATEGY_ALIASES.get(" ".join(name.split()).lower())
    if found is None:
        raise ValueError(f"unknown strategy {name!r}; known: {', '.join(Strategy)}")
    return found


SUBTOPICS: Final[dict[Topic, tuple[str, ...]]] = {
    Topic.LOVE_PROBLEM: (
        "Love Management", "Sense of Security", "Favor", "Dependency", "Quarrel", "Be Crossed in Love",
        "Single", "Getting Back with Ex", "Love Affair", "Sexual Behavior", "Sexual Orientation",
        "Virgin Obsession",
    ),
    Topic.RELATIONSHIPS: (
        "Communication", "Interpersonal Boundary", "Friend", "Social Adjustment", "Conflict",
        "Roommate or Classmate", "Social Phobia", "Deception and Trust", "Empathy", "Colleague",
        "Social Software",
    ),
    Topic.SELF_GROWTH: (
        "Self-acceptance", "Self-development", "Personality Improvement", "Stress Management",
        "Meaning of Life", "Personality Traits", "Personality Trait", "Student's Growth",
        "Child's Growth", "Law of Development", "Self-esteem",
    ),
    Topic.FAMILY: (
        "Family Relations", "Communication with Parents", "Growth Process", "Family Trauma",
        "Family Control", "Family's Health", "Communication with Kids", "Conduct Disorder",
        "Mother-in-law and Daughter-in-law Relationship",
    ),
    Topic.WORK: (
        "Career Management", "Work Stress", "Workplace Relationship", "Work Fatigue", "Choosing a Job",
        "Work Pressure", "Workplace Relationships", "Midlife Crisis",
    ),
    Topic.BEHAVIOR: (
        "Confusion", "Anxiety Behavior", "Stress Reaction", "Hypochondriasis", "Compulsion", "Escapism",
        "Procrastination", "Stay up Late", "Control", "Mobile Phone Dependency", "Laziness", "Attack",
        "Disorder", "Emptiness", "Violence", "Overeating and Dieting", "Sexual Desire", "Ingratiation",
        "Brainwash", "Self-abuse",
    ),
    Topic.EMOTION: (
        "Anxiety Emotion", "Emotion Regulation", "Healing Methods", "Depression", "Panic or Helplessness",
        "Emotional Expression", "Emotional Regulation", "Fragile or Sentiment", "Guilt or Shame", "EQ",
    ),
    Topic.MARRIAGE: (
        "Marriage Management", "View of Marriage", "Affair", "Before Marriage", "Divorce",
        "In-law Relationships", "Blind Date", "Antenatal or Postpartum", "Sexual Life",
        "Idea of Reproduction",
    ),
    Topic.STUDY: (
        "Academic Stress", "Study Method", "Balancing Academic and Personal Life",
        "Maintaining Mental Health", "Learning Efficiency", "Exam Anxiety Management", "Career Planning",
        "Academic Goal Setting", "Study Motivation", "Choosing a Major or School",
    ),
}  # fmt: skip

# Figure 7 lists these pairs twice; the label on the right is the canonical one.
SUBTOPIC_TWINS: Final[dict[str, str]] = {
    "Personality Trait": "Personality Traits",
    "Emotional Regulation": "Emotion Regulation",
    "Workplace Relationships": "Workplace Relationship",
}

_TOPIC_ALIASES: Final[dict[str, Topic]] = {
    "emotional communication": Topic.EMOTION,  # Table 7's name
    "love problems": Topic.LOVE_PROBLEM,
    "self growth": Topic.SELF_GROWTH,
    "behaviour": Topic.BEHAVIOR,
} | {topic.lower(): topic for topic in Topic}

_SUBTOPIC_BY_LOWER: Final[dict[str, str]] = {
    name.lower(): SUBTOPIC_TWINS.get(name, name) for names in SUBTOPICS.values() for name in names
}


def parse_topic(name: str) -> Topic:
    """Map a topic name of the paper, its tables or the release to the topic.

    Raises:
        ValueError: if the name is none of them.
    """
    found = _TOPIC_ALIASES.get(" ".join(name.split()).lower())
    if found is None:
        raise ValueError(f"unknown topic {name!r}; known: {', '.join(Topic)}")
    return found


def canonical_subtopic(name: str) -> str:
    """Map one of the 101 published subtopic names to its canonical label.

    Raises:
        ValueError: if the name is none of them.
    """
    found = _SUBTOPIC_BY_LOWER.get(" ".join(name.split()).lower())
    if found is None:
        raise ValueError(f"unknown subtopic {name!r}")
    return found


def canonical_subtopics(topic: Topic) -> tuple[str, ...]:
    """The canonical subtopic labels of one topic, in the order of Figure 7."""
    return tuple(name for name in SUBTOPICS[topic] if name not in SUBTOPIC_TWINS)


class Trait(StrEnum):
    """The Big Five dimensions."""

    OPENNESS = "openness"
    CONSCIENTIOUSNESS = "conscientiousness"
    EXTRAVERSION = "extraversion"
    NEUROTICISM = "neuroticism"
    AGREEABLENESS = "agreeableness"


# Both poles of each trait; a personality takes one of each (32 combinations).
POLES: Final[dict[Trait, tuple[str, str]]] = {
    Trait.OPENNESS: ("Openness", "Closedness"),
    Trait.CONSCIENTIOUSNESS: ("Conscientiousness", "Unconscientiousness"),
    Trait.EXTRAVERSION: ("Extraversion", "Introversion"),
    Trait.NEUROTICISM: ("Neuroticism", "Emotional Stability"),
    Trait.AGREEABLENESS: ("Agreeableness", "Antagonism"),
}

# The appendix calls this list "top 50"; it has 53 entries.
OCCUPATIONS: Final[tuple[str, ...]] = (
    "Doctor", "Nurse", "Teacher", "University professor", "Counselor", "Lawyer", "Accountant", "Banker",
    "Corporate executive", "HR manager", "Secretary", "Software developer", "Network Security analyst",
    "Actor", "Architect", "Singer", "Writer", "Photographer", "Engineer", "Researcher", "Programmer",
    "Social worker", "Journalist", "Coach", "Athlete", "Driver", "Chef", "Server", "Police officer",
    "TV presenter", "Gardener", "Soldier", "Civil servant", "Nanny", "Student", "Entrepreneur",
    "Tour guide", "Real estate agent", "Designer", "Beautician", "Firefighter", "Network anchor",
    "Consultant", "Therapist", "Public relations officer", "Marketing manager", "Customer service",
    "Logistics manager", "Delivery person", "Courier", "Clerk", "Housewife", "Unemployed",
)  # fmt: skip

# Closing emoji offered to the speakers (the paper ends each utterance with one).
EMOJIS: Final[tuple[str, ...]] = (
    "🙂", "😊", "😌", "😔", "😞", "😢", "😟", "😰", "😣", "😤", "😠", "😩", "😕", "🤔", "😅", "😶",
    "🙏", "💪", "❤️", "🤗", "👍", "🌱", "✨", "🌟", "👋", "💬", "🤝", "🕊️",
)  # fmt: skip

MIN_AGE: Final = 12
MAX_AGE: Final = 60
SEEKER_MAX_WORDS: Final = 30
SUPPORTER_MAX_WORDS: Final = 40
MIN_UTTERANCES: Final = 18
MAX_UTTERANCES: Final = 40
MEAN_UTTERANCES: Final = 24
