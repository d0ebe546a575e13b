"""Serve a local web app: bound to this machine unless the user says otherwise, then behind a token."""

from __future__ import annotations

import errno
import ipaddress
import secrets
import socket
import webbrowser
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from socialsim.errors import UsageError
from socialsim.web.guard import Guard

if TYPE_CHECKING:
    from fastapi import FastAPI
    from rich.console import Console

LOOPBACK: Final = "127.0.0.1"
_REASONS: Final = {
    errno.EADDRINUSE: "in use; leave --port out for a free one, or name another",
    errno.EACCES: "not allowed; name a port from 1024",
    errno.EADDRNOTAVAIL: "this machine has no such address; name another --host",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def new_token(host: str) -> str | None:
    """The token that an app bound to a host needs: a random one, none on this machine alone."""
    return None if is_loopback(host) else secrets.token_urlsafe(24)


def secure(app: FastAPI, token: str | None, host: str = LOOPBACK) -> None:
    """Put the rules of `socialsim.web.guard` before everything an app answers.

    Args:
        app: the app.
        token: what a browser must show once; None lets everyone in (see `new_token`).
        host: what the app will be bound to.
    """
    app.state.token = token
    app.add_middleware(Guard, token=token, host=host)


def serve(app: FastAPI, host: str, port: int | None, *, open_browser: bool, console: Console) -> None:
    """Serve until Ctrl-C.

    Args:
        app: a secured app.
        host: address or name to bind to.
        port: port; None or 0 takes a free one.
        open_browser: whether to open the page, too.
        console: where the URL is printed.

    Raises:
        UsageError: if the address cannot be bound.
    """
    import uvicorn

    with bound(host, port) as listening:
        url = url_of(host, listening.getsockname()[1], getattr(app.state, "token", None))
        console.print(f"Open {url}  (Ctrl-C ends)", soft_wrap=True, markup=False)
        if open_browser:
            webbrowser.open(url)
        config = uvicorn.Config(
            app, log_config=None, log_level="warning", access_log=False, ws="none", timeout_graceful_shutdown=2
        )
        with suppress(KeyboardInterrupt):  # uvicorn has ended its work by then, and passes the signal on
            uvicorn.Server(config).run(sockets=[listening])
    console.print("Stopped.")


def bound(host: str, port: int | None) -> socket.socket:
    """A listening socket.

    Raises:
        UsageError: if there is none to be had.
    """
    where = f"--host {host} --port {port or 0}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port or 0), family=family)
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, f"{error.strerror or error}; check the address")
        raise UsageError(f"{where}: {reason}") from error
    except OverflowError as error:
        raise UsageError(f"{where}: ports go from 0 to 65535") from error


def url_of(host: str, port: int, token: str | None = None) -> str:
    """Where a browser finds the app; an address that stands for all is shown as this machine's name."""
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    bare = host.strip("[]")
    name = f"[{bare}]" if ":" in bare else bare
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")
