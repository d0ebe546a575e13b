"""What stands before a local web app: nothing of the host leaks, no other site gets in."""

from __future__ import annotations

import socket
from io import StringIO
from typing import Any

import pytest
from fastapi import FastAPI, Request
from rich.console import Console

from socialsim.errors import UsageError
from socialsim.web import new_app, page, render
from socialsim.web.guard import MAX_BODY
from socialsim.web.serve import bound, is_loopback, new_token, secure, serve, url_of
from tests.webclient import TestClient, client

TOKEN = "a-token"


def app(token: str | None = None, host: str = "127.0.0.1") -> FastAPI:
    made = new_app()

    @made.get("/")
    def home() -> Any:
        return page("base.html")

    @made.post("/size")
    async def size(request: Request) -> int:
        return len(await request.body())

    secure(made, token, host)
    return made


@pytest.fixture
def local() -> TestClient:
    return client(app())


@pytest.mark.parametrize("name", ["127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:8000"])
def test_this_machine_is_served_under_its_own_names(name: str) -> None:
    assert client(app(), name).get("/").status_code == 200


@pytest.mark.parametrize(
    "name", ["evil.example", "127.0.0.1.evil.example", "localhost.evil:80", "10.0.0.1", "", "[::", "a@b"]
)
def test_a_name_that_was_made_to_point_here_is_not(local: TestClient, name: str) -> None:
    assert local.get("/", headers={"host": name}).status_code == 421


def test_an_app_for_all_addresses_is_served_under_an_address_but_no_foreign_name() -> None:
    served = client(app(TOKEN, "0.0.0.0"))
    hosts = {"192.168.1.7:80": 401, "[fe80::1]": 401, socket.gethostname(): 401, "evil.example": 421}
    assert {name: served.get("/", headers={"host": name}).status_code for name in hosts} == hosts


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_page_of_another_site_changes_nothing(local: TestClient, headers: dict[str, str]) -> None:
    assert local.post("/size", content=b"x", headers=headers).status_code == 403


def test_the_own_page_and_a_program_may(local: TestClient) -> None:
    own = {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}
    assert local.post("/size", content=b"x", headers=own).json() == 1
    assert local.post("/size", content=b"x").json() == 1


def test_a_body_has_a_limit_with_and_without_a_declared_length(local: TestClient) -> None:
    def chunks(size: int) -> Any:
        yield b"x" * (size // 2)
        yield b"x" * (size - size // 2)

    assert local.post("/size", content=b"x" * MAX_BODY).json() == MAX_BODY
    assert local.post("/size", content=chunks(MAX_BODY)).json() == MAX_BODY
    assert local.post("/size", content=b"x" * (MAX_BODY + 1)).status_code == 413
    assert local.post("/size", content=chunks(MAX_BODY + 1)).status_code == 413


def test_elsewhere_the_token_is_shown_once_and_then_held_in_a_cookie() -> None:
    served = client(app(TOKEN, "192.168.1.7"), "192.168.1.7")
    assert served.get("/").status_code == 401
    assert served.get("/?token=wrong").status_code == 401
    assert served.post(f"/size?token={TOKEN}", content=b"x").status_code == 401
    shown = served.get(f"/?kind=persona&token={TOKEN}", follow_redirects=False)
    assert (shown.status_code, shown.headers["location"]) == (303, "/?kind=persona")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(shown.headers["set-cookie"].split("; "))
    assert served.get("/").status_code == 200
    assert served.post("/size", content=b"x").json() == 1


def test_the_token_does_not_send_the_browser_to_another_site() -> None:
    url = f"http://127.0.0.1:8000//evil.example/?token={TOKEN}"
    shown = client(app(TOKEN, "0.0.0.0")).get(url, follow_redirects=False)
    assert shown.headers["location"] == "/evil.example/"


def test_the_cookie_of_another_app_on_this_machine_opens_nothing() -> None:
    served = client(app(TOKEN, "0.0.0.0"))
    served.cookies.set("socialsim-00000000", TOKEN)
    assert served.get("/").status_code == 401


@pytest.mark.parametrize("path", ["/", "/static/base.css", "/nothing"])
def test_every_answer_forbids_what_the_pages_do_not_need(local: TestClient, path: str) -> None:
    headers = local.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        *("/static/../serve.py", "/static/..%2fserve.py", "/static/%2e%2e/%2e%2e/serve.py", "/static/..%5cserve.py"),
        *("/static//etc/passwd", "/static/%2fetc%2fpasswd", "/static/base.html", "/static/", "/../../etc/passwd"),
        *("/docs", "/openapi.json", "/static/review.js"),
    ],
)
def test_no_file_is_served_but_those_named(local: TestClient, path: str) -> None:
    assert local.get(path).status_code == 404


def test_the_shared_files_are_served_with_their_types(local: TestClient) -> None:
    assert local.get("/static/base.css").headers["content-type"] == "text/css; charset=utf-8"
    assert local.get("/static/favicon.svg").headers["content-type"].startswith("image/svg+xml")


def test_what_is_put_into_a_template_is_escaped() -> None:
    line = "<script>alert(1)</script>"
    assert line not in render("review/error.html", line=line)
    assert "&lt;script&gt;" in render("review/error.html", line=line)


@pytest.mark.parametrize(("host", "own"), [("127.0.0.1", True), ("::1", True), ("[::1]", True), ("localhost", True)])
def test_this_machine_alone_needs_no_token(host: str, own: bool) -> None:
    assert is_loopback(host)
    assert new_token(host) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org"])
def test_anything_else_gets_a_new_one_each_time(host: str) -> None:
    first, second = new_token(host), new_token(host)
    assert first
    assert second
    assert first != second
    assert len(first) >= 32


def test_a_port_in_use_and_an_address_that_is_not_ours_are_one_line() -> None:
    with bound("127.0.0.1", 0) as there:
        port = there.getsockname()[1]
        with pytest.raises(UsageError, match=f"--port {port}: in use"):
            serve(app(), "127.0.0.1", port, open_browser=False, console=Console(file=StringIO()))
    with pytest.raises(UsageError, match="no such address"):
        bound("192.0.2.1", 0)
    with pytest.raises(UsageError, match="0 to 65535"):
        bound("127.0.0.1", 70_000)


def test_the_address_that_is_printed() -> None:
    assert url_of("127.0.0.1", 80) == "http://127.0.0.1:80/"
    assert url_of("::1", 80, "t") == "http://[::1]:80/?token=t"
    assert url_of("0.0.0.0", 80).startswith(f"http://{socket.gethostname()}:80")
