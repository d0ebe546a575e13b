"""A student: what its folder must hold, how it writes, and how well it predicts."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from finetune.decoding import Sampling, Written
from finetune.format import Message, Variant
from finetune.grammar import GrammarError
from finetune.settings import TrainingSettings
from finetune.student import PromptTooLong, Student, find_student, load_student
from socialsim.errors import LMSpecError
from socialsim.schema import Dialogue, Speaker
from tests import samples, students

REASONING = Variant.parse("reasoning")
GREEDY = Sampling(max_tokens=12)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="session")
def folder(student_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return students.write_student(tmp_path_factory.mktemp("student"), student_base, REASONING)


@pytest.fixture
def student(folder: Path) -> Student:
    """A student with nothing in its cache."""
    loaded = load_student(str(folder), precision="float32")
    return Student(loaded.source, loaded.model, loaded.tokenizer, places=4)


def prompts(*lengths: int) -> list[list[int]]:
    """Random tokens, behind the same eight."""
    draw = torch.Generator().manual_seed(5)
    head = torch.randint(20, 4000, (8,), generator=draw).tolist()
    return [[*head, *torch.randint(20, 4000, (length,), generator=draw).tolist()] for length in lengths]


def alone(student: Student, prompt: list[int], sampling: Sampling = GREEDY) -> tuple[int, ...]:
    fresh = Student(student.source, student.model, student.tokenizer, places=1)
    return fresh.decoder.submit(prompt, sampling).result(60).ids


def together(student: Student, some: list[list[int]], sampling: Sampling = GREEDY) -> list[Written]:
    return [future.result(60) for future in [student.decoder.submit(one, sampling) for one in some]]


class TestWriting:
    def test_it_writes_what_the_library_writes(self, student: Student) -> None:
        for prompt in prompts(3, 40):
            expected = student.model.generate(
                torch.tensor([prompt]), do_sample=False, max_new_tokens=12, eos_token_id=2, pad_token_id=2
            )
            assert list(alone(student, prompt)) == [one for one in expected[0, len(prompt) :].tolist() if one != 2]

    def test_together_is_as_alone(self, student: Student) -> None:
        some = prompts(1, 9, 30, 700, 17, 5)  # more than there are places, one longer than a step reads
        assert [one.ids for one in together(student, some)] == [alone(student, prompt) for prompt in some]

    def test_a_prompt_that_goes_on_is_read_from_where_it_does(self, student: Student) -> None:
        (first,) = prompts(50)
        said = student.decoder.submit(first, GREEDY).result(60)
        more = [*first, *said.ids, 33, 44, 55]
        again = student.decoder.submit(more, GREEDY).result(60)
        assert again.cached == len(first) + len(said.ids) - 1  # the last word was chosen, not read
        assert (again.prompt, again.ids) == (len(more), alone(student, more))

    def test_a_beginning_is_shared_by_texts_that_part(self, student: Student) -> None:
        (whole,) = prompts(60)
        others = [[*whole[:40], number, 50, 60] for number in (100, 200, 300)]
        together(student, [whole])
        written = together(student, others)
        assert [one.cached for one in written] == [40, 40, 40]
        assert [one.ids for one in written] == [alone(student, one) for one in others]

    def test_the_same_seed_draws_the_same_words(self, student: Student) -> None:
        (prompt,) = prompts(20)
        drawn = [alone(student, prompt, Sampling(1.0, 0.95, 0.01, 12, seed)) for seed in (1, 1, 2)]
        assert drawn[0] == drawn[1] != drawn[2]

    def test_a_text_that_is_cut_says_so(self, student: Student) -> None:
        (written,) = together(student, prompts(5), Sampling(max_tokens=2))
        assert (written.tokens, written.finish) == (2, "length")

    def test_one_that_is_cancelled_frees_its_place(self, student: Student) -> None:
        one = Student(student.source, student.model, student.tokenizer, places=1)
        first, second = prompts(5, 6)
        long = one.decoder.submit(first, Sampling(max_tokens=100_000))
        waiting = one.decoder.submit(second, GREEDY)
        assert not waiting.done()
        assert long.cancel()
        assert waiting.result(60).ids == alone(student, second)

    def test_a_failing_model_fails_what_is_being_written_and_no_more(self, student: Student) -> None:
        (good,) = prompts(5)
        with pytest.raises(IndexError):
            student.decoder.submit([10**7], GREEDY).result(60)
        assert student.decoder.submit(good, GREEDY).result(60).ids == alone(student, good)

    def test_a_chat_beyond_the_context_is_refused(self, student: Student) -> None:
        with pytest.raises(PromptTooLong, match="2048"):
            student.write([{"role": "user", "content": "word " * 3000}], GREEDY)


class TestGrammar:
    CHAT: tuple[Message, ...] = ({"role": "user", "content": "Hello"},)
    HOT = Sampling(temperature=1.0, max_tokens=400, seed=1)

    def test_a_schema_is_followed(self, student: Student) -> None:
        marks = {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 5}, "maxItems": 2}
        properties = {"mood": {"enum": ["fine", "low"]}, "marks": marks}
        schema: dict[str, Any] = {"type": "object", "properties": properties, "required": list(properties)}
        schema["additionalProperties"] = False
        text = student.text(student.write(self.CHAT, self.HOT, schema).result(60))
        found = json.loads(text)
        assert found["mood"] in ("fine", "low")
        assert all(1 <= mark <= 5 for mark in found["marks"])
        assert text == json.dumps(found)

    def test_a_bare_string_is_plain_text(self, student: Student) -> None:
        pattern = r"\[TAG\] (yes|no)( [a-z]{2,9}){3}[.]\nend"
        written = student.write(self.CHAT, self.HOT, {"type": "string", "pattern": pattern}).result(60)
        assert re.fullmatch(pattern, student.text(written))
        assert written.finish == "stop"

    def test_what_cannot_be_enforced_is_told(self, student: Student) -> None:
        with pytest.raises(GrammarError):
            student.write(self.CHAT, self.HOT, {"type": "string", "pattern": "(unclosed"})


class TestReply:
    TURNS = (samples.seeker("My exam is tomorrow."),)

    async def test_a_reply_is_a_supporters_turn(self, student: Student) -> None:
        turn = student.reply(self.TURNS, GREEDY)
        assert turn.speaker is Speaker.SUPPORTER
        assert turn.text
        assert await student.areply(self.TURNS, GREEDY) == turn

    def test_likelihoods_are_those_of_the_replies_one_by_one(self, student: Student) -> None:
        dialogues = [samples.dialogue(3), samples.dialogue(2)]
        for found, dialogue in zip(student.likelihoods(dialogues), dialogues, strict=True):
            nats, tokens = one_by_one(student, dialogue)
            assert found.tokens == tokens
            assert math.isclose(found.nats, nats, rel_tol=1e-4)

    def test_a_dialogue_without_replies_has_none(self, student: Student) -> None:
        lonely = samples.dialogue(1).model_copy(update={"turns": samples.dialogue(1).turns[:1]})
        assert student.likelihoods([lonely]) == [(0.0, 0)]


def one_by_one(student: Student, dialogue: Dialogue) -> tuple[float, int]:
    from finetune.dataset import lesson

    nats, tokens = 0.0, 0
    for chat, reply in lesson(dialogue, REASONING).replies:
        ids, start = student.chat.sample(chat, reply)
        with torch.no_grad():
            logits = student.model(torch.tensor([ids])).logits[0]
        nats += float(cross_entropy(logits[start - 1 : -1], torch.tensor(ids[start:]), reduction="sum"))
        tokens += len(ids) - start
    return nats, tokens


class TestFolder:
    def test_the_adapter_is_part_of_the_model(self, student: Student, student_base: Path) -> None:
        plain = AutoModelForCausalLM.from_pretrained(student_base, dtype="float32")
        ids = torch.tensor(prompts(10))
        with torch.no_grad():
            assert not torch.allclose(plain(ids).logits, student.model(ids).logits, atol=1e-3)

    def test_a_student_knows_its_base_and_its_variant(self, folder: Path, student_base: Path) -> None:
        found = find_student(str(folder))
        assert (found.base, found.adapter, found.variant) == (str(student_base), folder, REASONING)

    def test_a_model_folder_is_an_untrained_student(self, student_base: Path) -> None:
        found = find_student(str(student_base))
        assert (found.base, found.adapter, found.variant) == (str(student_base), None, Variant())

    @pytest.mark.parametrize(
        ("where", "what"),
        [
            ("nowhere", "no such folder"),
            ("model.gguf", "no such file"),
            ("empty", "so not a student"),
        ],
    )
    def test_another_place_is_no_student(self, where: str, what: str, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(LMSpecError, match=what) as raised:
            find_student(str(tmp_path / where))
        assert "\n" not in str(raised.value)

    def test_a_training_that_was_killed_is_none_yet(self, student_base: Path, tmp_path: Path) -> None:
        students.write_student(tmp_path, student_base, REASONING, finished=False)
        with pytest.raises(LMSpecError, match="not finished; run the same"):
            find_student(str(tmp_path))

    def test_a_folder_without_weights_is_told(self, student_base: Path, tmp_path: Path) -> None:
        students.write_student(tmp_path, student_base, REASONING)
        (tmp_path / "adapter_model.safetensors").unlink()
        with pytest.raises(LMSpecError, match="missing; copy the whole folder"):
            find_student(str(tmp_path))

    @pytest.mark.parametrize(("layers", "size"), [(3, 64), (1, 64), (2, 32)])
    def test_an_adapter_of_another_base_is_refused(
        self, student_base: Path, tmp_path: Path, layers: int, size: int
    ) -> None:
        other = students.write_base(tmp_path / "other", layers, size)
        settings = TrainingSettings(base=str(other))
        students.write_student(tmp_path / "student", student_base, REASONING, settings=settings)
        with pytest.raises(LMSpecError, match="does not fit the base") as raised:
            load_student(str(tmp_path / "student"))
        assert "\n" not in str(raised.value)

    def test_a_base_that_is_gone_is_told_with_the_student(self, student_base: Path, tmp_path: Path) -> None:
        settings = TrainingSettings(base=str(tmp_path / "gone"))
        students.write_student(tmp_path / "student", student_base, REASONING, settings=settings)
        with pytest.raises(LMSpecError, match=r"student:.*gone: no such folder"):
            load_student(str(tmp_path / "student"))
