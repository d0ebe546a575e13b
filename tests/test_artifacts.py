"""Compiled programs on disk: what is written is read back, what is foreign is refused with the reason."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest
from pydantic import ValidationError

from metrics.rubric import RubricLeaf
from programs.demonstrations import onepass_example, persona_example, seeker_examples, supporter_examples
from programs.onepass import DialogueWriter
from programs.persona import PersonaWriter
from programs.simulate import SimulationOptions
from programs.turn import Seeker, Supporter
from socialsim.adapter import CompactAdapter
from socialsim.artifacts import find, load_state, program_of, save_state, slug
from socialsim.compile.demonstrated import Sets
from socialsim.compile.tasks import DEMONSTRATED, NAMES
from socialsim.errors import InputError
from socialsim.lms import LMSpec, parse_spec
from socialsim.resources import Splits, demonstrations, read_splits
from socialsim.schema import Demonstration
from socialsim.taxonomy import Topic
from tests.scripted import scripted_lm, system_text

DEMOS = list(demonstrations())


def _onepass_leaf() -> dspy.Module:
    return DialogueWriter(SimulationOptions())


def _judge_example() -> dspy.Example:
    answer = {"discussion": "It is warm.", "evidence": [{"utterance": 2, "quote": "I hear you"}], "score": 2}
    return dspy.Example(dialogue="1. Seeker: Hi", dimension="Safety.", answer=answer)


LEAVES: dict[str, tuple[Callable[[], dspy.Module], list[dspy.Example]]] = {
    "persona": (PersonaWriter, [persona_example(demo) for demo in DEMOS]),
    "seeker": (Seeker, list(seeker_examples(DEMOS[0]))),
    "supporter": (Supporter, list(supporter_examples(DEMOS[0]))),
    "onepass": (_onepass_leaf, [onepass_example(DEMOS[0])]),
    "judge": (RubricLeaf, [_judge_example()]),
}


def compiled(program: str, instructions: str = "Speak like a Wombat.") -> dspy.Module:
    leaf, examples = LEAVES[program][0](), LEAVES[program][1]
    predictor = leaf.predictors()[0]
    predictor.signature = predictor.signature.with_instructions(instructions)
    predictor.demos = examples
    return leaf


@pytest.fixture
def seeker_state(tmp_path: Path) -> Path:
    path = tmp_path / "x.json"
    save_state(compiled("seeker"), "seeker", path)
    return path


def edited(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    state = json.loads(path.read_text())
    change(state)
    path.write_text(json.dumps(state))
    return path


def test_every_program_that_can_be_compiled_is_here() -> None:
    assert set(LEAVES) == set(NAMES)


@pytest.mark.parametrize("program", NAMES)
def test_a_state_is_read_back_as_it_was_written(tmp_path: Path, program: str) -> None:
    leaf, path = compiled(program), tmp_path / "x.json"
    save_state(leaf, program, path)
    other = LEAVES[program][0]()
    load_state(other, path, program)
    ours, theirs = leaf.predictors()[0], other.predictors()[0]
    assert theirs.signature.instructions == "Speak like a Wombat."
    assert json.loads(json.dumps(other.dump_state())) == json.loads(json.dumps(leaf.dump_state()))
    assert len(theirs.demos) == len(ours.demos)
    assert program_of(path) == program
    again = tmp_path / "again.json"
    save_state(other, program, again)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("program", NAMES)
def test_dspy_itself_reads_a_state(tmp_path: Path, program: str) -> None:
    path = tmp_path / "x.json"
    save_state(compiled(program), program, path)
    leaf = LEAVES[program][0]()
    leaf.load(str(path))
    assert leaf.predictors()[0].signature.instructions == "Speak like a Wombat."
    assert len(leaf.predictors()[0].demos) == len(LEAVES[program][1])


def test_what_dspy_itself_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    compiled("seeker").save(str(path))
    leaf = Seeker()
    load_state(leaf, path, "seeker")
    assert leaf.speak.signature.instructions == "Speak like a Wombat."


def test_persona_examples_of_every_topic_are_read(tmp_path: Path) -> None:
    assert {example.topic for example in LEAVES["persona"][1]} == set(map(str, Topic))
    save_state(compiled("persona"), "persona", tmp_path / "x.json")
    load_state(leaf := PersonaWriter(), tmp_path / "x.json", "persona")
    assert {demo.topic for demo in leaf.write.demos} == set(map(str, Topic))


def test_a_loaded_state_reaches_the_prompt(seeker_state: Path) -> None:
    leaf, lm = Seeker(), scripted_lm()
    load_state(leaf, seeker_state, "seeker")
    with dspy.context(lm=lm, adapter=CompactAdapter()):
        leaf(persona="P", dialogue="", now="Greet.", correction="")
    assert "Speak like a Wombat." in system_text(lm.requests[0])


def test_an_lm_in_a_state_is_never_used(seeker_state: Path) -> None:
    evil = {"model": "openai/evil", "api_base": "http://203.0.113.9/steal", "api_key": "k"}
    edited(seeker_state, lambda state: state["speak"].update(lm=evil))
    load_state(leaf := Seeker(), seeker_state, "seeker")
    assert leaf.speak.lm is None
    assert "203.0.113.9" not in json.dumps(leaf.dump_state())
    with dspy.context(lm=(lm := scripted_lm()), adapter=CompactAdapter()):
        leaf(persona="P", dialogue="", now="Greet.", correction="")
    assert len(lm.requests) == 1


def test_a_state_names_no_lm(tmp_path: Path) -> None:
    leaf = compiled("seeker")
    leaf.set_lm(dspy.LM("openai/secret-model", api_base="http://203.0.113.9/v1", api_key="k"))
    leaf.speak.traces = [{"persona": "Traced"}]
    save_state(leaf, "seeker", tmp_path / "x.json")
    text = (tmp_path / "x.json").read_text()
    assert "203.0.113.9" not in text
    assert "secret-model" not in text
    assert "Traced" not in text


def _first_answer(state: dict[str, Any], **fields: object) -> None:
    state["speak"]["demos"][0]["answer"].update(fields)


BROKEN: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda s: s["metadata"].update(program="supporter"), "a compiled supporter, not a compiled seeker"),
    (lambda s: s.update(reply=s.pop("speak")), "holds predictors reply; this program has speak"),
    (lambda s: s.update(more=s["speak"]), "holds predictors more, speak; this program has speak"),
    (lambda s: s["speak"]["demos"][0].update(item="work-1#1"), "demonstration 1 has fields this program has not: item"),
    (lambda s: _first_answer(s, utterance=None), "demonstration 1 is no answer of this program (utterance"),
    (lambda s: _first_answer(s, emoji="X"), "demonstration 1 is no answer of this program (emoji"),
    (lambda s: _first_answer(s, more="x"), "demonstration 1 is no answer of this program (more"),
    (lambda s: s["speak"]["demos"][1].pop("answer"), "demonstration 2 is no answer of this program"),
    (lambda s: s["speak"].update(demos=["x"]), "demonstration 1 is not an object"),
    (lambda s: s["speak"].update(demos="x"), "no instructions or no list of demonstrations"),
    (lambda s: s["speak"].pop("demos"), "no instructions or no list of demonstrations"),
    (lambda s: s["speak"].pop("signature"), "no instructions or no list of demonstrations"),
    (lambda s: s["speak"].update(signature=[1]), "no instructions or no list of demonstrations"),
    (lambda s: s["speak"]["signature"].update(instructions=" "), "no instructions or no list of demonstrations"),
    (lambda s: s.update(speak=[1]), "not a DSPy state"),
]


@pytest.mark.parametrize(("change", "reason"), BROKEN, ids=[reason[:40] for _, reason in BROKEN])
def test_a_broken_state_is_refused_with_path_and_reason(
    seeker_state: Path, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    edited(seeker_state, change)
    leaf = Seeker()
    untouched = leaf.dump_state()
    with pytest.raises(InputError) as caught:
        load_state(leaf, seeker_state, "seeker")
    assert str(caught.value).startswith(f"{seeker_state}: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value).strip()
    assert leaf.dump_state() == untouched


LIMITS: list[tuple[str, dict[str, object], str]] = [
    ("persona", {"age": 200}, "age"),
    ("persona", {"emotions": []}, "emotions"),
    ("persona", {"emotions": ["sad"] * 5}, "emotions"),
    ("supporter", {"strategies": []}, "strategies"),
    ("supporter", {"strategies": ["Exploration#Hypnosis"]}, "strategies.0"),
    ("onepass", {"exchanges": []}, "exchanges"),
    ("judge", {"score": 4}, "score"),
]


@pytest.mark.parametrize(("program", "fields", "named"), LIMITS)
def test_an_example_that_breaks_a_limit_is_refused(
    tmp_path: Path, program: str, fields: dict[str, object], named: str
) -> None:
    save_state(compiled(program), program, path := tmp_path / "x.json")
    leaf = LEAVES[program][0]()
    name = leaf.named_predictors()[0][0]
    edited(path, lambda state: state[name]["demos"][0]["answer"].update(fields))
    with pytest.raises(InputError, match=rf"demonstration 1 is no answer of this program \({named}"):
        load_state(leaf, path, program)


def test_a_persona_example_of_no_topic_is_refused(tmp_path: Path) -> None:
    save_state(compiled("persona"), "persona", path := tmp_path / "x.json")
    edited(path, lambda state: state["write"]["demos"][3].update(topic="Gardening"))
    with pytest.raises(InputError, match="demonstration 4"):
        load_state(PersonaWriter(), path, "persona")


def test_a_persona_example_with_another_topics_subtopic_is_refused(tmp_path: Path) -> None:
    save_state(compiled("persona"), "persona", path := tmp_path / "x.json")
    edited(path, lambda state: state["write"]["demos"][0]["answer"].update(subtopics=["Gardening"]))
    with pytest.raises(InputError, match=r"demonstration 1 is no answer of this program \(subtopics"):
        load_state(PersonaWriter(), path, "persona")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"{", "not JSON"), (b"[" * 100_000, "not JSON"), (b"", "not JSON"), (b"\xff\xfe\x00", "not JSON"),
     (b"[1]", "not a DSPy state"), (b'"x"', "not a DSPy state"), (b"null", "not a DSPy state"),
     (b"{}", "holds predictors none")],
)  # fmt: skip
def test_what_is_no_state_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        load_state(Seeker(), path, "seeker")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("change", [lambda s: s.pop("metadata"), lambda s: s["metadata"].update(program=["seeker"])])
def test_a_state_that_does_not_say_its_program_is_not_guessed(seeker_state: Path, change: Any) -> None:
    edited(seeker_state, change)
    with pytest.raises(InputError, match="does not say which program"):
        program_of(seeker_state)


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was read",))


@pytest.mark.parametrize("name", ["x.pkl", "x.json"])
def test_a_pickle_is_never_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(InputError, match=r"pickles are never read|not JSON"):
        load_state(Seeker(), path, "seeker")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json: cannot be read"):
        load_state(Seeker(), tmp_path / "none.json")


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("embedded", "embedded"),
        ("embedded:base?temperature=0.2", "embedded-base"),
        ("llamacpp:/home/ann/models/Qwen2.5-7B.Q4_K_M.gguf", "Qwen2.5-7B.Q4_K_M"),
        ("llamacpp:C:\\models\\small.gguf?slots=2", "small"),
        ("llamacpp:bartowski/Some-GGUF:some-q4.gguf", "some-q4"),
        ("ollama/llama3.2:3b", "ollama-llama3.2-3b"),
        ("http://10.0.0.7:8000/v1#Qwen/Qwen2.5-7B-Instruct?temperature=0.3", "Qwen-Qwen2.5-7B-Instruct"),
        ("https://lm.example.org/secret/v1#m", "m"),
        ("http://h/v1#../../etc/passwd", "etc-passwd"),
        ("openai/gpt-4o-mini", "openai-gpt-4o-mini"),
        ("anthropic/claude-x?max_tokens=100", "anthropic-claude-x"),
    ],
)
def test_a_slug_is_the_model_without_host_path_or_settings(spec: str, name: str) -> None:
    assert slug(parse_spec(spec)) == name


def test_a_slug_of_nothing_readable_is_still_a_name() -> None:
    assert slug(LMSpec("http://h/v1#//", "http://h/v1#//")) == "lm"


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    return path


def test_an_lms_own_state_comes_before_a_generic_one_and_the_first_folder_before_the_second(tmp_path: Path) -> None:
    spec, folders = parse_spec("ollama/m"), (tmp_path / "a", tmp_path / "b")
    assert find("seeker", spec, folders) is None
    shared = touch(tmp_path / "b" / "seeker" / "generic.json")
    assert find("seeker", spec, folders) == shared
    own = touch(tmp_path / "b" / "seeker" / "ollama-m.json")
    assert find("seeker", spec, folders) == own
    assert find("supporter", spec, folders) is None
    assert find("seeker", parse_spec("ollama/other"), folders) == shared
    nearer = touch(tmp_path / "a" / "seeker" / "generic.json")
    assert find("seeker", spec, folders) == nearer
    assert find("seeker", spec, folders[::-1]) == own


def test_by_default_the_current_folder_is_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch(Path("compiled") / "seeker" / "ollama-m.json")
    assert find("seeker", parse_spec("ollama/m")) == Path("compiled/seeker/ollama-m.json")


def _topics(ids: tuple[str, ...]) -> list[str]:
    known: dict[str, Demonstration] = {demo.dialogue.id: demo for demo in DEMOS}
    return [str(known[name].persona.topic) for name in ids]


def test_the_split_is_disjoint_covers_every_demonstration_and_every_topic() -> None:
    splits = read_splits()
    sets = [splits.train, splits.validation, splits.held_out]
    assert sorted(name for part in sets for name in part) == sorted(demo.dialogue.id for demo in DEMOS)
    assert all(set(_topics(part)) == set(map(str, Topic)) for part in sets)
    assert len({demo.persona.description for demo in DEMOS}) == len(DEMOS)


def test_the_split_never_changes() -> None:
    assert read_splits() == read_splits()
    with pytest.raises(ValidationError, match="frozen"):
        read_splits().train = ()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"train": ["a"], "validation": ["b"], "held_out": []}, "the set held_out is empty"),
        ({"train": [], "validation": ["b"], "held_out": ["c"]}, "the set train is empty"),
        ({"train": ["a", "b"], "validation": ["b"], "held_out": ["c"]}, "in two sets, or twice in one: b"),
        ({"train": ["a", "a"], "validation": ["b"], "held_out": ["c"]}, "in two sets, or twice in one: a"),
        ({"train": ["a"], "validation": ["b"]}, "not a split file"),
        ({"train": ["a"], "validation": ["b"], "held_out": ["c"], "more": []}, "not a split file"),
        ([], "not a split file"),
    ],
)
def test_a_split_file_that_is_none_is_refused_in_one_line(tmp_path: Path, content: object, reason: str) -> None:
    path = tmp_path / "splits.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError) as caught:
        read_splits(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sets_of_a_task_are_the_splits_scenarios() -> None:
    splits, sets = read_splits(), Sets.read()
    for program in DEMONSTRATED.values():
        task = program(sets)
        for name in Splits.model_fields:
            found = {example.item.partition("#")[0] for example in getattr(task.sets, name)}
            assert found == set(getattr(splits, name))
