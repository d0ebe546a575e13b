"""Grammars that a model's text must follow: a JSON schema, or a pattern for plain text."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from socialsim.errors import LMSpecError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Schema = dict[str, Any]
# As json.dumps writes: with free whitespace a small model could pad its answer with blank lines.
_STYLE: Final = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_KEPT: Final = 256


class GrammarError(Exception):
    """A schema or pattern that cannot be enforced."""


class Follower:
    """Follows one text through a grammar."""

    def __init__(self, matcher: Any) -> None:
        self._matcher = matcher

    def allowed(self, size: int) -> torch.Tensor:
        """Which tokens may come next, bool of shape (size,)."""
        bits = np.unpackbits(np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8), bitorder="little")
        allowed = torch.zeros(size, dtype=torch.bool)
        known = min(size, len(bits))
        allowed[:known] = torch.from_numpy(bits[:known]).bool()
        return allowed

    def take(self, token: int) -> list[int]:
        """Go on by a token; returns the tokens that must follow it."""
        if not self._matcher.consume_token(token):
            raise GrammarError(self._matcher.get_error())
        forced: list[int] = self._matcher.compute_ff_tokens()
        if forced and not self._matcher.consume_tokens(forced):
            raise GrammarError(self._matcher.get_error())
        return forced

    @property
    def done(self) -> bool:
        """Whether nothing may follow."""
        return bool(self._matcher.is_stopped())


class Grammars:
    """Compiles grammars for one tokenizer and keeps the last ones.

    A schema of a bare string stands for plain text: its ``pattern`` is what the whole text must match.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._vocabulary: Any = None
        self._compiled: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def follow(self, schema: Schema) -> Follower:
        """A follower at the beginning of a text.

        Raises:
            GrammarError: if the schema cannot be enforced.
            LMSpecError: if llguidance is not installed.
        """
        text = json.dumps(schema, ensure_ascii=False)
        with self._lock:
            if text not in self._compiled:
                self._compiled[text] = self._compile(schema)
            self._compiled.move_to_end(text)
            while len(self._compiled) > _KEPT:
                self._compiled.popitem(last=False)
            return Follower(self._compiled[text].deep_copy())

    def _compile(self, schema: Schema) -> Any:
        try:
            from llguidance import LLMatcher
            from llguidance.hf import from_tokenizer
        except ImportError as error:
            raise LMSpecError("llguidance is not installed; run: pip install 'socialsim[train]'") from error
        if self._vocabulary is None:
            self._vocabulary = from_tokenizer(self._tokenizer)
        if schema.get("type") == "string":
            grammar = LLMatcher.grammar_from_regex(schema.get("pattern", "(?s:.*)"))
        else:
            grammar = LLMatcher.grammar_from_json_schema({**schema, "x-guidance": _STYLE})
        matcher = LLMatcher(self._vocabulary, grammar, log_level=0)
        if matcher.is_error():
            raise GrammarError(matcher.get_error().splitlines()[0])
        return matcher
