"""Blind comparisons: who is hidden stays hidden, nothing finished is lost, people's ratings become Tables 5 and 6."""

from __future__ import annotations

import signal
import time
from io import StringIO
from pathlib import Path

import pytest
from dspy.lm15 import RateLimitError
from rich.console import Console

from signatures.arena import Aspect
from socialsim.chat.blind import (
    BlindExchange,
    BlindFolder,
    BlindRating,
    BlindSession,
    BlindSettings,
    order_of,
)
from socialsim.chat.blind_talk import BlindTalk, HiddenError, opened
from socialsim.chat.results import read_results, result_notes, result_tables
from socialsim.errors import InputError, OutputError, UsageError
from socialsim.journal import Journal, read_records
from socialsim.schema import Dialogue, Node
from tests.answering_server import answering_server
from tests.chats import MESSAGES, aspects, comparison, seen, two
from tests.command import socialsim, start

HIDDEN = ("Quxmodel", "Zormodel", "quxspec", "zorspec")


async def talk_through(talk: BlindTalk, exchanges: int) -> None:
    for place in (0, 1):
        for message in MESSAGES[:exchanges]:
            await talk.say(place, message)


def test_the_order_is_drawn_by_the_seed_and_both_orders_occur() -> None:
    orders = [order_of({"B": 0, "A": 0}, 7, f"s{number}") for number in range(60)]
    assert orders == [order_of({"A": 0, "B": 0}, 7, f"s{number}") for number in range(60)]
    assert 20 <= orders.count(("A", "B")) <= 40
    assert orders != [order_of({"A": 0, "B": 0}, 8, f"s{number}") for number in range(60)]


async def test_the_models_answer_each_in_its_place(tmp_path: Path) -> None:
    with comparison(tmp_path / "b") as (folder, supporters):
        talk = BlindTalk(folder, supporters, folder.begin())
        await talk.say(1, "Only for the second.")
        first, second = talk.session.order
        assert "Only for the second." in seen(supporters[second])
        assert not seen(supporters[first])


async def test_every_exchange_is_on_disk_at_once_and_a_session_goes_on(tmp_path: Path) -> None:
    with comparison(tmp_path / "b") as (folder, supporters):
        talk = BlindTalk(folder, supporters, folder.begin("ann"))
        reply = await talk.say(0, MESSAGES[0])
        written = list(read_records(tmp_path / "b" / "exchanges.jsonl", BlindExchange))
        assert [(one.number, one.seeker.text, one.supporter) for one in written] == [(1, MESSAGES[0], reply)]
        assert folder.open_session("bob") is None
    with comparison(tmp_path / "b") as (folder, supporters):
        session = folder.open_session("ann")
        assert session is not None
        again = BlindTalk(folder, supporters, session)
        assert (again.progress(0).done, again.progress(1).done) == (1, 0)
        await again.say(0, MESSAGES[1])
        assert reply.text in seen(supporters[session.order[0]])


async def test_rating_waits_until_both_were_talked_to_long_enough(tmp_path: Path) -> None:
    with comparison(tmp_path / "b") as (folder, supporters):
        talk = BlindTalk(folder, supporters, folder.begin())
        rating = BlindRating.model_validate({"id": talk.session.id, "aspects": aspects()})
        for message in MESSAGES[:2]:
            await talk.say(0, message)
        await talk.say(1, MESSAGES[0])
        with pytest.raises(UsageError, match=r"2 with Model 1 and 1 with Model 2: .* at least 2"):
            talk.rate(rating)
        assert not talk.rated
        await talk.say(1, MESSAGES[1])
        assert talk.rate(rating) == talk.session.order
        with pytest.raises(UsageError, match="rated"):
            talk.rate(rating)
        with pytest.raises(UsageError, match="rated"):
            await talk.say(0, "more")
    made = {one.id: one for one in read_records(tmp_path / "b" / "dialogues.jsonl", Dialogue)}
    assert set(made) == {f"s1/{name}" for name in talk.session.order}
    assert {len(one.turns) for one in made.values()} == {4}


async def test_a_fixed_text_is_no_exchange_with_the_model(tmp_path: Path) -> None:
    with comparison(tmp_path / "b") as (folder, supporters):
        talk = BlindTalk(folder, supporters, folder.begin())
        await talk.say(0, "I want to die")
        await talk.say(0, "I am safe")
        assert talk.progress(0).done == 0
        assert len(folder.exchanges) == 2
        again = BlindTalk(folder, supporters, talk.session)
        await again.say(0, "It is about the rent.")
        assert "die" not in seen(supporters[talk.session.order[0]])


async def test_a_models_failure_does_not_tell_its_name(tmp_path: Path) -> None:
    told: list[str] = []

    def broken(_: object) -> RateLimitError:
        return RateLimitError("quxspec and zorspec are busy")

    with comparison(tmp_path / "b", a=broken, b=broken) as (folder, supporters):
        talk = BlindTalk(folder, supporters, folder.begin(), told.append)
        for place in (0, 1):
            with pytest.raises(HiddenError) as caught:
                await talk.say(place, "Hello")
            assert not [name for name in HIDDEN if name in str(caught.value)]
            assert f"Model {place + 1} does not answer" in str(caught.value)
    assert len(told) == 2
    assert all(any(name in line for name in HIDDEN) for line in told)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"preferred": "second"}, "lower score"),
        ({"first": 4}, "less than or equal to 3"),
        ({"preferred": "both"}, "first"),
    ],
)
def test_a_rating_that_contradicts_itself_is_refused(change: dict[str, object], reason: str) -> None:
    given = aspects() | {"comforting": {"first": 2, "second": 1, "preferred": "first"} | change}
    with pytest.raises(ValueError, match=reason):
        BlindRating.model_validate({"id": "s1", "aspects": given})


