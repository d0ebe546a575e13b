"""Servers for tests, on threads of this process: an OpenAI-compatible one and Ollama.

with OpenAIServer("a word") as server:           # or status=401, error="…", delay=2.0
    build_lm(parse_spec(f"{server.url}#model"))("hi")
server.requests                                  # every request so far: path, headers, body
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self


class Received(NamedTuple):
    """A request a server received."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class OpenAIServer:
    """``/v1/chat/completions`` with a fixed answer or error.

    Args:
        answer: what every completion says.
        status: HTTP status of every answer.
        error: message of the error body, where ``status`` is not 200.
        code: the error's code in that body.
        delay: seconds before an answer.
        thinking: reasoning that comes with the answer.
    """

    def __init__(
        self,
        answer: str = "hello",
        status: int = 200,
        error: str = "refused",
        code: str | None = None,
        delay: float = 0.0,
        thinking: str = "",
    ) -> None:
        self.thinking = thinking
        self.answer, self.status, self.error, self.code, self.delay = answer, status, error, code, delay
        self.requests: list[Received] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True

    @property
    def host(self) -> str:
        """Address without a path."""
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def url(self) -> str:
        """Address as it goes into a spec."""
        return f"{self.host}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def reply(self, request: Received) -> tuple[int, list[dict[str, Any]]]:
        """Status and JSON lines of the answer to a request."""
        time.sleep(self.delay)
        if self.status != 200:
            return self.status, [{"error": {"message": self.error, "type": "error", "code": self.code}}]
        message = {"role": "assistant", "content": self.answer}
        if self.thinking:
            message["reasoning_content"] = self.thinking
        usage = {
            "prompt_tokens": 30,
            "completion_tokens": 4,
            "total_tokens": 34,
            "prompt_tokens_details": {"cached_tokens": 10},
        }
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        made = {"id": "1", "object": "chat.completion", "created": 1, "model": request.body["model"]}
        return 200, [{**made, "choices": [choice], "usage": usage}]


class OllamaServer(OpenAIServer):
    """The parts of Ollama's own API that list and pull models, and its OpenAI-compatible endpoint.

    Args:
        models: names of the models that are there.
        pullable: whether a pull succeeds.
        answer: what every completion says.
    """

    def __init__(self, *models: str, pullable: bool = True, answer: str = "hello") -> None:
        super().__init__(answer)
        self.models, self.pullable = list(models), pullable

    def reply(self, request: Received) -> tuple[int, list[dict[str, Any]]]:
        """Status and JSON lines of the answer to a request."""
        if request.path == "/api/tags":
            return 200, [{"models": [{"model": name} for name in self.models]}]
        if request.path != "/api/pull":
            return super().reply(request)
        if not self.pullable:
            return 200, [{"status": "pulling manifest"}, {"error": "pull model manifest: file does not exist"}]
        self.models.append(request.body["model"])
        layer = {"status": "pulling aabbcc", "digest": "aabbcc", "total": 2048}
        return 200, [{"status": "pulling manifest"}, {**layer, "completed": 1024}, layer, {"status": "success"}]


def _handler(server: OpenAIServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body: bytes) -> None:
            request = Received(self.path, dict(self.headers), json.loads(body or b"{}"))
            server.requests.append(request)
            status, lines = server.reply(request)
            payload = b"\n".join(json.dumps(line).encode() for line in lines)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):  # a client that timed out is gone
                self.wfile.write(payload)

        def log_message(self, format: str, *args: Any) -> None:
            return None

    return Handler
