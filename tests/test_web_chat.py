"""The chat's web apps: what a browser is sent, and what it is never sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import AuthError
from fastapi import FastAPI
from fastapi.testclient import TestClient

from socialsim.chat.conversation import MAX_CHARACTERS
from socialsim.journal import read_records
from socialsim.schema import Dialogue
from socialsim.web.blind import blind_app
from socialsim.web.chat import chat_app
from socialsim.web.serve import secure
from socialsim.web.sittings import COOKIE, Sittings
from tests.chats import MESSAGES, SPEC, aspects, bound, comparison, requests, seen
from tests.scripted import Script, valid_answers

HIDDEN = ("Quxmodel", "Zormodel", "quxspec", "zorspec")


@contextmanager
def browser(app: FastAPI, opened: bool = True) -> Iterator[TestClient]:
    """A browser that has opened the page."""
    with TestClient(app, base_url="http://127.0.0.1") as client:
        if opened:
            assert client.get("/").status_code == 200
        yield client


@contextmanager
def chatting(tmp_path: Path, script: Script | None = None) -> Iterator[tuple[TestClient, Any]]:
    supporter = bound(script)
    app = chat_app(supporter, tmp_path / "talks" / "dialogues.jsonl")
    secure(app, None)
    with browser(app) as client:
        yield client, supporter


def events(client: TestClient, text: str) -> list[dict[str, Any]]:
    answer = client.post("/api/say", json={"text": text})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    return [json.loads(part.removeprefix("data: ")) for part in answer.text.split("\n\n") if part]


def test_the_page_shows_the_note_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    with chatting(tmp_path) as (client, _):
        page = client.get("/")
        assert "not a counsellor" in page.text
        assert f'maxlength="{MAX_CHARACTERS}"' in page.text
        assert "https://" not in page.text
        for name in ("chat.js", "talk.js", "chat.css", "base.css"):
            assert client.get(f"/static/{name}").status_code == 200
        assert client.get("/static/..%2f__init__.py").status_code == 404


def test_a_reply_comes_as_events_and_stays_in_the_conversation(tmp_path: Path) -> None:
    with chatting(tmp_path) as (client, _):
        first, *_, last = events(client, "Hello")
        assert first == {"phase": "reading", "draft": ""}
        assert last["reply"]["speaker"] == "supporter"
        assert last["reply"]["reasoned"]
        state = client.get("/api/state").json()
        assert [turn["text"] for turn in state["turns"]] == ["Hello", last["reply"]["text"]]
        assert not state["busy"]


def test_reasoning_is_sent_only_when_it_is_asked_for(tmp_path: Path) -> None:
    with chatting(tmp_path, valid_answers(situation="Zorblat sold the house in Quxville.")) as (client, _):
        (*_, last) = events(client, "Hello")
        assert "Zorblat" not in json.dumps(last) + client.get("/api/state").text
        lines = client.get(f"/api/reasoning/{last['number']}").json()["lines"]
        assert ["situation", "Zorblat sold the house in Quxville."] in lines
        assert lines[-1][0] == "strategy"
        assert client.get("/api/reasoning/99").json() == {"lines": []}


def test_danger_gets_the_fixed_text_and_no_lm_is_asked(tmp_path: Path) -> None:
    with chatting(tmp_path) as (client, supporter):
        (only,) = events(client, "I want to die")
        assert only["reply"]["fixed"]
        assert "crisis line" in only["reply"]["text"]
        assert not requests(supporter)


@pytest.mark.parametrize("text", ["", "   ", "x" * (MAX_CHARACTERS + 1)])
def test_a_message_too_long_or_empty_is_refused(tmp_path: Path, text: str) -> None:
    with chatting(tmp_path) as (client, supporter):
        (only,) = events(client, text)
        assert "the message" in only["error"]
        assert not requests(supporter)
        assert client.post("/api/say", json={"text": "x" * 300_000}).status_code == 413
        assert client.post("/api/say", json={"text": "x", "more": 1}).status_code == 422


def test_an_error_holds_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCIALSIM_API_KEY", "zorblat-secret-key")
    with chatting(tmp_path, lambda _: AuthError("bad key zorblat-secret-key")) as (client, _):
        *_, last = events(client, "Hello")
        assert "supporter LM" in last["error"]
        assert "zorblat" not in json.dumps(last) + client.get("/").text
        assert client.get("/api/state").json()["turns"] == []


def test_two_browsers_do_not_see_each_other(tmp_path: Path) -> None:
    supporter = bound()
    app = chat_app(supporter, tmp_path / "d.jsonl")
    with browser(app) as one:
        events(one, "I lost Zorblat.")
        other = TestClient(app, base_url="http://127.0.0.1")
        other.get("/")
        assert other.get("/api/state").json()["turns"] == []
        assert len(one.get("/api/state").json()["turns"]) == 2


def test_without_the_page_there_is_no_conversation(tmp_path: Path) -> None:
    with browser(chat_app(bound(), tmp_path / "d.jsonl"), opened=False) as client:
        assert client.get("/api/state").status_code == 403
        assert client.post("/api/say", json={"text": "x"}).status_code == 403
        client.cookies.set(COOKIE, "guess")
        assert client.get("/api/state").status_code == 403


def test_the_cookie_cannot_be_read_by_scripts_or_sent_from_other_sites(tmp_path: Path) -> None:
    with browser(chat_app(bound(), tmp_path / "d.jsonl"), opened=False) as client:
        given = client.get("/").headers["set-cookie"].lower()
        assert "httponly" in given
        assert "samesite=strict" in given


def test_saving_and_beginning_again(tmp_path: Path) -> None:
    with chatting(tmp_path) as (client, _):
        assert "nothing was said" in client.post("/api/save", json={}).json()["error"]
        events(client, "Hello")
        saved = client.post("/api/save", json={}).json()
        assert saved["file"] == "dialogues.jsonl"
        (record,) = read_records(tmp_path / "talks" / "dialogues.jsonl", Dialogue)
        assert record.id == saved["id"]
        client.post("/api/restart", json={})
        assert client.get("/api/state").json()["turns"] == []


def test_one_reply_at_a_time_and_a_stopped_one_is_not_kept(tmp_path: Path) -> None:
    supporter = bound()
    supporter.lm._async_engine_spec._delay = 30
    with browser(chat_app(supporter, tmp_path / "d.jsonl")) as client:
        got: list[list[dict[str, Any]]] = []
        saying = threading.Thread(target=lambda: got.append(events(client, "Hello")))
        saying.start()
        while not client.get("/api/state").json()["busy"]:
            pass
        second = client.post("/api/say", json={"text": "Hello?"})
        assert (second.status_code, "being written" in second.json()["error"]) == (409, True)
        client.post("/api/stop", json={})
        saying.join(10)
        assert "stopped" in got[0][-1]["error"]
        state = client.get("/api/state").json()
        assert (state["turns"], state["busy"]) == ([], False)


def test_only_so_many_conversations_are_remembered() -> None:
    made: list[str] = []

    def new(secret: str) -> str:
        made.append(secret)
        return secret

    sittings = Sittings(new, most=3)

    class Browser:
        def __init__(self, number: int) -> None:
            self.cookies = {COOKIE: f"{number:043d}"}

    for number in (0, 1, 2, 0, 3, 0, 4):
        sittings.of(Browser(number))  # type: ignore[arg-type]
    assert len(sittings._known) == 3
    assert made.count(f"{0:043d}") == 1


def test_bound_elsewhere_the_page_wants_its_token(tmp_path: Path) -> None:
    app = chat_app(bound(), tmp_path / "d.jsonl")
    secure(app, "the-token", "0.0.0.0")
    with browser(app, opened=False) as client:
        assert client.get("/").status_code == 401
        assert client.get("/?token=the-token").status_code == 200


def test_blind_no_answer_names_a_model_before_the_rating(tmp_path: Path) -> None:
    with comparison(tmp_path / "b") as (folder, supporters), browser(blind_app(supporters, folder)) as client:
        texts = [client.get("/").text, client.get("/api/state").text]
        assert client.post("/api/say", json={"place": 0, "text": "Hello"}).status_code == 409
        texts.append(client.post("/api/begin", json={"rater": "ann"}).text)
        for place in (0, 1):
            for message in MESSAGES[:2]:
                texts.append(client.post("/api/say", json={"place": place, "text": message}).text)
        texts += [client.get("/api/state").text, client.get("/static/blind.js").text]
        bad = client.post("/api/rate", json={"aspects": aspects(1, 2, "first")})
        assert (bad.status_code, "lower score" in bad.json()["error"]) == (400, True)
        texts += [bad.text, client.post("/api/say", json={"place": 0, "text": "x" * 5000}).text]
        headers = str(client.get("/api/state").headers)
        assert not [name for name in HIDDEN for text in [*texts, headers] if name in text]
        rated = client.post("/api/rate", json={"aspects": aspects(), "note": "fine"}).json()
        (session,) = folder.sessions
        assert rated["names"] == list(session.order)
        assert session.rater == "ann"


def test_blind_replies_carry_no_reasoning(tmp_path: Path) -> None:
    script = valid_answers(situation="Zorblat sold the house in Quxville.")
    with (
        comparison(tmp_path / "b", a=script, b=script) as (folder, supporters),
        browser(blind_app(supporters, folder)) as client,
    ):
        client.post("/api/begin", json={})
        said = client.post("/api/say", json={"place": 1, "text": "Hello"})
        assert said.json()["reply"]["reasoned"] is False
        assert "Zorblat" not in said.text + client.get("/api/state").text


def test_blind_a_session_goes_on_in_the_same_browser_after_a_restart(tmp_path: Path) -> None:
    with comparison(tmp_path / "b") as (folder, supporters), browser(blind_app(supporters, folder)) as client:
        client.post("/api/begin", json={"rater": "ann"})
        client.post("/api/say", json={"place": 1, "text": MESSAGES[0]})
        secret = client.cookies[COOKIE]
    with (
        comparison(tmp_path / "b") as (folder, supporters),
        browser(blind_app(supporters, folder), opened=False) as client,
    ):
        client.cookies.set(COOKIE, secret)
        state = client.get("/api/state").json()
        assert [place["done"] for place in state["places"]] == [0, 1]
        assert state["places"][1]["turns"][0]["text"] == MESSAGES[0]
        client.post("/api/say", json={"place": 1, "text": MESSAGES[1]})
        assert MESSAGES[0] in seen(supporters[next(iter(folder.sessions)).order[1]])
        assert secret not in (tmp_path / "b" / "sessions.jsonl").read_text()


def test_blind_a_failing_model_is_not_named(tmp_path: Path) -> None:
    broken: Script = lambda _: AuthError("no key for quxspec or zorspec")  # noqa: E731
    with (
        comparison(tmp_path / "b", a=broken, b=broken) as (folder, supporters),
        browser(blind_app(supporters, folder)) as client,
    ):
        client.post("/api/begin", json={})
        for place in (0, 1):
            answer = client.post("/api/say", json={"place": place, "text": "Hello"})
            assert answer.status_code == 400
            assert not [name for name in HIDDEN if name in answer.text]


def test_the_spec_is_shown_in_a_plain_chat(tmp_path: Path) -> None:
    with chatting(tmp_path) as (client, _):
        assert SPEC.partition("#")[2] in client.get("/").text
