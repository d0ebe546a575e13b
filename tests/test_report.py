"""The report as a command: what is on the page, that nothing on it is active or fetched, what it says is missing."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from finetune.record import DataRecord, TrainingRecord
from finetune.settings import TrainingSettings
from metrics.verdicts import CheckVerdict, Rule
from socialsim.checking import DialogueChecks
from socialsim.journal import Journal, write_atomically
from socialsim.reporting.corpus import read_corpus
from socialsim.runfolder import Manifest, Settings, read_dialogue_records
from socialsim.schema import Dialogue, Flag, Persona, Provenance, Rejection, Scenario, Speaker, Turn
from tests import samples
from tests.browser import browser
from tests.command import socialsim
from tests.runs import fabricate
from tests.verdicts import write_verdicts

DATA = Path(os.environ.get("SOCIALSIM_SHARED", Path(__file__).parents[2] / "shared")) / "data"
HOSTILE = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">&amp;"
ACTIVE = {"script", "img", "link", "iframe", "object", "embed", "base", "form", "image", "foreignobject"}


class Elements(HTMLParser):
    """What a browser would make of a page: its elements, their attributes, its text."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.said = ""
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.said += data


def report(run: Path, *more: object) -> Elements:
    """The page on a run, without embeddings, which take seconds."""
    ended = socialsim("report", run, "--embed", 0, *more)
    assert ended.code == 0, ended.err
    line = next(line for line in ended.out.splitlines() if line.startswith("Report: "))
    return Elements(Path(line.removeprefix("Report: ")))


def hostile_run(folder: Path) -> Path:
    """A run with HTML in every text that is free."""
    free = ("question", "description", "attempts", "goals", "situation", "event_time", "event_location")
    people = [
        samples.persona(id=f"{HOSTILE}{number}", emotions=(HOSTILE,), event_participants=HOSTILE)
        .model_copy(update=dict.fromkeys(free, HOSTILE))
        for number in range(2)
    ]  # fmt: skip
    flag = Flag(kind=HOSTILE, detail=HOSTILE)
    thought = samples.supporter(HOSTILE, "Exploration#Question", situation=HOSTILE, thought=HOSTILE, action=HOSTILE)
    raw = samples.supporter("x", "Action#Share Information", purpose=HOSTILE, raw=HOSTILE)
    turns = (samples.seeker(HOSTILE).model_copy(update={"flags": (flag,)}), thought, samples.seeker(HOSTILE), raw)
    signed = Provenance(mode=HOSTILE, seed=0, lms={HOSTILE: HOSTILE}, checks={HOSTILE: 1.0, str(Rule.FORMAT): 0.5})
    with (
        Journal(folder / "scenarios.jsonl", Scenario) as scenarios,
        Journal(folder / "personas.jsonl", Persona) as personas,
        Journal(folder / "dialogues.jsonl", Dialogue) as dialogues,
        Journal(folder / "rejected.jsonl", Rejection) as rejected,
    ):
        scenarios.append(samples.scenario(id=HOSTILE, description=HOSTILE, question=HOSTILE))
        rejected.append(Rejection(id=HOSTILE, stage="intake", reason=HOSTILE, detail=HOSTILE, trace=(HOSTILE,)))
        for one in people:
            personas.append(one)
            made = Dialogue(id=one.id, turns=turns, persona_id=one.id, flags=(flag,), provenance=signed)
            dialogues.append(made)
    settings = Settings(seed=0, mode=HOSTILE, lms={HOSTILE: HOSTILE}, programs={HOSTILE: HOSTILE})
    manifest = Manifest(versions={HOSTILE: HOSTILE}, settings=settings, inputs=(HOSTILE,))
    write_atomically(folder / "manifest.json", manifest.model_dump_json())
    write_verdicts(folder / "verdicts" / "rubric-x.jsonl", read_dialogue_records(folder), 2, judge=HOSTILE)
    return folder


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "<img src=x onerror=alert(1)>"
    report(hostile_run(folder))
    return folder / "report.html"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fabricate(tmp_path_factory.mktemp("runs") / "mine", 12)


@pytest.fixture(scope="module")
def page(run: Path) -> Elements:
    return report(run)


def test_no_text_becomes_an_element_or_an_attribute(hostile: Path) -> None:
    page = Elements(hostile)
    assert not page.tags.keys() & ACTIVE
    assert not [name for _, name, _ in page.attributes if name.startswith("on") or name in {"src", "srcset", "action"}]
    assert page.said.count(HOSTILE) > 40
    assert "<script" not in hostile.read_text(encoding="utf-8")


