"""Requests that can wait go through a Batch API: few batches, each answer to its caller, nothing paid twice."""

from __future__ import annotations

import asyncio
import json
import resource
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import InvalidRequestError, LM15Error, Request, ServerError
from hypothesis import given
from hypothesis import strategies as st

from socialsim.engines import baskets, batch_api
from socialsim.engines.batch import AsyncBatchEngine
from socialsim.engines.batch_book import Book, Line
from socialsim.engines.chat import ChatServer
from socialsim.errors import BudgetError
from tests.batch_server import BatchServer, Call, batch_server
from tests.scripted import user_text

SCHEMA = {"type": "object", "properties": {"said": {"type": "string"}}, "required": ["said"]}
FORM = {"type": "json_schema", "json_schema": {"name": "said", "schema": SCHEMA, "strict": True}}
HELLO = [{"role": "user", "content": "hello"}]
SUBMIT, UPLOAD = Call("POST", "/v1/batches"), Call("POST", "/v1/files")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baskets, "quiet", 0.05)
    monkeypatch.setattr(batch_api, "first_poll", 0.02)


@pytest.fixture
def server() -> Iterator[BatchServer]:
    """Says what it was asked, with a number for each time it was."""
    times: Counter[str] = Counter()

    def echo(request: Request) -> str:
        text = user_text(request)
        times[text] += 1
        return f"{text} {times[text]}"

    with batch_server(echo) as running:
        yield running


def engine_of(server: BatchServer, retries: int = 2) -> AsyncBatchEngine:
    return AsyncBatchEngine(ChatServer(server.url, "scripted", "none", 10.0), retries)


async def asked(engine: AsyncBatchEngine, question: str) -> str | Exception:
    """The answer to a question, or what was raised."""
    messages = [{"role": "system", "content": "Say something."}, {"role": "user", "content": question}]
    try:
        return (await engine.answer(messages, {"response_format": FORM})).text
    except (LM15Error, BudgetError) as error:
        return error


def all_asked(server: BatchServer, file: Path, questions: Iterable[str], **options: Any) -> list[str | Exception]:
    """One session in which these are asked together."""

    async def session() -> list[str | Exception]:
        engine = engine_of(server, options.pop("retries", 2))
        async with engine.opened(file / "batches.jsonl", **options):
            return await asyncio.gather(*(asked(engine, question) for question in questions))

    return asyncio.run(session())


def left_in_the_middle(server: BatchServer, file: Path, questions: Iterable[str]) -> None:
    """A session that ends while its batch is worked on."""

    async def session() -> None:
        engine = engine_of(server)
        async with engine.opened(file / "batches.jsonl"):
            waiting = [asyncio.create_task(asked(engine, question)) for question in questions]
            while not engine.under_way:
                await asyncio.sleep(0.01)
            for task in waiting:
                task.cancel()

    server.held.clear()
    asyncio.run(session())
    server.held.set()


def test_who_waits_together_is_one_batch_and_each_gets_the_own_answer(server: BatchServer, tmp_path: Path) -> None:
    questions = [f"question {number}" for number in range(50)]
    assert all_asked(server, tmp_path, questions) == [f"{question} 1" for question in questions]
    assert [made["request_counts"]["total"] for made in server.batches.values()] == [50]
    assert len({line["custom_id"] for line in server.lines}) == 50


def test_the_schema_is_sent_as_it_is_with_its_fields_in_their_order(server: BatchServer, tmp_path: Path) -> None:
    ordered = {**FORM, "json_schema": {"name": "n", "schema": {"properties": {"why": {}, "but": {}, "also": {}}}}}

    async def session() -> None:
        engine = engine_of(server)
        async with engine.opened(tmp_path / "batches.jsonl"):
            await engine.answer([{"role": "system", "content": "s"}, *HELLO], {"response_format": ordered})

    asyncio.run(session())
    (line,) = server.lines
    assert (line["method"], line["url"], line["body"]["model"]) == ("POST", "/v1/chat/completions", "scripted")
    assert json.dumps(line["body"]["response_format"]) == json.dumps(ordered)


def test_a_full_basket_does_not_wait(server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baskets, "_MOST_LINES", 10)
    assert len(all_asked(server, tmp_path, map(str, range(25)))) == 25
    assert [made["request_counts"]["total"] for made in server.batches.values()] == [10, 10, 5]


