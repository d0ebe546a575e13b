"""A hub for tests: the endpoints of huggingface.co that a push calls, on a thread of this process.

Files are committed inline (``uploadMode: regular``), so that storage servers are not needed.
"""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

TOKEN = "hf_" + "a" * 34


@dataclass
class Repo:
    """A repository: whether it is private, and what it holds."""

    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)


class FakeHub:
    """Repositories by ``datasets/OWNER/NAME`` or ``models/OWNER/NAME``.

    Attributes:
        refuse: path part to (status, message) of the answer to requests whose path holds it.
        tokens: the token of each request.
    """

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.refuse: dict[str, tuple[int, str]] = {}
        self.tokens: list[str] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, method: str, path: str, body: list[Any]) -> tuple[int, Any]:
        """Status and JSON of a request; the path is without ``/api/``."""
        match [method, *path.split("/")]:
            case ["POST", "repos", "create"]:
                return self._create(body[0])
            case ["POST", "validate-yaml"]:
                return 200, {"warnings": [], "errors": []}
            case ["GET", kind, owner, name, *rest] if repo := self.repos.get(f"{kind}/{owner}/{name}"):
                files = [{"type": "file", "path": path, "size": 1, "oid": "0"} for path in repo.files]
                return 200, files if rest[:1] == ["tree"] else {"id": f"{owner}/{name}", "private": repo.private}
            case ["POST", kind, owner, name, "preupload", "main"]:
                files = [
                    {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in body[0]["files"]
                ]
                return 200, {"files": files}
            case ["POST", kind, owner, name, "commit", "main"]:
                return self._commit(f"{kind}/{owner}/{name}", body)
        return 404, {"error": "Repository not found"}

    def _create(self, asked: dict[str, Any]) -> tuple[int, Any]:
        kind, name = f"{asked.get('type', 'model')}s", f"{asked['organization']}/{asked['name']}"
        there = f"{kind}/{name}" in self.repos
        self.repos.setdefault(
            f"{kind}/{name}", Repo(asked.get("visibility") == "private" or bool(asked.get("private")))
        )
        return 409 if there else 200, {"url": f"{self.url}/{'datasets/' if kind == 'datasets' else ''}{name}"}

    def _commit(self, name: str, lines: list[Any]) -> tuple[int, Any]:
        repo = self.repos[name]
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                repo.messages.append(value["summary"])
            elif line["key"] == "file":
                repo.files[value["path"]] = base64.b64decode(value["content"])
            else:
                del repo.files[value["path"]]
        return 200, {"commitUrl": f"{self.url}/{name.removeprefix('models/')}/commit/{'0' * 40}", "commitOid": "0" * 40}


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def do_GET(self) -> None:
            self._answer(b"")

        def _answer(self, body: bytes) -> None:
            hub.tokens.append(self.headers.get("authorization", "").removeprefix("Bearer "))
            path = self.path.partition("?")[0].removeprefix("/api/")
            refused = [answer for part, answer in hub.refuse.items() if part in path]
            if refused:
                status, sent = refused[0][0], {"error": refused[0][1]}
            else:
                status, sent = hub.answer(self.command, path, [json.loads(line) for line in body.splitlines()])
            data = json.dumps(sent).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler
