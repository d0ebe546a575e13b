"""LMs behind HTTP, as DSPy really reaches them: what a server receives, and what its failures become."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any

import dspy
import pytest

from socialsim.ask import BadAnswer, RoleError
from socialsim.ask import ask as ask_role
from socialsim.lm_errors import explain_lm_error
from socialsim.lms import build_lm, parse_spec
from socialsim.schema import Role
from tests.servers import OllamaServer, OpenAIServer

KEY = "planted-secret-0123456789"
SCHEMA = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}


@pytest.fixture(autouse=True)
def planted_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SOCIALSIM_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, KEY)


def ask(spec: str, **kwargs: Any) -> Any:
    return build_lm(parse_spec(spec))("Say a word.", **kwargs)


class TestWhatAServerReceives:
    def test_the_answer_of_an_own_server_comes_back(self) -> None:
        with OpenAIServer('{"word": "plum"}') as server:
            assert ask(f"{server.url}#org/model", response_format=FORMAT) == ['{"word": "plum"}']

    def test_the_model_goes_out_without_a_prefix_and_with_its_slashes(self) -> None:
        with OpenAIServer() as server:
            ask(f"{server.url}#org/model")
        assert server.requests[0].body["model"] == "org/model"

    def test_a_slash_at_the_end_of_the_address_does_no_harm(self) -> None:
        with OpenAIServer() as server:
            ask(f"{server.url}/#m")
        assert server.requests[0].path == "/v1/chat/completions"

    def test_the_key_of_the_environment_is_sent(self) -> None:
        with OpenAIServer() as server:
            ask(f"{server.url}#m")
        assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"

    def test_a_server_without_a_key_is_asked_without_the_openai_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SOCIALSIM_API_KEY")
        with OpenAIServer() as server:
            ask(f"{server.url}#m")
        assert KEY not in str(server.requests[0].headers)

    def test_a_schema_arrives_as_strict_json_schema(self) -> None:
        with OpenAIServer() as server:
            ask(f"{server.url}#m", response_format=FORMAT)
        assert server.requests[0].body["response_format"] == FORMAT

    def test_an_own_server_is_trusted_with_a_schema(self) -> None:
        assert build_lm(parse_spec("http://localhost:1/v1#m")).supports_response_schema

    def test_the_settings_of_the_spec_arrive(self) -> None:
        with OpenAIServer() as server:
            ask(f"{server.url}#m?temperature=0.3&top_p=0.9&max_tokens=77")
        body = server.requests[0].body
        assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.3, 0.9, 77)

    def test_two_servers_serve_two_roles_of_one_process(self) -> None:
        with OpenAIServer("I am the seeker") as one, OpenAIServer("I am the supporter") as two:
            seeker, supporter = build_lm(parse_spec(f"{one.url}#m")), build_lm(parse_spec(f"{two.url}#m"))
            assert [*seeker("Hi"), *supporter("Hi"), *seeker("Hi")] == [
                "I am the seeker",
                "I am the supporter",
                "I am the seeker",
            ]

    async def test_an_own_server_is_reached_asynchronously(self) -> None:
        with OpenAIServer("plum") as server:
            assert await build_lm(parse_spec(f"{server.url}#m")).acall("Say a word.") == ["plum"]

    def test_ollama_is_asked_for_a_schema_at_its_openai_endpoint(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with OllamaServer("llama3:latest") as server:
            monkeypatch.setenv("OLLAMA_HOST", server.host)
            ask("ollama/llama3", response_format=FORMAT)
        request = server.requests[0]
        assert (request.path, request.body["model"]) == ("/v1/chat/completions", "llama3")
        assert request.body["response_format"] == FORMAT
        assert KEY not in str(request.headers)

    def test_an_own_server_is_reached_without_litellm(self) -> None:
        program = (
            "import sys; from socialsim.lms import *; "
            "build_lm(parse_spec(sys.argv[1]))('Hi'); print('litellm' in sys.modules)"
        )
        with OpenAIServer() as server:
            made = subprocess.run(
                [sys.executable, "-c", program, f"{server.url}#m"], capture_output=True, text=True, check=True
            )
        assert made.stdout.strip() == "False"


class TestFailures:
    def line(self, spec: str, caplog: pytest.LogCaptureFixture) -> str:
        """What a failing call is told as; none of it may hold a key."""
        with caplog.at_level(logging.DEBUG), pytest.raises(Exception) as raised:  # noqa: PT011
            ask(spec)
        line = explain_lm_error("seeker", spec, raised.value)
        assert line.startswith(f"seeker LM {spec}: ")
        assert "\n" not in line
        assert KEY not in line + caplog.text
        return line

    @pytest.mark.parametrize(
        ("status", "remedy"),
        [
            (400, "check model name and settings"),
            (401, "put the server's key into SOCIALSIM_API_KEY"),
            (402, "top it up"),
            (403, "put the server's key into SOCIALSIM_API_KEY"),
            (404, "check the model's name and the address, which mostly ends in /v1"),
            (429, "lower --concurrency or wait"),
            (500, "the server failed; run again later"),
            (503, "the server failed; run again later"),
        ],
    )
    def test_a_refusal_of_an_own_server_says_what_to_do(
        self, status: int, remedy: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with OpenAIServer(status=status, error=f"no: {KEY}\nand sk-abcdefgh12345678") as server:
            line = self.line(f"{server.url}#m?retries=0", caplog)
        assert "no: *** and ***" in line
        assert remedy in line

    def test_a_slow_server_is_a_timeout_and_says_how_to_wait_longer(self, caplog: pytest.LogCaptureFixture) -> None:
        with OpenAIServer(delay=1.0) as server:
            assert "?timeout=SECONDS" in self.line(f"{server.url}#m?retries=0&timeout=0.1", caplog)

    def test_a_server_that_is_down_is_asked_after(self, caplog: pytest.LogCaptureFixture) -> None:
        with OpenAIServer() as server:
            pass
        line = self.line(f"{server.url}#m?retries=0", caplog)
        assert "Connection refused" in line
        assert "is the server up and the address right?" in line

    def test_a_missing_openai_key_names_the_variable(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("OPENAI_API_KEY")
        line = self.line("openai/gpt-4o-mini?retries=0", caplog)
        assert "OPENAI_API_KEY" in line
        assert "api_key=" not in line

    def test_a_model_ollama_does_not_have_comes_with_the_command_that_fetches_it(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with OpenAIServer(status=404, error="model 'x' not found") as server:
            monkeypatch.setenv("OLLAMA_HOST", server.host)
            assert "`socialsim lms --lm ollama/x --pull`" in self.line("ollama/x?retries=0", caplog)

    def test_a_prompt_that_is_too_long_asks_for_a_longer_context(self, caplog: pytest.LogCaptureFixture) -> None:
        with OpenAIServer(status=400, code="context_length_exceeded") as server:
            assert "an LM with a longer context" in self.line(f"{server.url}#m?retries=0", caplog)

    def test_a_long_error_is_cut_after_its_keys_are_gone(self, caplog: pytest.LogCaptureFixture) -> None:
        with OpenAIServer(status=400, error="x" * 230 + KEY) as server:
            line = self.line(f"{server.url}#m?retries=0", caplog)
        assert KEY[:10] not in line
        assert len(line) < 500

    def test_a_server_that_recovers_is_asked_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("time.sleep", lambda _: None)
        with OpenAIServer("plum", status=503) as server:
            replies = iter([503, 200])
            original = server.reply

            def reply(request: Any) -> Any:
                server.status = next(replies)
                return original(request)

            monkeypatch.setattr(server, "reply", reply)
            assert ask(f"{server.url}#m?retries=1") == ["plum"]


class TestOfAnAnswer:
    async def test_a_prompt_that_a_filter_refuses_with_status_400_may_be_asked_again(self) -> None:
        said = "The response was filtered due to the prompt triggering the content management policy."
        with OpenAIServer(status=400, code="content_filter", error=said) as server:
            lm = build_lm(parse_spec(f"{server.url}#m"))
            with dspy.context(lm=lm), pytest.raises(BadAnswer, match=r"^the provider's content filter refused the pro"):
                await ask_role(Role.SEEKER, dspy.Predict("question -> answer"), question="why?")
        assert len(server.requests) == 1  # the same prompt again would be refused again

    async def test_another_status_400_is_about_the_request(self) -> None:
        with OpenAIServer(status=400) as server:
            lm = build_lm(parse_spec(f"{server.url}#m"))
            with dspy.context(lm=lm), pytest.raises(RoleError):
                await ask_role(Role.SEEKER, dspy.Predict("question -> answer"), question="why?")
