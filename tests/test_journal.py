"""Run files: every record is read back as it was, and a torn line is repaired."""

from __future__ import annotations

import logging
import tempfile
import threading
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from socialsim.errors import InputError
from socialsim.journal import Journal, read_records
from socialsim.schema import Original, Record, Rejection, Scenario, Usage
from tests.journals import fill, path_of, scenario

LINE_BREAKERS = "a\nb\r\nc\x0bd\x0ce\x1cf\x1dg\x1eh\x85i\u2028j\u2029k\x00l"


# ---------------------------------------------------------------- append, read, resume


def test_creates_what_is_missing_and_resumes_by_id(tmp_path: Path) -> None:
    path = path_of(tmp_path / "new" / "run")
    with Journal(str(path), Scenario) as journal:
        assert len(journal) == 0
        assert list(journal) == []
        assert path.read_bytes() == b""
        journal.append(scenario("b"))
        journal.append(scenario("a"))
    with Journal(path, Scenario) as journal:
        assert list(journal.ids) == ["b", "a"]
        assert "a" in journal
        assert "c" not in journal
        assert len(journal) == 2
        assert journal.ids & {"a", "c"} == {"a"}
        assert {"a", "c"} - journal.ids == {"c"}
        assert list(journal.records()) == list(journal) == [scenario("b"), scenario("a")]


def test_a_record_is_readable_by_others_as_soon_as_append_returns(tmp_path: Path) -> None:
    with Journal(path_of(tmp_path), Scenario) as journal:
        journal.append(scenario("a"))
        assert [r.id for r in read_records(path_of(tmp_path), Scenario)] == ["a"]


def test_an_id_that_is_there_is_refused_also_after_reopening(tmp_path: Path) -> None:
    path = path_of(tmp_path)
    fill(path, "a")
    before = path.read_bytes()
    with Journal(path, Scenario) as journal, pytest.raises(ValueError, match="'a' is already there"):
        journal.append(scenario("a", "other"))
    assert path.read_bytes() == before


def test_closed_is_closed_and_closing_twice_is_fine(tmp_path: Path) -> None:
    journal = Journal(path_of(tmp_path), Scenario)
    journal.close()
    journal.close()
    with pytest.raises(ValueError, match="closed"):
        journal.append(scenario())
    assert path_of(tmp_path).read_bytes() == b""


def test_lines_are_small_and_text_stays_readable(tmp_path: Path) -> None:
    with Journal(path_of(tmp_path), Scenario) as journal:
        journal.append(scenario("é", "失恋了 😀"))
    assert path_of(tmp_path).read_text("utf-8") == '{"id":"é","source":"test","description":"失恋了 😀"}\n'


def test_characters_that_break_lines_elsewhere_do_not_here(tmp_path: Path) -> None:
    with Journal(path_of(tmp_path), Scenario) as journal:
        journal.append(scenario("a" + LINE_BREAKERS + "z", LINE_BREAKERS))
        journal.append(scenario("b"))
    assert path_of(tmp_path).read_bytes().count(b"\n") == 2
    with Journal(path_of(tmp_path), Scenario) as journal:
        assert list(journal) == [scenario("a" + LINE_BREAKERS + "z", LINE_BREAKERS), scenario("b")]


@pytest.mark.parametrize("seconds", [float("inf"), float("nan")])
def test_a_record_that_would_not_read_back_is_refused_before_it_is_written(tmp_path: Path, seconds: float) -> None:
    with Journal(path_of(tmp_path), Rejection) as journal, pytest.raises(ValidationError):
        journal.append(Rejection(id="a", stage="intake", reason="r", usage=Usage(seconds=seconds)))
    assert path_of(tmp_path).read_bytes() == b""


def test_a_record_changed_without_validation_is_refused(tmp_path: Path) -> None:
    with Journal(path_of(tmp_path), Scenario) as journal:
        with pytest.raises(ValueError, match="would not read back"):
            journal.append(scenario().model_copy(update={"description": " padded "}))
        with pytest.raises(ValidationError):
            journal.append(scenario().model_copy(update={"description": ""}))
        assert "s1" not in journal


