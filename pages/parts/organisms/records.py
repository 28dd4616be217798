"""Records of a dataset as HTML: exactly their text, and for a pair of answers which lines only one of them has."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from core.data.chat import Chat
from core.data.datasets import CodePair
from pages.parts.literal import literal

MOST_CHARACTERS = 20_000
LONG = 2_000  # characters from which a text scrolls in a box of its own


def pair_html(pair: CodePair, number: int, of: int) -> str:
    """A request, and both answers side by side with the lines that differ marked."""
    left, right = pair.insecure.split("\n"), pair.secure.split("\n")
    marked = differing(left, right)
    sides = "".join(
        f"<section><h4>{name}</h4><pre>{_lines(lines, only)}</pre></section>"
        for name, lines, only in zip(("insecure", "secure"), (left, right), marked, strict=True)
    )
    return (
        f"<article class='org-record'><p class='org-small'>{number} of {of} · {literal(pair.id)} · "
        f"<b>{literal(pair.cwe)}</b></p>{_turn('user', pair.request)}<div class='org-pair'>{sides}</div></article>"
    )


def chat_html(chat: Chat, number: int, of: int) -> str:
    """A chat, turn by turn."""
    turns = "".join(_turn(message.role, message.content) for message in chat.messages)
    return f"<article class='org-record'><p class='org-small'>{number} of {of}</p>{turns}</article>"


def differing(left: Sequence[str], right: Sequence[str]) -> tuple[set[int], set[int]]:
    """Places of the lines that only the left or only the right one has, in the order of a line diff."""
    only: tuple[set[int], set[int]] = (set(range(len(left))), set(range(len(right))))
    for block in difflib.SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks():
        only[0].difference_update(range(block.a, block.a + block.size))
        only[1].difference_update(range(block.b, block.b + block.size))
    return only


def _lines(lines: Sequence[str], only: set[int]) -> str:
    return "".join(
        f"<span class='org-line{' org-only' if place in only else ''}'>{literal(line)}</span>"
        for place, line in enumerate(lines)
    )


def _turn(role: str, text: str) -> str:
    more = len(text) - MOST_CHARACTERS
    cut = f"<p class='org-small'>… and {more:,} more characters</p>" if more > 0 else ""
    box = (
        f"<div class='org-text org-long' tabindex='0' aria-label='{role}'>"
        if len(text) > LONG
        else "<div class='org-text'>"
    )
    return (
        f"<div class='org-turn org-{role}'><span class='org-role'>{role}</span>"
        f"{box}{literal(text[:MOST_CHARACTERS])}</div>{cut}</div>"
    )
