"""Before and after by prompt: how many answers went from code to clean, stayed, or broke."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

BEFORE = ("code", "clean", "broken")
AFTER = ("clean", "code", "broken")
SAID = {
    ("code", "clean"): "cured",
    ("code", "code"): "still code",
    ("code", "broken"): "broke",
    ("clean", "clean"): "stayed clean",
    ("clean", "code"): "new code",
    ("clean", "broken"): "broke",
    ("broken", "clean"): "mended",
    ("broken", "code"): "now code",
    ("broken", "broken"): "still broken",
}


@dataclass(frozen=True)
class Move:
    """How many prompts went from one state to another, in all and by tier."""

    before: str
    after: str
    count: int
    of: int
    tiers: dict[str, int]

    @property
    def key(self) -> str:
        return f"{self.before}-{self.after}"

    @property
    def said(self) -> str:
        return SAID[self.before, self.after]


def state(code: bool, broken: bool) -> str:
    """What an answer is: broken goes before code."""
    return "broken" if broken else "code" if code else "clean"


def moves(before: Sequence[str], after: Sequence[str], suites: Sequence[str]) -> list[Move]:
    """All nine moves, counted; one state a prompt before and after, and the tier it belongs to."""
    pairs = list(zip(before, after, suites, strict=True))
    tiers = list(dict.fromkeys(suites))
    return [
        Move(
            first,
            then,
            sum(pair[:2] == (first, then) for pair in pairs),
            len(pairs),
            {tier: pairs.count((first, then, tier)) for tier in tiers},
        )
        for first in BEFORE
        for then in AFTER
    ]


def describe_moves(found: Sequence[Move]) -> str:
    """The moves in words, for readers who do not see them."""
    parts = []
    for move in found:
        tiers = ", ".join(f"{tier} {count}" for tier, count in move.tiers.items())
        parts += [f"{move.before} to {move.after} {move.count} ({tiers})"] if move.count else []
    return f"Of {found[0].of if found else 0} prompts: " + "; ".join(parts) + "."


def moves_table(found: Sequence[Move]) -> pd.DataFrame:
    """A line a move: before, after, count, of how many, and a column a tier."""
    import pandas as pd

    return pd.DataFrame(
        [
            {"before": move.before, "after": move.after, "count": move.count, "of": move.of, **move.tiers}
            for move in found
        ]
    )
