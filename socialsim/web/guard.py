"""What stands before a local web app: host, origin, token, size of a body, headers.

A page of another site can make a browser send requests to this machine. It cannot read the answer, unless its name is
made to point here (DNS rebinding), and it cannot hide where its request comes from: hence the checks of ``Host`` and
``Origin``. A plain ASGI middleware, so that a streamed answer is streamed.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_BODY: Final = 256 * 1024  # bytes
_CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_WILDCARDS: Final = frozenset({"0.0.0.0", "::"})
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # not no-referrer: a form would then send "Origin: null"
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class Refused(Exception):
    """A request that goes no further: status, reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Guard:
    """The middleware.

    Args:
        app: what it guards.
        token: what a browser must show once in the query; it then holds it in a cookie. None: nothing is asked.
        host: what the app is bound to.
        max_body: bytes of a request's body at most.
    """

    def __init__(self, app: App, token: str | None = None, host: str = "127.0.0.1", max_body: int = MAX_BODY) -> None:
        self.app, self.token, self.max_body = app, token, max_body
        self._names = {"localhost", "127.0.0.1", "::1", host.strip("[]").lower()} - _WILDCARDS
        self._wildcard = host.strip("[]") in _WILDCARDS
        if self._wildcard:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
        # Cookies know no ports: an app of its own name for each token lets two of them run side by side.
        self._cookie = f"socialsim-{hashlib.sha256((token or '').encode()).hexdigest()[:8]}"

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request that breaks a rule; pass the others on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS]
            await send(message)

        try:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            self._check_host(headers)
            self._check_origin(scope["method"], headers)
            if self.token is not None and (fresh := self._check_token(scope, headers)):
                await _answer(send_marked, 303, "", *fresh)
                return
            received = await self._whole(receive, headers)
        except Refused as refused:
            await _answer(send_marked, refused.status, f"{refused}\n")
            return
        await self.app(scope, received, send_marked)

    def _check_host(self, headers: dict[str, str]) -> None:
        name = _hostname(f"//{headers.get('host', '')}")
        # A name made to point here is a name; an address is what the user typed.
        if not (name in self._names or (self._wildcard and _is_address(name))):
            raise Refused(421, "this app is not served under this name")

    def _check_origin(self, method: str, headers: dict[str, str]) -> None:
        if method not in _CHANGING:
            return
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
        own = origin is None or origin in (f"http://{headers['host']}", f"https://{headers['host']}")
        if not own or site not in ("same-origin", "none"):
            raise Refused(403, "a page of another site may not change anything here")

    def _check_token(self, scope: Message, headers: dict[str, str]) -> tuple[tuple[str, str], ...]:
        """Nothing where the cookie holds the token; the headers that give it one where the query does."""
        assert self.token is not None
        if secrets.compare_digest(_cookie(headers, self._cookie).encode(), self.token.encode()):
            return ()
        query = scope["query_string"].decode("latin-1")
        shown = parse_qs(query).get("token", [""])[-1]
        if scope["method"] != "GET" or not secrets.compare_digest(shown.encode(), self.token.encode()):
            raise Refused(401, "open the address that socialsim printed, with its token")
        rest = urlencode([(name, value) for name, value in parse_qsl(query) if name != "token"])
        place = f"/{scope['path'].lstrip('/')}" + (f"?{rest}" if rest else "")  # never //another.site
        cookie = f"{self._cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"
        return ("location", place), ("set-cookie", cookie)

    async def _whole(self, receive: Receive, headers: dict[str, str]) -> Receive:
        """The body, read before the app sees the request, so that no app can forget the limit."""
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self.max_body:
            raise self._too_large()
        messages, size = [], 0
        while True:
            messages.append(message := await receive())
            size += len(message.get("body", b""))
            if size > self.max_body:
                raise self._too_large()
            if not message.get("more_body", False):
                break
        waiting = iter(messages)

        async def replay() -> Message:
            read = next(waiting, None)
            return await receive() if read is None else read

        return replay

    def _too_large(self) -> Refused:
        return Refused(413, f"too large: at most {self.max_body // 1024} KB")


def _hostname(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def _cookie(headers: dict[str, str], name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


async def _answer(send: Send, status: int, text: str, *headers: tuple[str, str]) -> None:
    body = text.encode()
    given = [("content-type", "text/plain; charset=utf-8"), ("content-length", str(len(body))), *headers]
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in given]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
