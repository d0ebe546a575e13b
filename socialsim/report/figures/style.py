"""How figures look: colours that colour-blind people tell apart, a second sign beside each, ink that can change.

Colours are those of Okabe and Ito. What is ink or paper in a file becomes the page's own ink and paper where the
figure is part of a page, so that it follows the page into dark mode; text stays text.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from socialsim.errors import UsageError
from socialsim.taxonomy import Strategy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH: Final = 360.0  # points; a phone shows them one to one
INK: Final = "#15181c"
PAPER: Final = "#fdfdfc"
EDGE: Final = "#24282d"  # of boxes and hatches: dark on every page, since what they lie on is light on every page
BLUE: Final = "#0571b0"  # of lines and bars; lighter on a dark page
ORANGE: Final = "#d55e00"
GREEN: Final = "#009e73"
PURPLE: Final = "#cc79a7"
GREY: Final = "#8c8c8c"
_DPI: Final = 160


class Look(NamedTuple):
    """A strategy's colour, its hatch (for print without colour), and the ink of letters upon it."""

    colour: str
    hatch: str
    letters: str = "#000000"


LOOKS: Final[dict[Strategy, Look]] = {
    Strategy.QUESTION: Look("#0072b2", "", "#ffffff"),
    Strategy.RESTATEMENT: Look("#56b4e9", "//"),
    Strategy.REFLECTION: Look(GREEN, "||"),
    Strategy.SELF_DISCLOSURE: Look(PURPLE, "xx"),
    Strategy.AFFIRMATION: Look("#f0e442", "\\\\"),
    Strategy.SUGGESTIONS: Look("#e69f00", "++"),
    Strategy.INFORMATION: Look(ORANGE, "--"),
    Strategy.OTHERS: Look("#bbbbbb", ""),
}
SERIES: Final = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PURPLE, "D"), (GREY, "v"))  # colour and marker of a corpus

_RC: Final[Any] = {  # matplotlib types its keys one by one
    "font.family": "sans-serif", "font.size": 9.0, "svg.fonttype": "none", "svg.hashsalt": "socialsim",
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK,
    "figure.facecolor": PAPER, "axes.facecolor": "none", "savefig.facecolor": PAPER, "hatch.linewidth": 0.5,
    "axes.spines.top": False, "axes.spines.right": False, "axes.unicode_minus": False,
    "text.parse_math": False,  # a corpus may be called "$x$"
}  # fmt: skip


class Picture(NamedTuple):
    """A figure as files."""

    svg: str
    png: bytes


@dataclass(frozen=True)
class Sheet:
    """An empty figure; sizes are in points."""

    height: float
    width: float = WIDTH

    def draw(self, paint: Callable[[Figure], None]) -> Picture:
        """Let ``paint`` fill the figure, and give it as SVG and PNG.

        Raises:
            UsageError: if matplotlib is not installed.
        """
        try:
            from matplotlib import rc_context
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        except ImportError as error:
            raise UsageError("figures need matplotlib; run: pip install 'socialsim[report]'") from error
        # A name in a script that the font lacks is drawn as boxes in the PNG; the SVG leaves it to the reader's fonts.
        with rc_context(_RC), warnings.catch_warnings(action="ignore", category=UserWarning):
            figure = Figure(figsize=(self.width / 72, self.height / 72))
            FigureCanvasAgg(figure)
            paint(figure)
            svg, png = io.StringIO(), io.BytesIO()
            nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            figure.savefig(svg, format="svg", metadata=nothing)
            figure.savefig(png, format="png", dpi=_DPI)
        return Picture(svg.getvalue(), png.getvalue())


def points(figure: Figure) -> Any:
    """Axes without a frame that cover a figure: x in points from the left, y in points from the top."""
    width, height = (72 * float(inches) for inches in figure.get_size_inches())
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return axes


_HEAD = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_NAMESPACE = re.compile(r'\s+xmlns(?::\w+)?="[^"]*"')
_STYLE = re.compile(r"<style.*?</style>", re.DOTALL)
_FONT = re.compile(r"font: ([\d.]+px)[^;\"]*|font-family: [^;\"]*")
_ID = re.compile(r'(\bid="|xlink:href="#|url\(#)')
_LINK = "xlink:href"


def embedded(svg: str, name: str, title: str, about: str) -> str:
    """An SVG file as part of a page: no address in it, ids of its own, the page's ink, paper and font.

    Args:
        svg: the file.
        name: unique on the page.
        title: what a reader hears first.
        about: what the figure shows, for those who do not see it.
    """
    text = _STYLE.sub("", _HEAD.sub("", svg, count=1))
    head, tag, body = text.partition(">")
    head = re.sub(r' (?:width|height)="[^"]*"', "", _NAMESPACE.sub("", head))
    label = f' role="img" aria-labelledby="{name}-title {name}-about"'
    described = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-about">{escape(about)}</desc>'
    body = _ID.sub(rf"\g<1>{name}-", body).replace(_LINK, "href")
    body = _FONT.sub(lambda found: f"font-size: {found[1]}" if found[1] else "", body)
    body = body.replace(INK, "currentColor").replace(PAPER, "var(--paper)").replace(BLUE, "var(--blue)")
    return f"{head}{label}{tag}{described}{body}"
