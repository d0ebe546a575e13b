"""A LoRA adapter in the engine: specs, files that are something else, what ships, and that it changes the answers."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.utils.exceptions import LMError
from hypothesis import given
from hypothesis import strategies as st

from socialsim import resources, weights
from socialsim.artifacts import find, slug
from socialsim.engines.gguf_header import GGUFHeader, read_header
from socialsim.errors import LMSpecError
from socialsim.lm_errors import explain_lm_error
from socialsim.lms import build_lm, parse_spec


def gguf_bytes(**metadata: str | list[str] | int) -> bytes:
    """A GGUF that holds nothing but metadata; ``_`` in a name stands for a dot."""
    parts = [struct.pack("<4sIQQ", b"GGUF", 3, 0, len(metadata))]
    for name, value in metadata.items():
        parts.append(_text(name.replace("_", ".")))
        if isinstance(value, str):
            parts += [struct.pack("<I", 8), _text(value)]
        elif isinstance(value, int):
            parts.append(struct.pack("<II", 4, value))
        else:
            parts += [struct.pack("<IIQ", 9, 8, len(value)), *map(_text, value)]
    return b"".join(parts)


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


MODEL = gguf_bytes(general_architecture="llama", general_type="model")
ADAPTER = gguf_bytes(general_architecture="llama", general_type="adapter")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "model.gguf").write_bytes(MODEL)
    (tmp_path / "lora.gguf").write_bytes(ADAPTER)
    return tmp_path


class TestSpec:
    def test_the_two_files_reach_the_engine(self, files: Path) -> None:
        lm = build_lm(parse_spec(f"llamacpp:{files}/model.gguf+{files}/lora.gguf?slots=2"))
        assert lm.engine.path == f"{files}/model.gguf"
        assert lm.engine.settings.adapter == f"{files}/lora.gguf"
        assert lm.engine.settings.slots == 2

    def test_a_model_alone_has_no_adapter(self, files: Path) -> None:
        assert build_lm(parse_spec(f"llamacpp:{files}/model.gguf")).engine.settings.adapter == ""

    def test_a_file_whose_name_holds_a_plus_is_one_file(self, files: Path) -> None:
        (files / "a.gguf+b.gguf").write_bytes(MODEL)
        engine = build_lm(parse_spec(f"llamacpp:{files}/a.gguf+b.gguf")).engine
        assert (engine.path, engine.settings.adapter) == (f"{files}/a.gguf+b.gguf", "")

    def test_a_saved_lm_keeps_its_adapter(self, files: Path) -> None:
        lm = build_lm(parse_spec(f"llamacpp:{files}/model.gguf+{files}/lora.gguf"))
        state = json.loads(json.dumps(lm.dump_state()))
        loaded = dspy.LM.load_state(state, allow_custom_lm_class=True)
        assert loaded.engine.settings == lm.engine.settings

    def test_programs_are_compiled_for_the_model_with_its_adapter(self) -> None:
        assert slug(parse_spec("llamacpp:/a/smol.gguf+/b/student.gguf?slots=1")) == "smol-student"

    def test_an_adapter_left_out_after_the_plus_is_no_spec(self) -> None:
        with pytest.raises(LMSpecError, match="unknown LM spec"):
            parse_spec("llamacpp:model.gguf+")


class TestFiles:
    @pytest.mark.parametrize(
        ("written", "line"),
        [
            ("model.gguf+none.gguf", r"none\.gguf: no such file"),
            ("model.gguf+page.gguf", r"page\.gguf: not a GGUF file"),
            ("page.gguf+lora.gguf", r"page\.gguf: not a GGUF file"),
            ("lora.gguf", r"lora\.gguf: an adapter, not a model; write llamacpp:MODEL\.gguf\+lora\.gguf"),
            ("lora.gguf+lora.gguf", r"lora\.gguf: an adapter, not a model"),
            ("model.gguf+model.gguf", r"model\.gguf: a model, not an adapter"),
            ("model.gguf+qwen.gguf", r"model\.gguf\+.*qwen\.gguf: an adapter for qwen2 models; this model is llama"),
        ],
    )
    def test_what_is_something_else_is_told_before_anything_is_loaded(
        self, written: str, line: str, files: Path
    ) -> None:
        (files / "page.gguf").write_bytes(b"<html>")
        (files / "qwen.gguf").write_bytes(gguf_bytes(general_architecture="qwen2", general_type="adapter"))
        spec = "+".join(f"{files}/{name}" for name in written.split("+"))
        with pytest.raises(LMSpecError, match=line) as raised:
            build_lm(parse_spec(f"llamacpp:{spec}"))
        assert "\n" not in str(raised.value)

    def test_the_header_is_found_behind_other_metadata(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(
            gguf_bytes(general_languages=["en", "zh"], general_file=7, general_type="adapter", general_architecture="x")
        )
        assert read_header(tmp_path / "a") == GGUFHeader("adapter", "x")

    def test_an_old_model_that_does_not_say_what_it_is_is_a_model(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(gguf_bytes(general_architecture="llama", tokenizer_ggml_tokens=["a"] * 9))
        assert read_header(tmp_path / "a") == GGUFHeader("model", "llama")

    @given(cut=st.integers(0, len(ADAPTER)), noise=st.binary(max_size=40))
    def test_a_broken_header_raises_nothing(
        self, cut: int, noise: bytes, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "broken.gguf"
        path.write_bytes(ADAPTER[:cut] + noise)
        header = read_header(path)
        if cut == len(ADAPTER):
            assert header == GGUFHeader("adapter", "llama")
        elif not noise:  # what is cut is not known; noise can be anything
            assert header.kind in ("adapter", "model")
            assert header.architecture in ("llama", "")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with programs compiled for the plain embedded model, whose weights are at hand."""
    monkeypatch.setenv("SOCIALSIM_CACHE", str(tmp_path / "cache"))
    weights.embedded_path().parent.mkdir(parents=True)
    weights.embedded_path().write_bytes(MODEL)
    monkeypatch.setattr(resources, "compiled_folder", lambda: tmp_path)
    (tmp_path / "seeker").mkdir()
    (tmp_path / "seeker" / "embedded-base.json").write_text("{}")
    return tmp_path


