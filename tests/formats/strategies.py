"""Hypothesis strategies for everything the release can hold."""

from hypothesis import strategies as st

from socialsim.schema import Dialogue, Persona, Personality, Reasoning, Speaker, StagedStrategy, Turn
from socialsim.taxonomy import OCCUPATIONS, POLES, STAGED_STRATEGIES, Topic, canonical_subtopics

TEXT = st.text(min_size=1, max_size=30).map(str.strip).filter(bool)
# Inside a chain brackets and parentheses are the release's own marks.
PLAIN = TEXT.filter(lambda text: not set("[]()") & set(text) and text != ".")
WORD = TEXT.filter(lambda text: "," not in text)
IDS = st.one_of(st.integers(-5, 10**9).map("ssconv-{}".format), TEXT)


@st.composite
def reasonings(draw: st.DrawFn) -> Reasoning:
    names = draw(st.lists(st.sampled_from(STAGED_STRATEGIES), max_size=3))
    texts = draw(st.tuples(*[st.none() | PLAIN] * 4))
    return Reasoning(
        situation=texts[0],
        thought=texts[1],
        action=texts[2],
        purpose=texts[3],
        strategies=tuple(map(StagedStrategy.parse, names)),
    )


SEEKER_TURNS = st.builds(Turn, speaker=st.just(Speaker.SEEKER), text=TEXT)
SUPPORTER_TURNS = st.builds(Turn, speaker=st.just(Speaker.SUPPORTER), text=TEXT, reasoning=st.none() | reasonings())


@st.composite
def dialogues(draw: st.DrawFn) -> Dialogue:
    name = draw(IDS)
    turns = draw(st.lists(SEEKER_TURNS | SUPPORTER_TURNS, min_size=1, max_size=5))
    return Dialogue(id=name, persona_id=name, turns=tuple(turns))


def _few(values: st.SearchStrategy[str], unique: bool = False) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(values, min_size=1, max_size=3, unique=unique).map(tuple)


@st.composite
def personas(draw: st.DrawFn) -> Persona:
    topic = draw(st.sampled_from(Topic))
    question = draw(TEXT)
    return Persona(
        id=draw(IDS),
        gender=draw(st.sampled_from(["Female", "Male"])),
        age=draw(st.integers(12, 60)),
        occupation=draw(st.sampled_from(OCCUPATIONS)),
        personality=Personality.from_poles([draw(st.sampled_from(poles)) for poles in POLES.values()]),
        topic=topic,
        subtopics=draw(_few(st.sampled_from(canonical_subtopics(topic)), unique=True)),
        question=question,
        description=draw(TEXT),
        emotions=draw(_few(WORD)),
        attempts=draw(TEXT),
        goals=draw(TEXT),
        situation=draw(st.none() | TEXT.filter(lambda text: text != question)),
        event_time=draw(st.none() | TEXT),
        event_location=draw(st.none() | TEXT),
        event_participants=draw(st.none() | TEXT),
    )
