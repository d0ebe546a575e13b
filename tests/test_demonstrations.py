"""Authored dialogues as examples: whole, compact, without the persona for the supporter, spread over the pool."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random

import dspy
import pytest

from programs.demonstrations import few_shot, onepass_example, persona_example, seeker_examples, supporter_examples
from programs.simulate import SimulationOptions
from signatures.persona import persona_signature
from signatures.seeker import seeker_signature
from signatures.supporter import supporter_signature
from socialsim import resources
from socialsim.adapter import CompactAdapter
from socialsim.errors import InputError
from socialsim.loading import load_programs
from socialsim.render import persona_text
from socialsim.resources import demonstrations, read_splits
from socialsim.schema import Node
from tests.samples import persona

DEMOS = list(demonstrations())
ADAPTER = CompactAdapter()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of our own; demonstrations are read from its subfolder."""
    (tmp_path / "data" / "demonstrations").mkdir(parents=True)
    monkeypatch.setattr(resources, "_folder", lambda name: tmp_path / name)
    return tmp_path / "data" / "demonstrations"


def test_there_is_one_example_for_each_turn() -> None:
    demo = DEMOS[0]
    assert len(list(seeker_examples(demo))) == len(list(supporter_examples(demo))) == len(demo.dialogue.turns) // 2


@pytest.mark.parametrize("emoji", [True, False])
@pytest.mark.parametrize("nodes", [tuple(Node), (Node.STRATEGY,), ()], ids=["all", "strategy", "none"])
def test_no_field_of_an_example_is_missing(nodes: tuple[Node, ...], emoji: bool) -> None:
    for demo in DEMOS:
        for signature, examples in [
            (seeker_signature(emoji), list(seeker_examples(demo, emoji))),
            (supporter_signature(nodes, emoji), list(supporter_examples(demo, nodes, emoji))),
            (persona_signature(demo.persona.topic), [persona_example(demo)]),
        ]:
            for example in examples:
                assert set(example.keys()) == set(signature.fields)
                assert example.inputs().keys() == list(signature.input_fields)
            messages = ADAPTER.format_demos(signature, examples)
            assert not any("not supplied" in message["content"].lower() for message in messages)


def test_examples_render_as_the_json_an_lm_is_to_write() -> None:
    (question, answer) = ADAPTER.format_demos(supporter_signature(), list(supporter_examples(DEMOS[0]))[:1])
    fields = supporter_signature().output_fields["answer"].annotation.model_fields
    assert list(json.loads(answer["content"])) == list(fields)
    assert "\n" not in answer["content"]
    assert question["content"].startswith("## Dialogue\nSeeker: ")


def test_a_supporter_example_holds_nothing_of_the_persona() -> None:
    demo = DEMOS[0].model_copy(update={"persona": persona()})
    shown = str([dict(example) for example in supporter_examples(demo)])
    assert "Zorblat" not in shown
    assert persona_text(demo.persona) not in shown


def test_an_example_shows_the_dialogue_up_to_its_turn_only() -> None:
    turns = DEMOS[0].dialogue.turns
    for index, example in enumerate(supporter_examples(DEMOS[0])):
        assert turns[2 * index].text in example.dialogue
        assert turns[2 * index + 1].text not in example.dialogue


def test_a_seeker_example_is_told_the_same_cue_as_in_a_simulation() -> None:
    cues = [example.now for example in seeker_examples(DEMOS[0])]
    assert "greeting" in cues[0]
    assert "leave" in cues[-1]
    assert sum("related worry" in cue for cue in cues) <= 2


def test_the_persona_example_marks_what_its_post_does_not_say() -> None:
    by_id = {demo.dialogue.id: persona_example(demo).answer.inferred for demo in DEMOS}
    assert "age" in by_id["behavior-1"]
    assert "age" not in by_id["love-problem-1"]
    assert all({"attempts", "goals"} <= set(marked) and "question" not in marked for marked in by_id.values())


