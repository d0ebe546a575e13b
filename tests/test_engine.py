"""llama.cpp in process: what needs no model first, then the embedded one itself."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Config, ContextLengthError, InvalidRequestError, Message, Request, ServerError
from dspy.utils.exceptions import ContextWindowExceededError, LMError

from socialsim.engines import llamacpp
from socialsim.engines.llamacpp import AsyncLlamaEngine, LlamaEngine, LlamaSettings, gguf_path
from socialsim.errors import LMSpecError
from socialsim.lm_errors import explain_lm_error
from socialsim.lms import build_lm, parse_spec

Reply = dict[str, Any]
USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9, "prompt_tokens_details": {"cached_tokens": 5}}


def answer(finish_reason: str = "stop") -> list[Reply]:
    """What llama.cpp streams for "hello"."""
    deltas = [{"role": "assistant", "content": None}, {"content": "hel"}, {"content": "lo"}]
    chunks: list[Reply] = [{"id": "1", "choices": [{"delta": delta, "finish_reason": None}]} for delta in deltas]
    return [*chunks, {"choices": [{"delta": {}, "finish_reason": finish_reason}]}, {"choices": [], "usage": USAGE}]


class FakeServer:
    """Stands for a loaded model: streams one reply and keeps what it was asked."""

    def __init__(self, reply: list[Reply]) -> None:
        self.reply = reply
        self.asked: list[dict[str, Any]] = []

    def handle_chat_completions(self, body: dict[str, Any], take: Callable[[Reply], bool]) -> None:
        self.asked.append(body)
        any(take(chunk) for chunk in self.reply)


Load = Callable[[list[Reply]], FakeServer]


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Load:
    def load(reply: list[Reply]) -> FakeServer:
        server = FakeServer(reply)
        monkeypatch.setattr(llamacpp, "_server", lambda *_: server)
        return server

    return load


def lm_on(path: str, sampling: dict[str, float] | None = None, **kwargs: Any) -> dspy.LM:
    engine = LlamaEngine(path, LlamaSettings(slots=2, context=512), sampling)
    options = {"cache": False, "num_retries": 0} | kwargs
    return dspy.LM("llamacpp/test", engine=engine, async_engine=AsyncLlamaEngine(engine), **options)


class TestTranslation:
    """Between DSPy's requests and llama.cpp's, with a stand-in for the model."""

    def test_the_settings_of_a_request_and_of_the_spec_reach_llama(self, loaded: Load) -> None:
        server = loaded(answer())
        lm_on("a.gguf", {"min_p": 0.1}, temperature=0.3, top_p=0.8, max_tokens=9)("Hi", seed=4)
        asked = server.asked[0]
        assert {name: asked[name] for name in ("min_p", "temperature", "top_p", "max_tokens", "seed")} == {
            "min_p": 0.1,
            "temperature": 0.3,
            "top_p": 0.8,
            "max_tokens": 9,
            "seed": 4,
        }

    def test_the_system_message_comes_first(self, loaded: Load) -> None:
        server = loaded(answer())
        lm = lm_on("a.gguf")
        lm(request=Request(model=lm.model, system="Be kind.", messages=(Message.user("Hi"), Message.assistant("Yes?"))))
        assert server.asked[0]["messages"] == [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Yes?"},
        ]

    def test_tokens_are_reported_with_those_taken_from_the_cache(self, loaded: Load) -> None:
        loaded(answer())
        lm = lm_on("a.gguf")
        usage = lm(request=Request(model=lm.model, messages=(Message.user("Hi"),))).usage
        assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == (7, 2, 5)

    def test_the_pieces_of_an_answer_are_put_together(self, loaded: Load) -> None:
        loaded(answer())
        assert lm_on("a.gguf")("Hi") == ["hello"]

    def test_an_answer_that_was_cut_says_so(self, loaded: Load) -> None:
        loaded(answer("length"))
        lm = lm_on("a.gguf")
        assert lm(request=Request(model=lm.model, messages=(Message.user("Hi"),))).finish_reason == "length"

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            ({"code": 400, "type": "exceed_context_size_error", "message": "too long"}, ContextLengthError),
            ({"code": 400, "type": "invalid_request_error", "message": "bad grammar"}, InvalidRequestError),
            ({"code": 500, "type": "server_error", "message": "out of memory"}, ServerError),
        ],
    )
    def test_an_error_of_llama_becomes_the_matching_error_of_dspy(
        self, error: dict[str, Any], kind: type[Exception], loaded: Load
    ) -> None:
        loaded([{"error": error}])
        engine = LlamaEngine("a.gguf", LlamaSettings())
        with pytest.raises(kind, match=error["message"]):
            engine.complete(Request(model="llamacpp/test", messages=(Message.user("Hi"),)))


class TestState:
    def test_an_lm_is_saved_and_loaded_with_its_engine(self) -> None:
        state = json.loads(json.dumps(lm_on("a.gguf", {"min_p": 0.1}, temperature=0.2).dump_state()))
        loaded = dspy.LM.load_state(state, allow_custom_lm_class=True)
        assert (loaded.engine.path, loaded.engine.sampling) == ("a.gguf", {"min_p": 0.1})
        assert loaded.engine.settings == LlamaSettings(slots=2, context=512)
        assert loaded.kwargs["temperature"] == 0.2

    def test_a_loaded_lm_can_be_asked_asynchronously(self, loaded: Load) -> None:
        loaded(answer())
        lm = dspy.LM.load_state(lm_on("a.gguf").dump_state(), allow_custom_lm_class=True)
        assert asyncio.run(lm.acall("Hi")) == ["hello"]


class TestFiles:
    def test_a_gguf_is_accepted_by_its_first_bytes(self, tmp_path: Path) -> None:
        (tmp_path / "model.bin").write_bytes(b"GGUF rest")
        assert gguf_path(str(tmp_path / "model.bin")) == str(tmp_path / "model.bin")

    def test_a_folder_is_no_gguf(self, tmp_path: Path) -> None:
        with pytest.raises(LMSpecError, match="no such file"):
            gguf_path(str(tmp_path))

    @pytest.mark.parametrize("content", [b"", b"GG", b"<html>"])
    def test_another_file_is_refused(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / "a.gguf").write_bytes(content)
        with pytest.raises(LMSpecError, match="not a GGUF file"):
            gguf_path(str(tmp_path / "a.gguf"))

    def test_the_name_of_a_linked_file_is_kept_for_its_neighbours(self, tmp_path: Path) -> None:
        (tmp_path / "blob").write_bytes(b"GGUF")
        (tmp_path / "m-00001-of-00002.gguf").symlink_to(tmp_path / "blob")
        assert gguf_path(str(tmp_path / "m-00001-of-00002.gguf")).endswith("m-00001-of-00002.gguf")

    def test_a_truncated_gguf_ends_in_one_line(self, tmp_path: Path) -> None:
        pytest.importorskip("xllamacpp")
        (tmp_path / "cut.gguf").write_bytes(b"GGUF\x03\x00\x00\x00\x01")
        with pytest.raises(LMError) as raised:
            build_lm(parse_spec(f"llamacpp:{tmp_path}/cut.gguf"))("Hi")
        line = explain_lm_error("seeker", "llamacpp:cut.gguf", raised.value)
        assert "cut.gguf: llama.cpp cannot load this file as a model" in line
        assert "\n" not in line

    def test_without_the_local_extra_the_command_that_adds_it_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "xllamacpp", None)
        with pytest.raises(LMError, match=r"pip install 'socialsim\[local\]'"):
            lm_on("/never/loaded.gguf")("Hi")


def schema(**properties: Any) -> dict[str, Any]:
    shape = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": shape, "strict": True}}


@pytest.fixture(scope="module")
def embedded() -> dspy.LM:
    return build_lm(parse_spec("embedded?slots=2&context=1024&temperature=0&max_tokens=60"))


@pytest.mark.embedded
class TestEmbedded:
    def test_a_schema_is_kept_with_its_patterns_enums_and_lengths(self, embedded: dspy.LM) -> None:
        code = {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"}
        mood, note = {"enum": ["quince", "medlar"]}, {"type": "string", "maxLength": 12}
        said = json.loads(embedded("Say anything.", response_format=schema(code=code, mood=mood, note=note))[0])
        assert re.fullmatch("[A-Z]{2}-[0-9]{3}", said["code"])
        assert said["mood"] in ("quince", "medlar")
        assert len(said["note"]) <= 12

    def test_the_same_seed_gives_the_same_answer_once_the_prompt_is_cached(self, embedded: dspy.LM) -> None:
        # Reading a prompt and taking it from the cache round differently, so the first answer may differ.
        _, one, two = (embedded("Tell me about rain.", temperature=0.9, seed=3, max_tokens=12) for _ in range(3))
        assert one == two

    def test_another_seed_gives_another_answer(self, embedded: dspy.LM) -> None:
        answers = [embedded("Tell me about rain.", temperature=0.9, seed=seed, max_tokens=12)[0] for seed in range(3)]
        assert len(set(answers)) > 1

    def test_a_prompt_with_the_same_beginning_is_read_from_the_cache(self, embedded: dspy.LM) -> None:
        start = "The rules are these. " * 20
        brief = Config(max_tokens=4)
        first, second = (
            embedded(request=Request(model=embedded.model, messages=(Message.user(start + end),), config=brief)).usage
            for end in ("Say yes.", "Say no, please.")
        )
        assert second.cache_read_tokens > 0.8 * first.input_tokens
        assert second.cache_read_tokens < second.input_tokens
        assert second.output_tokens > 0

    def test_a_prompt_longer_than_the_context_is_told_apart(self, embedded: dspy.LM) -> None:
        with pytest.raises(ContextWindowExceededError):
            embedded("word " * 2000)

    def test_requests_beyond_the_slots_are_all_answered(self, embedded: dspy.LM) -> None:
        number = schema(number={"type": "integer", "minimum": 1, "maximum": 9})

        async def ask_five() -> list[Any]:
            return await asyncio.gather(
                *(embedded.acall(f"Pick number {i}.", response_format=number) for i in range(5))
            )

        assert [1 <= json.loads(answer[0])["number"] <= 9 for answer in asyncio.run(ask_five())] == [True] * 5

    def test_a_cancelled_request_stops_and_the_next_is_answered(self) -> None:
        lm = build_lm(parse_spec("embedded?slots=1&context=4096&temperature=0&max_tokens=4"))
        lm("Say yes.")  # loads the model

        async def cancel_then_ask() -> list[Any]:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(lm.acall("Write a long story.", max_tokens=3900), 0.5)
            return await asyncio.wait_for(lm.acall("Say yes."), 20)  # the only slot and thread are free again

        assert asyncio.run(cancel_then_ask())[0]
