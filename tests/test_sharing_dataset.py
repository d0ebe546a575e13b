"""A corpus as a data set: `datasets` reads back what the run holds, and the card says what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.splits import Split, content_key
from socialsim.formats import read_dialogues
from socialsim.formats.hub import dialogue_of, persona_of
from socialsim.resources import demonstrations
from socialsim.schema import Dialogue, Flag, Persona, Reasoning, Speaker, StagedStrategy, Turn
from socialsim.sharing.rows import public_provenance
from socialsim.taxonomy import STAGED_STRATEGIES
from tests import samples
from tests.command import socialsim
from tests.shared import NASTY, items, made, write_run

for needed in ("datasets", "huggingface_hub"):
    pytest.importorskip(needed, reason="needs socialsim[share]")


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def load(folder: Path) -> Any:
    from datasets import load_dataset

    return load_dataset(str(folder), cache_dir=str(folder.parent / "cache"))


def public(record: Any) -> Any:
    return record.model_copy(update={"provenance": public_provenance(record.provenance)})


def export(source: object, out: Path, *more: object) -> str:
    ended = socialsim("export", source, "--format", "hf", "--out", out, *more)
    assert (ended.code, ended.err) == (0, "")
    return ended.out


# ---------------------------------------------------------------- rows


def test_load_dataset_gives_back_every_dialogue_and_persona_of_a_run(tmp_path: Path) -> None:
    run = write_run(tmp_path / "r", items(12))
    out = export(run, tmp_path / "hf", "--test", "0.25")
    assert "train: 9 dialogues\ntest: 3 dialogues" in out
    data = load(tmp_path / "hf")
    assert {side: len(rows) for side, rows in data.items()} == {"train": 9, "test": 3}
    rows = sorted((row for side in data.values() for row in side), key=lambda row: str(row["id"]))
    expected = sorted(items(12), key=lambda pair: pair[1].id)
    assert [dialogue_of(row) for row in rows] == [public(dialogue) for _, dialogue in expected]
    assert [persona_of(row) for row in rows] == [public(persona) for persona, _ in expected]
    assert not {row["id"] for row in data["train"]} & {row["id"] for row in data["test"]}


def test_columns_are_typed(tmp_path: Path) -> None:
    from datasets import Value

    export(write_run(tmp_path / "r", items(2)), tmp_path / "hf")
    features = load(tmp_path / "hf")["train"].features
    assert list(features) == ["id", "persona_id", "persona", "turns", "flags", "provenance"]
    assert features["persona"]["age"] == Value("int32")
    assert features["persona"]["personality"]["openness"] == Value("string")
    assert features["turns"].feature["reasoning"]["strategies"].feature == {
        "strategy": Value("string"),
        "stage": Value("string"),
    }
    assert features["provenance"]["usage"]["cost"] == Value("float64")
    assert features["provenance"]["usage"]["calls"] == Value("int64")
    assert features["provenance"]["checks"].feature == {"rule": Value("string"), "score": Value("float64")}


def test_the_authored_demonstrations_come_back(tmp_path: Path) -> None:
    assert "Licence: apache-2.0" in export("demonstrations", tmp_path / "hf")
    data = load(tmp_path / "hf")
    found = {row["id"]: (persona_of(row), dialogue_of(row)) for side in data.values() for row in side}
    assert found == {demo.dialogue.id: (demo.persona, demo.dialogue) for demo in demonstrations()}


def test_our_own_readers_know_the_tables(tmp_path: Path) -> None:
    export(write_run(tmp_path / "r", items(4)), tmp_path / "hf", "--test", 0)
    file = tmp_path / "hf" / "data" / "train-00000-of-00001.parquet"
    assert list(read_dialogues(file)) == [public(dialogue) for _, dialogue in items(4)]
    assert "# Utterances" in socialsim("stats", file).out


def test_a_corpus_without_personas_and_provenance(tmp_path: Path) -> None:
    esconv = [
        {"dialog": [{"speaker": "seeker", "content": f"I am sad {n}"}, {"speaker": "supporter", "content": "Why?"}]}
        for n in range(3)
    ]
    (tmp_path / "c.json").write_text(json.dumps(esconv))
    export(tmp_path / "c.json", tmp_path / "hf")
    data = load(tmp_path / "hf")
    assert (len(data["train"]), len(data["test"])) == (2, 1)
    row = data["test"][0]
    assert (row["persona"], row["provenance"], row["turns"][0]["reasoning"]) == (None, None, None)
    assert dialogue_of(row).turns[1].text == "Why?"
    assert persona_of(row) is None


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(lambda text: text.strip())
reasonings = st.builds(
    Reasoning,
    situation=st.none() | texts,
    strategies=st.lists(st.sampled_from(STAGED_STRATEGIES).map(StagedStrategy.parse), max_size=3).map(tuple),
    raw=st.none() | texts,
)
turns = st.builds(
    Turn,
    speaker=st.sampled_from(Speaker),
    text=texts,
    reasoning=st.none() | reasonings,
    flags=st.lists(st.builds(Flag, kind=texts, detail=st.text(max_size=9)), max_size=2).map(tuple),
)
talks = st.builds(
    Dialogue,
    id=texts,
    turns=st.lists(turns, min_size=1, max_size=5).map(tuple),
    persona_id=st.none() | texts,
    provenance=st.none()
    | st.builds(made, st.integers(0, 5), checks=st.dictionaries(texts, st.floats(0, 1), max_size=3)),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(talks, min_size=1, max_size=4), st.booleans())
def test_any_dialogue_survives_the_table(tmp_path: Path, dialogues: list[Dialogue], with_persona: bool) -> None:
    from datasets import Dataset

    from socialsim.sharing.corpus import SharedCorpus
    from socialsim.sharing.table_files import dataset_dict

    named = {
        dialogue.persona_id: samples.persona(id=dialogue.persona_id) for dialogue in dialogues if dialogue.persona_id
    }
    personas: dict[str, Persona] = named if with_persona else {}
    side = dataset_dict(SharedCorpus("c", Split(dialogues, []), 0, personas))["train"]
    file = tmp_path / "one.parquet"
    side.to_parquet(str(file))
    rows = list(Dataset.from_parquet(str(file), cache_dir=str(tmp_path / "cache")))
    assert [dialogue_of(row) for row in rows] == [public(dialogue) for dialogue in dialogues]
    assert [persona_of(row) for row in rows] == [personas.get(dialogue.persona_id or "") for dialogue in dialogues]


# ---------------------------------------------------------------- sides


def test_copies_stay_on_one_side_and_the_seed_decides(tmp_path: Path) -> None:
    pairs = items(20)
    copies = [(p.model_copy(update={"id": p.id + "c"}), d.model_copy(update={"id": d.id + "c"})) for p, d in pairs[:8]]
    run = write_run(tmp_path / "r", [*pairs, *copies])

    def sides(name: str, *more: object) -> dict[str, list[str]]:
        export(run, tmp_path / name, "--test", "6", *more)
        return {side: [row["id"] for row in rows] for side, rows in load(tmp_path / name).items()}

    keys = {dialogue.id: content_key(dialogue) for _, dialogue in [*pairs, *copies]}
    first = sides("a")
    assert not {keys[name] for name in first["train"]} & {keys[name] for name in first["test"]}
    assert sides("b") == first
    assert sides("c", "--seed", 5) != first


def test_the_sides_of_a_split_folder_are_kept(tmp_path: Path) -> None:
    assert socialsim("split", "demonstrations", "--test", 7, "--out", tmp_path / "s").code == 0
    export(tmp_path / "s", tmp_path / "hf")
    test = [row["id"] for row in load(tmp_path / "hf")["test"]]
    assert test == [json.loads(line)["id"] for line in (tmp_path / "s" / "test.jsonl").read_text().splitlines()]
    again = socialsim("export", tmp_path / "s", "--format", "hf", "--test", 3, "--out", tmp_path / "hf2")
    assert "holds a split already; leave --test out" in again.problem


def test_one_dialogue_or_test_0_gives_one_side_and_an_older_side_goes(tmp_path: Path) -> None:
    export(write_run(tmp_path / "r", items(4)), tmp_path / "hf")
    assert set(load(tmp_path / "hf")) == {"train", "test"}
    export(tmp_path / "r", tmp_path / "hf", "--test", 0)
    assert [path.name for path in (tmp_path / "hf" / "data").iterdir()] == ["train-00000-of-00001.parquet"]
    assert set(load(tmp_path / "hf")) == {"train"}
    export(write_run(tmp_path / "one", items(1)), tmp_path / "hf1")
    assert set(load(tmp_path / "hf1")) == {"train"}


# ---------------------------------------------------------------- the card


def card(folder: Path) -> Any:
    from huggingface_hub import DatasetCard

    return DatasetCard.load(folder / "README.md")


def test_the_front_matter_says_what_the_hub_asks(tmp_path: Path) -> None:
    export(write_run(tmp_path / "r", items(3)), tmp_path / "hf", "--license", "CC-BY-NC-4.0")
    data = card(tmp_path / "hf").data.to_dict()
    assert data["license"] == "cc-by-nc-4.0"
    assert data["language"] == ["en"]
    assert data["size_categories"] == ["n<1K"]
    assert data["task_categories"] == ["text-generation"]
    assert "synthetic" in data["tags"]
    [config] = data["configs"]
    assert [one["split"] for one in config["data_files"]] == ["train", "test"]
    for one in config["data_files"]:
        assert list((tmp_path / "hf").glob(one["path"]))


def test_the_licence_is_never_claimed_where_it_is_not_known(tmp_path: Path) -> None:
    unknown = export(write_run(tmp_path / "r", items(2)), tmp_path / "a")
    assert "Licence: unknown. Choose one with --license" in unknown
    assert card(tmp_path / "a").data.license == "unknown"
    assert "**Not chosen.**" in card(tmp_path / "a").text
    export(write_run(tmp_path / "own", items(2), inputs=("bundled scenarios",)), tmp_path / "b")
    assert card(tmp_path / "b").data.license == "apache-2.0"
    export(write_run(tmp_path / "mixed", items(2), inputs=("bundled scenarios", "x.csv")), tmp_path / "c")
    assert card(tmp_path / "c").data.license == "unknown"


def test_the_figures_are_those_of_the_run(tmp_path: Path) -> None:
    export(write_run(tmp_path / "r", items(3)), tmp_path / "hf")
    text = card(tmp_path / "hf").text
    for line in (
        "| \\# Sessions | 3 |",
        "| Family | 3 |",
        "| structure | 0.600 | 3 |",
        "| echo | 3 |",
        "| intake: too\\_&lt;short&gt; | 1,234 |",
        "| prompt tokens | 1,000 (85% cached) |",
        "| cost, USD | 0.0123 |",
        "| seeker | `Qwen/Qwen3-32B?temperature=0.9` | 3 dialogues |",
        "| supporter | `student:esconv` | 3 personas |",
        "| supporter | `def456` | 6 |",
        f"| seed | {2**62} |",
        "| version of socialsim | `0.1.0` |",
        "Posts: `posts.csv`.",
    ):
        assert line in text
    assert "not for counselling" in text


def test_no_path_host_or_key_and_no_markup_reaches_card_or_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "posts-secret-123")
    run = write_run(tmp_path / "<img src=x>", items(2), inputs=(NASTY, "posts.csv"))
    export(run, tmp_path / "hf")
    text = (tmp_path / "hf" / "README.md").read_text("utf-8")
    rows = json.dumps([row for side in load(tmp_path / "hf").values() for row in side])
    for secret in (str(tmp_path), "10.0.0.5", "8000", "/home/ann", "posts-secret"):
        assert secret not in text
        assert secret not in rows
    assert "# &lt;img src=x&gt;" in text
    assert "`Hi <script>" in text  # in code, where it is no markup
    assert card(tmp_path / "hf").data.pretty_name == "<img src=x>"


def test_the_embedded_model_is_named_as_a_limit(tmp_path: Path) -> None:
    [(persona, dialogue)] = items(1)
    small = dialogue.model_copy(update={"provenance": made(lms={"seeker": "embedded"})})
    export(write_run(tmp_path / "r", [(persona, small)]), tmp_path / "hf")
    assert "135M parameters (`embedded`) wrote part of it" in card(tmp_path / "hf").text


# ---------------------------------------------------------------- what cannot be


def test_what_cannot_be_shared(tmp_path: Path) -> None:
    def problem(*arguments: object) -> str:
        return socialsim("export", *arguments, "--format", "hf").problem

    run, empty, out = write_run(tmp_path / "r", items(3)), write_run(tmp_path / "e", []), tmp_path / "out"
    assert problem(empty, "--out", out) == f"{empty}: holds no dialogue yet; name a run that has some"
    assert "not a run folder" in problem(tmp_path, "--out", out)
    assert "leaves none to train on" in problem(run, "--test", 3, "--out", out)
    assert "give a number of dialogues" in problem(run, "--test", "many", "--out", out)
    assert "give the hub's id of a licence" in problem(run, "--license", "my own!", "--out", out)
    assert problem(tmp_path / "no.json") == "export: name a folder with --out"
    assert problem(run, "--public", "--out", out) == "--public goes with --push OWNER/NAME"
    assert socialsim("export", run, "--license", "mit").problem == "--license goes with --format hf"
    assert not out.exists()


def test_a_folder_or_card_of_another_hand_is_left_alone(tmp_path: Path) -> None:
    run, out = write_run(tmp_path / "r", items(2)), tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    assert "is not empty and holds no data set" in socialsim("export", run, "--format", "hf", "-o", out).problem
    (out / "README.md").write_text("# Mine")
    assert "was not written by this command" in socialsim("export", run, "--format", "hf", "-o", out).problem
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "thesis.txt"]


def test_what_a_killed_export_left_is_written_again(tmp_path: Path) -> None:
    run, out = write_run(tmp_path / "r", items(3)), tmp_path / "out"
    export(run, out)
    (out / "README.md").unlink()
    (out / "data" / "test-00000-of-00001.parquet").rename(out / "data" / "test-00000-of-00001.tmp")
    export(run, out)
    assert set(load(out)) == {"train", "test"}


def test_a_seed_too_large_for_a_column_is_one_line(tmp_path: Path) -> None:
    [(persona, dialogue)] = items(1)
    large = dialogue.model_copy(update={"provenance": made(seed=2**70)})
    run = write_run(tmp_path / "r", [(persona, large)])
    problem = socialsim("export", run, "--format", "hf", "--out", tmp_path / "out").problem
    assert problem.startswith("r: does not fit into a table (")
    assert not (tmp_path / "out").exists()


def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socialsim.sharing.hub.find_spec", lambda name: None if name == "datasets" else name)
    problem = socialsim("export", write_run(tmp_path / "r", items(2)), "--format", "hf").problem
    assert problem == "datasets is not installed; run: pip install 'socialsim[share]'"
