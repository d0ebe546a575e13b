"""The review app as people use it: headless Chromium, the keyboard, a server that is killed."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from socialsim.reviews import Decision, Item, Kind, Standing, read_reviews
from tests import review_runs
from tests.browser import browser
from tests.command import start

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EDITED = "What did your brother say to you on Friday?"


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@contextmanager
def served(run: Path, rater: str = "ann") -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server in a process of its own: its address, and the process."""
    process = start("review", run, "--rater", rater, stderr=subprocess.STDOUT)
    assert process.stdout
    try:
        said = [process.stdout.readline(), process.stdout.readline()]
        found = re.search(r"http://127\.0\.0\.1:\d+/", said[-1])
        assert found, said
        yield found[0], process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(20)
        process.stdout.close()


@contextmanager
def page_of(chrome: Browser, url: str) -> Iterator[Page]:
    """A page; an error in its console that is no refused edit fails the test."""
    context = chrome.new_context(viewport={"width": 1280, "height": 900})
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(url)
    yield page
    context.close()
    allowed = ("422", "ERR_CONNECTION", "ERR_CONTENT_LENGTH")  # refused edits, and a killed server's last answer
    assert [error for error in errors if not any(name in error for name in allowed)] == []


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def wait_for(page: Page, name: str) -> None:
    page.wait_for_selector(f'#app[data-item="{name}"]')


def message(page: Page, text: str) -> None:
    page.wait_for_function("text => document.getElementById('status').textContent.includes(text)", arg=text)


def standing(run: Path, rater: str = "ann") -> Standing:
    return read_reviews(run / "reviews")[rater]


def decisions(run: Path) -> dict[str, Decision | None]:
    return {review.item: review.decision for review in standing(run).reviews()}


def test_ten_dialogues_by_keyboard_one_edited_the_server_killed_and_everything_is_there(
    chrome: Browser, tmp_path: Path
) -> None:
    run = review_runs.run(tmp_path / "r")
    with served(run) as (url, process), page_of(chrome, url) as page:
        wait_for(page, "d05")
        press(page, "a")
        wait_for(page, "d03")
        press(page, "r")
        wait_for(page, "d01")
        press(page, "e")
        page.wait_for_selector("[data-do=save]")
        box = page.locator("#edit [data-turn]").nth(1).locator("textarea[name=text]")
        box.fill("Seeker: I am not allowed here.")
        press(page, "Control+Enter")
        message(page, "utterance 2: write only the supporter's own words")
        box.fill(EDITED)
        press(page, "Control+Enter")
        message(page, "Edit saved")
        press(page, "n")
        page.keyboard.type("a, r and 1 are letters here")
        press(page, "Control+Enter")
        message(page, "Note saved")
        press(page, "4", "3")
        message(page, "Score saved")
        for name in ("d02", "d04", "d06", "d07", "d08", "d09", "d10"):
            press(page, "j" if name == "d02" else "a")
            wait_for(page, name)
        press(page, "r")
        wait_for(page, "d11")
        process.kill()
        process.wait()
        press(page, "a")
        message(page, "The server does not answer")
    accepted = dict.fromkeys(("d02", "d04", "d05", "d06", "d07", "d08", "d09"), Decision.ACCEPT)
    rejected = dict.fromkeys(("d03", "d10"), Decision.REJECT)
    assert decisions(run) == {**accepted, **rejected, "d01": Decision.EDIT}
    with served(run) as (url, _), page_of(chrome, url) as page:
        wait_for(page, "d11")
        assert "10 of 12 reviewed" in page.locator(".listed").inner_text()
        page.goto(f"{url}?show=edit")
        wait_for(page, "d01")
        assert EDITED in page.locator(".turn").nth(1).inner_text()
        assert page.locator("#note").input_value() == "a, r and 1 are letters here"
        assert page.locator("#safety-3").get_attribute("aria-pressed") == "true"
        press(page, "u")
        wait_for(page, "d10")
        assert "d10" not in decisions(run)


def test_keys_fold_search_help_and_undo(chrome: Browser, tmp_path: Path) -> None:
    run = review_runs.run(tmp_path / "r")
    with served(run) as (url, _), page_of(chrome, url) as page:
        reasoning = page.locator(".reasoning dl").first
        assert reasoning.is_visible()
        press(page, "x")
        reasoning.wait_for(state="hidden")
        press(page, "j")
        wait_for(page, "d03")
        assert not page.locator(".reasoning dl").first.is_visible()
        press(page, "k", "x")
        wait_for(page, "d05")
        press(page, "?")
        assert page.locator("#help").is_visible()
        press(page, "a", "Escape")
        assert not page.locator("#help").is_visible()
        assert not list(standing(run).reviews())  # keys mean nothing while the help is open
        press(page, "/")
        page.keyboard.type("d1")
        press(page, "Enter")
        wait_for(page, "d10")
        press(page, "2")
        assert page.locator(".dimension.chosen").get_attribute("data-dimension") == "understanding"
        press(page, "0")
        page.wait_for_selector('#understanding-0[aria-pressed="true"]')
        page.locator("#understanding-2").click()
        page.wait_for_selector('#understanding-2[aria-pressed="true"]')
        press(page, "u")
        page.wait_for_selector('#understanding-0[aria-pressed="true"]')
        press(page, "u")
        page.wait_for_selector('#understanding-0[aria-pressed="false"]')  # "Taken back" stands there since the first
        message(page, "Taken back")
        assert not list(standing(run).reviews())


