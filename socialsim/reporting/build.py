"""Build a report: the page, and its figures as files beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from socialsim import __version__
from socialsim.errors import OutputError, UsageError
from socialsim.journal import write_atomically
from socialsim.report.blocks import Drawn, Section, slug
from socialsim.report.page.render import Page, render
from socialsim.reporting import drawings, tables
from socialsim.reporting.corpus import ReportCorpus, read_corpus

_SUFFIXES = (".html", ".htm")


@dataclass(frozen=True)
class ReportConfig:
    """What a report is about.

    Attributes:
        corpora: by the name they are shown by; the first is the subject, the others are compared with it.
        out: the page (a name that ends in .html), or a folder for it; None: in the run folder, or beside the file.
        students: folders of trainings, by name.
        samples: dialogues to show.
        embed: dialogues whose sentences are embedded for Figure 6b; 0 for none.
        seed: decides what is drawn by chance.
    """

    corpora: dict[str, Path]
    out: Path | None = None
    students: dict[str, Path] | None = None
    samples: int = 3
    embed: int = 24
    seed: int = 0

    @property
    def page(self) -> Path:
        """Where the page goes."""
        path = next(iter(self.corpora.values()))
        if self.out is None:
            return path / "report.html" if path.is_dir() else path.with_name(f"{path.name}.report.html")
        return self.out if self.out.suffix.lower() in _SUFFIXES else self.out / "report.html"

    @property
    def figures(self) -> Path:
        """The folder of the figures' files."""
        return self.page.with_name(f"{self.page.stem}-figures")


def build_report(config: ReportConfig, on_change: Callable[[str], None] = lambda _: None) -> Path:
    """Write the page and its figures.

    Args:
        config: what the report is about.
        on_change: told what is being done.

    Returns:
        The page.

    Raises:
        SocialSimError: in one line, where a corpus cannot be read, a library lacks or the disk refuses.
    """
    _check_libraries()
    _check_out(config)
    sections = []
    for what, section in _sections(config, on_change):
        on_change(f"writing {what}")
        if section is not None and section.blocks:
            sections.append(section)
            _write_figures(config.figures, section)
    text = render(Page(_title(config), _about(config), tuple(sections), config.figures.name))
    write_atomically(config.page, text)
    return config.page


def _check_libraries() -> None:
    from importlib.util import find_spec

    if lacking := [name for name in ("jinja2", "matplotlib") if find_spec(name) is None]:
        raise UsageError(f"a report needs {' and '.join(lacking)}; run: pip install 'socialsim[report]'")


def _check_out(config: ReportConfig) -> None:
    page = config.page
    if page.is_dir():
        raise OutputError(f"{page} is a folder; name another page with --out")
    try:
        config.figures.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{config.figures}: {error.strerror}; name another --out") from error


def _sections(config: ReportConfig, on_change: Callable[[str], None]) -> Iterator[tuple[str, Section | None]]:
    corpora: list[ReportCorpus] = []
    keys: list[str] = []
    for name, path in config.corpora.items():
        on_change(f"reading {name}")
        keys.append(slug(name, frozenset(keys)))
        corpora.append(read_corpus(name, keys[-1], path, 0 if corpora else config.samples, config.seed))
    makers: Sequence[tuple[str, Callable[[], Section | None]]] = (
        ("size", lambda: tables.corpora_section(corpora)),
        ("quality", lambda: tables.quality_section(corpora)),
        ("topics", lambda: drawings.topics_section(corpora)),
        ("subtopics", lambda: drawings.subtopics_section(corpora)),
        ("strategies", lambda: drawings.strategies_section(corpora)),
        ("persona coverage", lambda: drawings.coverage_section(corpora, config.embed, config.seed)),
        ("control rules", lambda: tables.rules_section(corpora)),
        ("rejections", lambda: tables.rejections_section(corpora)),
        ("cost", lambda: tables.cost_section(corpora)),
        ("training", lambda: drawings.training_section(_keyed(config.students or {}))),
        ("dialogues", lambda: drawings.samples_section(corpora[0], config.seed)),
    )
    for what, make in makers:
        on_change(f"measuring {what}")
        yield what, make()


def _keyed(students: dict[str, Path]) -> dict[str, tuple[str, Path]]:
    keys: list[str] = []
    for name in students:
        keys.append(slug(name, frozenset(keys)))
    return {name: (key, path) for key, (name, path) in zip(keys, students.items(), strict=True)}


def _title(config: ReportConfig) -> str:
    return f"Report on {next(iter(config.corpora))}"


def _about(config: ReportConfig) -> str:
    others = list(config.corpora)[1:]
    compared = f"Compared with {', '.join(others)}. " if others else ""
    return f"{compared}Made by socialsim {__version__} on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."


def _write_figures(folder: Path, section: Section) -> None:
    for drawn in (block for block in section.blocks if isinstance(block, Drawn)):
        write_atomically(folder / f"{drawn.name}.svg", drawn.picture.svg)
        file = folder / f"{drawn.name}.png"
        try:
            file.write_bytes(drawn.picture.png)
        except OSError as error:
            raise OutputError(f"{file}: {error.strerror}; make room, or name another --out") from error
