"""`socialsim lms`: what it asks, what its tables say."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import pytest
from rich.console import Console

from socialsim import cli, doctor
from socialsim.doctor import check_server, probe, show_lms
from socialsim.errors import LMSpecError
from socialsim.lms import LMSpec, parse_spec
from socialsim.schema import Role
from tests.scripted import ScriptedLM, scripted_lm
from tests.servers import OllamaServer, OpenAIServer

KEY = "planted-secret-0123456789"
SPEC = parse_spec("http://own-server/v1#m")


@pytest.fixture
def lm(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let every spec mean one scripted LM."""

    def use(made: ScriptedLM) -> ScriptedLM:
        monkeypatch.setattr(doctor, "build_lm", lambda _: made)
        return made

    return use


def everyone(text: str) -> Mapping[Role, LMSpec]:
    return {role: parse_spec(text) for role in Role}


def row(output: str, role: str) -> list[str]:
    """The cells of a role's row."""
    line = next(line for line in output.splitlines() if line.startswith(f"│ {role} "))
    return [cell.strip() for cell in line.strip("│").split("│")]


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


class TestProbe:
    def test_an_lm_that_keeps_to_the_schema_is_healthy(self, lm: Any) -> None:
        lm(scripted_lm())
        health = probe(Role.SEEKER, SPEC)
        assert (health.problem, health.schema) == (None, True)

    @pytest.mark.parametrize("answer", ["An apple.", '{"verdict": "apple"}', '{"fruit": "quince"}', "[]", ""])
    def test_an_lm_that_answers_otherwise_ignores_the_schema(self, answer: str, lm: Any) -> None:
        lm(scripted_lm(lambda _: answer))
        health = probe(Role.SEEKER, SPEC)
        assert (health.problem, health.schema) == (None, False)

    def test_the_allowed_words_stand_in_the_schema_only(self, lm: Any) -> None:
        made = lm(scripted_lm())
        probe(Role.SEEKER, SPEC)
        request = made.requests[0]
        words = request.config.response_format["schema"]["properties"]["verdict"]["enum"]
        assert not [word for word in words if word in str(request.messages)]

    def test_the_answer_is_bounded(self, lm: Any) -> None:
        made = lm(scripted_lm())
        probe(Role.SEEKER, SPEC)
        assert made.requests[0].config.max_tokens <= 1000

    def test_a_reasoning_model_may_think_as_long_as_in_a_run(self) -> None:
        with OpenAIServer() as server:
            probe(Role.SEEKER, parse_spec(f"{server.url}#gpt-5"))
        body = server.requests[0].body
        assert (body.get("max_completion_tokens") or body["max_tokens"]) == 16000

    def test_a_server_that_keeps_to_the_schema_is_healthy(self) -> None:
        with OpenAIServer(json.dumps({"verdict": "quince"})) as server:
            assert probe(Role.SEEKER, parse_spec(f"{server.url}#m")).schema

    def test_thinking_before_the_answer_does_no_harm(self) -> None:
        with OpenAIServer(json.dumps({"verdict": "quince"}), thinking="Let me see.") as server:
            assert probe(Role.SEEKER, parse_spec(f"{server.url}#m")).schema

    def test_the_latency_is_that_of_the_second_call(self, lm: Any) -> None:
        pauses = iter([0.5, 0.0])

        def answer(_: object) -> str:
            time.sleep(next(pauses))
            return "quince"

        lm(scripted_lm(answer))
        assert probe(Role.SEEKER, SPEC).seconds < 0.4

    def test_a_dead_server_is_told_at_once_with_role_spec_and_remedy(self) -> None:
        with OpenAIServer() as server:
            pass
        started = time.monotonic()
        problem = probe(Role.SEEKER, parse_spec(f"{server.url}#m")).problem
        assert time.monotonic() - started < 5
        assert problem is not None
        assert problem.startswith(f"seeker LM {server.url}#m: ")
        assert "is the server up" in problem

    def test_a_spec_that_cannot_be_built_names_the_role(self) -> None:
        problem = probe(Role.PERSONA, parse_spec("llamacpp:/nowhere.gguf")).problem
        assert problem == "persona LM: llamacpp:/nowhere.gguf: no such file; give the path of a .gguf file"

    def test_a_key_that_a_server_repeats_is_not_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SOCIALSIM_API_KEY", KEY)
        with OpenAIServer(status=401, error=f"wrong key {KEY}") as server:
            problem = probe(Role.SEEKER, parse_spec(f"{server.url}#m")).problem
        assert problem is not None
        assert "wrong key ***" in problem
        assert KEY not in problem


