"""Topics with their commonest subtopics (Figure 3), and all subtopics (Figure 7)."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

from metrics.topics import TopicCounts
from socialsim.report.blocks import Drawn, Grid, Line, slug
from socialsim.report.figures.style import BLUE, INK, ORANGE, PAPER, WIDTH, Sheet, points
from socialsim.taxonomy import SUBTOPIC_TWINS, SUBTOPICS, Topic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOP: Final = 5  # subtopics of each topic in Figure 3
_ROW: Final = 17.0
_LEFT: Final = 168.0  # of the bars of Figure 7
_RIGHT: Final = WIDTH - 74.0

# Published in Figure 7 of the paper, in the order of `SUBTOPICS`: personas of 3,229.
_PERSONAS: Final = 3229
_COUNTS: Final[dict[Topic, tuple[int, ...]]] = {
    Topic.LOVE_PROBLEM: (362, 167, 134, 98, 92, 76, 56, 46, 38, 11, 10, 10),
    Topic.RELATIONSHIPS: (206, 195, 150, 149, 139, 116, 109, 44, 33, 29, 11),
    Topic.SELF_GROWTH: (218, 199, 164, 69, 58, 51, 46, 46, 28, 20, 8),
    Topic.FAMILY: (336, 260, 128, 100, 50, 23, 18, 14, 13),
    Topic.WORK: (84, 68, 67, 31, 18, 12, 10, 8),
    Topic.BEHAVIOR: (136, 83, 65, 53, 41, 35, 35, 20, 17, 17, 15, 13, 13, 11, 11, 10, 10, 3, 2, 1),
    Topic.EMOTION: (122, 110, 103, 99, 79, 76, 53, 52, 40, 12),
    Topic.MARRIAGE: (129, 113, 42, 40, 29, 23, 17, 16, 12, 10),
    Topic.STUDY: (83, 68, 57, 45, 44, 39, 38, 30, 25, 15),
}


def published_shares() -> dict[str, float]:
    """Share of SSConv's personas by canonical subtopic, as published; near-twins are added up."""
    shares: dict[str, float] = {}
    for topic, counts in _COUNTS.items():
        for name, count in zip(SUBTOPICS[topic], counts, strict=True):
            label = SUBTOPIC_TWINS.get(name, name)
            shares[label] = shares.get(label, 0.0) + count / _PERSONAS
    return shares


def topics_figure(name: str, key: str, found: TopicCounts) -> Drawn:
    """Figure 3 of a corpus.

    Args:
        name: the corpus as shown.
        key: the corpus in file names.
        found: its counts.
    """
    ranked = sorted(found.topics.items(), key=lambda item: -item[1])
    below = {topic: wrap(_commonest(found, topic), 64, break_on_hyphens=False) for topic, _ in ranked}
    height = sum(32 + 12 * len(lines) for lines in below.values()) + 4.0
    most = max(found.topics.values(), default=0) or 1

    def paint(figure: Figure) -> None:
        axes, y = points(figure), 2.0
        for topic, count in ranked:
            axes.text(4, y + 11, topic, weight="bold", fontsize=10)
            axes.text(WIDTH - 4, y + 11, f"{count:,} ({found.share(count):.1%})", ha="right", fontsize=9.5)
            axes.barh(y + 19, (WIDTH - 8) * count / most, left=4, height=7, color=BLUE)
            for number, line in enumerate(below[topic]):
                axes.text(4, y + 33 + 12 * number, line, fontsize=9)
            y += 32 + 12 * len(below[topic])

    first, count = ranked[0]
    return Drawn(
        f"figure3-{key}",
        f"Figure 3, {name}: topics and their commonest subtopics",
        f"Bars of the nine topics of {found.personas:,} personas. The commonest is {first} with {count:,}.",
        Sheet(height).draw(paint),
        (_topics_grid(name, found),),
        f"{found.personas:,} personas, one topic each; below each topic its {TOP} commonest subtopics.",
    )


def _commonest(found: TopicCounts, topic: Topic) -> str:
    # Spaces that do not break keep a subtopic and its count on one line.
    there = [f"{label} {count:,}".replace(" ", "\xa0") for label, count in found.under(topic)[:TOP] if count]
    return ", ".join(there) or "(no subtopic)"


def _topics_grid(name: str, found: TopicCounts) -> Grid:
    lines = [Line((topic, f"{count:,}", f"{found.share(count):.1%}")) for topic, count in found.topics.items()]
    return Grid(f"{name}: personas by topic", ("topic", "personas", "share"), tuple(lines))


def subtopics_figures(name: str, key: str, found: TopicCounts) -> list[Drawn]:
    """Figure 7 of a corpus, a figure a topic, all to one scale."""
    known = published_shares()
    most = max([*(found.share(count) for count in found.subtopics.values()), *known.values()])
    return [_subtopics(name, key, topic, found, most) for topic in Topic]


def _subtopics(name: str, key: str, topic: Topic, found: TopicCounts, most: float) -> Drawn:
    rows, known = found.under(topic), published_shares()

    def paint(figure: Figure) -> None:
        axes = points(figure)
        for number, (label, count) in enumerate(rows):
            _subtopic_row(axes, 4 + _ROW * (number + 0.5), label, count, found.share(count) / most, known[label] / most)

    lines = [Line((label, f"{count:,}", f"{found.share(count):.1%}", f"{known[label]:.1%}")) for label, count in rows]
    head = ("subtopic", "personas", "share", "SSConv*")
    return Drawn(
        f"figure7-{slug(topic)}-{key}",
        f"{topic} ({found.topics[topic]:,} personas)",
        f"Bars of the {len(rows)} subtopics of {topic} in {name}, beside the published shares of SSConv. "
        f"The commonest is {rows[0][0]} with {rows[0][1]:,} personas.",
        Sheet(_ROW * len(rows) + 8).draw(paint),
        (Grid(f"{name}: {topic}", head, tuple(lines), "* published in the paper"),),
    )


def _subtopic_row(axes: Any, y: float, label: str, count: int, share: float, published: float) -> None:
    for number, line in enumerate(lines := wrap(label, 31, break_on_hyphens=False)):
        axes.text(_LEFT - 6, y + 10 * (number - (len(lines) - 1) / 2), line, ha="right", va="center", fontsize=9)
    width = _RIGHT - _LEFT
    axes.barh(y, width * share, left=_LEFT, height=9, color=BLUE)
    axes.plot([_LEFT, _LEFT], [y - _ROW / 2, y + _ROW / 2], color=INK, linewidth=0.6)
    axes.plot(
        _LEFT + width * published,
        y,
        marker="D",
        markersize=4.5,
        color=PAPER,
        markeredgecolor=ORANGE,
        markeredgewidth=1.4,
    )
    axes.text(WIDTH - 4, y, f"{count:,}", ha="right", va="center", fontsize=9)