@pytest.mark.parametrize("fault", [500, 429, "lost"])
def test_a_line_that_failed_is_in_the_next_batch(server: BatchServer, tmp_path: Path, fault: int | str) -> None:
    server.on_line = lambda line: fault if line["custom_id"].endswith("-1") and "b" in _question(line) else None
    assert all_asked(server, tmp_path, ["a", "b", "c"]) == ["a 1", "b 1", "c 1"]
    assert [_question(line) for line in server.lines] == ["a", "b", "c", "b"]


def test_a_line_that_always_fails_is_given_up(server: BatchServer, tmp_path: Path) -> None:
    server.on_line = lambda line: 500 if _question(line) == "b" else None
    a, b = all_asked(server, tmp_path, ["a", "b"], retries=2)
    assert a == "a 1"
    assert isinstance(b, ServerError)
    assert len(server.batches) == 3


def test_a_refused_line_is_not_asked_again(server: BatchServer, tmp_path: Path) -> None:
    server.on_line = lambda line: 400 if _question(line) == "b" else None
    assert isinstance(all_asked(server, tmp_path, ["a", "b"])[1], InvalidRequestError)
    assert len(server.batches) == 1


def test_what_a_batch_did_not_reach_in_a_day_is_in_the_next(server: BatchServer, tmp_path: Path) -> None:
    server.ends = ["expired"]
    assert all_asked(server, tmp_path, "abcd") == ["a 1", "b 1", "c 1", "d 1"]
    assert [_question(line) for line in server.lines] == [*"abcdcd"]


def test_a_batch_that_fails_says_why_and_is_not_made_again(server: BatchServer, tmp_path: Path) -> None:
    server.ends = ["failed"]
    for error in all_asked(server, tmp_path, "ab"):
        assert isinstance(error, ServerError)
        assert "batch_1 failed: scripted invalid_request" in str(error)
    assert len(server.batches) == 1


def test_a_cancelled_batch_gives_what_it_has_and_the_rest_is_left_to_the_next_session(
    server: BatchServer, tmp_path: Path
) -> None:
    server.ends = ["cancelled"]
    a, b = all_asked(server, tmp_path, "ab")
    assert a == "a 1"
    assert "batch_1 was cancelled" in str(b)
    assert all_asked(server, tmp_path, "b") == ["b 1"]
    assert [_question(line) for line in server.lines] == [*"abb"]


def test_where_too_much_is_queued_batches_get_smaller_and_wait_for_each_other(
    server: BatchServer, tmp_path: Path
) -> None:
    server.ends = ["full", "full"]
    questions = [f"question {number}" for number in range(12)]
    assert all_asked(server, tmp_path, questions) == [f"{question} 1" for question in questions]
    sizes = [made["request_counts"]["total"] for made in server.batches.values()]
    assert sizes[0] == 12
    assert all(size <= 6 for size in sizes[1:])
    assert sum(made["status"] == "failed" for made in server.batches.values()) == 2


def test_where_even_one_request_is_too_much_the_reason_is_told(server: BatchServer, tmp_path: Path) -> None:
    server.ends = ["full"]
    (error,) = all_asked(server, tmp_path, "a")
    assert "token_limit_exceeded" in str(error)


@pytest.mark.parametrize("fault", [500, 429, "reset", "late"])
@pytest.mark.parametrize("where", ["upload", "submit", "look", "read"])
def test_a_bad_moment_of_the_api_costs_nothing(
    server: BatchServer, tmp_path: Path, where: str, fault: int | str
) -> None:
    calls = {"upload": UPLOAD, "submit": SUBMIT, "look": Call("GET", "/v1/batches/batch_1")}
    seen: list[Call] = []

    def on_call(call: Call) -> int | str | None:
        hit = call == calls[where] if where in calls else call.path.endswith("/content")
        seen.extend([call] * hit)
        return fault if hit and len(seen) == 1 else None

    server.on_call = on_call
    assert all_asked(server, tmp_path, "ab") == ["a 1", "b 1"]
    assert len(seen) == (1 if (where, fault) == ("submit", "late") else 2), "found instead of being made again"
    assert len(server.batches) == 1


def test_a_refused_key_is_told_at_once(server: BatchServer, tmp_path: Path) -> None:
    server.on_call = lambda _: 401
    (error,) = all_asked(server, tmp_path, "a")
    assert getattr(error, "status", None) == 401
    assert not server.batches


