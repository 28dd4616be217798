"""Which answers are read: the prompt, and the filters that prompts must pass; part of a page's choices and its link."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from core.studies.moves import AFTER, BEFORE
from pages.parts.choices import left_out, take

MOVES = tuple(f"{before}-{after}" for before in BEFORE for after in AFTER)
LONGEST_SEARCH = 200


@dataclass(frozen=True)
class Reading:
    """None and empty let everything through. `code` and `broken` name a pane; `prompt` counts from 1."""

    tier: str | None = None
    moved: str | None = None
    code: str | None = None
    broken: str | None = None
    find: str = ""
    prompt: int = 1


Choice = TypeVar("Choice", bound=Reading)


def read_prompt(choice: Choice, given: Mapping[str, str], summary: Mapping[str, Any], notes: list[str]) -> Choice:
    """The choices with a link's prompt and tier, which only a result can tell."""
    choice = take(choice, "tier", given, summary["suites"], notes)
    n = summary["n"]
    if given.get("prompt", "1") in {f"{number}" for number in range(1, n + 1)}:
        return replace(choice, prompt=int(given.get("prompt", "1")))
    notes.append(left_out("prompt", given["prompt"], f"prompts run from 1 to {n}"))
    return choice


def read_filters(choice: Choice, given: Mapping[str, str], panes: Collection[str], notes: list[str]) -> Choice:
    """The choices with a link's other filters."""
    choice = take(choice, "moved", given, MOVES, notes)
    choice = take(choice, "code", given, panes, notes)
    choice = take(choice, "broken", given, panes, notes)
    return replace(choice, find=given.get("find", "")[:LONGEST_SEARCH])
