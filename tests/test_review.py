"""The review app: every decision on disk at once, raters blind to each other, bad edits refused with the reason."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from socialsim.errors import InputError, OutputError, UsageError
from socialsim.journal import RunLock
from socialsim.reviews import Decision, Item, Kind, Standing, read_reviews
from socialsim.web.review.app import review_app
from socialsim.web.review.index import Index
from socialsim.web.review.store import Store
from socialsim.web.review.views import Reviewing
from socialsim.web.serve import secure
from tests import review_runs
from tests.command import ROOT, socialsim
from tests.webclient import TestClient, client


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return review_runs.run(tmp_path / "r")


@pytest.fixture
def ann(run: Path) -> Iterator[TestClient]:
    with opened(run, "ann") as served:
        yield served


@contextmanager
def opened(run: Path, rater: str) -> Iterator[TestClient]:
    index = Index(run)
    with Store(index, rater) as store:
        app = review_app(Reviewing(index, store))
        secure(app, None)
        yield client(app)


def change(served: TestClient, do: str, item: str = "", status: int = 200, **more: Any) -> str:
    answer = served.post("/change", json={"do": do, "item": item} | more)
    assert answer.status_code == status, answer.text
    return answer.text


def standing(run: Path, rater: str = "ann") -> Standing:
    return read_reviews(run / "reviews")[rater]


def decision(run: Path, name: str, rater: str = "ann") -> Decision | None:
    review = standing(run, rater).of(Item(Kind.DIALOGUE, name))
    return review.decision if review else None


def shown(page: str) -> str:
    found = re.search(r'data-item="([^"]*)"', page)
    assert found
    return found[1]


def form(served_run: Path, name: str, number: int, **changes: str) -> dict[str, Any]:
    turns: list[dict[str, Any]] = [dict(one) for one in review_runs.texts(Index(served_run).dialogue(name).turns)]
    turns[number - 1] |= changes
    return {"turns": turns}


def test_the_first_page_shows_the_dialogue_that_needs_work_most(ann: TestClient) -> None:
    page = ann.get("/").text
    assert shown(page) == "d05"
    assert "detail review" in page
    assert "say which house" in page
    assert "How do I face Zorblat again?" in page  # the persona beside it
    assert "12</b> in the queue" in page


def test_a_decision_is_on_disk_before_the_next_item_is_shown(ann: TestClient, run: Path) -> None:
    assert shown(change(ann, "accept", "d05")) == "d03"
    assert decision(run, "d05") is Decision.ACCEPT
    assert shown(change(ann, "reject", "d03")) == "d01"
    assert decision(run, "d03") is Decision.REJECT
    assert shown(ann.get("/").text) == "d01"


def test_the_filters_stay_when_a_decision_moves_on(ann: TestClient) -> None:
    assert shown(change(ann, "accept", "d01", query="order=run&show=all")) == "d02"
    page = change(ann, "accept", "d12", query="order=run&show=all")
    assert shown(page) == "d12"
    assert "the last of the queue" in page


def test_the_run_is_never_changed(ann: TestClient, run: Path) -> None:
    before = {path.name: path.read_bytes() for path in run.glob("*.jsonl")}
    change(ann, "edit", "d01", dialogue=form(run, "d01", 2, text="What did she say to you then?"))
    change(ann, "edit", "p01", kind="persona", persona={"fields": {"age": "35"}})
    change(ann, "reject", "d02")
    assert {path.name: path.read_bytes() for path in run.glob("*.jsonl")} == before


def test_an_edit_is_shown_kept_whole_and_the_original_beside_it(ann: TestClient, run: Path) -> None:
    page = change(ann, "edit", "d01", dialogue=form(run, "d01", 2, text="What did she say to you then?"))
    assert "What did she say to you then?" in page
    assert "As the run made it" in page
    review = standing(run).of(Item(Kind.DIALOGUE, "d01"))
    assert review
    assert review.dialogue
    assert review.dialogue.turns[1].text == "What did she say to you then?"
    assert len(review.dialogue.turns) == 18


def test_accepting_an_edited_item_keeps_the_edit_and_editing_it_back_drops_it(ann: TestClient, run: Path) -> None:
    original = form(run, "d01", 2)
    change(ann, "edit", "d01", dialogue=form(run, "d01", 2, text="What did she say to you then?"))
    change(ann, "accept", "d01")
    assert decision(run, "d01") is Decision.EDIT
    change(ann, "edit", "d01", dialogue=original)
    assert decision(run, "d01") is Decision.ACCEPT


def test_a_bad_edit_is_refused_with_the_reason_and_nothing_is_written(ann: TestClient, run: Path) -> None:
    line = change(ann, "edit", "d01", 422, dialogue=form(run, "d01", 2, text="Seeker: no."))
    assert line == "utterance 2: write only the supporter's own words, on one line"
    line = change(ann, "edit", "p01", 422, kind="persona", persona={"fields": {"occupation": "Wizard"}})
    assert line.startswith("occupation: ")
    assert (run / "reviews" / "ann.jsonl").read_bytes() == b""


def test_undo_takes_back_the_newest_first_and_goes_to_its_item(ann: TestClient, run: Path) -> None:
    change(ann, "accept", "d05")
    change(ann, "edit", "p02", kind="persona", persona={"fields": {"age": "35"}})
    change(ann, "score", "d03", scores={"safety": 2})
    change(ann, "score", "d03", scores={"safety": 3, "human-likeness": 1})
    assert shown(change(ann, "undo")) == "d03"
    review = standing(run).of(Item(Kind.DIALOGUE, "d03"))
    assert review
    assert dict(review.scores) == {"safety": 2}
    assert shown(change(ann, "undo")) == "d03"
    page = change(ann, "undo")
    assert (shown(page), 'data-kind="persona"' in page) == ("p02", True)
    assert shown(change(ann, "undo")) == "d05"
    assert list(standing(run).reviews()) == []
    assert change(ann, "undo", status=422) == "there is nothing to undo"


def test_a_note_and_scores_go_with_the_decision(ann: TestClient, run: Path) -> None:
    change(ann, "note", "d01", note="too polite <b>")
    change(ann, "score", "d01", scores={"safety": 3, "helpfulness": 1})
    change(ann, "score", "d01", scores={"helpfulness": None})
    change(ann, "reject", "d01")
    review = standing(run).of(Item(Kind.DIALOGUE, "d01"))
    assert review
    assert (review.note, dict(review.scores), review.decision) == ("too polite <b>", {"safety": 3}, "reject")
    page = ann.get("/?item=d01&show=all").text
    assert "too polite &lt;b&gt;" in page
    assert 'id="safety-3" data-do="score" data-score="3"' in page
    assert re.search(r'id="safety-3"[^>]*aria-pressed="true"', page)


def test_the_same_key_twice_is_one_decision(ann: TestClient, run: Path) -> None:
    for _ in range(3):
        change(ann, "accept", "d01")
    assert len((run / "reviews" / "ann.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"do": "accept", "item": "nobody"}, "no dialogue 'nobody'"),
        ({"do": "accept", "item": "../../etc/passwd"}, "no dialogue"),
        ({"do": "burn", "item": "d01"}, "do: "),
        ({"do": "note", "item": "d01", "note": "x" * 4001}, "note: .*4000"),
        ({"do": "score", "item": "d01", "scores": {"safety": 4}}, "scores safety"),
        ({"do": "score", "item": "d01", "scores": {"charm": 1}}, "scores charm"),
        ({"do": "score", "item": "p01", "kind": "persona", "scores": {"safety": 1}}, "scores are of a dialogue"),
        ({"do": "edit", "item": "d01"}, "an edit of a dialogue holds one"),
        ({"do": "edit", "item": "p01", "kind": "persona", "dialogue": {"turns": []}}, "an edit of a persona holds one"),
        ({"do": "edit", "item": "d01", "dialogue": {"turns": [{"text": "x" * 6001}]}}, "dialogue turns 0 text"),
        ({"do": "accept", "item": "d01", "rater": "ben"}, "rater: Extra"),
    ],
)
def test_a_change_that_is_none_is_refused_in_one_line(
    ann: TestClient, run: Path, body: dict[str, Any], reason: str
) -> None:
    answer = ann.post("/change", json=body)
    assert answer.status_code == 422
    assert re.search(reason, answer.text)
    assert "\n" not in answer.text
    assert (run / "reviews" / "ann.jsonl").read_bytes() == b""


def test_a_letter_that_no_file_can_hold_is_refused(ann: TestClient, run: Path) -> None:
    body = b'{"do": "note", "item": "d01", "note": "a\\ud800b"}'
    answer = ann.post("/change", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.text.startswith("note: ")
    assert (run / "reviews" / "ann.jsonl").read_bytes() == b""


def test_raters_see_nothing_of_each_other(run: Path) -> None:
    with opened(run, "ann") as ann, opened(run, "ben") as ben:
        before = ben.get("/?show=all").text
        for number in range(1, 13):
            change(ann, "reject", f"d{number:02}", note="")
            change(ann, "note", f"d{number:02}", note="SECRET OPINION")
        change(ann, "edit", "d01", dialogue=form(run, "d01", 2, text="What SECRET did she tell?"))
        assert ben.get("/?show=all").text == before
        for query in ("/?show=reject", "/?show=edit", "/?show=note", "/?item=d01&show=all", "/agreement"):
            assert "SECRET" not in ben.get(query).text
        assert "<b>12</b> in the queue" in ben.get("/").text
        assert "<b>0</b> in the queue" in ben.get("/?show=reject").text


def test_agreement_shows_sums_and_none_over_a_few_items(run: Path) -> None:
    with opened(run, "ann") as ann, opened(run, "ben") as ben:
        for number in range(1, 10):
            for served in (ann, ben):
                change(served, "accept" if number % 2 else "reject", f"d{number:02}")
        assert "fewer than 10 items" in ann.get("/agreement").text
        assert "1.00" not in ann.get("/agreement").text
        for number in range(10, 13):
            for served in (ann, ben):
                change(served, "reject", f"d{number:02}")
        page = ann.get("/agreement").text
    assert re.search(r"Dialogue decisions</td><td class=\"number\">12</td>\s*<td class=\"number\">1.00</td>", page)
    assert "ann: 12 · ben: 12" in page


def test_a_second_server_cannot_write_the_same_raters_file(run: Path) -> None:
    with opened(run, "ann"):
        with pytest.raises(OutputError, match=r"ann\.jsonl is in use by process \d+"):
            Store(Index(run), "ann")
        Store(Index(run), "ben").close()
    with Store(Index(run), "ann"):
        pass  # the first one has ended


def test_a_run_that_still_writes_can_be_reviewed(run: Path) -> None:
    with RunLock(run), opened(run, "ann") as ann:
        change(ann, "accept", "d01")
    assert decision(run, "d01") is Decision.ACCEPT


def test_a_killed_server_loses_nothing(run: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from socialsim.reviews import Item, Kind
from socialsim.web.review.index import Index
from socialsim.web.review.store import Store
from socialsim.web.review.views import Reviewing
store = Store(Index(Path(sys.argv[1])), "ann")
store.accept(Item(Kind.DIALOGUE, "d01")); store.reject(Item(Kind.DIALOGUE, "d02"))
store.note(Item(Kind.DIALOGUE, "d02"), "no"); store.undo(); store.undo()
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", code, run], cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL
    with opened(run, "ann") as ann:
        assert decision(run, "d01") is Decision.ACCEPT
        assert decision(run, "d02") is None
        assert shown(change(ann, "undo")) == "d01"


def test_a_torn_last_line_is_set_aside_and_a_corrupt_one_is_named(run: Path) -> None:
    with opened(run, "ann") as ann:
        change(ann, "accept", "d01")
    file = run / "reviews" / "ann.jsonl"
    file.write_bytes(file.read_bytes() + b'{"id": "dialogue/d0')
    with opened(run, "ann"):
        assert decision(run, "d01") is Decision.ACCEPT
    file.write_bytes(b'{"id": "x"}\n' + file.read_bytes())
    with pytest.raises(InputError, match=r"ann\.jsonl, line 1: not a Review"):
        Store(Index(run), "ann")


def test_markup_in_every_field_is_shown_as_text(tmp_path: Path) -> None:
    with opened(review_runs.hostile(tmp_path / "r"), "ann") as ann:
        pages = [
            *(ann.get("/").text, ann.get("/?mode=edit").text, ann.get("/?kind=persona").text),
            ann.get("/?kind=persona&mode=edit").text,
            ann.get("/", params={"q": review_runs.SCRIPT, "topic": review_runs.SCRIPT}).text,
            ann.get("/agreement").text,
        ]
        pages.append(change(ann, "accept", f"d{review_runs.SCRIPT}"))
    for page in pages:
        assert "<script>document" not in page
        assert "<img" not in page
    assert all("&lt;script&gt;" in page for page in pages[:5])


def test_no_page_says_which_lm_wrote_it_nor_its_key(tmp_path: Path) -> None:
    from socialsim.schema import Provenance

    spec = "http://user:sk-secret@host/v1#secret-model"
    made = Provenance(mode="turn", seed=0, lms={"seeker": spec}, programs={"seeker": "sk-secret"})
    dialogue = review_runs.dialogue("d1").model_copy(update={"provenance": made})
    with opened(review_runs.write(tmp_path / "r", [dialogue]), "ann") as ann:
        assert "secret" not in ann.get("/").text


@pytest.mark.parametrize("path", ["/reviews/ann.jsonl", "/dialogues.jsonl", "/static/../../../schema.py", "/change"])
def test_no_file_can_be_fetched(ann: TestClient, path: str) -> None:
    assert ann.get(path).status_code in (404, 405)


def test_a_query_typed_by_hand_is_no_error(ann: TestClient) -> None:
    page = ann.get("/?show=everything&kind=cat")
    assert page.status_code == 200
    assert shown(page.text) == "d05"


def test_a_queue_without_items_says_so(ann: TestClient) -> None:
    assert "none fits these filters" in ann.get("/?show=edit").text


def test_a_run_of_personas_only_opens_with_them(tmp_path: Path) -> None:
    from tests import samples

    with opened(review_runs.write(tmp_path / "r", [], [samples.persona()]), "ann") as ann:
        assert 'data-kind="persona"' in ann.get("/").text


def test_a_record_that_cannot_be_shown_is_an_error_page_that_names_it(tmp_path: Path) -> None:
    run = review_runs.write(tmp_path / "r", [review_runs.dialogue("d1")])
    with (run / "dialogues.jsonl").open("a") as file:
        file.write(json.dumps({"id": "d2", "turns": [], "mood": 1}) + "\n")
    with opened(run, "ann") as ann:
        answer = ann.get("/?item=d2")
        assert answer.status_code == 422
        assert "dialogues.jsonl, line 2: not a Dialogue" in answer.text
        assert ann.get("/?item=d1").status_code == 200


def test_errors_of_the_command_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not a run folder" in socialsim("review", tmp_path / "none").problem
    empty = review_runs.write(tmp_path / "empty", [])
    assert "holds no dialogue yet" in socialsim("review", empty).problem
    assert "--rater '..'" in socialsim("review", empty, "--rater", "..").problem
    monkeypatch.setitem(sys.modules, "fastapi", None)
    for name in [name for name in sys.modules if name.startswith("socialsim.web")]:
        monkeypatch.delitem(sys.modules, name)
    assert "pip install 'socialsim[web]'" in socialsim("review", empty).problem


def test_the_review_process_imports_neither_dspy_nor_torch() -> None:
    code = "import socialsim.web.review.app, socialsim.web.serve, uvicorn, sys\n"
    code += "print(sorted({'torch', 'dspy', 'litellm', 'numpy', 'scipy', 'openai'} & sys.modules.keys()))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert ended.stdout == "[]\n"


def test_a_name_is_needed_where_the_machine_knows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from socialsim.cli import review as command

    def nobody() -> str:
        raise OSError("no user")

    monkeypatch.setattr("getpass.getuser", nobody)
    with pytest.raises(UsageError, match="--rater"):
        command.review(Path("r"))