class TestOllama:
    def test_a_server_that_is_down_comes_with_the_command_that_starts_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with OllamaServer() as server:
            monkeypatch.setenv("OLLAMA_HOST", server.host)
        with pytest.raises(LMSpecError, match=r"^ollama/x: no Ollama server at http://127.*`ollama serve`"):
            check_server(parse_spec("ollama/x"))

    def test_a_password_in_the_address_is_not_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OLLAMA_HOST", f"http://me:{KEY}@127.0.0.1:1")
        with pytest.raises(LMSpecError, match="no Ollama server") as error:
            check_server(parse_spec("ollama/x"))
        assert KEY not in str(error.value)

    @pytest.mark.parametrize("model", ["llama3", "llama3:latest"])
    def test_a_model_that_is_there_passes_with_and_without_its_tag(
        self, model: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with OllamaServer("llama3:latest") as server:
            monkeypatch.setenv("OLLAMA_HOST", server.host)
            check_server(parse_spec(f"ollama/{model}"))
        assert [request.path for request in server.requests] == ["/api/tags"]

    def test_a_missing_model_comes_with_the_command_that_pulls_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with OllamaServer("other:latest") as server:
            monkeypatch.setenv("OLLAMA_HOST", server.host)
            with pytest.raises(LMSpecError, match=r"does not have x; run `socialsim lms --lm ollama/x --pull`"):
                check_server(parse_spec("ollama/x?temperature=1"))

    def test_a_missing_model_is_pulled_with_progress(self, monkeypatch: pytest.MonkeyPatch) -> None:
        shown = io.StringIO()
        with OllamaServer() as server:
            monkeypatch.setenv("OLLAMA_HOST", server.host)
            check_server(parse_spec("ollama/x"), pull=True, console=Console(file=shown, width=100))
        assert server.models == ["x"]
        assert "x: success" in shown.getvalue()

    def test_a_model_that_cannot_be_pulled_is_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with OllamaServer(pullable=False) as server:
            monkeypatch.setenv("OLLAMA_HOST", server.host)
            with pytest.raises(LMSpecError, match=r"^ollama/x: cannot be pulled \(pull model manifest: file does not"):
                check_server(parse_spec("ollama/x"), pull=True, console=Console(file=io.StringIO()))

    def test_other_specs_ask_no_server(self) -> None:
        check_server(parse_spec("http://localhost:1/v1#m"))


class TestTables:
    def test_a_healthy_lm_answers_and_honours_the_schema(self, lm: Any, capsys: pytest.CaptureFixture[str]) -> None:
        lm(scripted_lm())
        assert show_lms(everyone("http://own-server/v1#m"))
        found = row(capsys.readouterr().out, "seeker")
        assert found[:3] == ["seeker", "http://own-server/v1#m", "free"]
        assert found[3].startswith("yes, 0.")
        assert found[4] == "honoured"

    def test_an_lm_that_ignores_the_schema_still_answers(self, lm: Any, capsys: pytest.CaptureFixture[str]) -> None:
        lm(scripted_lm(lambda _: "An apple."))
        assert show_lms(everyone("openai/no-such-model"))
        found = row(capsys.readouterr().out, "supporter")
        assert (found[2], found[3][:3], found[4]) == ("unknown", "yes", "ignored")

    def test_a_dead_lm_does_not_answer_and_its_problem_stands_below(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert not show_lms(everyone("llamacpp:/nowhere.gguf"))
        output = capsys.readouterr().out
        assert row(output, "persona")[3:] == ["no", ""]
        assert output.splitlines()[-1] == (
            "✗ persona LM: llamacpp:/nowhere.gguf: no such file; give the path of a .gguf file"
        )

    def test_an_lm_of_several_roles_is_asked_once(self, lm: Any) -> None:
        made = lm(scripted_lm())
        show_lms(everyone("http://own-server/v1#m"))
        assert len(made.requests) == 2

    def test_brackets_in_a_servers_error_are_printed_as_they_are(self, capsys: pytest.CaptureFixture[str]) -> None:
        with OpenAIServer(status=400, error="unbalanced [/red] and [bold]x") as server:
            assert not show_lms(everyone(f"{server.url}#m"))
        assert "[http/m] unbalanced [/red] and [bold]x" in capsys.readouterr().out

    def test_a_failed_pull_is_a_problem_of_its_lm_and_the_others_are_still_asked(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with OllamaServer(pullable=False) as server, OpenAIServer(json.dumps({"verdict": "quince"})) as other:
            monkeypatch.setenv("OLLAMA_HOST", server.host)
            specs = {**everyone(f"{other.url}#m"), Role.PERSONA: parse_spec("ollama/x")}
            assert not show_lms(specs, pull=True)
        output = capsys.readouterr().out
        assert row(output, "persona")[3] == "no"
        assert row(output, "seeker")[4] == "honoured"
        assert "✗ persona LM: ollama/x: cannot be pulled" in output

    def test_a_price_is_told_for_a_million_tokens(self, capsys: pytest.CaptureFixture[str]) -> None:
        show_lms(everyone("openai/gpt-4o-mini"), check=False)
        assert row(capsys.readouterr().out, "seeker")[2:] == ["0.15 in, 0.60 out", "not asked", ""]


@pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")
class TestCommand:
    def run(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["socialsim", "lms", *arguments])
        try:
            cli.main()
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    def test_the_forms_and_the_roles_are_listed(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(monkeypatch, "--no-check", "--seeker-lm", "openai/gpt-4o") == 0
        output = capsys.readouterr().out
        assert "http://HOST:PORT/v1#MODEL" in output
        assert [row(output, role)[1] for role in ("persona", "seeker")] == ["embedded", "openai/gpt-4o"]

    def test_a_dead_lm_ends_with_a_code(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.run(monkeypatch, "--lm", "llamacpp:/nowhere.gguf") == 1

    def test_an_unknown_spec_ends_in_one_line(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(monkeypatch, "--seeker-lm", "nonsense") == 1
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 1
        assert said[0].startswith("socialsim: seeker LM (from --seeker-lm): unknown LM spec 'nonsense'")

    def test_listing_without_a_check_does_not_load_dspy(self) -> None:
        program = (
            "import sys; from socialsim.cli import app; command = ['lms', '--no-check', '--lm', 'embedded']; "
            "app(command, result_action='return_value'); sys.exit('dspy' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0
