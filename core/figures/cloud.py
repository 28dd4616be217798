"""Rows on directions: a histogram along one, a scatter on two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import palette
from core.figures.labels import literal_tooltip, plain_name
from core.figures.palette import SLATE, Look
from core.words import number

BINS = 44
HEADROOM = 1.2


@dataclass(frozen=True, eq=False)
class Cloud:
    """Rows of one kind: projections `x` (and `y`, on a second direction) `[rows]`; `told` has a text a row.

    In a histogram it is drawn as bars or, `outlined`, as an outline over them.
    """

    name: str
    look: Look
    x: np.ndarray
    y: np.ndarray | None = None
    told: Sequence[str] = ()
    outlined: bool = False

    def __len__(self) -> int:
        return len(self.x)


def histogram(clouds: Sequence[Cloud], threshold: float, title: str, height: int) -> go.Figure:
    """How each cloud is spread along a direction, as shares of its rows.

    Args:
        threshold: in the same units as the clouds' `x`.
        title: of the axis, which says what 0 is.
    """
    edges = bins(clouds)
    highest = 1.0
    traces: list[palette.Trace] = []
    for cloud in sorted(clouds, key=lambda cloud: cloud.outlined):
        counts = np.histogram(cloud.x, edges)[0]
        shares = 100 * counts / max(1, len(cloud))
        highest = max(highest, float(shares.max()))
        traces += _spread(cloud, edges, counts, shares)
    left = threshold > (edges[0] + edges[-1]) / 2  # the label stands on the side with more room
    label = {
        "x": threshold, "y": 1, "yref": "paper", "yanchor": "top", "xanchor": "right" if left else "left",
        "showarrow": False, "text": f"threshold {number(threshold)}", "xshift": -5 if left else 5,
    }  # fmt: skip
    yaxis = {
        "range": [0, HEADROOM * highest], "ticksuffix": " %", "fixedrange": True, "title": {"text": "of the arm’s rows"}
    }  # fmt: skip
    axes = {"xaxis": {**_axis(title, 6), "fixedrange": True}, "yaxis": yaxis}
    lines = [_limit("x", threshold, 2)]
    return palette.framed(traces, height, axes, shapes=lines, annotations=[label], barmode="overlay", bargap=0)


def bins(clouds: Sequence[Cloud]) -> np.ndarray:
    """Edges `[BINS + 1]` shared by all clouds."""
    values = np.concatenate([cloud.x for cloud in clouds]) if clouds else np.zeros(1)
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    room = 0.02 * (high - low) or 0.5
    return np.linspace(low - room, high + room, BINS + 1)


def scatter(clouds: Sequence[Cloud], titles: tuple[str, str], height: int) -> go.Figure:
    """Rows on two directions, counted from each one's threshold, which is a line."""
    lines = [{**_limit(axis, 0, 1.5), "layer": "below"} for axis in ("x", "y")]
    axes = {"xaxis": _axis(titles[0], 6), "yaxis": _axis(titles[1], 4)}
    return palette.framed([_points(cloud) for cloud in clouds], height, axes, shapes=lines)


def _points(cloud: Cloud) -> go.Scatter:
    color, symbol = cloud.look.color, cloud.look.symbol
    return go.Scatter(
        x=cloud.x, y=cloud.y, mode="markers", name=cloud.name, customdata=cloud.told,
        marker={"color": color, "symbol": symbol, "size": 7, "opacity": 0.6, "line": {"width": 1, "color": color}},
        hovertemplate=f"<b>{plain_name(cloud.name, 90)}</b> · %{{customdata}}<br>x %{{x:.3g}}, y %{{y:.3g}}"
        "<extra></extra>",
    )  # fmt: skip


def _spread(cloud: Cloud, edges: np.ndarray, counts: np.ndarray, shares: np.ndarray) -> list[go.Bar | go.Scatter]:
    """Bars, or an outline with points to hover over."""
    look, centres = cloud.look, (edges[:-1] + edges[1:]) / 2
    name = f"{cloud.name} (n = {len(cloud)})"
    told = np.stack([edges[:-1], edges[1:], counts], axis=1)
    template = (
        f"<b>{plain_name(cloud.name, 90)}</b><br>%{{customdata[0]:.3g}} to %{{customdata[1]:.3g}}<br>"
        f"%{{customdata[2]}} of n = {len(cloud)}<extra></extra>"
    )
    if not cloud.outlined:
        pattern = {"shape": look.hatch, "fillmode": "replace", "size": 6, "solidity": 0.5}
        marker = {"color": look.color, "opacity": 0.75, "line": {"width": 0}, "pattern": pattern}
        return [
            go.Bar(
                x=centres, y=shares, width=np.diff(edges), name=name, marker=marker, customdata=told,
                hovertemplate=template,
            )
        ]  # fmt: skip
    x, y = np.repeat(edges, 2), np.concatenate([[0], np.repeat(shares, 2), [0]])
    line = {"color": look.color, "width": 2.2}
    points = {"symbol": look.symbol, "size": 9, "color": look.color, "opacity": 0}
    there = counts > 0
    return [
        go.Scatter(x=x, y=y, mode="lines", line=line, name=name, legendgroup=name, hoverinfo="skip"),
        go.Scatter(
            x=centres[there], y=shares[there], mode="markers", marker=points, legendgroup=name, showlegend=False,
            customdata=told[there], hovertemplate=template,
        ),
    ]  # fmt: skip


def _axis(title: str, standoff: int) -> dict[str, Any]:
    return {"title": {"text": literal_tooltip(title), "standoff": standoff}, "zeroline": False}


def _limit(axis: str, at: float, width: float) -> dict[str, Any]:
    """A dashed line across the figure."""
    other = "y" if axis == "x" else "x"
    place = {f"{axis}0": at, f"{axis}1": at, f"{other}0": 0, f"{other}1": 1, f"{other}ref": "paper"}
    return {"type": "line", **place, "line": {"width": width, "dash": "dash", "color": SLATE}}
