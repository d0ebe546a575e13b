"""`socialsim chat` as a person at a terminal, or a pipe, sees it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from socialsim.journal import read_records
from socialsim.schema import Dialogue
from tests.answering_server import AnsweringServer, answering_server
from tests.command import Ended, socialsim
from tests.scripted import valid_answers


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture
def server() -> Iterator[AnsweringServer]:
    with answering_server(valid_answers(utterance="I hear you. What happened then?")) as made:
        yield made


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def chat(server: AnsweringServer, *arguments: object) -> Ended:
    return socialsim("chat", "--lm", server.spec, *arguments)


def test_a_piped_conversation_is_shown_with_the_note_and_not_saved(
    server: AnsweringServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, "Hello", "", "/quit")
    ended = chat(server)
    assert ended.code == 0, ended.err
    assert "not a counsellor" in ended.out
    assert "You: Hello" in ended.out
    assert "Supporter: I hear you." in ended.out
    assert "Situation:" not in ended.out
    assert "was not saved" in ended.out
    assert not list(Path().rglob("*.jsonl"))


def test_reasoning_is_shown_when_asked_and_hidden_again(
    server: AnsweringServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = valid_answers()
    typed(monkeypatch, "Hello", "/reasoning", "I lost my job.", "/reasoning", "It was on Monday.")
    ended = chat(server)
    assert ended.out.count("Situation:") == 2
    assert ended.out.index("You: Hello") < ended.out.index("Situation:")


def test_saving_writes_a_record_that_show_reads(server: AnsweringServer, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "Hello", "/save", "/save mine/talk.jsonl", "/save talk.txt", "/restart", "/save")
    ended = chat(server)
    (made,) = read_records("runs/chat/dialogues.jsonl", Dialogue)
    assert len(made.turns) == 2
    assert len(list(read_records("mine/talk.jsonl", Dialogue))) == 1
    assert "name a file that ends in .jsonl" in ended.out
    assert "nothing was said yet" in ended.out
    assert "I hear you" in socialsim("show", "runs/chat").out


def test_danger_gets_the_fixed_text_and_no_lm_is_asked(
    server: AnsweringServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, "I want to die")
    ended = chat(server)
    assert "Please read" in ended.out
    assert "crisis line" in ended.out
    assert not server.requests


def test_an_unknown_command_is_explained_and_not_said(server: AnsweringServer, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "/reason")
    assert "/reason is no command" in chat(server).out
    assert not server.requests


def test_an_lm_that_fails_is_told_in_one_line_and_the_chat_goes_on(
    server: AnsweringServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOCIALSIM_API_KEY", "zorblat-secret-key")
    answers = iter([{"error": 401}, valid_answers(utterance="I hear you. What is it?")])

    def answer(request: object) -> object:
        now = next(answers)
        return now(request) if callable(now) else now

    server.answer = answer  # type: ignore[assignment]
    typed(monkeypatch, "Hello", "Hello again")
    ended = chat(server)
    assert ended.code == 0
    assert "the API key is missing or refused" in ended.out
    assert "zorblat" not in ended.out + ended.err
    assert "Supporter: I hear you." in ended.out


def test_text_of_an_lm_is_text_not_markup(server: AnsweringServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answer = valid_answers(utterance="I hear (you) & what then?")
    typed(monkeypatch, "[bold]Hello[/bold] [/nothing]")
    ended = chat(server)
    assert "You: [bold]Hello[/bold] [/nothing]" in ended.out
    assert ended.code == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--blind", "A=embedded"), "name two models"),
        (("--blind", "A=embedded,B=embedded,C=embedded"), "not 3"),
        (("--blind", "A=embedded,B=embedded:base", "--lm", "embedded"), "leave out --lm"),
        (("--blind", "A=nonsense,B=embedded"), "model 'A'"),
        (("--results", "nowhere"), "holds no blind comparison"),
        (("--nodes", "mood"), "unknown mood"),
        (("--lm", "nonsense"), "unknown LM spec"),
        (("--program", "missing.json"), "missing.json"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments: tuple[str, ...], problem: str) -> None:
    assert problem in socialsim("chat", *arguments).problem
