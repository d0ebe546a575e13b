"""Corpus formats: one file a format, read and, where it makes sense, written."""

from socialsim.formats.dialogues import DialogueFormat, merge_consecutive, read_dialogues, trim_to_exchanges
from socialsim.formats.posts import PostFormat, read_posts
from socialsim.formats.reasoning import parse_reasoning, reasoning_text, render_reasoning
from socialsim.formats.table import Columns

__all__ = [
    "Columns",
    "DialogueFormat",
    "PostFormat",
    "merge_consecutive",
    "parse_reasoning",
    "read_dialogues",
    "read_posts",
    "reasoning_text",
    "render_reasoning",
    "trim_to_exchanges",
]
