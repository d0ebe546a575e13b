"""The numbers behind each figure, worked out by hand, and what a figure becomes on a page."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from metrics.coverage import coverage
from metrics.flows import Flow, flows, transitions
from metrics.strategy import strategy_use
from metrics.topics import topic_counts
from metrics.verdicts import Rule
from socialsim.report.blocks import Drawn, grid_of, slug
from socialsim.report.figures.flows import bands, flows_figure, transitions_figure
from socialsim.report.figures.lines import coverage_figure
from socialsim.report.figures.rules import rules_figure
from socialsim.report.figures.strategies import strategy_figure
from socialsim.report.figures.style import INK, PAPER, Sheet, embedded, points
from socialsim.report.figures.topics import published_shares, subtopics_figures, topics_figure
from socialsim.schema import Dialogue, Persona, Speaker
from socialsim.taxonomy import SUBTOPICS, Strategy, Topic, canonical_subtopics
from tests.samples import dialogue, persona, seeker, supporter

Q, RF, PS = "Exploration#Question", "Comforting#Reflection of Feelings", "Action#Providing Suggestions"
HOSTILE = "<script>alert(1)</script>$x^2$"
WORK = persona(id="p2", topic=Topic.WORK, subtopics=("Work Stress", "Family Trauma"))
PERSONAS = (persona(), WORK, persona(id="p3"))


def cells(drawn: Drawn, table: int = 0) -> dict[str, tuple[str, ...]]:
    """A figure's numbers: name of the row to its other cells."""
    return {line.cells[0]: line.cells[1:] for line in drawn.numbers[table].lines}


def texts(svg: str) -> list[str]:
    """What is written in a figure."""
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_topics_count_a_persona_once_and_its_subtopics_each() -> None:
    found = topic_counts(PERSONAS)
    assert (found.personas, found.topics[Topic.FAMILY], found.topics[Topic.WORK], found.topics[Topic.STUDY]) == (
        3,
        2,
        1,
        0,
    )
    assert found.under(Topic.FAMILY)[:2] == [("Family Trauma", 3), ("Family Relations", 2)]
    assert found.subtopics["Work Stress"] == 1
    assert sum(found.subtopics.values()) == 6


def test_figure_3_ranks_topics_and_names_their_commonest_subtopics() -> None:
    drawn = topics_figure("mine", "mine", topic_counts(PERSONAS))
    assert cells(drawn)["Family"] == ("2", "66.7%")
    assert cells(drawn)["Study"] == ("0", "0.0%")
    said = texts(drawn.picture.svg)
    assert said.index("Family") < said.index("Work") < said.index("Study")
    assert "Family\xa0Trauma\xa03, Family\xa0Relations\xa02" in said


def test_figure_7_has_every_subtopic_beside_the_published_share() -> None:
    drawn = subtopics_figures("mine", "mine", topic_counts(PERSONAS))
    assert [one.name for one in drawn] == [f"figure7-{slug(topic)}-mine" for topic in Topic]
    family = cells(drawn[list(Topic).index(Topic.FAMILY)])
    assert set(family) == set(canonical_subtopics(Topic.FAMILY))
    assert family["Family Relations"] == ("2", "66.7%", "10.4%")  # 336 of 3,229 in the paper


def test_the_published_counts_add_up_to_those_of_the_paper() -> None:
    shares = published_shares()
    assert round(sum(shares.values()) * 3229) == 6640
    assert set(shares) == {name for topic in SUBTOPICS for name in canonical_subtopics(topic)}


def test_figure_4_shows_shares_by_quarter() -> None:
    # four exchanges: each quarter holds one supporter turn
    drawn = strategy_figure("mine", "mine", strategy_use([dialogue(4, Q, Q, RF, PS)]))
    rows = cells(drawn)
    assert rows["Question"] == ("50.0%", "100.0%", "100.0%", "0.0%", "0.0%")
    assert rows["Providing Suggestions"] == ("25.0%", "0.0%", "0.0%", "0.0%", "100.0%")
    assert "1st quarter: mostly Question (100%)" in drawn.about
    assert {"Qu", "RF", "PS"} <= set(texts(drawn.picture.svg))


def test_flows_fill_each_column_and_keep_a_strategy_together() -> None:
    one = Flow((Strategy.QUESTION, Strategy.SUGGESTIONS), 3, 0.75)
    other = Flow((Strategy.SUGGESTIONS, Strategy.QUESTION), 1, 0.25)
    first, second = bands([other, one])
    assert [(band.strategy, band.top, band.bottom) for band in first] == [
        (Strategy.SUGGESTIONS, 0.75, 1.0),
        (Strategy.QUESTION, 0.0, 0.75),
    ]
    assert [(band.top, band.bottom) for band in second] == [(0.0, 0.25), (0.25, 1.0)]


