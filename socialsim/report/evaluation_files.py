"""An evaluation's figures as files: everything as JSON, the rows as CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from io import StringIO
from typing import Any

from metrics.reply_table import Gain, ReplyTable, Row, better
from metrics.scored import ReplyMetric, Scored, Unavailable
from metrics.significance import Interval


def table_json(settings: Mapping[str, Any], tables: Mapping[str, ReplyTable]) -> str:
    """All figures, how each was computed, and what was asked for.

    Args:
        settings: what the evaluation was made with: models, tests with digests, versions.
        tables: by test set.
    """
    tests = {
        test: {
            "reference": table.reference,
            "dialogues": table.dialogues,
            "models": {name: _row(row) for name, row in table.rows.items()},
            "against_reference": {name: _gain(gain) for name, gain in table.gains.items()},
        }
        for test, table in tables.items()
    }
    return json.dumps({"settings": settings, "tests": tests}, indent=2, ensure_ascii=False) + "\n"


def table_csv(tables: Mapping[str, ReplyTable]) -> str:
    """A line a test set and model; a cell is empty where there is no figure."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["test", "model", *ReplyMetric, "NAvg", "perplexity", "replies", "failures", "words"])
    for test, table in tables.items():
        for name, row in table.rows.items():
            scores = [row.values.get(metric, "") for metric in ReplyMetric]
            perplexity = "" if isinstance(row.perplexity, Unavailable) else row.perplexity
            navg = "" if row.navg is None else row.navg
            writer.writerow([test, name, *scores, navg, perplexity, row.replies, row.failures, row.words])
    return text.getvalue()


def _row(row: Row) -> dict[str, Any]:
    return {
        "metrics": {name: _score(score) for name, score in row.scores.items()},
        "navg": row.navg,
        "perplexity": _unless(row.perplexity),
        "replies": row.replies,
        "failures": row.failures,
        "words": row.words,
    }


def _score(score: Scored | Unavailable) -> Any:
    if isinstance(score, Unavailable):
        return _unless(score)
    return {"value": score.value, "detail": score.detail, "left_out": score.left_out}


def _unless(value: float | Unavailable) -> Any:
    return {"unavailable": value.reason, "get": value.command} if isinstance(value, Unavailable) else value


def _gain(gain: Gain) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: _interval(one.gain) | {"t": one.test and one.test.t, "p": one.test and one.test.p, "star": better(one)}
        for name, one in gain.metrics.items()
    }
    return found | ({"log_perplexity": _interval(gain.perplexity)} if gain.perplexity else {})


def _interval(found: Interval) -> dict[str, Any]:
    return {"gain": found.value, "low": found.low, "high": found.high, "n": found.n}