def test_threads_racing_for_the_same_ids_write_each_once(tmp_path: Path) -> None:
    refused: list[str] = []

    def work(journal: Journal[Scenario]) -> None:
        for n in range(100):
            try:
                journal.append(scenario(f"s{n}", "x" * 5000))
            except ValueError:
                refused.append(f"s{n}")

    with Journal(path_of(tmp_path), Scenario) as journal:
        threads = [threading.Thread(target=work, args=(journal,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(refused) == 700
    assert sorted(r.id for r in read_records(path_of(tmp_path), Scenario)) == sorted(f"s{n}" for n in range(100))


def test_opening_and_streaming_keep_memory_flat(tmp_path: Path) -> None:
    path = path_of(tmp_path)
    with Journal(path, Scenario) as journal:
        for n in range(1000):
            journal.append(scenario(f"s{n}", "word " * 2000))
    assert path.stat().st_size > 9_000_000
    tracemalloc.start()
    try:
        with Journal(path, Scenario) as journal:
            assert sum(1 for _ in journal) == len(journal) == 1000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


# ---------------------------------------------------------------- properties

texts = st.text(max_size=60).map(lambda text: f"·{text}·")  # closed: the schema strips spaces
scenarios = st.builds(
    Scenario,
    id=texts,
    source=texts,
    description=texts,
    question=st.text(),
    keywords=st.lists(st.text(), max_size=3).map(tuple),
    emotion=st.none() | st.text(),
    language=st.text(),
    original=st.none() | st.builds(Original, language=st.text(), question=st.text(), description=st.text()),
)
runs = st.lists(scenarios, max_size=8, unique_by=lambda record: record.id)


def _table() -> dict[str, float | None]:
    return {"k": 1.0}


class Awkward(Record):
    """Every kind of default that leaving out None would get wrong."""

    id: str
    nullable: int | None = 3
    table: dict[str, float | None] = Field(default_factory=_table)
    nested: Usage = Usage(calls=2, cost=1.5)
    listed: tuple[int | None, ...] = (1,)


finite = st.floats(allow_nan=False, allow_infinity=False)
awkward = st.builds(
    Awkward,
    id=st.text(),
    nullable=st.none() | st.integers(),
    table=st.dictionaries(st.text(), st.none() | finite, max_size=3) | st.just({"k": 1.0}),
    nested=st.builds(Usage, calls=st.integers(0, 3), cost=st.none() | finite, seconds=finite) | st.just(Usage()),
    listed=st.lists(st.none() | st.integers(0, 2), max_size=2).map(tuple),
)


@given(runs)
def test_any_records_round_trip(records: list[Scenario]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = path_of(Path(folder))
        for record in records:
            with Journal(path, Scenario) as journal:
                journal.append(record)
        with Journal(path, Scenario) as journal:
            assert list(journal) == records
            assert list(journal.ids) == [record.id for record in records]
        assert path.read_bytes().count(b"\n") == len(records) if records else True


@given(st.lists(awkward, max_size=5, unique_by=lambda record: record.id))
def test_any_defaults_round_trip(records: list[Awkward]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "awkward.jsonl"
        with Journal(path, Awkward) as journal:
            for record in records:
                journal.append(record)
        assert [r.model_dump() for r in read_records(path, Awkward)] == [r.model_dump() for r in records]


def test_leaving_out_none_instead_of_defaults_would_lose_values() -> None:
    record = Awkward(id="a", nullable=None, table={"x": None})
    assert Awkward.model_validate_json(record.model_dump_json(exclude_none=True)) != record


def cut_and_resume(path: Path, records: list[Scenario], whole: bytes, offset: int) -> None:
    """Truncate to ``offset`` bytes, read, reopen, append what is missing, and check it all."""
    spare = path.with_name(path.name + ".torn")
    spare.unlink(missing_ok=True)
    path.write_bytes(whole[:offset])
    kept = whole[:offset].count(b"\n")
    tail = whole[:offset].rpartition(b"\n")[2]
    complete = bool(tail) and whole[offset : offset + 1] == b"\n"
    assert list(read_records(path, Scenario)) == records[: kept + complete]
    assert path.read_bytes() == whole[:offset]
    assert not spare.exists()
    with Journal(path, Scenario) as journal:
        assert list(journal) == records[: kept + complete]
        for record in records:
            if record.id not in journal:
                journal.append(record)
        assert list(journal) == records
    assert path.read_bytes() == whole
    assert (spare.read_bytes() if spare.exists() else b"") == (tail + b"\n" if tail and not complete else b"")


@given(runs.filter(bool), st.data())
@settings(deadline=None)
def test_a_cut_anywhere_loses_no_whole_line_and_repeats_none(records: list[Scenario], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = path_of(Path(folder))
        with Journal(path, Scenario) as journal:
            for record in records:
                journal.append(record)
        whole = path.read_bytes()
        cut_and_resume(path, records, whole, data.draw(st.integers(0, len(whole)), label="offset"))


def test_every_cut_of_one_file(tmp_path: Path) -> None:
    path = path_of(tmp_path)
    records = [scenario("é1", LINE_BREAKERS), scenario("é2", '{}"\\{"id":"x"}'), scenario("é3", "😀")]
    with Journal(path, Scenario) as journal:
        for record in records:
            journal.append(record)
    whole = path.read_bytes()
    for offset in range(len(whole) + 1):
        cut_and_resume(path, records, whole, offset)


# ---------------------------------------------------------------- repair and refusal


def test_torn_lines_are_kept_one_after_the_other_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = path_of(tmp_path)
    fill(path, "a")
    for half in (b'{"id":"b","sour', b"\x00\x00", b'{"id":"c","description":"\xe5\xa4'):
        with path.open("ab") as file:
            file.write(half)
        with caplog.at_level(logging.WARNING), Journal(path, Scenario) as journal:
            assert list(journal.ids) == ["a"]
    torn = tmp_path / "scenarios.jsonl.torn"
    assert torn.read_bytes() == b'{"id":"b","sour\n\x00\x00\n{"id":"c","description":"\xe5\xa4\n'
    assert len(caplog.messages) == 3
    assert f"moved 15 bytes of a torn line to {torn}" in caplog.messages[0]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'{"id":"b","sour', "Invalid JSON"),
        (b"", "Invalid JSON"),
        (b"[]", "not a Scenario"),
        (b"\xff\xfe", "Invalid JSON"),
        (b'{"id":"b","source":"s"}', "description Field required"),
        (b'{"id":"b","source":"s","description":"d","mood":1}', "mood Extra inputs are not permitted"),
        (b'{"id":"a","source":"s","description":"d"}', "id 'a' is on an earlier line too"),
    ],
)
def test_a_bad_line_in_the_middle_is_refused_and_nothing_changes(tmp_path: Path, bad: bytes, reason: str) -> None:
    path = path_of(tmp_path)
    good = scenario("a").model_dump_json().encode()
    path.write_bytes(good + b"\n" + bad + b"\n" + scenario("c").model_dump_json().encode() + b'\n{"id": "to')
    before = path.read_bytes()
    with pytest.raises(InputError) as caught:
        Journal(path, Scenario)
    message = str(caught.value)
    assert message.startswith(f"{path}, line 2: ")
    assert reason in message
    assert "delete" in message
    assert "\n" not in message
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    if "earlier" not in reason:
        with pytest.raises(InputError, match="line 2"):
            list(read_records(path, Scenario))


def test_a_complete_last_line_with_a_used_id_is_refused_too(tmp_path: Path) -> None:
    path = path_of(tmp_path)
    fill(path, "a")
    path.write_bytes(path.read_bytes() + path.read_bytes().rstrip(b"\n"))
    before = path.read_bytes()
    with pytest.raises(InputError, match="line 2: id 'a'"):
        Journal(path, Scenario)
    assert path.read_bytes() == before


def test_windows_line_ends_and_spelled_out_defaults_are_read(tmp_path: Path) -> None:
    path_of(tmp_path).write_bytes(scenario("a").model_dump_json().encode() + b"\r\n")
    with Journal(path_of(tmp_path), Scenario) as journal:
        assert list(journal) == [scenario("a")]


def test_reading_does_not_write_and_names_what_is_missing(tmp_path: Path) -> None:
    for path in (path_of(tmp_path), tmp_path):
        with pytest.raises(InputError, match=str(path)):
            list(read_records(path, Scenario))
    assert list(tmp_path.iterdir()) == []


def test_a_reader_beside_a_writer_sees_whole_records_only(tmp_path: Path) -> None:
    path = path_of(tmp_path)
    done = threading.Event()

    def write() -> None:
        with Journal(path, Scenario) as journal:
            for n in range(300):
                journal.append(scenario(f"s{n}", "x" * 100_000))
        done.set()

    path.touch()
    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        names = [record.id for record in read_records(path, Scenario)]
        assert names == [f"s{n}" for n in range(len(names))]
    writer.join()
