"""An OpenAI-compatible server in a thread: real LM path, real subprocesses, scripted answers.

with answering_server() as server:                  # valid answers to whatever schema is asked for
    main(["run", "--lm", server.spec])              # from this process or another one
server.requests, server.peak                        # what came in; how many were open at once
server.answer = lambda request: {"error": 503}      # an int under "error" is sent as an HTTP status
A request that asks for a stream gets one.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dspy.lm15 import Config, Message, Request

from tests.scripted import valid_answers

Answer = Callable[[Request], dict[str, Any] | str]


class AnsweringServer:
    """A running server.

    Args:
        answer: the answer to a request; a dict is sent as JSON, ``{"error": 503}`` as that HTTP status
            (with a ``code``, if it has one).
        delay: seconds before each answer, so that requests overlap.
    """

    def __init__(self, answer: Answer, delay: float = 0.0) -> None:
        self.answer = answer
        self.delay = delay
        self.requests: list[Request] = []
        self.peak = 0
        self._open = 0
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.answering = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def spec(self) -> str:
        """The LM spec that reaches it; no retries, so that a failure shows at once."""
        return f"http://127.0.0.1:{self._http.server_port}/v1#scripted?retries=0"

    def close(self) -> None:
        """Stop listening: from now on connections are refused."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def reply(self, body: dict[str, Any]) -> tuple[int, bytes]:
        """Status and body of one answer."""
        request = request_of(body)
        with self._lock:
            self._open += 1
            self.peak = max(self.peak, self._open)
            self.requests.append(request)
            answer = self.answer(request)
        time.sleep(self.delay)
        with self._lock:
            self._open -= 1
        if isinstance(answer, dict) and isinstance(status := answer.get("error"), int):
            error = {"message": f"scripted failure {status}", "code": answer.get("code")}
            return status, json.dumps({"error": error}).encode()
        text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        return 200, json.dumps({"id": "x", "model": "scripted", "choices": [choice], "usage": usage}).encode()


@contextmanager
def answering_server(answer: Answer | None = None, delay: float = 0.0) -> Iterator[AnsweringServer]:
    """A server for a with block."""
    server = AnsweringServer(answer or valid_answers(), delay)
    try:
        yield server
    finally:
        server.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    answering: AnsweringServer

    def handle_error(self, *_: object) -> None:
        """A client that was killed is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, payload = self.server.answering.reply(body)
        streamed = body.get("stream") and status == 200
        payload = _streamed(json.loads(payload)) if streamed else payload
        self.send_response(status)
        self.send_header("Content-Type", "text/event-stream" if streamed else "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


def _streamed(answer: dict[str, Any]) -> bytes:
    """The same answer as server-sent events, a few characters each."""
    text = answer["choices"][0]["message"]["content"]
    pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    choices: list[dict[str, Any]] = [
        {"index": 0, "delta": {"content": piece}, "finish_reason": None} for piece in pieces
    ]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    head = {"id": "x", "object": "chat.completion.chunk", "model": "scripted"}
    chunks = [head | {"choices": [choice]} for choice in choices] + [head | {"choices": [], "usage": answer["usage"]}]
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


def request_of(body: dict[str, Any]) -> Request:
    """The chat-completions body as the request DSPy made."""
    said = [(message["role"], _text(message["content"])) for message in body["messages"]]
    messages = tuple(
        Message.user(text) if role == "user" else Message.assistant(text) for role, text in said if role != "system"
    )
    system = "\n".join(text for role, text in said if role == "system")
    form = body["response_format"]
    config = Config(response_format={"type": "json_schema", "schema": form["json_schema"]["schema"]})
    return Request(model=body["model"], messages=messages, system=system, config=config)


def _text(content: str | list[dict[str, Any]]) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