def test_the_page_reaches_for_nothing(hostile: Path) -> None:
    page = Elements(hostile)
    assert all(value.startswith("#") for _, name, value in page.attributes if name.endswith("href"))
    text = hostile.read_text(encoding="utf-8")
    assert "http:" not in text
    assert "https:" not in text
    assert "@import" not in text
    assert not [value for value in text.split("url(")[1:] if not value.startswith("#")]
    policy = next(value for tag, name, value in page.attributes if tag == "meta" and "default-src" in value)
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline';")


def test_names_of_files_are_plain_whatever_the_run_is_called(hostile: Path) -> None:
    names = [file.name for file in (hostile.parent / "report-figures").iterdir()]
    assert "figure4-img-src-x-onerror-alert-1.svg" in names
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.") for name in names)
    assert {Path(name).suffix for name in names} == {".svg", ".png"}


def test_ids_on_the_page_are_unique_and_every_figure_is_named(hostile: Path) -> None:
    page = Elements(hostile)
    ids = Counter(value for _, name, value in page.attributes if name == "id")
    assert [name for name, times in ids.items() if times > 1] == []
    named = {part for _, name, value in page.attributes if name == "aria-labelledby" for part in value.split()}
    assert named <= set(ids)
    assert page.tags["svg"] == page.tags["figure"] > 10


def test_nothing_runs_and_nothing_is_fetched_in_a_browser(hostile: Path) -> None:
    asked: list[str] = []
    troubles: list[str] = []
    with browser() as chromium:
        context = chromium.new_context(viewport={"width": 390, "height": 844})
        context.set_offline(True)
        context.route("http*://**", lambda route: route.abort())
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(hostile.as_uri())
        title = page.title()
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        wide = page.evaluate("document.documentElement.scrollWidth")
        images = page.evaluate("document.images.length + document.scripts.length")
        inks = []
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            inks.append(page.evaluate("getComputedStyle(document.querySelector('figure svg text')).fill"))
    assert asked == [hostile.as_uri()]
    assert troubles == []
    assert title.startswith("Report on <img")
    assert images == 0
    assert wide <= 390
    assert inks[0] != inks[1]


def test_the_page_holds_the_tables_and_figures_of_a_run(run: Path, page: Elements) -> None:
    assert "Table 1: corpus statistics" in page.said
    assert all(f"Figure {number}, mine" in page.said for number in ("3", "4", "5", "6a", "7"))
    assert "mine: intake" in page.said
    assert "3 of 12 dialogues of mine, drawn by chance (seed 0)." in page.said
    assert page.tags["article"] == 3
    figures = {file.stem for file in (run / "report-figures").glob("*.png")}
    assert {"figure3-mine", "figure4-mine", "figure5-flows-mine", "figure6a-mine", "control-rules"} <= figures
    assert len([name for name in figures if name.startswith("figure7-")]) == 9


def test_what_is_missing_is_named_with_the_command_that_gets_it(run: Path, page: Elements) -> None:
    assert f"mine is not judged. Get it with socialsim judge {run} --judge-lm SPEC" in page.said
    assert "no sentence was embedded. Get it with socialsim report … --embed 24" in page.said


def test_a_corpus_that_names_nothing_is_compared_without_guesses(run: Path, tmp_path: Path) -> None:
    plain = [{"content": [{"User": "I am sad."}, {"AI": "Why?"}]}]
    (tmp_path / "plain.json").write_text(json.dumps(plain))
    page = report(run, "--compare", tmp_path / "plain.json", "--out", tmp_path / "out")
    assert "plain.json names no strategy." in page.said
    assert "plain.json comes without personas; a run folder has them." in page.said
    assert f"socialsim check {tmp_path}/plain.json --out {tmp_path}/plain.json.checks.jsonl" in page.said
    assert not list((tmp_path / "out" / "report-figures").glob("*plain*"))


def test_verdicts_and_checks_are_shown_where_they_were_made(tmp_path: Path, page: Elements) -> None:
    folder = fabricate(tmp_path / "mine", 4)
    dialogues = list(read_dialogue_records(folder))
    other = dialogues[3].model_copy(update={"turns": (Turn(speaker=Speaker.SEEKER, text="Other words."),)})
    write_verdicts(folder / "verdicts" / "rubric-x.jsonl", [*dialogues[:3], other], 1)
    checks = DialogueChecks(id="a", verdicts=(CheckVerdict(rule=Rule.FORMAT, score=0.25, turn=1),))
    (folder / "checks.jsonl").write_text(checks.model_dump_json() + "\n")
    shown = report(folder, "--out", tmp_path).said
    assert "Judge made-up/judge, not calibrated against people" in shown
    assert "is not judged" not in shown
    assert shown.partition("± between dialogues")[0].rpartition("mine")[2].strip() == "1.00" * 6
    assert "dialogues" + "3" * 6 in shown  # the verdict on other words is not counted
    assert "mine: 1 dialogues checked (checks.jsonl), mean over turns" in shown
    assert "0.250" in shown
    assert "noted while it was written" not in shown
    assert "mine: noted while it was written, mean over dialogues" in page.said