def test_figure_5_names_the_commonest_flow_and_what_follows_what() -> None:
    said = [dialogue(6, Q, Q, RF, PS, PS, PS)]
    drawn = flows_figure("mine", "mine", flows(said), flows(said, collapse=True))
    assert drawn.numbers[0].lines[0].cells == ("Qu → Qu → RF → PS → PS", "1", "50.0%")
    matrix = cells(transitions_figure("mine", "mine", transitions(said)))
    assert matrix["Question (Qu)"] == ("50%", "0%", "50%", "0%", "0%", "0%", "0%", "0%", "2")
    assert matrix["Providing Suggestions (PS)"][-1] == "2"


def test_figure_6_shows_the_own_persona_and_the_control() -> None:
    one = Dialogue(id="d", persona_id="p1", turns=(seeker("Zorblat sold our house"), supporter("Krumple")))
    other = persona(id="p2", description="Krumple burnt", question="Why?", attempts="a", goals="b")
    people: dict[str, Persona] = {"p1": persona(), "p2": other}
    found = coverage([one], people)
    drawn = coverage_figure("mine", "mine", "6a", "word overlap", found.overlap, found)
    assert cells(drawn)["all"] == ("1.00", "0.00", "0.00", "1.00")
    assert "seeker: 1.00 with the own persona, 0.00 with others" in drawn.about
    assert {"seeker, own persona", "seeker, others (control)"} <= set(texts(drawn.picture.svg))
    assert found.overlap[Speaker.SEEKER].bins[5].own == 1.0


def test_the_rules_figure_prints_the_first_corpus_scores() -> None:
    drawn = rules_figure({"mine": {Rule.FORMAT: 0.25}, "other": {Rule.FORMAT: 1.0}}, ())
    said = texts(drawn.picture.svg)
    assert "0.25" in said
    assert "other" in said
    assert "1.00" not in said


def test_a_name_that_xml_cannot_hold_is_drawn_with_marks() -> None:
    drawn = rules_figure({"a\x01b\udcffc": {Rule.FORMAT: 0.5}}, ())
    assert "a?b?c" in texts(drawn.picture.svg)


def hostile_figures() -> list[Drawn]:
    counts, use = topic_counts(PERSONAS), strategy_use([dialogue(6, Q, RF, PS)])
    said = [dialogue(6, Q, Q, RF, PS, PS, PS)]
    return [
        topics_figure(HOSTILE, "k", counts),
        subtopics_figures(HOSTILE, "k", counts)[0],
        strategy_figure(HOSTILE, "k", use),
        flows_figure(HOSTILE, "k", flows(said), flows(said, collapse=True)),
        rules_figure({HOSTILE: {Rule.FORMAT: 0.5}}, ()),
    ]


def test_a_figure_on_a_page_is_valid_holds_no_address_and_escapes_names() -> None:
    for drawn in hostile_figures():
        page = embedded(drawn.picture.svg, drawn.name, drawn.title, drawn.about)
        root = ElementTree.fromstring(page)
        assert "<script" not in page
        assert "://" not in page
        assert "<style" not in page
        assert root.attrib["role"] == "img"
        assert root.find("title") is not None
        names = re.findall(r'\bid="([^"]+)"', page)
        assert all(name.startswith(drawn.name) for name in names)
        used = re.findall(r'(?:url\(#|href="#)([^")]+)', page)
        assert set(used) <= set(names)


def test_ink_and_paper_follow_the_page_and_text_stays_text() -> None:
    picture = Sheet(40).draw(lambda figure: points(figure).text(5, 20, "a $b$ word"))
    page = embedded(picture.svg, "f", "t", "a")
    assert "a $b$ word" in page
    assert "currentColor" in page
    assert "var(--paper)" in page
    assert INK not in page
    assert PAPER not in page
    assert picture.png.startswith(b"\x89PNG")


def test_a_figure_is_drawn_the_same_twice() -> None:
    one, other = (strategy_figure("a", "a", strategy_use([dialogue(4, Q, RF)])).picture for _ in range(2))
    assert one.svg == other.svg


def test_a_terminal_table_becomes_the_same_cells() -> None:
    from socialsim.report.table1 import corpus_size, table1

    size = corpus_size([dialogue(2)])
    assert size is not None
    grid = grid_of(table1({"[b]me[/b] :smile:": size}))
    assert grid.columns == ("", "[b]me[/b] :smile:", "SSConv*", "ESConv*")
    assert grid.lines[0].cells == ("# Sessions", "1", "3,229", "1,300")


def test_names_become_safe_and_distinct_file_names() -> None:
    assert slug("../../Ä <b>/ESConv.json") == "b-esconv-json"
    assert slug("a b", frozenset({"a-b", "a-b-2"})) == "a-b-3"
    assert slug("…") == "corpus"
