from __future__ import annotations

from pathlib import Path

import pytest

from socialsim.config import read_config, resolve_lms, variable_name
from socialsim.errors import InputError, LMSpecError
from socialsim.schema import Role


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for role in (None, *Role):
        monkeypatch.delenv(variable_name(role), raising=False)


def file(folder: Path, text: str) -> Path:
    path = folder / "socialsim.toml"
    path.write_text(text, "utf-8")
    return path


def test_without_any_setting_every_role_is_embedded(tmp_path: Path) -> None:
    assert {spec.text for spec in resolve_lms({}, tmp_path).values()} == {"embedded"}


def test_every_role_gets_a_spec(tmp_path: Path) -> None:
    assert set(resolve_lms({None: "openai/a"}, tmp_path)) == set(Role)


def test_the_file_wins_over_the_default(tmp_path: Path) -> None:
    file(tmp_path, 'lm = "openai/file"')
    assert resolve_lms({}, tmp_path)[Role.SEEKER].text == "openai/file"


@pytest.mark.parametrize("role", [None, Role.SEEKER])
def test_the_environment_wins_over_the_file(role: Role | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file(tmp_path, 'lm = "openai/file"\nseeker_lm = "openai/file"' if role else 'lm = "openai/file"')
    monkeypatch.setenv(variable_name(role), "openai/environment")
    assert resolve_lms({}, tmp_path)[Role.SEEKER].text == "openai/environment"


@pytest.mark.parametrize("role", [None, Role.SEEKER])
def test_a_flag_wins_over_the_environment(role: Role | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable_name(role), "openai/environment")
    assert resolve_lms({role: "openai/flag"}, tmp_path)[Role.SEEKER].text == "openai/flag"


def test_a_roles_own_setting_wins_over_a_general_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file(tmp_path, 'persona_lm = "openai/file"')
    monkeypatch.setenv("SOCIALSIM_SEEKER_LM", "openai/environment")
    specs = resolve_lms({None: "openai/general", Role.SUPPORTER: "openai/flag"}, tmp_path)
    assert [specs[role].text for role in (Role.PERSONA, Role.SEEKER, Role.SUPPORTER, Role.JUDGE)] == [
        "openai/file",
        "openai/environment",
        "openai/flag",
        "openai/general",
    ]


def test_an_empty_variable_counts_as_unset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCIALSIM_LM", "")
    assert resolve_lms({}, tmp_path)[Role.SEEKER].text == "embedded"


def test_an_empty_flag_is_refused_rather_than_replaced_by_a_default(tmp_path: Path) -> None:
    with pytest.raises(LMSpecError, match=r"from --lm.*empty"):
        resolve_lms({None: ""}, tmp_path)


def test_a_bad_spec_of_a_flag_names_role_and_flag(tmp_path: Path) -> None:
    with pytest.raises(LMSpecError, match=r"^seeker LM \(from --seeker-lm\): unknown LM spec 'nonsense'"):
        resolve_lms({Role.SEEKER: "nonsense"}, tmp_path)


def test_a_bad_spec_of_the_environment_names_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCIALSIM_JUDGE_LM", "nonsense")
    with pytest.raises(LMSpecError, match=r"^judge LM \(from SOCIALSIM_JUDGE_LM\)"):
        resolve_lms({}, tmp_path)


def test_a_bad_spec_of_the_file_names_the_file(tmp_path: Path) -> None:
    file(tmp_path, 'supporter_lm = ""')
    with pytest.raises(LMSpecError, match=r"^supporter LM \(from socialsim\.toml\): an LM spec is empty"):
        resolve_lms({}, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lm = embedded", "cannot be read as TOML.*line 1"),
        ('sekeer_lm = "embedded"', "unknown key 'sekeer_lm'; known: lm, persona_lm"),
        ("lm = 3", "lm takes an LM spec in quotes, not 3"),
        ('[lm]\nseeker = "embedded"', "lm takes an LM spec in quotes"),
    ],
)
def test_a_malformed_file_is_named_with_what_is_wrong(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"socialsim\.toml: {message}"):
        read_config(file(tmp_path, text))


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "socialsim.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"socialsim\.toml: cannot be read as TOML"):
        read_config(tmp_path / "socialsim.toml")