def test_a_run_that_was_killed_is_counted_from_its_journals(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "killed", 3)
    (folder / "manifest.json").unlink()
    with (folder / "dialogues.jsonl").open("ab") as file:
        file.write(b'{"id": "half')
    page = report(folder)
    assert "3 of 3 dialogues of killed" in page.said
    assert "wall time" in page.said
    assert "not noted" in page.said


def student(folder: Path, losses: list[float]) -> Path:
    folder.mkdir()
    data = DataRecord(source=HOSTILE, sha256="0", dialogues=4, replies=9)
    TrainingRecord(settings=TrainingSettings(base="b"), variant=None, data=data, held_out=(30.0, 20.5)).write(folder)
    with (folder / "loss.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("step", "epoch", "loss", "learning_rate", "held_out"))
        writer.writerows((step, step / 2, loss, 0.01, "") for step, loss in enumerate(losses, 1))
    return folder


def test_loss_curves_of_students_are_shown(run: Path, tmp_path: Path) -> None:
    folder = student(tmp_path / "tuned", [3.5, 2.25])
    page = report(run, "--student", folder, "--out", tmp_path / "out")
    assert "30.00 → 20.50" in page.said
    assert "training loss from 3.500 to 2.250 nats a token" in page.said
    assert (tmp_path / "out" / "report-figures" / "loss-tuned.svg").is_file()


def test_a_folder_that_is_no_student_and_a_broken_curve_are_named(run: Path, tmp_path: Path) -> None:
    assert "holds no training.json" in socialsim("report", run, "--embed", 0, "--student", tmp_path).problem
    folder = student(tmp_path / "tuned", [1.0])
    (folder / "loss.csv").write_text("step,epoch\nx,y\n")
    assert f"{folder}/loss.csv: not a loss curve" in socialsim("report", run, "--embed", 0, "--student", folder).problem


def test_the_page_goes_where_it_is_told(run: Path, tmp_path: Path) -> None:
    report(run, "--out", tmp_path / "a.html", "--samples", 0)
    assert (tmp_path / "a.html").is_file()
    assert (tmp_path / "a-figures" / "figure4-mine.png").is_file()
    (tmp_path / "file").write_text("mine")
    assert "name another --out" in socialsim("report", run, "--out", tmp_path / "file").problem
    assert (tmp_path / "file").read_text() == "mine"


def test_what_cannot_be_shown_is_one_line(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "named twice" in socialsim("report", run, "--compare", run).problem
    assert "no dialogues.jsonl" in socialsim("report", tmp_path).problem
    assert "no such file" in socialsim("report", tmp_path / "none.json").problem
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert socialsim("report", run).problem == "a report needs jinja2; run: pip install 'socialsim[report]'"


def test_the_drawn_dialogues_depend_on_the_seed_alone_and_stay_whole(run: Path) -> None:
    def drawn(seed: int) -> list[str]:
        return [one.id for one in read_corpus("a", "a", run, samples=2, seed=seed).samples]

    assert drawn(1) == drawn(1)
    assert len({tuple(drawn(seed)) for seed in range(9)}) > 3
    corpus = read_corpus("a", "a", run, samples=12)
    assert corpus.samples == tuple(read_dialogue_records(run))
    for whole, slim in zip(corpus.samples, corpus.dialogues, strict=True):
        assert [turn.strategies for turn in whole.turns] == [turn.strategies for turn in slim.turns]
        assert not any(turn.reasoning and turn.reasoning.situation for turn in slim.turns)


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data in {DATA}")
def test_esconv_stands_beside_a_run_or_alone(run: Path, tmp_path: Path) -> None:
    page = report(run, "--compare", DATA / "esconv_dev.json", "--out", tmp_path)
    assert "Figure 4, esconv_dev.json" in page.said
    assert "mine and esconv_dev.json: how far apart" in page.said
    alone = report(DATA / "esconv_dev.json", "--out", tmp_path / "alone.html", "--samples", 1)
    assert "Figure 5, esconv_dev.json" in alone.said
    assert alone.tags["article"] == 1
