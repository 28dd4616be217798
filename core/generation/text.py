"""Turn a stream of token ids into text as it comes, never splitting a character."""

from __future__ import annotations

from typing import Any

REPLACEMENT = "\ufffd"


class TextStream:
    """Incremental detokeniser of one row.

    A token's text can depend on its neighbours (spaces, bytes of one character), so a short window is decoded
    with and without the new token and the difference is its text. An unfinished character is held back.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._window = 0
        self._emitted = 0

    def push(self, token: int) -> str:
        """Text that became certain with `token`."""
        self._ids.append(token)
        return self._advance(final=False)

    def flush(self) -> str:
        """What was held back; at the end of the row."""
        return self._advance(final=True)

    def _advance(self, final: bool) -> str:
        before = self._decode(self._window, self._emitted)
        after = self._decode(self._window, len(self._ids))
        if len(after) <= len(before) or (after.endswith(REPLACEMENT) and not final):
            return ""
        self._window, self._emitted = self._emitted, len(self._ids)
        return after[len(before) :]

    def _decode(self, first: int, end: int) -> str:
        if first >= end:
            return ""
        return self._tokenizer.decode(
            self._ids[first:end], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
