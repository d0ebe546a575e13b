"""Sections to HTML. Every text is escaped; only figures, which this project draws, go in as they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from socialsim.render import persona_text, reasoning_lines
from socialsim.report.blocks import Drawn, Section
from socialsim.report.figures.style import embedded
from socialsim.schema import Persona

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        about: a line on what it is and who made it.
        figures: name of the folder beside it that holds the figures.
    """

    title: str
    about: str
    sections: tuple[Section, ...]
    figures: str


def render(page: Page) -> str:
    """The page as one HTML file that needs nothing else."""
    text = _template().render(page=page)
    return text.encode("utf-8", "replace").decode()  # the name of a file may be no Unicode text


@lru_cache(maxsize=1)
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).parent
    env = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {"svg": _svg, "persona": _persona_lines, "thought": reasoning_lines}
    return env.get_template("report.html")


def _svg(drawn: Drawn) -> Markup:
    from markupsafe import Markup

    return Markup(embedded(drawn.picture.svg, drawn.name, drawn.title, drawn.about))


def _persona_lines(persona: Persona) -> list[tuple[str, str]]:
    parts = (line.partition(": ") for line in persona_text(persona).splitlines())
    return [(label, value) if colon else ("", label) for label, colon, value in parts]
