"""Numbers over a model's blocks: lines, bands between two ends, and a line at the chosen block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from core.figures import palette
from core.figures.palette import SLATE, Interval

SAME = {"marker": {"opacity": 1}}


@dataclass(frozen=True)
class Line:
    """A value at each block; None is a gap.

    `size` of its points and `large` of the one at the chosen block; a line without points has size 0. Where `told` has
    a text a block, `tooltip` says it as `%{customdata}`. The line whose points are `clicked` comes first in the legend.
    """

    name: str
    values: Sequence[float | None]
    color: str
    tooltip: str = ""
    told: Sequence[str] | None = None
    width: float = 2
    dash: str = "solid"
    symbol: str = "circle"
    size: int = 0
    large: int | None = None
    opacity: float = 1
    named: bool = True
    clicked: bool = False


@dataclass(frozen=True)
class Band:
    """A band between a low and a high end at each block; blocks without both are left out. No name, no legend."""

    ends: Sequence[Interval]
    color: str
    opacity: float
    name: str | None = None


def profile(
    drawn: Sequence[Line | Band], block: int, blocks: int, yaxis: dict[str, Any], height: int, zero: bool = False
) -> go.Figure:
    """Lines and bands, the last on top, over `blocks` blocks.

    Args:
        zero: a line at 0.
    """
    right = block > blocks * 0.8  # the chosen block's name stands on the side with more room
    line = {"type": "line", "x0": block, "x1": block, "y0": 0, "y1": 1, "yref": "paper", "layer": "below",
            "line": {"color": SLATE, "width": 1.5, "dash": "dash"}}  # fmt: skip
    label = {"x": block, "y": 0, "yref": "paper", "yanchor": "bottom", "xanchor": "right" if right else "left",
             "showarrow": False, "text": f"block {block}", "xshift": -4 if right else 4, "yshift": 9}  # fmt: skip
    level = {"type": "line", "x0": 0, "x1": 1, "xref": "x domain", "y0": 0, "y1": 0, "yref": "y",
             "line": {"color": SLATE, "width": 1}}  # fmt: skip
    xaxis = {"title": {"text": "block", "standoff": 6}, "range": [-0.6, blocks - 0.4], "fixedrange": True}
    return palette.framed(
        [_band(one) if isinstance(one, Band) else _line(one, block) for one in drawn],
        height,
        {"xaxis": xaxis, "yaxis": {"fixedrange": True, "zeroline": False, **yaxis}},
        shapes=[line, level] if zero else [line],
        annotations=[label],
        clickmode="event+select" if any(isinstance(one, Line) and one.clicked for one in drawn) else None,
    )


def _line(line: Line, block: int) -> go.Scatter:
    places = list(range(len(line.values)))
    more: dict[str, Any] = (
        {"hovertemplate": f"{line.tooltip}<extra></extra>"} if line.tooltip else {"hoverinfo": "skip"}
    )
    if line.size:
        sizes = line.size if line.large is None else [line.large if at == block else line.size for at in places]
        more["marker"] = {"symbol": line.symbol, "size": sizes}
    if line.clicked:
        more |= {"legendrank": 1, "selected": SAME, "unselected": SAME}
    return go.Scatter(
        x=places, y=line.values, mode="lines+markers" if line.size else "lines", name=line.name, opacity=line.opacity,
        line={"color": line.color, "width": line.width, "dash": line.dash}, showlegend=line.named, customdata=line.told,
        **more,
    )  # fmt: skip


def _band(band: Band) -> go.Scatter:
    known = [(block, pair) for block, pair in enumerate(band.ends) if None not in pair]
    return go.Scatter(
        x=[block for block, _ in known] + [block for block, _ in reversed(known)],
        y=[pair[1] for _, pair in known] + [pair[0] for _, pair in reversed(known)],
        fill="toself", fillcolor=palette.faded(band.color, band.opacity), line={"width": 0}, mode="lines",
        hoverinfo="skip", name=band.name, showlegend=band.name is not None,
    )  # fmt: skip
