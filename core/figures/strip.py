"""Changes beside each other on one axis of percentage points: a direction with its interval, controls, and draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.figures import palette
from core.figures.palette import SLATE, Interval, Look

SPREAD = 0.25  # how far draws are moved apart upwards and downwards
MEAN = 0.34  # half the length of the short line at a mean
LEGEND = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.16, "yanchor": "bottom"}


@dataclass(frozen=True)
class Marks:
    """Marks of one kind at one level: differences of shares with a tooltip each; None is not drawn.

    A single mark lies on its level and may have an interval; several are spread about it.
    """

    key: str
    name: str
    look: Look
    level: float
    values: Sequence[float | None]
    tooltips: Sequence[str]
    size: float
    interval: Interval | None = None
    opacity: float | None = None
    mean: float | None = None
    rank: int = 1000


def strip(
    panels: Sequence[Sequence[Marks]], height: int, title: str, titles: Sequence[str] = (), levels: Sequence[str] = ()
) -> go.Figure:
    """A panel under the other, on one axis.

    Args:
        title: of the axis.
        titles: of the panels.
        levels: names of the levels 0, 1, …, the first on top; without names levels lie between −1 and 1, the kinds
            are told by a legend.
    """
    figure = make_subplots(
        rows=len(panels), cols=1, shared_xaxes=True, vertical_spacing=0.2, subplot_titles=titles or None
    )
    figure.update_annotations(font_size=13, x=0, xanchor="left")
    for panel, kinds in enumerate(panels, start=1):
        figure.add_traces([_trace(marks, panel == 1 and not levels) for marks in kinds], rows=panel, cols=1)
        for marks in kinds:
            if marks.mean is not None:
                at, line = 100 * marks.mean, {"width": 2, "color": marks.look.color}
                figure.add_shape(
                    type="line", x0=at, x1=at, y0=marks.level - MEAN, y1=marks.level + MEAN, line=line, row=panel, col=1
                )
        figure.add_vline(x=0, line={"color": SLATE, "width": 1}, layer="below", row=panel, col=1)
    every = [value for kinds in panels for marks in kinds for value in (*marks.values, *(marks.interval or ()))]
    figure.update_xaxes(**palette.points_axis(palette.points_range(every, 4)))
    figure.update_xaxes(title={"text": title, "standoff": 4}, row=len(panels), col=1)
    named: dict[str, Any] = {"range": [-1, 1], "showticklabels": False}
    if levels:
        places = list(range(len(levels)))
        named = {"range": [len(levels) - 0.5, -0.5], "tickvals": places, "ticktext": list(levels)}
    figure.update_yaxes(**named, showgrid=False, fixedrange=True, zeroline=False)
    margin = {"l": 4, "r": 8, "t": 4, "b": 4} if levels else {"l": 8, "r": 8, "t": 30, "b": 8}
    return palette.frame(figure, height, showlegend=not levels, legend=LEGEND, margin=margin)


def _trace(marks: Marks, named: bool) -> go.Scatter:
    # the golden ratio spreads any number of draws evenly, and the same way each time
    moved = [SPREAD * (2 * (0.618034 * place % 1) - 1) for place in range(len(marks.values))]
    color = marks.look.color
    return go.Scatter(
        x=[None if value is None else 100 * value for value in marks.values],
        y=[marks.level + by for by in moved] if len(moved) > 1 else [marks.level],
        mode="markers", name=marks.name, legendgroup=marks.key, legendrank=marks.rank, showlegend=named,
        marker={"color": color, "symbol": marks.look.symbol, "size": marks.size, "opacity": marks.opacity},
        error_x=palette.whiskers(marks.values, [marks.interval], color, 2, 5) if marks.interval else None,
        **palette.tooltips(marks.tooltips),
    )  # fmt: skip
