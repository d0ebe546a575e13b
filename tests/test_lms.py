"""Specs, LM building and prices; `tests/test_lm_servers.py` has what a server receives and answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from socialsim import weights
from socialsim.errors import LMSpecError
from socialsim.lm_errors import reason, redact
from socialsim.lms import build_lm, ollama_host, parse_spec, usual_shots, without_waiting
from socialsim.prices import price

KEY = "planted-secret-0123456789"


@pytest.mark.parametrize(
    "text",
    [
        "embedded",
        "llamacpp:/models/a.gguf",
        "llamacpp:org/repo:file.gguf",
        "ollama/llama3.2:1b",
        "http://localhost:8000/v1#org/model",
        "https://[::1]:8000/v1#m",
        "openai/gpt-4o-mini",
        "anthropic/claude-sonnet-4-5",
        "openrouter/openai/gpt-4o-mini",
    ],
)
def test_every_form_is_parsed_and_kept_as_written(text: str) -> None:
    spec = parse_spec(f" {text}?temperature=0.5 ")
    assert (spec.model, spec.text, spec.options) == (text, f"{text}?temperature=0.5", {"temperature": 0.5})


@pytest.mark.parametrize(
    "text",
    [
        "gpt-4o",
        "openai/",
        "/gpt-4o",
        "my model/x",
        "llamacpp:",
        "http://localhost:8000/v1",
        "http://#m",
        "http://[::1/v1#m",
        "http://localhost:99999/v1#m",
    ],
)
def test_an_unknown_form_is_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(LMSpecError, match=r"unknown LM spec.*use one of: embedded, llamacpp:PATH\.gguf"):
        parse_spec(text)


@pytest.mark.parametrize("text", ["", "  ", "?temperature=1"])
def test_an_empty_spec_is_refused(text: str) -> None:
    with pytest.raises(LMSpecError, match="empty"):
        parse_spec(text)


@pytest.mark.parametrize(
    "text",
    [
        f"openai/gpt-4o?api_key={KEY}",
        f"http://localhost/v1?key={KEY}#m",
        f"http://user:{KEY}@localhost/v1#m",
        f"openai/gpt-4o?access_token={KEY}",
        f"sk-{KEY}",
        f"hf_{KEY}",
    ],
)
def test_a_key_inside_a_spec_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(LMSpecError, match=r"carries a key.*environment") as error:
        parse_spec(text)
    assert KEY not in str(error.value)


def test_a_key_given_in_place_of_a_spec_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRAL_API_KEY", KEY)
    with pytest.raises(LMSpecError, match="unknown LM spec") as error:
        parse_spec(KEY)
    assert KEY not in str(error.value)


@pytest.mark.parametrize(
    ("text", "setting"),
    [("openai/gpt-4o?temprature=1", "temprature"), ("openai/gpt-4o?slots=2", "slots"), ("embedded?foo=1", "foo")],
)
def test_an_unknown_setting_is_refused_with_those_this_lm_takes(text: str, setting: str) -> None:
    with pytest.raises(LMSpecError, match=f"unknown setting '{setting}'; known here: .*max_tokens"):
        parse_spec(text)


@pytest.mark.parametrize(
    "setting",
    ["temperature=hot", "temperature=", "temperature=nan", "timeout=inf", "max_tokens=1.5", "slots=two", "top_k=0.5"],
)
def test_a_setting_that_is_not_the_right_number_is_refused(setting: str) -> None:
    with pytest.raises(LMSpecError, match=f"{setting.partition('=')[0]} takes a (whole )?number"):
        parse_spec(f"embedded?{setting}")


@pytest.mark.parametrize("setting", ["timeout=0", "max_tokens=0", "slots=0", "context=-1", "retries=-1", "threads=-2"])
def test_a_number_that_is_too_small_is_refused(setting: str) -> None:
    with pytest.raises(LMSpecError, match=rf"{setting.partition('=')[0]} must be (above|at least) 0"):
        parse_spec(f"embedded?{setting}")


def test_two_specs_with_the_same_text_are_equal_keys() -> None:
    assert {parse_spec("embedded?slots=2"): 1}[parse_spec("embedded?slots=2")] == 1


@pytest.mark.parametrize("model", ["openai/gpt-5", "openai/o3", "openai/gpt-5-mini", "http://localhost/v1#gpt-5"])
def test_a_reasoning_model_is_built_with_room_and_without_temperature(model: str) -> None:
    settings = build_lm(parse_spec(model)).kwargs
    assert (settings["max_completion_tokens"], settings["temperature"]) == (16000, None)


def test_a_reasoning_models_own_settings_are_kept() -> None:
    settings = build_lm(parse_spec("openai/gpt-5?max_tokens=32000&timeout=9&temperature=1")).kwargs
    assert (settings["max_completion_tokens"], settings["timeout"], settings["temperature"]) == (32000, 9, 1)


@pytest.mark.parametrize("setting", ["temperature=0.5", "max_tokens=100"])
def test_a_setting_a_reasoning_model_refuses_is_named_in_one_line(setting: str) -> None:
    with pytest.raises(LMSpecError, match=r"^openai/gpt-5\?.*: a reasoning model takes no temperature.*\Z"):
        build_lm(parse_spec(f"openai/gpt-5?{setting}"))


def test_a_claude_model_is_built_with_structured_output() -> None:
    lm = build_lm(parse_spec("anthropic/claude-sonnet-4-5?temperature=0.2"))
    assert lm.supports_response_schema
    assert lm.kwargs["temperature"] == 0.2


def test_no_lm_answers_from_a_cache() -> None:
    assert not build_lm(parse_spec("openai/gpt-4o")).cache


@pytest.mark.parametrize("spec", ["http://localhost/v1#m", "openai/gpt-4o"])
def test_no_key_reaches_the_state_or_the_text_of_an_lm(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCIALSIM_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    lm = build_lm(parse_spec(spec))
    assert KEY not in f"{lm!r} {lm} {json.dumps(lm.dump_state())}"


def test_a_missing_gguf_is_named() -> None:
    with pytest.raises(LMSpecError, match=r"llamacpp:/nowhere/a\.gguf: no such file"):
        build_lm(parse_spec("llamacpp:/nowhere/a.gguf"))


def test_a_file_that_is_not_a_gguf_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"PK\x03\x04 a zip")
    with pytest.raises(LMSpecError, match=r"a\.gguf: not a GGUF file"):
        build_lm(parse_spec(f"llamacpp:{tmp_path}/a.gguf"))


def test_a_gguf_of_the_hub_is_downloaded_by_repository_and_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def download(repo: str, file: str) -> str:
        asked.append((repo, file))
        (tmp_path / "blob").write_bytes(b"GGUF")
        return str(tmp_path / "blob")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    lm = build_lm(parse_spec("llamacpp:org/repo:q4.gguf?slots=2&min_p=0.1"))
    assert asked == [("org/repo", "q4.gguf")]
    assert lm.engine.path == str(tmp_path / "blob")


@pytest.mark.parametrize("error", [OSError(f"404 for token {KEY}\nsecond line"), ValueError()])
def test_a_file_the_hub_does_not_give_is_one_line_without_a_key(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(*_: Any) -> str:
        raise error

    monkeypatch.setenv("HF_TOKEN", KEY)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(LMSpecError, match=r"^llamacpp:org/repo:q4\.gguf: the hub did not give the file \(.+\); check"):
        build_lm(parse_spec("llamacpp:org/repo:q4.gguf"))
    assert KEY not in reason(error)


def test_the_settings_of_a_spec_reach_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCIALSIM_CACHE", str(tmp_path))
    weights.embedded_path().parent.mkdir()
    weights.embedded_path().write_bytes(b"GGUF")
    lm = build_lm(parse_spec("embedded?slots=3&context=512&threads=1&top_k=7&temperature=0.1&max_tokens=9"))
    settings = lm.engine.settings
    assert (settings.slots, settings.context, settings.threads) == (3, 512, 1)
    assert lm.engine.sampling["top_k"] == 7
    assert (lm.kwargs["temperature"], lm.kwargs["max_tokens"]) == (0.1, 9)


@pytest.mark.parametrize(
    ("variable", "address"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://0.0.0.0:11434"),
        ("gpu-box:8080", "http://gpu-box:8080"),
        ("https://gpu-box/", "https://gpu-box"),
    ],
)
def test_ollamas_address_is_completed_as_its_own_client_does(
    variable: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", variable)
    assert ollama_host() == address


@pytest.mark.parametrize("spec", ["embedded", "llamacpp:a.gguf", "ollama/llama3", "http://localhost/v1#gpt-4o"])
def test_what_runs_on_own_machines_is_free(spec: str) -> None:
    found = price(parse_spec(spec))
    assert found is not None
    assert found.of(1000, 1000, 500) == 0


@pytest.mark.parametrize(
    ("spec", "per_million"),
    [("openai/gpt-4o-mini", (0.15, 0.60, 0.075)), ("anthropic/claude-sonnet-4-5", (3.0, 15.0, 0.3))],
)
def test_a_known_price_is_the_providers(spec: str, per_million: tuple[float, float, float]) -> None:
    found = price(parse_spec(spec))
    assert found is not None
    assert tuple(rate * 1e6 for rate in found) == pytest.approx(per_million)


def test_the_price_of_an_unknown_model_is_unknown() -> None:
    assert price(parse_spec("openai/no-such-model")) is None


def test_a_key_of_the_environment_and_a_password_in_an_address_are_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", KEY)
    monkeypatch.setenv("OTHER_TOKEN", f"{KEY}-and-more")
    assert redact(f"{KEY} {KEY}-and-more http://me:pw@host/v1 sk-abcdefgh1") == "*** *** http://***@host/v1 ***"


def test_prompts_get_three_examples_one_in_process_none_where_they_were_learnt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    remote, plain, embedded = map(parse_spec, ("openai/gpt-4o-mini", "embedded:base", "embedded"))
    monkeypatch.setattr("socialsim.resources.embedded_adapter", lambda: None)
    assert [usual_shots([remote]), usual_shots([plain, remote]), usual_shots([plain, embedded])] == [3, 3, 1]
    monkeypatch.setattr("socialsim.resources.embedded_adapter", lambda: tmp_path)
    assert [usual_shots([embedded]), usual_shots([plain, embedded]), usual_shots([embedded, remote])] == [0, 1, 3]


def test_how_long_to_wait_belongs_to_a_remote_spec_and_is_no_part_of_what_it_answers() -> None:
    lm = build_lm(parse_spec("http://h:1/v1#m?patience=7&retries=2&timeout=3"))
    assert (lm.patience.patience, lm.patience.retries) == (7, 2)
    assert without_waiting("http://h:1/v1#m?patience=7&temperature=1&timeout=3") == "http://h:1/v1#m?temperature=1"
    assert without_waiting("http://h:1/v1#m?retries=0") == without_waiting("http://h:1/v1#m") == "http://h:1/v1#m"
    with pytest.raises(LMSpecError, match="unknown setting 'patience'"):
        parse_spec("embedded?patience=7")