def test_the_one_pass_example_holds_every_utterance() -> None:
    answer = onepass_example(DEMOS[0]).answer
    assert 2 * len(answer.exchanges) == len(DEMOS[0].dialogue.turns)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("k", [1, 2, 3, 6, 50, 60])
def test_few_shot_takes_distinct_items_in_order(size: int, k: int) -> None:
    for seed in range(40):
        taken = few_shot(range(size), k, seed)
        assert len(taken) == min(k, size)
        assert taken == sorted(set(taken))


def test_few_shot_spreads_over_the_pool_and_depends_on_the_seed_only() -> None:
    taken = [few_shot(range(100), 2, seed) for seed in range(60)]
    assert taken == [few_shot(range(100), 2, seed) for seed in range(60)]
    assert all(first < 50 <= second for first, second in taken)
    assert len(Counter(map(tuple, taken))) > 40


@pytest.mark.parametrize(("pool", "k"), [([], 2), ([1, 2], 0), ([1, 2], -1)])
def test_few_shot_of_nothing_is_nothing(pool: list[int], k: int) -> None:
    assert few_shot(pool, k, 0) == []


def test_programs_name_the_demonstrations_that_are_in_their_prompts() -> None:
    programs = load_programs(False, SimulationOptions(), False, 2, 0)
    shown = [example.dialogue for example in programs.dialogue.seeker.speak.demos]
    assert len(programs.demonstrations) == len(shown) == 2
    by_id = {demo.dialogue.id: demo for demo in DEMOS}
    for name, text in zip(programs.demonstrations, shown, strict=True):
        assert by_id[name].dialogue.turns[0].text in text


def test_one_pass_programs_name_the_whole_pool_they_draw_from() -> None:
    assert load_programs(True, SimulationOptions(), False, 1, 0).demonstrations == read_splits().train


def test_without_shots_there_is_no_demonstration_in_any_prompt() -> None:
    programs = load_programs(False, SimulationOptions(), False, 0, 0)
    assert programs.demonstrations == ()
    assert not any(predictor.demos for predictor in (*programs.dialogue.predictors(), *programs.persona.predictors()))


def test_a_speakers_few_shot_examples_are_whole_in_the_prompt() -> None:
    programs = load_programs(False, SimulationOptions(), False, 3, 0)
    assert isinstance(programs.dialogue, dspy.Module)
    for predictor in programs.dialogue.predictors():
        messages = ADAPTER.format_demos(predictor.signature, predictor.demos)
        assert [message["role"] for message in messages] == ["user", "assistant"] * 3
        assert not any("not supplied" in message["content"].lower() for message in messages)


@pytest.mark.parametrize(
    "changes", [{"shots": 1}, {"seed": 5}, {"nodes": (Node.STRATEGY,)}, {"emoji": False}], ids=lambda c: next(iter(c))
)
def test_a_programs_hash_changes_with_its_prompt(changes: dict[str, object]) -> None:
    def hashes(shots: int = 2, seed: int = 0, **options: object) -> dict[str, str]:
        return load_programs(False, SimulationOptions(**options), False, shots, seed).hashes  # type: ignore[arg-type]

    assert hashes() == hashes()
    assert hashes(**changes)["supporter"] != hashes()["supporter"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"{", "broken.json: not a demonstration: Invalid JSON"),
        (b'{"persona": {}}', "broken.json: not a demonstration: persona.id: Field required"),
        (b"\xff\xfe\x00", "broken.json: not a demonstration: Invalid JSON"),
    ],
)
def test_a_broken_demonstration_file_is_named_in_one_line(folder: Path, content: bytes, named: str) -> None:
    (folder / "broken.json").write_bytes(content)
    with pytest.raises(InputError, match=named) as caught:
        list(demonstrations())
    assert "\n" not in str(caught.value)


def test_demonstrations_come_in_the_order_of_their_file_names(folder: Path) -> None:
    for demo in Random(0).sample(DEMOS, 4):
        (folder / f"{demo.dialogue.id}.json").write_text(demo.model_dump_json(), "utf-8")
    names = [demo.dialogue.id for demo in demonstrations()]
    assert names == sorted(names)
    assert len(names) == 4
