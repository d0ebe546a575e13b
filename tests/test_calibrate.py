"""Calibration end to end: scripted judges on labelled dialogues, the card, the command."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import cyclopts
import dspy
import pytest

from metrics.agreement import CalibrationCard
from signatures.rubric import Dimension
from socialsim import scoring
from socialsim.adapter import CompactAdapter
from socialsim.ask import BadAnswer, RoleError
from socialsim.calibrating import calibrate, card_file, given_scores, judge_name
from socialsim.cli.calibrate import register
from socialsim.errors import InputError, LMError, UsageError
from socialsim.journal import Journal
from socialsim.labels import LabelledItem, Labels, labelled_items, read_labels, read_scores
from socialsim.lms import parse_spec
from socialsim.schema import Dialogue, Role, Turn
from socialsim.scoring import ItemVerdict, RubricScorer, Session, Verdict
from tests.samples import seeker, supporter
from tests.scripted import ScriptedLM, scripted_lm, user_text

pytest.importorskip("krippendorff", reason="needs socialsim[metrics]")

Answer = int | Exception | None
CORPUS = {f"d{number}": number % 4 for number in range(36)}  # dialogue id to what people gave it


def talk(name: str) -> Dialogue:
    turns: tuple[Turn, ...] = (seeker(f"I am number {name} and quite tired."), supporter(f"So you, {name}, are tired."))
    return Dialogue(id=name, turns=turns)


DIALOGUES = {name: talk(name) for name in CORPUS}


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text(
        "id,understanding,safety\n" + "".join(f"{name},{score},{score}\n" for name, score in CORPUS.items())
    )
    return path


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(dialogue.model_dump_json() + "\n" for dialogue in DIALOGUES.values()))
    return path


class Scripted:
    """A judge whose verdicts a function gives."""

    def __init__(self, verdict: Callable[[str, Dimension], Answer]) -> None:
        self._verdict = verdict
        self.asked: list[tuple[str, Dimension]] = []

    async def score(self, dialogue: Dialogue, dimension: Dimension) -> int | None:
        self.asked.append((dialogue.id, dimension))
        answer = self._verdict(dialogue.id, dimension)
        if isinstance(answer, Exception):
            raise answer
        return answer


def judged(judge: Scripted, labels: Labels, file: Path, **options: Any) -> dict[str, Verdict]:
    items = labelled_items(labels, DIALOGUES)
    with Journal(file, ItemVerdict) as journal:
        return Session(judge, "scripted", "abc", **options).judge(items, journal)


def card_of(rated: Labels, verdicts: dict[str, Verdict]) -> CalibrationCard:
    return calibrate(rated, verdicts, "scripted", "abc", resamples=200)


def test_a_judge_that_agrees_is_calibrated(labels: Path, tmp_path: Path) -> None:
    rated, judge = read_labels(labels), Scripted(lambda name, _: CORPUS[name])
    card = card_of(rated, judged(judge, rated, tmp_path / "v.jsonl"))
    assert card.calibrated
    assert (card.n, card.malformed, card.missing) == (36, 0, 0)
    assert list(card.dimensions) == ["understanding", "safety"]
    assert card.labels == "labels.csv"
    assert len(card.labels_sha256) == 64
    assert {"socialsim", "scipy", "krippendorff"} <= card.versions.keys()
    assert CalibrationCard.model_validate_json(card.model_dump_json()) == card


def test_only_what_people_rated_is_judged_once(labels: Path, tmp_path: Path) -> None:
    rated, judge = read_labels(labels).first(5), Scripted(lambda *_: 2)
    judged(judge, rated, tmp_path / "v.jsonl")
    assert len(judge.asked) == 10
    assert {dimension for _, dimension in judge.asked} == {Dimension.UNDERSTANDING, Dimension.SAFETY}
    again = Scripted(lambda *_: 3)
    verdicts = judged(again, rated, tmp_path / "v.jsonl")
    assert again.asked == []
    assert set(verdicts.values()) == {Verdict(2.0)}


def test_another_program_or_other_words_are_judged_anew(labels: Path, tmp_path: Path) -> None:
    rated, file = read_labels(labels).first(2), tmp_path / "v.jsonl"
    judged(Scripted(lambda *_: 2), rated, file)
    changed = [
        LabelledItem(talk(f"{item.dialogue.id}x").model_copy(update={"id": item.dialogue.id}), *item[1:])
        for item in labelled_items(rated, DIALOGUES)
    ]
    with Journal(file, ItemVerdict) as journal:
        other = Session(Scripted(lambda *_: 1), "scripted", "other").judge(labelled_items(rated, DIALOGUES), journal)
        rewritten = Session(Scripted(lambda *_: 0), "scripted", "abc").judge(changed, journal)
    assert set(other.values()) == {Verdict(1.0)}
    assert set(rewritten.values()) == {Verdict(0.0)}


def test_several_verdicts_an_item_become_their_mean(labels: Path, tmp_path: Path) -> None:
    answers: Iterator[Answer] = iter([0, 3, BadAnswer("no JSON"), 3] * 10)
    rated = read_labels(labels).first(2)
    verdicts = judged(Scripted(lambda *_: next(answers)), rated, tmp_path / "v.jsonl", samples=2, concurrency=1)
    assert list(verdicts.values()) == [Verdict(1.5), Verdict(3.0)] * 2


def test_a_judge_whose_every_verdict_is_malformed_scores_nothing(labels: Path, tmp_path: Path) -> None:
    rated = read_labels(labels)
    verdicts = judged(Scripted(lambda *_: BadAnswer("prose")), rated, tmp_path / "v.jsonl")
    card = card_of(rated, verdicts)
    assert set(verdicts.values()) == {Verdict(None, malformed=True)}
    assert (card.malformed, card.missing, card.calibrated) == (72, 0, False)
    assert all(found.n == 0 and found.spearman.value is None for found in card.dimensions.values())
    assert "prose" in (tmp_path / "v.jsonl").read_text()


def test_missing_and_malformed_verdicts_are_told_apart(labels: Path, tmp_path: Path) -> None:
    def verdict(name: str, dimension: Dimension) -> Answer:
        special: dict[str, Answer] = {"d0": None, "d1": BadAnswer("prose")}
        return special.get(name, CORPUS[name])

    rated = read_labels(labels)
    card = card_of(rated, judged(Scripted(verdict), rated, tmp_path / "v.jsonl"))
    found = card.dimensions["safety"]
    assert (found.n, found.malformed, found.missing) == (34, 1, 1)
    assert card.calibrated
    assert "verdicts left out: 2 malformed and 2 missing" in card.summary


def test_an_lm_that_is_down_stops_in_one_line_and_what_was_judged_is_kept(labels: Path, tmp_path: Path) -> None:
    from dspy.utils.exceptions import LMTransportError

    error = RoleError(Role.JUDGE, LMTransportError("connection refused"))
    rated, file = read_labels(labels).first(3), tmp_path / "v.jsonl"
    with pytest.raises(LMError, match=r"judge LM scripted: .*connection refused"):
        judged(Scripted(lambda name, _: error if name == "d1" else 2), rated, file, concurrency=1)
    again = Scripted(lambda *_: 2)
    judged(again, rated, file)
    assert ("d0", Dimension.UNDERSTANDING) not in again.asked


def test_a_dialogue_too_long_for_the_lm_is_missing(labels: Path, tmp_path: Path) -> None:
    from dspy.utils.exceptions import ContextWindowExceededError

    error = RoleError(Role.JUDGE, ContextWindowExceededError())
    judge, rated = Scripted(lambda name, _: error if name == "d1" else CORPUS[name]), read_labels(labels)
    card = card_of(rated, judged(judge, rated, tmp_path / "v.jsonl"))
    assert (card.missing, card.malformed) == (2, 0)


def test_scores_from_a_file_need_no_lm(labels: Path, tmp_path: Path) -> None:
    file = tmp_path / "machine.csv"
    file.write_text("id,dimension,score\nd0,safety,0\nd0,safety,3\nd3,safety,3\nelsewhere,safety,1\n")
    rated = read_labels(labels)
    verdicts = given_scores(rated, read_scores(file))
    assert verdicts["d0/safety"] == Verdict(1.5)
    assert verdicts["d1/safety"] == Verdict(None)
    assert len(verdicts) == 72
    card = card_of(rated, verdicts)
    assert card.dimensions["safety"].n == 2
    assert card.missing == 34 + 36


def test_several_raters_show_how_far_people_agree(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    rows = [
        f"{name},{who},safety,{min(3, score + extra)}"
        for name, score in CORPUS.items()
        for who, extra in (("a", 0), ("b", 1))
    ]
    file.write_text("id,rater,dimension,score\n" + "\n".join(rows) + "\n")
    rated = read_labels(file)
    found = calibrate(rated, {f"{name}/safety": Verdict(score) for name, score in CORPUS.items()}, "s").dimensions[
        "safety"
    ]
    assert found.raters == 2
    assert found.alpha.value is not None
    assert 0 < found.alpha.value < 1
    assert found.bias.value == pytest.approx(-3 / 8)


def answer_of(request: Any) -> dict[str, Any]:
    """A verdict that quotes the first utterance; understanding 3, everything else 0."""
    text = user_text(request)
    quote = text.split("1. Seeker: ")[1].splitlines()[0]
    score = 3 if "Understanding." in text else 0
    return {"discussion": "Short.", "evidence": [{"utterance": 1, "quote": quote}], "score": score}


async def test_the_rubric_judge_scores_the_dimension_it_is_asked_for() -> None:
    with dspy.context(lm=scripted_lm(answer_of), adapter=CompactAdapter()):
        scorer = RubricScorer()
        assert await scorer.score(talk("d1"), Dimension.UNDERSTANDING) == 3
        assert await scorer.score(talk("d1"), Dimension.SAFETY) == 0


# The command.


def command(*arguments: object) -> str:
    app, out = cyclopts.App(), io.StringIO()
    register(app)
    with redirect_stdout(out), pytest.MonkeyPatch.context() as patched:
        patched.setenv("COLUMNS", "80")
        app(["calibrate", *map(str, arguments)], exit_on_error=False, print_error=False, result_action="return_value")
    return out.getvalue()


@pytest.fixture
def lm(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ScriptedLM]:
    def bind(script: Any) -> ScriptedLM:
        made = scripted_lm(script)
        monkeypatch.setattr(scoring, "bind_lm", lambda *_: made)
        return made

    return bind


def test_the_command_judges_by_an_lm_and_leaves_a_card(
    labels: Path, corpus: Path, tmp_path: Path, lm: Callable[..., ScriptedLM]
) -> None:
    bound, out = lm(answer_of), tmp_path / "cards"
    options = (labels, "--corpus", corpus, "--judge-lm", "openai/gpt-test", "--out", out, "--limit", 31)
    said = command(*options)
    (file,) = out.glob("*.json")
    card = CalibrationCard.model_validate_json(file.read_bytes())
    assert file.name == "openai-gpt-test--labels.json"
    assert len(bound.requests) == 62
    assert (card.judge, card.n, card.malformed) == ("openai/gpt-test", 31, 0)
    assert len(card.program) == 12
    assert not card.calibrated
    assert "Not calibrated: cannot tell items apart: the judge gives one score only" in said
    assert all(len(line) <= 80 for line in said.splitlines() if line.startswith(("understanding", "safety")))
    command(*options)
    assert len(bound.requests) == 62


def test_a_card_on_fewer_dialogues_or_other_labels_replaces_none(
    labels: Path, corpus: Path, tmp_path: Path, lm: Callable[..., ScriptedLM]
) -> None:
    lm(answer_of)
    out, other = tmp_path / "cards", tmp_path / "other.csv"
    other.write_text(labels.read_text())
    options = ("--corpus", corpus, "--judge-lm", "openai/x", "--out", out)
    for rated, limit in ((labels, 5), (labels, 3), (labels, 6), (other, 2)):
        said = command(rated, *options, "--limit", limit)
        assert ("beside the card on more dialogues of labels.csv" in " ".join(said.split())) is (limit == 3)
    assert {card.name: json.loads(card.read_bytes())["n"] for card in out.glob("*.json")} == {
        "openai-x--labels.json": 6,
        "openai-x--labels--n3.json": 3,
        "openai-x--other.json": 2,
    }
    assert "openai-x--other.json" in said.replace("\n", "")


def test_another_judge_has_another_card(labels: Path, tmp_path: Path) -> None:
    rated = read_labels(labels)
    specs = ("openai/x", "openai/x?temperature=0", "openai/x?temperature=0.7", "openai/y")
    names = [judge_name(parse_spec(spec), program) for spec in specs for program in ("", "0123456789ab")]
    assert len({card_file(tmp_path, name, rated, 36) for name in names}) == len(names)
    assert all(re.fullmatch(r"[\w.-]+", name) for name in names)


def test_a_judge_lm_that_cannot_be_read_ends_in_one_line_with_its_card(
    labels: Path, corpus: Path, tmp_path: Path, lm: Callable[..., ScriptedLM]
) -> None:
    lm(lambda _: "I would say two.")
    with pytest.raises(LMError, match="gave no score: 4 malformed"):
        command(labels, "--corpus", corpus, "--judge-lm", "openai/x", "--out", tmp_path / "c", "--limit", 2)
    (card,) = (tmp_path / "c").glob("*.json")
    assert json.loads(card.read_bytes())["calibrated"] is False


def test_the_command_compares_scores_of_a_file(labels: Path, tmp_path: Path) -> None:
    scores = tmp_path / "machine.csv"
    scores.write_text(
        "id,understanding,safety\n" + "".join(f"{name},{4 * score / 3 + 1},5\n" for name, score in CORPUS.items())
    )
    said = command(labels, "--scores", scores, "--scores-scale", "1-5", "--out", tmp_path / "c")
    card = CalibrationCard.model_validate_json((tmp_path / "c" / "machine--labels.json").read_bytes())
    assert card.dimensions["understanding"].exact.value == 1
    assert card.dimensions["safety"].spearman.value is None
    assert not card.calibrated
    assert "safety (cannot tell items apart" in said


def test_the_command_says_what_is_missing(labels: Path, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--corpus"):
        command(labels, "--out", tmp_path / "c")
    (tmp_path / "other.csv").write_text("id,safety\nnowhere,1\n")
    with pytest.raises(InputError, match=r"other\.csv, line 2: no dialogue 'nowhere'"):
        command(tmp_path / "other.csv", "--corpus", corpus, "--out", tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_labels_that_hold_their_dialogues_need_no_corpus(corpus: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    file.write_text(json.dumps({"dialogue": json.loads(talk("d1").model_dump_json()), "safety": 2}))
    with pytest.raises(UsageError, match="leave it out"):
        command(file, "--corpus", corpus, "--out", tmp_path / "c")


def test_a_compiled_judge_must_be_one(labels: Path, corpus: Path, tmp_path: Path) -> None:
    state = tmp_path / "judge.json"
    state.write_text("[]")
    with pytest.raises(InputError, match=r"judge\.json"):
        command(labels, "--corpus", corpus, "--program", state, "--out", tmp_path / "c", "--judge-lm", "openai/x")
