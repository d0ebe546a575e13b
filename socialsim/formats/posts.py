"""Help-seeking posts from any of the formats we read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import partial
from itertools import chain
from pathlib import Path

from socialsim.formats import own, psyqa, situations, ssconv, table
from socialsim.formats.files import read_rows
from socialsim.formats.rows import Row, unique_ids
from socialsim.formats.table import DEFAULT_COLUMNS, Columns
from socialsim.schema import Post


class PostFormat(StrEnum):
    """The formats posts are read from."""

    PSYQA = "psyqa"
    ESCONV = "esconv"
    SSCONV = "ssconv"
    SCENARIO = "scenario"
    TABLE = "table"


def read_posts(path: Path, format: PostFormat | None = None, columns: Columns = DEFAULT_COLUMNS) -> Iterator[Post]:
    """Read help-seeking posts, one record after the other.

    Without a format it is detected from the keys of the first record: naming columns means a
    table; then ``questionID`` means PsyQA, ``Event Description`` an SSConv profile,
    ``situation`` with ``emotion_type`` an ESConv situation, ``id`` with ``source`` and no key a
    `Scenario` lacks one of our own; what is left is a table if it has a ``description``.
    Every format may come as a JSON list, as JSON Lines or as CSV (see `read_rows`).

    Ids are those of the data after the format's name (``psyqa-4394``), else
    ``<stem>-<record number>``; our own stay as they are, and a repeated id gets a suffix.
    ``source`` is the file's name (our own records keep theirs). Control characters but tab and
    newline become spaces. No record is skipped, not even one with an empty description.

    Args:
        path: the file.
        format: its format, or None to detect it.
        columns: which column holds what; only for tables.

    Raises:
        InputError: at once if the file cannot be opened, is empty or is not recognised; while
            reading if a record is not what it should be.
    """
    rows = read_rows(path)
    first = next(rows)
    parse = _parser(format or _detect(first, columns), columns)
    return unique_ids(row.read(parse) for row in chain([first], rows))


def _parser(format: PostFormat, columns: Columns) -> Callable[[Row], Post]:
    match format:
        case PostFormat.PSYQA:
            return psyqa.post
        case PostFormat.ESCONV:
            return situations.post
        case PostFormat.SSCONV:
            return ssconv.post
        case PostFormat.SCENARIO:
            return own.post
        case PostFormat.TABLE:
            return partial(table.post, columns=columns)


def _detect(row: Row, columns: Columns) -> PostFormat:
    if columns != DEFAULT_COLUMNS:
        return PostFormat.TABLE
    if psyqa.recognises(row):
        return PostFormat.PSYQA
    if ssconv.recognises_profile(row):
        return PostFormat.SSCONV
    if situations.recognises(row):
        return PostFormat.ESCONV
    if own.recognises_scenario(row):
        return PostFormat.SCENARIO
    if table.recognises(row, columns):
        return PostFormat.TABLE
    there = ", ".join(row.fields) or "nothing"
    raise row.error(f"no post format has the columns {there}; name the format or the columns")
