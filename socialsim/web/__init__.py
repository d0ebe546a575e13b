"""Local web apps: what they share is here, each app in its own folder.

A page is a Jinja2 template that extends ``base.html``; autoescape is always on, so that text from data is text.
Nothing else of the package's files is served than the names an app gives to `static`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

_HERE: Final = Path(__file__).parent
_SHARED: Final = ("base.css", "favicon.svg")
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def new_app(*files: str) -> FastAPI:
    """An app without the API pages of FastAPI.

    Args:
        files: names of ``socialsim/web/static`` that it serves as ``/static/NAME`` besides the shared ones.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    static(app, *_SHARED, *files)
    return app


def static(app: FastAPI, *files: str) -> None:
    """Serve these files and no other: a name is looked up, never joined to a folder."""
    known = {name: ((_HERE / "static" / name).read_bytes(), _TYPES[Path(name).suffix]) for name in files}

    @app.get("/static/{name}")
    def file(name: str) -> Response:
        if name not in known:
            return Response("no such file\n", 404, media_type="text/plain")
        content, kind = known[name]
        return Response(content, media_type=f"{kind}; charset=utf-8")


def page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a template as a response."""
    return HTMLResponse(render(template, **values), status)


def render(template: str, **values: Any) -> str:
    """Render a template of ``socialsim/web/templates``; an undefined name is an error, not an empty text."""
    return templates().get_template(template).render(**values)


@cache
def templates() -> Environment:
    """The templates; everything put into one is escaped."""
    loader = FileSystemLoader(_HERE / "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
