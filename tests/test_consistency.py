import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.consistency import Stance, disclosure, leaks, leaks_in, persona_facts, seeker_stances, stance_of
from metrics.mentions import read
from metrics.word_forms import stem
from socialsim.resources import demonstrations
from socialsim.schema import Dialogue, Persona, Provenance, Speaker
from tests.leak_plants import PLANTS, Planted, planted, tokens
from tests.samples import persona, seeker, supporter

DEMONSTRATIONS = {demonstration.persona.id: demonstration for demonstration in demonstrations()}
FACTS = persona_facts(persona())
FAMILY = persona(
    gender="Male",
    age=41,
    occupation="Engineer",
    description="I have been married for twelve years. My two brothers and my wife Ana live with me in Turin. "
    "My daughter Megan, who is fifteen, sings. I owe 12,000 dollars to the bank.",
)
# Replies of the demonstrations in which a leak is reported, each read by eye.
REPORTED = {
    ("demo-relationships-6", 4): "a false alarm: from nine to eleven are two hours",
}


def found(plant: Planted, about: Persona) -> bool:
    """Whether the planted words, and not others of the reply, are reported."""
    words = set(tokens(plant.item))
    return any(words & set(tokens(evidence)) for _, evidence in leaks_in(plant.text, plant.said, persona_facts(about)))


def recall(kind: str) -> tuple[int, int]:
    hits = [found(plant, item.persona) for item in DEMONSTRATIONS.values() for plant in planted(item, kind)]
    return sum(hits), len(hits)


def test_every_demonstration_has_plants() -> None:
    assert set(PLANTS) == set(DEMONSTRATIONS)
    assert all(plants.numbers or plants.names for plants in PLANTS.values())


@pytest.mark.parametrize("kind", ["numbers", "names", "places"])
def test_literal_leaks_are_found(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    hits, total = recall(kind)
    with capsys.disabled():
        print(f"\n{kind}: {hits} of {total} planted leaks found ({hits / total:.1%})")
    assert total > 500
    assert hits / total >= 0.95


def test_paraphrases_are_mostly_left_to_the_judge(capsys: pytest.CaptureFixture[str]) -> None:
    hits, total = recall("paraphrases")
    with capsys.disabled():
        print(f"\nparaphrases: {hits} of {total} planted leaks found ({hits / total:.1%})")
    assert total > 3000
    assert hits / total < 0.5


def test_clean_replies_raise_few_alarms() -> None:
    alarms = {
        (item.persona.id, leak.turn) for item in DEMONSTRATIONS.values() for leak in leaks(item.dialogue, item.persona)
    }
    replies = sum(turn.speaker is Speaker.SUPPORTER for item in DEMONSTRATIONS.values() for turn in item.dialogue.turns)
    assert len(alarms) / replies < 0.02
    assert alarms <= set(REPORTED)


def test_no_authored_seeker_contradicts_its_persona() -> None:
    stances = [stance for item in DEMONSTRATIONS.values() for stance in seeker_stances(item.dialogue, item.persona)]
    counts = Counter(stance.stance for stance in stances)
    assert counts[Stance.CONTRADICTED] == 0
    assert counts[Stance.SUPPORTED] > len(stances) / 2


@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        ("At thirty-four that must be hard.", "thirty-four"),
        ("A 34-year-old deserves better.", "34"),
        ("As a nurse you see a lot.", "As a nurse"),
        ("Does your brother know?", "your brother"),
        ("And Zorblat's plans?", "Zorblat's"),
        ("Is Quxville far from here?", "Quxville"),
    ],
)
def test_a_fact_nobody_said_is_a_leak(text: str, evidence: str) -> None:
    assert evidence in [words for _, words in leaks_in(text, ["Hello.", "Hi there."], FACTS)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Does your brother know?", "My brother sold it."),
        ("Does your sister know?", ""),
        ("My brother once sold my bicycle, and I raged.", ""),
        ("Is it your mother?", ""),
        ("Take five minutes, one at a time, today.", ""),
        ("Ask a nurse at the desk.", ""),
        ("Did Zorblat call?", "my zorblats are gone. zorblat called"),
        ("Thirty-four is young.", "i'm 34"),
        ("You sound bewildered and full of rancour.", ""),
    ],
)
def test_what_was_said_or_is_everyday_talk_is_no_leak(text: str, said: str) -> None:
    assert leaks_in(text, [said] if said else [], FACTS) == []


