"""What may be said in public: names, never places; text, never markup."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialsim.sharing.markdown import code, plain, table
from socialsim.sharing.names import public_base, public_lm, without_paths


@pytest.mark.parametrize(
    ("spec", "public"),
    [
        ("http://10.0.0.5:8000/v1#model", "model"),
        ("https://gpu.corp.example/v1#Qwen/Qwen3-32B?temperature=0.9", "Qwen/Qwen3-32B?temperature=0.9"),
        ("http://box:8000/v1#/srv/models/Qwen3", "Qwen3"),
        ("http://box:8000/v1#/srv/q.gguf", "q.gguf"),
        ("student:/home/ann/s/esconv?slots=2", "student:esconv?slots=2"),
        ("student:students/esconv/", "student:esconv"),
        ("llamacpp:/home/ann/m.gguf+/home/ann/a.gguf", "llamacpp:m.gguf+a.gguf"),
        ("llamacpp:owner/repo:m.gguf", "llamacpp:m.gguf"),
        ("huggingface/https://abc.endpoints.example/v1", "huggingface"),
        ("openai/gpt-4o-mini", "openai/gpt-4o-mini"),
        ("ollama/llama3.1", "ollama/llama3.1"),
        ("embedded:base", "embedded:base"),
    ],
)
def test_an_lm_by_its_name_alone(spec: str, public: str) -> None:
    assert public_lm(spec) == public


def test_a_base_by_its_name_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert public_base("embedded") == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert public_base("meta-llama/Llama-2-7b-hf") == "meta-llama/Llama-2-7b-hf"
    assert public_base("/srv/m/llama.gguf") == "llama.gguf"
    assert public_base("~/m/llama") == "llama"
    (tmp_path / "bases" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert public_base("bases/mine") == "mine"


def test_paths_leave_json_and_nothing_else_does() -> None:
    given_ = {"a": "/home/ann/x", "b": ["~/y/z", "./w", "C:\\u\\v", "and/or", "/", 3, None], "t": "/a\n/b"}
    assert without_paths(given_) == {"a": "x", "b": ["z", "w", "v", "and/or", "/", 3, None], "t": "/a\n/b"}


@given(st.text())
def test_plain_text_holds_no_markup_and_fits_a_cell(text: str) -> None:
    shown = plain(text)
    assert "<" not in shown
    assert "://" not in shown
    assert len(shown.splitlines()) <= 1
    bare = shown.replace("\\\\", "")
    for sign in "|`*[]$":
        assert bare.count(sign) == bare.count(f"\\{sign}")


@given(st.text())
def test_code_ends_where_it_ends(text: str) -> None:
    shown = code(text)
    assert shown.count("`") in (0, 2)
    assert "|" not in shown


def test_a_table() -> None:
    assert table(("", "n"), [("a", "1")]) == "|  | n |\n| --- | ---: |\n| a | 1 |"
    assert table(("", "n"), [("a", "1"), ("b", "`1`")]).splitlines()[1] == "| --- | --- |"