def test_a_note_is_saved_when_the_next_thing_is_a_click_on_accept(chrome: Browser, tmp_path: Path) -> None:
    run = review_runs.run(tmp_path / "r")
    with served(run) as (url, _), page_of(chrome, url) as page:
        page.locator("#note").fill("good one")
        page.locator("[data-do=accept]").click()
        wait_for(page, "d03")
    review = standing(run).of(Item(Kind.DIALOGUE, "d05"))
    assert review
    assert (review.note, review.decision) == ("good one", Decision.ACCEPT)


def test_keys_do_not_leave_an_edit_that_is_not_saved(chrome: Browser, tmp_path: Path) -> None:
    run = review_runs.run(tmp_path / "r")
    with served(run) as (url, _), page_of(chrome, url) as page:
        press(page, "e")
        page.wait_for_selector("[data-do=save]")
        page.locator("#edit textarea[name=text]").first.fill("Hello, is anybody there tonight?")
        page.locator("[data-do=after]").click()
        message(page, "Save the edit, or leave it")
        wait_for(page, "d05")
        page.on("dialog", lambda dialog: dialog.accept())
        press(page, "Escape")
        page.wait_for_selector("[data-do=accept]")
    assert not decisions(run)


def test_a_persona_is_edited_beside_its_post(chrome: Browser, tmp_path: Path) -> None:
    run = review_runs.run(tmp_path / "r")
    with served(run) as (url, _), page_of(chrome, f"{url}?kind=persona") as page:
        assert "The post that p01 was made from." in page.locator(".beside").inner_text()
        press(page, "e")
        page.wait_for_selector("[data-do=save]")
        page.locator("textarea[name=occupation]").fill("Wizard")
        press(page, "Control+Enter")
        message(page, "occupation")
        page.locator("textarea[name=occupation]").fill("Teacher")
        press(page, "Control+Enter")
        message(page, "Edit saved")
    review = standing(run).of(Item(Kind.PERSONA, "p01"))
    assert review
    assert review.persona
    assert review.persona.occupation == "Teacher"


def test_markup_in_every_field_executes_nothing(chrome: Browser, tmp_path: Path) -> None:
    run = review_runs.hostile(tmp_path / "r")
    with served(run) as (url, _), page_of(chrome, url) as page:
        for query in ("", "?mode=edit", "?kind=persona", "?kind=persona&mode=edit"):
            page.goto(url + query)
            page.wait_for_timeout(100)
            assert "alert" not in page.title()
            assert page.title().startswith("Review: ")
            assert page.locator("img").count() == 0
            assert page.locator("script").count() == 1
        page.goto(url)
        press(page, "a")
        message(page, "accepted")
        assert "<script>document.title" in page.locator("h1").inner_text()
        assert page.title().startswith("Review: ")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_has_no_sideways_scroll_and_the_decision_at_the_thumb(
    chrome: Browser, tmp_path: Path, scheme: Literal["light", "dark"]
) -> None:
    run = review_runs.run(tmp_path / "r")
    with served(run) as (url, _):
        context = chrome.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
        page = context.new_page()
        for query in ("", "?mode=edit", "?kind=persona", "agreement"):
            page.goto(url + query)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, query
        page.goto(url)
        box = page.locator("[data-do=accept]").bounding_box()
        assert box
        assert box["y"] > 700
        assert box["height"] >= 44
        context.close()


def test_ctrl_c_ends_cleanly_and_the_same_rater_can_go_on(tmp_path: Path) -> None:
    run = review_runs.run(tmp_path / "r")
    for _ in range(2):
        process = start("review", run, "--rater", "ann", stderr=subprocess.STDOUT)
        assert process.stdout
        assert "rater ann" in process.stdout.readline()
        assert "Open http" in process.stdout.readline()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20)[0] == "Stopped.\n"
        assert process.returncode == 0


def test_a_large_run_opens_in_seconds_and_moves_on_at_once(chrome: Browser, tmp_path: Path) -> None:
    """3,229 dialogues as in the paper. The bounds are wide for a busy machine; EXPERIMENTS.md has measured figures."""
    run = review_runs.large(tmp_path / "r", 3229)
    begun = time.perf_counter()
    with served(run) as (url, _), page_of(chrome, url) as page:
        opened = time.perf_counter() - begun
        moves = [_seconds_to_move_on(page) for _ in range(20)]
    median = sorted(moves)[len(moves) // 2]
    print(f"\nopen {opened:.2f} s, next item {1000 * median:.0f} ms (worst {1000 * max(moves):.0f} ms)")
    assert opened < 10
    assert median < 0.75


def _seconds_to_move_on(page: Page) -> float:
    """From the key to the frame that shows the next item, by the browser's own clock."""
    milliseconds = page.evaluate(
        """() => new Promise((done) => {
            const before = document.getElementById("app").dataset.item, begun = performance.now();
            const look = () => document.getElementById("app").dataset.item !== before
                ? requestAnimationFrame(() => done(performance.now() - begun)) : requestAnimationFrame(look);
            document.dispatchEvent(new KeyboardEvent("keydown", {key: "j", bubbles: true}));
            look();
        })"""
    )
    return float(milliseconds) / 1000