def test_what_the_budget_forbids_is_not_submitted(server: BatchServer, tmp_path: Path) -> None:
    def spent() -> None:
        raise BudgetError("spent")

    assert all(isinstance(made, BudgetError) for made in all_asked(server, tmp_path, "ab", before_submit=spent))
    assert not server.calls


def test_another_session_takes_the_answers_of_a_batch_under_way(server: BatchServer, tmp_path: Path) -> None:
    left_in_the_middle(server, tmp_path, "abc")
    assert all_asked(server, tmp_path, "cdab") == ["c 1", "d 1", "a 1", "b 1"]
    assert [_question(line) for line in server.lines] == [*"abcd"]


def test_the_same_question_asked_thrice_has_three_answers_of_which_each_is_taken_once(
    server: BatchServer, tmp_path: Path
) -> None:
    left_in_the_middle(server, tmp_path, "aaa")
    made = all_asked(server, tmp_path, "aaaa")
    assert sorted(map(str, made)) == ["a 1", "a 2", "a 3", "a 4"]
    assert len(server.lines) == 4


def test_what_an_earlier_batch_did_not_answer_is_asked_again(server: BatchServer, tmp_path: Path) -> None:
    left_in_the_middle(server, tmp_path, "ab")
    server.ends = ["expired"]
    assert all_asked(server, tmp_path, "ab") == ["a 1", "b 1"]
    assert [_question(line) for line in server.lines] == [*"abb"]


def test_a_batch_that_the_provider_has_forgotten_is_made_again(server: BatchServer, tmp_path: Path) -> None:
    left_in_the_middle(server, tmp_path, "ab")
    server.batches["batch_2"] = server.batches.pop("batch_1")
    server.batches["batch_2"]["metadata"] = None
    assert all_asked(server, tmp_path, "ab") == ["a 1", "b 1"]


def test_another_model_or_server_does_not_take_the_answers(server: BatchServer, tmp_path: Path) -> None:
    left_in_the_middle(server, tmp_path, "a")
    with batch_server(lambda _: "other") as other:
        assert all_asked(other, tmp_path, "a") == ["other"]
    assert all_asked(server, tmp_path, "a") == ["a 1"]
    assert len(server.lines) == 1


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12), st.booleans())
def test_each_line_is_claimed_once_whatever_was_submitted(
    tmp_path_factory: pytest.TempPathFactory, first: list[str], second: list[str], lost: bool
) -> None:
    file = tmp_path_factory.mktemp("book") / "batches.jsonl"
    with Book(file, "here") as book:
        lines = book.became(book.basket(first), "one")
        last = book.basket(second)
        if not lost:
            lines += book.became(last, "two")
        assert book.claim("a") is None, "those of this session have their callers"
    with Book(file, "elsewhere") as book:
        assert not any(map(book.claim, "abc"))
    with Book(file, "here") as book:
        assert [sent.id for sent in book.without_batch()] == [last.id] * lost
        for sent in book.without_batch():
            book.found(sent, "two")
            lines += [Line("two", line) for line in sent.lines]
        claimed = [line for request in [*first, *second] if (line := book.claim(request))]
        assert sorted(claimed) == sorted(lines)
        assert len({line.id for line in claimed}) == len(first) + len(second)
        assert not any(map(book.claim, "abc"))


def test_a_request_is_known_by_what_it_says_and_whom_it_asks(tmp_path: Path) -> None:
    books = [Book(tmp_path / name, name) for name in ("a", "b")]
    assert len({book.request(body) for book in books for body in (b"x", b"y")}) == 4


def test_a_result_line_that_is_none_is_asked_again(server: BatchServer, tmp_path: Path) -> None:
    def on_call(call: Call) -> None:
        if call.path.endswith("/content") and len(server.batches) == 1:
            file = call.path.split("/")[-2]
            server.files[file] = server.files[file].splitlines()[0] + b'\n{"half'

    server.on_call = on_call
    assert all_asked(server, tmp_path, "ab") == ["a 1", "b 2"]


def test_as_many_items_wait_together_as_files_may_be_open() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        items = baskets.most_in_flight()
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert 0 < items <= max(files - 60, 1)
        assert files == hard or items == 10_000
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _question(line: dict[str, Any]) -> str:
    return str(line["body"]["messages"][-1]["content"])