def ship(package: Path) -> Path:
    (package / "adapters").mkdir()
    path = package / "adapters" / "embedded.gguf"
    path.write_bytes(ADAPTER)
    return path


class TestShipped:
    @pytest.mark.parametrize("spec", ["embedded", "embedded:base"])
    def test_without_a_shipped_adapter_both_names_are_the_plain_model(self, spec: str, package: Path) -> None:
        engine = build_lm(parse_spec(spec)).engine
        assert (engine.path, engine.settings.adapter) == (str(weights.embedded_path()), "")

    def test_embedded_takes_the_adapter_that_ships(self, package: Path) -> None:
        path = ship(package)
        assert build_lm(parse_spec("embedded?slots=1")).engine.settings.adapter == str(path)
        assert build_lm(parse_spec("embedded:base?slots=1")).engine.settings.adapter == ""

    def test_what_was_compiled_for_the_plain_model_is_not_shown_to_the_adapted_one(self, package: Path) -> None:
        ship(package)
        assert find("seeker", parse_spec("embedded:base"), [package]) == package / "seeker" / "embedded-base.json"
        assert find("seeker", parse_spec("embedded"), [package]) is None

    def test_both_have_the_embedded_models_settings(self, package: Path) -> None:
        one, other = (build_lm(parse_spec(spec)) for spec in ("embedded", "embedded:base"))
        assert one.kwargs == other.kwargs
        assert (one.engine.sampling, one.engine.settings) == (other.engine.sampling, other.engine.settings)

    @pytest.mark.parametrize(("spec", "small"), [("embedded:base?slots=1", True), ("llamacpp:embedded", False)])
    def test_a_spec_says_whether_it_is_the_embedded_model(self, spec: str, small: bool) -> None:
        assert parse_spec(spec).embedded is small


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("torch", "peft", "gguf", "xllamacpp"):
        pytest.importorskip(package, reason="needs socialsim[train,local]")
    from finetune.gguf_adapter import write_gguf_adapter
    from tests.ggufs import random_lora, tiny_llama, write_base

    folder = tmp_path_factory.mktemp("trained")
    write_base(tiny_llama(), folder / "model.gguf")
    for name, model in (("lora", tiny_llama()), ("other", tiny_llama(hidden_size=32))):
        random_lora(model, folder / name)
        write_gguf_adapter(folder / name, model.config, folder / f"{name}.gguf")
    return folder


class TestAnswers:
    """With a tiny model of random weights."""

    def test_an_adapter_changes_the_answers_and_only_its_own(self, trained: Path) -> None:
        def ask(spec: str) -> Any:
            lm = build_lm(parse_spec(f"llamacpp:{spec}?temperature=0&max_tokens=24&slots=1&context=256&threads=1"))
            return lm("I have not slept since the letter came.")[0]

        plain, adapted = ask(f"{trained}/model.gguf"), ask(f"{trained}/model.gguf+{trained}/lora.gguf")
        assert plain != adapted
        assert ask(f"{trained}/model.gguf") == plain

    def test_an_adapter_of_another_model_ends_in_one_line_that_names_both_files(self, trained: Path) -> None:
        spec = f"llamacpp:{trained}/model.gguf+{trained}/other.gguf?context=256"
        with pytest.raises(LMError) as raised:
            build_lm(parse_spec(spec))("Hi")
        line = explain_lm_error("seeker", "llamacpp", raised.value)
        assert f"{trained}/model.gguf+{trained}/other.gguf: llama.cpp cannot load the two together" in line
        assert "\n" not in line
