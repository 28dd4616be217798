"""Named points with an interval both ways, in percentage points across and upwards alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from core.figures import palette
from core.figures.labels import plain_name
from core.figures.palette import CATEGORICAL, SLATE, Interval

HEIGHT = 360
LABEL = (0.36, 0.055)  # of a name, as shares of the plot's width and height
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star")


@dataclass(frozen=True)
class Score:
    """Two differences of shares of one thing, each with its interval."""

    name: str
    across: float
    up: float
    intervals: tuple[Interval | None, Interval | None]
    tooltip: str


def scores(found: Sequence[Score], across: str, up: str) -> go.Figure:
    """A point each; on the dotted line both are equal.

    Args:
        across, up: titles of the axes.
    """
    ends = palette.points_range((value for score in found for value in (score.across, score.up, *_ends(score))), 6)
    sides = _sides([(100 * score.across, 100 * score.up) for score in found], ends)
    traces = []
    for place, (score, side) in enumerate(zip(found, sides, strict=True)):
        color = CATEGORICAL[place % len(CATEGORICAL)]
        bars = [
            palette.whiskers([value], [interval], color, 1.5, 4)
            for value, interval in zip((score.across, score.up), score.intervals, strict=True)
        ]
        traces.append(
            go.Scatter(
                x=[100 * score.across], y=[100 * score.up], mode="markers+text", name=plain_name(score.name),
                text=[plain_name(score.name, 28)], textposition=side, cliponaxis=False,
                marker={"color": color, "symbol": SYMBOLS[place % len(SYMBOLS)], "size": 13},
                error_x=bars[0], error_y=bars[1], hovertemplate=f"{score.tooltip}<extra></extra>",
            )
        )  # fmt: skip
    low, high = ends
    equal = {"type": "line", "x0": low, "y0": low, "x1": high, "y1": high, "layer": "below",
             "line": {"color": SLATE, "width": 1, "dash": "dot"}}  # fmt: skip
    axes = {
        name: {**palette.points_axis(ends), "title": {"text": title, "standoff": 4}}
        for name, title in (("xaxis", across), ("yaxis", up))
    }
    margin = {"l": 4, "r": 8, "t": 8, "b": 4}
    return palette.framed(traces, HEIGHT, axes, shapes=[equal], showlegend=False, margin=margin)


def _ends(score: Score) -> list[float | None]:
    return [end for interval in score.intervals for end in interval or ()]


def _sides(found: list[tuple[float, float]], ends: tuple[float, float]) -> list[str]:
    """Where each point's name stands: in the first corner where it meets no other name or point, on a narrow screen."""
    width, height = (share * (ends[1] - ends[0]) for share in LABEL)
    taken: list[tuple[float, float]] = list(found)
    sides = []
    for x, y in found:
        inward = ("right", "left") if x < sum(ends) / 2 else ("left", "right")
        corners = {
            f"{up} {aside}": (x + (width if aside == "right" else -width) / 2, y + (height if up == "top" else -height))
            for aside in inward
            for up in ("top", "bottom")
        }

        def meets(place: tuple[float, float]) -> int:
            return sum(abs(place[0] - a) < width and abs(place[1] - b) < height for a, b in taken)

        side = min(corners, key=lambda name: meets(corners[name]))
        taken.append(corners[side])
        sides.append(side)
    return sides
