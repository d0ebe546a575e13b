"""A server with OpenAI's Batch API in a thread: files, batches, result files; chat completions beside it.

with batch_server() as server:                      # answers by content: the same question, the same answer
    main(["run", "--batch", "--lm", server.spec])
server.batches, server.lines                        # what was submitted
server.held.clear()                                 # batches stay in progress until it is set
server.ends = ["expired"]                           # how the next batches end, then "completed"
server.on_line = lambda line: 500                   # HTTP status, "lost" or None (an answer) for a line of a batch
server.on_call = lambda call: "reset"               # the same for a request of the API: status or "reset" before it,
                                                    # "late" for a 500 after it was done
server.after_call = lambda call: child.kill()       # called when a request is done, before its answer is sent
"""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from dspy.lm15 import Request

from tests.answering_server import Answer, request_of
from tests.scripted import system_text, user_text, valid_answers

Json = dict[str, Any]


class Call(NamedTuple):
    """A request of the API."""

    method: str
    path: str


def by_content(request: Request) -> Json:
    """A valid answer that the same question always gets."""
    seed = zlib.crc32((system_text(request) + user_text(request)).encode())
    return valid_answers(seed, verdict="suitable")(request)


class BatchServer:
    """A running server."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.calls: list[Call] = []
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, Json] = {}
        self.chats = 0
        self.ends: list[str] = []
        self.held = threading.Event()
        self.held.set()
        self.on_line: Callable[[Json], int | str | None] = lambda _: None
        self.on_call: Callable[[Call], int | str | None] = lambda _: None
        self.after_call: Callable[[Call], object] = lambda _: None
        self.lock = threading.RLock()
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.told = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Address up to and with ``/v1``."""
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    @property
    def spec(self) -> str:
        """The LM spec that reaches it."""
        return f"{self.url}#scripted"

    @property
    def lines(self) -> list[Json]:
        """Every request that was submitted in a batch, in order."""
        files = [self.files[batch["input_file_id"]] for batch in self.batches.values()]
        return [json.loads(line) for file in files for line in file.splitlines()]

    @property
    def questions(self) -> list[str]:
        """What these requests ask, without their ids."""
        return [json.dumps(line["body"], sort_keys=True) for line in self.lines]

    def close(self) -> None:
        """Stop listening."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def reply(self, call: Call, query: dict[str, list[str]], body: Json | bytes) -> Json | bytes | int:
        """The answer to a request of the API; a number is an HTTP status."""
        parts = call.path.removeprefix("/v1/").split("/")
        if isinstance(body, bytes):
            return self._file(_uploaded(body))
        match call.method, parts:
            case "POST", ["chat", "completions"]:
                self.chats += 1
                return self._completion(body)
            case "POST", ["batches"]:
                return self._create(body)
            case "POST", ["batches", batch, "cancel"]:
                self.batches[batch]["status"] = "cancelled"
                return self.batches[batch]
            case "GET", ["batches"]:
                return self._listed(query.get("after", [""])[0])
            case "GET", ["batches", batch]:
                return self._looked_at(self.batches[batch]) if batch in self.batches else 404
            case "GET", ["files", file, "content"]:
                return self.files.get(file, 404)
        return 404

    def _file(self, content: bytes) -> Json:
        name = f"file-{len(self.files) + 1}"
        self.files[name] = content
        made = {"bytes": len(content), "created_at": int(time.time()), "filename": "f.jsonl", "status": "processed"}
        return {"id": name, "object": "file", "purpose": "batch", **made}

    def _create(self, body: Json) -> Json:
        name = f"batch_{len(self.batches) + 1}"
        lines = self.files[body["input_file_id"]].splitlines()
        made = {"object": "batch", "created_at": int(time.time()), "status": "in_progress"}
        counts = {"request_counts": {"total": len(lines), "completed": 0, "failed": 0}}
        self.batches[name] = {"id": name, **body, **made, **counts}
        return self.batches[name]

    def _listed(self, after: str) -> Json:
        newest = list(reversed(self.batches.values()))
        ids = [batch["id"] for batch in newest]
        first = ids.index(after) + 1 if after else 0
        page = newest[first : first + 2]  # small pages, so that a client must turn them
        return {"object": "list", "data": page, "has_more": first + 2 < len(newest), "last_id": page and page[-1]["id"]}

    def _looked_at(self, batch: Json) -> Json:
        if self.held.is_set() and batch["status"] == "in_progress":
            batch["status"] = self.ends.pop(0) if self.ends else "completed"
            if batch["status"] in ("failed", "full"):
                code = "token_limit_exceeded" if batch["status"] == "full" else "invalid_request"
                error = {"code": code, "message": f"scripted {code}"}
                batch |= {"status": "failed", "errors": {"object": "list", "data": [error]}}
            else:
                self._work_on(batch)
        return batch

    def _work_on(self, batch: Json) -> None:
        lines = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        done = lines if batch["status"] == "completed" else lines[: len(lines) // 2]
        good: list[Json] = []
        bad: list[Json] = []
        for line in lines:
            fault = self.on_line(line)
            if line not in done:
                bad.append(_expired(line)) if batch["status"] == "expired" else None
            elif isinstance(fault, int):
                bad.append(_result(line, fault, {"error": {"message": f"scripted {fault}"}}))
            elif fault is None:
                good.append(_result(line, 200, self._completion(line["body"])))
        for name, results in (("output_file_id", good), ("error_file_id", bad)):
            if results:
                batch[name] = self._file("".join(json.dumps(one) + "\n" for one in results).encode())["id"]
        batch["request_counts"] |= {"completed": len(good), "failed": len(bad)}

    def _completion(self, body: Json) -> Json:
        answer = self.answer(request_of(body))
        text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        made = {"id": "x", "object": "chat.completion", "created": 1, "model": body["model"]}
        return {**made, "choices": [choice], "usage": usage}


@contextmanager
def batch_server(answer: Answer = by_content) -> Iterator[BatchServer]:
    """A server for a with block."""
    server = BatchServer(answer)
    try:
        yield server
    finally:
        server.close()


def _result(line: Json, status: int, body: Json) -> Json:
    response = {"status_code": status, "request_id": "r", "body": body}
    return {"id": "batch_req", "custom_id": line["custom_id"], "response": response, "error": None}


def _expired(line: Json) -> Json:
    error = {"code": "batch_expired", "message": "This request could not be executed before the window expired."}
    return {"id": "batch_req", "custom_id": line["custom_id"], "response": None, "error": error}


def _uploaded(body: bytes) -> bytes:
    """The file in a multipart body."""
    boundary = body.split(b"\r\n", 1)[0]
    part = next(part for part in body.split(boundary) if b'name="file"' in part)
    return part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    told: BatchServer

    def handle_error(self, *_: object) -> None:
        """A client that was killed is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self._answer(body if "multipart" in self.headers["Content-Type"] else json.loads(body or b"{}"))

    def _answer(self, body: Json | bytes) -> None:
        told, where = self.server.told, urlsplit(self.path)
        call = Call(self.command, where.path)
        with told.lock:
            told.calls.append(call)
            fault = told.on_call(call)
            if fault == "reset":
                self.close_connection = True
                return
            made = fault if isinstance(fault, int) else told.reply(call, parse_qs(where.query), body)
        told.after_call(call)
        if fault == "late":
            made = 500
        status = made if isinstance(made, int) else 200
        if isinstance(made, int):
            made = {"error": {"message": f"scripted failure {status}"}}
        payload = made if isinstance(made, bytes) else json.dumps(made).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        """Be quiet."""
