"""The chat and the blind comparison in a real browser: keys, streaming, text that stays text, a rating end to end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from socialsim.chat.results import read_results
from socialsim.chat.supporter import BoundSupporter, SupporterConfig
from socialsim.lms import parse_spec
from socialsim.web.blind import blind_app
from socialsim.web.chat import chat_app
from socialsim.web.serve import bound as listening
from socialsim.web.serve import secure
from tests.answering_server import answering_server
from tests.browser import browser
from tests.chats import MESSAGES, comparison
from tests.chats import bound as scripted_supporter

if TYPE_CHECKING:
    from fastapi import FastAPI
    from playwright.sync_api import Page

SCRIPT = "<script>window.hacked = true</script><img src=x onerror='window.hacked = true'>"


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address of an app that is being served."""
    secure(app, None)
    socket = listening("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{socket.getsockname()[1]}/"
    server.should_exit = True
    thread.join()


@contextmanager
def looked_at(address: str, **options: Any) -> Iterator[tuple[Page, list[str]]]:
    """A page, and what went wrong in it."""
    wrong: list[str] = []
    with browser() as opened:
        page = opened.new_context(**options).new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
        page.goto(address)
        yield page, wrong


def say(page: Page, message: str, timeout: float = 10_000) -> str:
    """Send with Enter, and wait for the reply."""
    from playwright.sync_api import expect

    replies = page.locator(".turn.supporter .bubble")
    before = replies.count()
    page.fill("#message", message)
    page.press("#message", "Enter")
    expect(replies).to_have_count(before + 1, timeout=timeout)
    expect(page.locator("#send")).to_have_text("Send")
    expect(page.locator("#send")).to_be_enabled()
    return replies.last.inner_text()


def test_a_conversation_by_keyboard_and_what_is_typed_stays_text(tmp_path: Path) -> None:
    from playwright.sync_api import expect

    app = chat_app(scripted_supporter(), tmp_path / "talks" / "dialogues.jsonl")
    with served(app) as address, looked_at(address) as (page, wrong):
        expect(page.locator("#message")).to_be_focused()
        page.keyboard.type("First line")
        page.keyboard.press("Shift+Enter")
        page.keyboard.type(SCRIPT)
        assert page.locator(".turn").count() == 0
        page.keyboard.press("Enter")
        expect(page.locator(".turn.supporter")).to_have_count(1)
        assert page.locator(".turn.seeker .bubble").inner_text() == f"First line\n{SCRIPT}"
        expect(page.locator("#message")).to_be_focused()
        page.reload()
        expect(page.locator(".turn.seeker .bubble")).to_have_text(f"First line\n{SCRIPT}")
        assert page.locator(".turn script, .turn img").count() == 0
        page.click("text=Reasoning")
        expect(page.locator(".thoughts dt")).to_have_text(["situation", "thought", "action", "strategy"])
        page.click("#save")
        expect(page.locator("#status")).to_contain_text("Saved as chat-")
        page.on("dialog", lambda dialog: dialog.accept())
        page.click("#restart")
        expect(page.locator(".turn")).to_have_count(0)
        assert wrong == []


def test_a_message_of_danger_shows_the_fixed_text(tmp_path: Path) -> None:
    with served(chat_app(scripted_supporter(), tmp_path / "d.jsonl")) as address, looked_at(address) as (page, wrong):
        assert "emergency number" in say(page, "I want to die")
        assert page.locator(".turn.supporter.fixed").count() == 1
        assert page.locator("[role=note]").is_visible()
        assert page.locator("#log").get_attribute("aria-live") == "polite"
        assert wrong == []


def test_a_failed_reply_gives_the_message_back(tmp_path: Path) -> None:
    from playwright.sync_api import expect

    supporter = scripted_supporter(lambda _: "not what was asked for")
    with served(chat_app(supporter, tmp_path / "d.jsonl")) as address, looked_at(address) as (page, _):
        page.fill("#message", "Hello there")
        page.click("#send")
        expect(page.locator("#status")).to_contain_text("could not stand")
        expect(page.locator("#message")).to_have_value("Hello there")
        expect(page.locator(".turn")).to_have_count(0)


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(tmp_path: Path, width: int) -> None:
    app = chat_app(scripted_supporter(), tmp_path / "d.jsonl")
    with served(app) as address, looked_at(address, viewport={"width": width, "height": 700}) as (page, _):
        say(page, "x" * 400)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        assert page.locator("#send").is_visible()


def test_a_blind_comparison_from_hello_to_the_tables(tmp_path: Path) -> None:
    from playwright.sync_api import expect

    path = tmp_path / "b"
    with (
        comparison(path) as (folder, supporters),
        served(blind_app(supporters, folder)) as address,
        looked_at(address) as (page, wrong),
    ):
        page.fill("#rater", "ann")
        page.keyboard.press("Enter")
        sources = []
        for place in (0, 1):
            page.click(f"#tab{place}")
            expect(page.locator("#rate")).to_be_disabled()
            for message in (MESSAGES[0], SCRIPT):
                say(page, message)
            sources.append(page.content())
        page.click("#rate")
        for aspect in ("fluency", "identification", "comforting", "suggestion", "overall"):
            page.check(f"input[name={aspect}-first][value='3']")
            page.check(f"input[name={aspect}-second][value='1']")
            page.check(f"input[name={aspect}-preferred][value=second]")
        page.click("text=Keep the rating")
        expect(page.locator("#problem")).to_contain_text("lower score")
        sources.append(page.content())
        assert not [name for name in ("Quxmodel", "Zormodel", "quxspec", "zorspec") for text in sources if name in text]
        for aspect in ("fluency", "identification", "comforting", "suggestion", "overall"):
            page.check(f"input[name={aspect}-preferred][value=first]")
        page.click("text=Keep the rating")
        expect(page.locator("#done")).to_contain_text("Model 1 was")
        (session,) = folder.sessions
        expect(page.locator("#name0")).to_have_text(session.order[0])
        assert len(wrong) == 1  # the refused rating, as the browser logs it
        assert "400" in wrong[0]
    results = read_results([path])
    winners = {verdict.winner for verdict in results.verdicts}
    assert (results.sessions, winners) == (1, {session.order[0]})


def test_a_reply_is_drawn_while_a_server_writes_it(tmp_path: Path) -> None:
    with answering_server() as server:
        supporter = BoundSupporter(SupporterConfig(parse_spec(server.spec), shots=0))
        app = chat_app(supporter, tmp_path / "d.jsonl")
        with served(app) as address, looked_at(address) as (page, wrong):
            page.evaluate(WATCH)
            reply = say(page, "Hello")
            drafts = page.evaluate("() => window.drafts")
            assert len(drafts) > 3
            assert reply.startswith(drafts[-1])
            assert wrong == []


WATCH = """() => {
  window.drafts = [];
  const draft = document.getElementById("draft");
  const look = () => draft.textContent && window.drafts.push(draft.textContent);
  new MutationObserver(look).observe(draft, { childList: true, characterData: true, subtree: true });
}"""


@pytest.mark.embedded
def test_a_chat_with_the_embedded_model_streams(tmp_path: Path) -> None:
    supporter = BoundSupporter(SupporterConfig(parse_spec("embedded")))
    with (
        served(chat_app(supporter, tmp_path / "d.jsonl")) as address,
        looked_at(address) as (page, wrong),
    ):
        page.evaluate(WATCH)
        first = say(page, "Hello", timeout=120_000)
        second = say(page, "I lost my job last week and cannot tell my wife.", timeout=120_000)
        drafts = page.evaluate("() => window.drafts")
        assert first
        assert second
        assert len(drafts) > 4
        assert any(second.startswith(draft) for draft in drafts)  # not the last one, where the better answer came first
        assert wrong == []
