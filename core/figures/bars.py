"""Shares as bars in panels side by side: a row an arm, a bar a suite, each with its interval and its value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from core.figures import palette
from core.figures.palette import Interval, Look
from core.words import percent

ROOM_FOR_LABELS = 128  # per cent; labels stand to the right of an interval that may reach 100
BAR = 0.36
BETWEEN = 0.05  # of the width, between panels
HEIGHT = 300


@dataclass(frozen=True)
class Bar:
    """A share in a row (counted from 0) of a panel, of one suite."""

    row: int
    suite: str
    share: float
    interval: Interval
    tooltip: str


def bars(rows: Sequence[str], panels: Sequence[tuple[str, Sequence[Bar]]]) -> go.Figure:
    """Panels (title, bars). A row without a bar stays empty, which is not a bar of 0.

    Suites differ in colour, hatch and symbol.
    """
    suites = list(dict.fromkeys(bar.suite for _, found in panels for bar in found))
    traces: list[palette.Trace] = []
    axes: dict[str, dict[str, Any]] = {}
    headings = []
    width = (1 - BETWEEN * (len(panels) - 1)) / len(panels)
    for panel, (title, found) in enumerate(panels):
        axis = "" if panel == 0 else f"{panel + 1}"
        domain = [panel * (width + BETWEEN), panel * (width + BETWEEN) + width]
        axes |= _axes(rows, axis, domain)
        headings.append(
            {"text": title, "x": sum(domain) / 2, "y": 1, "xref": "paper", "yref": "paper", "xanchor": "center",
             "yanchor": "bottom", "showarrow": False, "yshift": 2, "font": {"size": 14}}
        )  # fmt: skip
        for place, (suite, look) in enumerate(palette.looks(suites).items()):
            offset = (place - (len(suites) - 1) / 2) * BAR
            traces += _traces([bar for bar in found if bar.suite == suite], suite, look, offset, axis)
    legend = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.1, "yanchor": "bottom"}
    return palette.framed(
        traces, HEIGHT, axes, annotations=headings, margin={"l": 8, "r": 4, "t": 52, "b": 8}, barmode="overlay",
        legend=legend,
    )  # fmt: skip


def _axes(rows: Sequence[str], axis: str, domain: list[float]) -> dict[str, dict[str, Any]]:
    """Of a panel; the rows are named on the first one only."""
    shares = {"anchor": f"y{axis}", "domain": domain, "range": [0, ROOM_FOR_LABELS], "tickvals": [0, 50, 100],
              "ticktext": ["0", "50", "100 %"], "fixedrange": True, "zeroline": True}  # fmt: skip
    names = {"anchor": f"x{axis}", "tickvals": list(range(len(rows))), "ticktext": list(rows), "fixedrange": True,
             "range": [len(rows) - 0.45, -0.55], "showgrid": False, "zeroline": False}  # fmt: skip
    return {f"xaxis{axis}": shares, f"yaxis{axis}": names | ({"matches": "y", "showticklabels": False} if axis else {})}


def _traces(found: Sequence[Bar], suite: str, look: Look, offset: float, axis: str) -> list[palette.Trace]:
    """Bars, then points with intervals and tooltips (a bar of 0 could not be pointed at), then the values."""
    places, shares = [bar.row + offset for bar in found], [100 * bar.share for bar in found]
    pattern = {"shape": look.hatch, "fillmode": "replace", "size": 6, "solidity": 0.5}
    common: dict[str, Any] = {"legendgroup": suite, "xaxis": f"x{axis}", "yaxis": f"y{axis}", "y": places}
    shown = go.Bar(  # pale, so that the interval stands out from its own bar
        x=shares, orientation="h", width=BAR * 0.86, marker={"color": look.color, "opacity": 0.45, "pattern": pattern},
        name=f"{suite.capitalize()} prompts", showlegend=not axis, hoverinfo="skip", **common,
    )  # fmt: skip
    points = go.Scatter(
        x=shares, mode="markers", marker={"color": look.color, "symbol": look.symbol, "size": 7}, showlegend=False,
        error_x=palette.whiskers([bar.share for bar in found], [bar.interval for bar in found], look.color, 1.8, 4),
        **palette.tooltips([bar.tooltip for bar in found]), **common,
    )  # fmt: skip
    values = go.Scatter(
        x=[100 * (bar.interval[1] or 0) + 2 for bar in found], mode="text", text=[percent(bar.share) for bar in found],
        textposition="middle right", hoverinfo="skip", showlegend=False, **common,
    )  # fmt: skip
    return [shown, points, values]