def test_a_rating_holds_every_aspect() -> None:
    given = {name: one for name, one in aspects().items() if name != "comforting"}
    with pytest.raises(ValueError, match="not rated: comforting"):
        BlindRating.model_validate({"id": "s1", "aspects": given})


def test_another_comparison_needs_another_folder(tmp_path: Path) -> None:
    with comparison(tmp_path / "b"):
        pass
    with pytest.raises(OutputError, match="exchanges"), comparison(tmp_path / "b", exchanges=3):
        pass
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "dialogues.jsonl").touch()
    with pytest.raises(OutputError, match="holds dialogues"), comparison(tmp_path / "run"):
        pass


async def test_dialogues_that_a_kill_left_out_are_written_at_the_next_start(tmp_path: Path) -> None:
    with comparison(tmp_path / "b", exchanges=1) as (folder, supporters):
        talk = BlindTalk(folder, supporters, folder.begin())
        await talk_through(talk, 1)
        folder.ratings.append(BlindRating.model_validate({"id": "s1", "aspects": aspects()}))
        assert not folder.dialogues.ids
    with opened(tmp_path / "b", two(), 1) as folder:
        assert len(folder.dialogues) == 2


def rated_folder(path: Path, rows: list[tuple[str, tuple[str, str], dict[str, dict[str, object]]]]) -> Path:
    """A folder with rated sessions: rater, order, aspects."""
    settings = BlindSettings(models={"A": "x/a", "B": "x/b"}, nodes=tuple(Node), shots={"A": 0, "B": 0})
    with BlindFolder(path, settings) as folder:
        for number, (rater, order, given) in enumerate(rows, 1):
            folder.sessions.append(BlindSession(id=f"s{number}", rater=rater, order=order))
            folder.ratings.append(BlindRating.model_validate({"id": f"s{number}", "aspects": given}))
    return path


def test_ratings_become_wins_and_scores_of_the_models_whatever_their_place(tmp_path: Path) -> None:
    rows = [
        ("r1", ("A", "B"), aspects(3, 1, "first")),
        ("r2", ("B", "A"), aspects(1, 3, "second")),
        ("r3", ("B", "A"), aspects(2, 2, "tie")),
        ("r3", ("A", "B"), aspects(0, 2, "second")),
    ]
    results = read_results([rated_folder(tmp_path / "b", rows)])
    assert (results.sessions, results.raters, results.first) == (4, 3, (15, 5))
    console = Console(width=140, record=True, file=StringIO())
    for table in result_tables(results):
        console.print(table)
    text = console.export_text()
    lines = [line.split() for line in text.splitlines()]
    fluency = next(line for line in lines if line[:1] == ["fluency"])
    assert [fluency[1], fluency[-1]] == ["50", "4"]
    assert fluency[3].startswith("25")
    assert ["A", *["2.00"] * 5] in lines
    assert ["B", *["1.50"] * 5] in lines
    assert "raters" in text
    assert "personas" not in text
    assert any("few" in line for line in result_notes(results))


def test_folders_are_put_together_and_empty_ones_say_so(tmp_path: Path) -> None:
    one = rated_folder(tmp_path / "one", [("", ("A", "B"), aspects())])
    other = rated_folder(tmp_path / "other", [("", ("A", "B"), aspects())])
    assert read_results([one, other]).raters == 2
    with pytest.raises(UsageError, match="nothing is rated"):
        read_results([rated_folder(tmp_path / "none", [])])
    with pytest.raises(InputError, match="holds no blind comparison"):
        read_results([tmp_path])


def test_a_killed_session_on_the_terminal_loses_no_exchange_and_goes_on(tmp_path: Path) -> None:
    with answering_server() as a, answering_server() as b:
        arguments = ("chat", "--blind", f"A={a.spec},B={b.spec}", "--exchanges", "2", "--out", str(tmp_path / "b"))
        running = start(*arguments, "--rater", "ann", stdin=-1)
        assert running.stdin
        running.stdin.write("Hello\n")
        running.stdin.flush()
        wait_for(tmp_path / "b" / "exchanges.jsonl", 1)
        running.send_signal(signal.SIGKILL)
        running.communicate()
        lines = ["I lost my job.", "/next", "Hello", "I lost my job.", "/rate", *("2", "1", "1") * len(Aspect)]
        again = start(*arguments, "--rater", "ann", stdin=-1)
        out, err = again.communicate("\n".join(lines) + "\n", timeout=120)
    assert again.returncode == 0, err
    assert "Going on with session s1." in out
    assert "Kept. Model 1 was" in out
    with Journal(tmp_path / "b" / "exchanges.jsonl", BlindExchange) as exchanges:
        assert len(exchanges) == 4
    shown = socialsim("chat", "--results", tmp_path / "b")
    assert "1 rated sessions of 1 raters" in shown.out


def wait_for(file: Path, lines: int) -> None:
    deadline = time.monotonic() + 60
    while not file.exists() or file.read_bytes().count(b"\n") < lines:
        assert time.monotonic() < deadline, "nothing was written"
        time.sleep(0.05)
