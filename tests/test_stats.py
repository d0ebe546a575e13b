"""Table 1, its numbers counted by hand, and what is shown below it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from socialsim.journal import Journal
from socialsim.report.table1 import ESCONV, SSCONV, CorpusSize, corpus_size
from socialsim.schema import Dialogue, Flag, Rejection, Speaker, Turn
from tests.command import socialsim

DATA = Path(os.environ.get("SOCIALSIM_SHARED", Path(__file__).parents[2] / "shared")) / "data"


def dialogue(name: str, *texts: str) -> Dialogue:
    speakers = (Speaker.SEEKER, Speaker.SUPPORTER)
    return Dialogue(id=name, turns=tuple(Turn(speaker=speakers[i % 2], text=text) for i, text in enumerate(texts)))


def write(folder: Path, *dialogues: Dialogue, rejected: tuple[Rejection, ...] = ()) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with (
        Journal(folder / "dialogues.jsonl", Dialogue) as made,
        Journal(folder / "rejected.jsonl", Rejection) as refused,
    ):
        for one in dialogues:
            made.append(one)
        for other in rejected:
            refused.append(other)
    return folder


TINY = (
    dialogue("a", "I am sad. 😢", "Why so?"),
    dialogue("b", "Hi!", "Hello, what's up?", "Well, not much.", "I see."),
)


def test_the_size_of_a_corpus_counted_by_hand() -> None:
    # words: seeker 3, 1, 3; supporter 2, 3, 2. An emoji is no word.
    assert corpus_size(TINY) == CorpusSize(
        sessions=2,
        utterances=6,
        mean_utterances=3.0,
        mean_words=14 / 6,
        min_utterances=2,
        max_utterances=4,
        seeker_utterances=3,
        mean_seeker_utterances=1.5,
        mean_seeker_words=7 / 3,
        supporter_utterances=3,
        mean_supporter_utterances=1.5,
        mean_supporter_words=7 / 3,
    )


def test_consecutive_utterances_count_each_as_in_the_published_table() -> None:
    turns = tuple(Turn(speaker=Speaker.SEEKER, text="Yes.") for _ in range(3))
    size = corpus_size([Dialogue(id="a", turns=turns)])
    assert size is not None
    assert (size.utterances, size.supporter_utterances, size.mean_supporter_words) == (3, 0, 0.0)


def test_an_empty_corpus_has_no_size() -> None:
    assert corpus_size([]) is None


def test_the_published_columns_add_up() -> None:
    for size in (SSCONV, ESCONV):
        assert size.seeker_utterances + size.supporter_utterances == size.utterances
        assert abs(size.utterances / size.sessions - size.mean_utterances) < 0.06


def rows(out: str) -> dict[str, list[str]]:
    cells = [[cell.strip() for cell in line.strip("│┃").split("│")] for line in out.splitlines() if "│" in line]
    return {label: values for label, *values in cells}


def test_stats_prints_a_corpus_beside_the_published_ones(tmp_path: Path) -> None:
    ended = socialsim("stats", write(tmp_path / "mine", *TINY))
    assert ended.code == 0
    assert "mine" in ended.out
    table = rows(ended.out)
    assert table["# Sessions"] == ["2", "3,229", "1,300"]
    assert table["Avg. utterance length (words)"] == ["2.3", "20.5", "16.4"]
    assert table["Max. # utterances"] == ["4", "40", "120"]


def test_stats_counts_flags_and_rejections(tmp_path: Path) -> None:
    flagged = TINY[0].model_copy(update={"flags": (Flag(kind="length"), Flag(kind="echoed"))})
    rejected = (Rejection(id="x", stage="persona", reason="invalid"),)
    table = rows(socialsim("stats", write(tmp_path / "mine", flagged, TINY[1], rejected=rejected)).out)
    assert table["dialogues with a flag"] == ["1"]
    assert table["flag: echoed"] == ["1"]
    assert table["rejected: persona: invalid"] == ["1"]


def test_two_corpora_of_one_name_both_get_a_column(tmp_path: Path) -> None:
    folders = [write(tmp_path / name / "r", TINY[number]) for number, name in enumerate("ab")]
    table = rows(socialsim("stats", *folders).out)
    assert table["# Utterances"][:2] == ["2", "4"]


def test_a_run_without_dialogues_is_named(tmp_path: Path) -> None:
    assert socialsim("stats", write(tmp_path / "r")).problem == f"{tmp_path}/r: holds no dialogue yet"


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data in {DATA}")
def test_esconv_dev_comes_near_the_published_esconv_column() -> None:
    table = rows(socialsim("stats", DATA / "esconv_dev.json").out)
    assert table["# Sessions"][0] == "211"
    assert table["# Utterances"][0] == "6,328"
    assert table["Avg. # utterances"][0] == "30.0"
    for label, tolerance in (("Avg. utterance length (words)", 1.0), ("Avg. # seeker utterances", 0.5)):
        assert abs(float(table[label][0]) - float(table[label][2])) < tolerance
