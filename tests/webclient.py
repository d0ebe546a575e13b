"""A client of a web app in this process."""

from __future__ import annotations

import warnings

from fastapi import FastAPI

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # starlette asks for a client that is not what FastAPI's own tests use
    from starlette.testclient import TestClient

__all__ = ["TestClient", "client"]


def client(app: FastAPI, name: str = "127.0.0.1:8000", scheme: str = "http") -> TestClient:
    """A client that calls the app by this host name."""
    return TestClient(app, base_url=f"{scheme}://{name}", raise_server_exceptions=True)
