"""Before and after by prompt: how many answers went from code to clean, stayed, or broke."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from core.figures import palette
from core.figures.palette import SAGE, SLATE, VERMILION
from core.words import percent

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
COLORS = {"clean": SAGE, "code": VERMILION, "broken": SLATE}
GAP = 0.03
HEIGHT = 270
FAINTEST, STRONGEST = 0.06, 0.5  # opacity of a cell that holds none, or all, of the prompts


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


def matrix(found: Sequence[Move], chosen: str | None = None) -> go.Figure:
    """A cell for each move with its count by tier; rows are before, columns after. `chosen` (a key) is outlined.

    Over each cell lies a mark that cannot be seen and that a click selects.
    """
    shapes, texts = [], []
    for move in found:
        x, y = AFTER.index(move.after), BEFORE.index(move.before)
        share = move.count / move.of if move.of else 0.0
        cell = {"x0": x - 0.5 + GAP, "x1": x + 0.5 - GAP, "y0": y - 0.5 + GAP, "y1": y + 0.5 - GAP, "type": "rect"}
        fill = {"fillcolor": COLORS[move.after], "opacity": FAINTEST + (STRONGEST - FAINTEST) * share}
        shapes.append({**cell, **fill, "line": {"width": 0}, "layer": "below"})
        if move.key == chosen:
            shapes.append({**cell, "line": {"width": 3, "color": COLORS[move.after]}})
        texts.append({"x": x, "y": y, "text": _text(move), "showarrow": False, "font": {"size": 12}})
    marks = go.Scatter(
        x=[AFTER.index(move.after) for move in found],
        y=[BEFORE.index(move.before) for move in found],
        mode="markers",
        marker={"symbol": "square", "size": 58, "opacity": 0},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        customdata=[[move.key, _told(move)] for move in found],
        hovertemplate="%{customdata[1]}<extra></extra>",
    )
    axis = {"tickvals": [0, 1, 2], "fixedrange": True, "showgrid": False, "zeroline": False}
    xaxis = {**axis, "ticktext": [f"→ {name}" for name in AFTER], "side": "top", "range": [-0.5, 2.5]}
    yaxis = {**axis, "ticktext": [f"was {name}" for name in BEFORE], "range": [2.5, -0.5]}
    margin = {"l": 8, "r": 8, "t": 26, "b": 4}
    return palette.framed(
        [marks], HEIGHT, {"xaxis": xaxis, "yaxis": yaxis},
        clickmode="event+select", margin=margin, showlegend=False, shapes=shapes, annotations=texts,
    )  # fmt: skip


def describe_moves(found: Sequence[Move]) -> str:
    """The matrix in words."""
    parts = [_said_plainly(move) for move in found if move.count]
    return f"Of {found[0].of if found else 0} prompts: " + "; ".join(parts) + "."


def moves_csv(found: Sequence[Move]) -> str:
    """A line a move: before, after, count, of how many, and a column a tier."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    tiers = list(found[0].tiers) if found else []
    table.writerow(["before", "after", "count", "of", *tiers])
    for move in found:
        table.writerow([move.before, move.after, move.count, move.of, *(move.tiers[tier] for tier in tiers)])
    return out.getvalue()


def _text(move: Move) -> str:
    if not move.count:
        return "0"
    tiers = "".join(f"<br>{_short(tier)} {count}" for tier, count in move.tiers.items()) if len(move.tiers) > 1 else ""
    return f"<b>{move.count}</b> {move.said}{tiers}"


def _told(move: Move) -> str:
    tiers = "".join(f"<br>{_short(tier, 60)}: {count}" for tier, count in move.tiers.items())
    share = move.count / move.of if move.of else 0
    return f"<b>{move.before} → {move.after}</b><br>{move.count} of n = {move.of} prompts ({percent(share)}){tiers}"


def _said_plainly(move: Move) -> str:
    tiers = ", ".join(f"{tier} {count}" for tier, count in move.tiers.items())
    return f"{move.before} to {move.after} {move.count} ({tiers})"


def _short(tier: str, longest: int = 14) -> str:
    """A tier's name, which may come from a file, with nothing that plotly would take for a tag."""
    clean = " ".join(tier.split())
    return html.escape(clean if len(clean) <= longest else clean[: longest - 1] + "…", quote=False)