def test_durations_of_a_proposal_are_the_supporters_own() -> None:
    facts = persona_facts(persona(description="I waited twenty minutes. On Friday, at nine, he left forty cakes."))
    assert leaks_in("Maybe you could take twenty minutes on Friday, at nine.", [], facts) == []
    assert leaks_in("Those twenty minutes were long for you.", [], facts) != []
    assert leaks_in("Maybe you could count the forty cakes.", [], facts) != []


def test_parents_imply_a_mother_and_a_city_its_country() -> None:
    facts = persona_facts(persona(description="My mother shouts.", event_location="Pune, India"))
    assert leaks_in("Your mother lives in India.", ["My parents are in Pune."], facts) == []
    assert {fact.text for fact, _ in leaks_in("Your mother lives in India.", [], facts)} == {"My mother", "India"}


@pytest.mark.parametrize("identifier", sorted(DEMONSTRATIONS)[::7])
def test_what_was_said_before_never_leaks_and_more_talk_never_adds_a_leak(identifier: str) -> None:
    item = DEMONSTRATIONS[identifier]
    facts = persona_facts(item.persona)
    texts = [turn.text for turn in item.dialogue.turns]
    story = item.persona.description
    assert leaks_in(story, [story], facts) == []
    counts = [len(leaks_in(story, texts[:at], facts)) for at in range(len(texts))]
    assert counts == sorted(counts, reverse=True)


@pytest.mark.parametrize(
    ("about", "text", "field"),
    [
        (persona(), "I am 52 and tired.", "age"),
        (persona(), "I'm fifty-two, you know.", "age"),
        (persona(), "I'm a 52-year-old woman.", "age"),
        (persona(), "I’m in my fifties.", "age"),
        (FAMILY, "As a mother I worry.", "gender"),
        (FAMILY, "I'm a woman of few words.", "gender"),
        (persona(), "I am a man, after all.", "gender"),
        (persona(), "I work as a driver.", "occupation"),
        (persona(), "I'm a driver, so I sit all day.", "occupation"),
        (persona(), "I have no brother.", "description"),
        (persona(), "I'm an only child.", "description"),
        (FAMILY, "I have three brothers.", "description"),
        (FAMILY, "My three brothers live with me.", "description"),
        (FAMILY, "My daughter is nine.", "description"),
        (FAMILY, "I don't have a wife.", "description"),
        (FAMILY, "My husband never listens.", "description"),
        (FAMILY, "We have been married for five years.", "description"),
        (FAMILY, "I owe the bank 3,000 dollars.", "description"),
    ],
)
def test_plain_contradictions_are_named(about: Persona, text: str, field: str) -> None:
    stance = stance_of(text, about, turn=3)
    assert (stance.turn, stance.stance, stance.field) == (3, Stance.CONTRADICTED, field)
    assert stance.fact
    assert stance.evidence
    assert stance.evidence in text


@pytest.mark.parametrize(
    "text",
    [
        "I feel like I'm 80.", "She said I'm fifty-two.", "I'm 20 minutes late.", "When I'm fifty, I want to sail.",
        "I was 19, he was 20.", "I'm seventeen, inside.", "In ten years I'm fifty.", "I'm 100% sure.",
        "My father, as a man of God, forgave.", "I wish I was a man.", "I'm like a father to him.",
        "I'm not a driver.", "My brother works as a driver.", "I used to work as a driver.", "Am I a driver, or what?",
        "To them I'm a cook, a cleaner, a driver.", "He thinks I'm a lawyer.", "I have no friends.",
        "I have no brother-in-law.", "My wife's brother has three brothers.",
    ],
)  # fmt: skip
@pytest.mark.parametrize("about", [persona(), FAMILY], ids=["nurse", "engineer"])
def test_a_doubtful_contradiction_is_none(text: str, about: Persona) -> None:
    assert stance_of(text, about).stance is not Stance.CONTRADICTED


@pytest.mark.parametrize(
    ("text", "field", "evidence"),
    [
        ("My brother Zorblat sold the house.", "description", "Zorblat sold"),
        ("Flimbury stays silent.", "attempts", "Flimbury"),
        ("I'm thirty-four.", "age", "I'm thirty-four"),
        ("I feel bewildered.", "emotions", "bewildered"),
    ],
)
def test_a_told_fact_is_supported_and_named(text: str, field: str, evidence: str) -> None:
    stance = stance_of(text, persona())
    assert (stance.stance, stance.field, stance.evidence) == (Stance.SUPPORTED, field, evidence)


@pytest.mark.parametrize("text", ["Hello there.", "Thank you, that helps a lot.", "I don't know.", "…"])
def test_talk_without_a_claim_is_neutral(text: str) -> None:
    stance = stance_of(text, persona())
    assert (stance.stance, stance.field, stance.fact, stance.evidence) == (Stance.NEUTRAL, None, None, "")


def test_disclosure_grows_and_says_when() -> None:
    talk = Dialogue(
        id="d",
        turns=(
            seeker("Hello."), supporter("Zorblat and Quxville, I hear."),
            seeker("I'm 34, a nurse in Quxville."), supporter("Go on."),
            seeker("My brother Zorblat sold our house."), supporter("Oh."),
        ),
    )  # fmt: skip
    told = disclosure(talk, persona())
    assert told.shares[0] == 0 < told.shares[1] < told.shares[2] <= 1
    assert told.first_turn["age"] == told.first_turn["occupation"] == told.first_turn["event_location"] == 3
    assert told.first_turn["question"] == 5
    assert "attempts" not in told.first_turn


def test_demonstrations_disclose_gradually() -> None:
    for item in DEMONSTRATIONS.values():
        shares = disclosure(item.dialogue, item.persona).shares
        assert len(shares) == sum(turn.speaker is Speaker.SEEKER for turn in item.dialogue.turns)
        assert list(shares) == sorted(shares)
        assert shares[0] < 0.3 < shares[-1] <= 1


def test_a_persona_with_provenance_has_the_same_facts() -> None:
    made = persona(provenance=Provenance(mode="two", seed=1, lms={"seeker": "a/b"}))
    assert persona_facts(made) == FACTS


@given(st.integers(2, 9), st.integers(2, 9))
def test_numbers_in_words_equal_figures(tens: int, ones: int) -> None:
    names = ["two", "three", "four", "five", "six", "seven", "eight", "nine"]
    high = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
    spelt = f"{high[tens - 2]}-{names[ones - 2]} cakes"
    number = read(spelt).numbers[0]
    assert (number.value, number.units) == (10 * tens + ones, read(f"{10 * tens + ones} cakes").numbers[0].units)


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ("half past three", 3.5, "clock"), ("at 6:30", 6.5, "clock"), ("five million dong", 5e6, "count"),
        ("five hundred thousand", 5e5, "count"), ("1,900 pesos", 1900, "count"), ("a rating of 4.3", 4.3, "count"),
        ("last Friday", 17, "date"), ("in March", 3, "date"), ("in 2019", 2019, "year"), ("the tenth", 10, "ordinal"),
        ("one hundred and five goats", 105, "count"),
    ],
)  # fmt: skip
def test_quantities_are_read(text: str, value: float, kind: str) -> None:
    assert [(number.value, number.kind) for number in read(text).numbers] == [(value, kind)]


@given(st.text(max_size=200), st.lists(st.text(max_size=80), max_size=4))
def test_any_text_can_be_judged(text: str, said: list[str]) -> None:
    assert leaks_in(text, [*said, text], FACTS) == []
    assert stance_of(text, persona()).stance in Stance
    assert stem(text) == stem(text.lower())


def test_a_call_takes_less_than_two_milliseconds(capsys: pytest.CaptureFixture[str]) -> None:
    calls, start = 0, time.perf_counter()
    for item in DEMONSTRATIONS.values():
        facts, said = persona_facts(item.persona), list[str]()
        for turn in item.dialogue.turns:
            if turn.speaker is Speaker.SUPPORTER:
                leaks_in(turn.text, said, facts)
            else:
                stance_of(turn.text, item.persona)
            said.append(turn.text)
            calls += 1
    spent = (time.perf_counter() - start) / calls * 1000
    with capsys.disabled():
        print(f"\n{spent:.2f} ms a call")
    assert spent < 20  # a shared machine may be slow; 2 ms is what we aim for
