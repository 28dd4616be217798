"""Dose-response: rates over doses with bands and controls, the share of broken answers beneath, and where it breaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeAlias

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.figures import palette
from core.figures.palette import SLATE, VERMILION, Interval, Look
from core.words import coefficient, percent

HEIGHT = 430
SHADE = "rgba(207, 92, 12, 0.15)"
NARROW = 0.16  # a shaded part narrower than this share of the axis has its name upright
NEAR = 0.11  # ticks nearer to the chosen dose than this share of the axis are left out
ROOM = 0.03
HEADROOM = 116  # per cent; a name stands above the lines
Rates: TypeAlias = tuple[Sequence[float | None], Sequence[Interval]]
WHOLE: dict[str, Any] = {"selected": {"marker": {"opacity": 1}}, "unselected": {"marker": {"opacity": 1}}}


@dataclass(frozen=True)
class Line:
    """What one direction does at rising doses: the rate of the upper panel, the broken share of the lower one.

    Each has shares (None is unknown) and their intervals. `among` are shares drawn as open marks beside the rate.
    """

    key: str
    name: str
    look: Look
    doses: Sequence[float]
    rate: Rates
    broken: Rates
    tooltips: Sequence[str]
    among: Sequence[float | None] | None = None


@dataclass(frozen=True)
class Level:
    """What needs no dose: its rate and broken share, each with its tooltip."""

    key: str
    name: str
    look: Look
    rate: float | None
    broken: float | None
    tooltips: tuple[str, str]


def dose_response(
    lines: Sequence[Line], levels: Sequence[Level], marks: Mapping[float, str], limit: float, titles: tuple[str, str]
) -> go.Figure:
    """Two panels on one axis of doses. Where more than `limit` of the first line is broken, both are shaded and say so.

    Args:
        lines: the first is drawn thick, last and with bands, and its doses are the axis.
        marks: doses with a word each (`chosen`, `shown`).
        titles: of the axis of doses and of the rate.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.07, row_heights=[0.66, 0.34])
    first = lines[0]
    ends = axis_range(first.doses)
    for panel in (1, 2):
        traces = [_level(level, ends, panel) for level in levels]
        traces.append(_band(first, first.rate if panel == 1 else first.broken))
        traces += [_line(line, line is first, panel) for line in reversed(lines)]
        figure.add_traces(traces, rows=panel, cols=1)
    if first.among is not None:
        figure.add_trace(_open_marks(first, first.among), row=1, col=1)
    top = _top(lines)
    for start, end in broken_regions(first.doses, first.broken[0], limit, ends):
        inside = zip(first.doses, first.broken[0], strict=True)
        highest = max((share for dose, share in inside if share is not None and start <= dose <= end), default=0.0)
        _shade(figure, start, end, end - start < NARROW * (ends[1] - ends[0]), 0.98 if 150 * highest < top else 0.5)
    for dose, word in marks.items():
        style = {"color": SLATE, "width": 1.6, "dash": "dash" if word == "chosen" else "dot"}
        figure.add_vline(x=dose, line=style, layer="below")
    values, texts = ticks([0.0, *first.doses], marks, ends)
    figure.update_xaxes(range=list(ends), fixedrange=True, zeroline=False, tickvals=values, ticktext=texts, tickangle=0)
    figure.update_xaxes(title={"text": titles[0], "standoff": 4}, row=2, col=1)
    _shares(figure, 1, titles[1], [-4, HEADROOM], (0, 25, 50, 75, 100))
    _shares(figure, 2, "broken", [-0.04 * top, top], (0, 10, 50, 100))
    return palette.frame(figure, HEIGHT, clickmode="event+select", margin={"l": 8, "r": 8, "t": 8, "b": 8})


def broken_regions(
    doses: Sequence[float], broken: Sequence[float | None], limit: float, ends: tuple[float, float]
) -> list[tuple[float, float]]:
    """Where the drawn line of broken answers lies above the limit, as stretches of the axis.

    Args:
        doses: rising.
        ends: of the axis; a stretch that reaches the outermost dose goes on to the end.
    """
    points = [(dose, share - limit) for dose, share in zip(doses, broken, strict=True) if share is not None]
    if not points:
        return []
    points = [(ends[0], points[0][1]), *points, (ends[1], points[-1][1])]
    found: list[list[float]] = []
    inside = False
    for place, (x, over) in enumerate(points):
        if (over > 0) != inside:
            before, below = points[place - 1] if place else (x, over)
            crossing = before + (x - before) * below / (below - over) if below != over else x
            if inside:
                found[-1][1] = crossing
            else:
                found.append([crossing, ends[1]])
            inside = not inside
    return [(start, end) for start, end in found if end > start]


def axis_range(doses: Sequence[float]) -> tuple[float, float]:
    """The doses with some room on both sides."""
    room = ROOM * (max(doses) - min(doses)) or 0.1
    return min(doses) - room, max(doses) + room


def ticks(
    values: Sequence[float], marks: Mapping[float, str], ends: tuple[float, float]
) -> tuple[list[float], list[str]]:
    """Places and texts of some doses: the marked ones, and as many round others as do not come near each other.

    Where the two marks come near each other, the one that is only shown stands lower.
    """
    near = NEAR * (ends[1] - ends[0])
    taken = list(marks)
    crowded = len(marks) == 2 and abs(taken[0] - taken[1]) < near
    for value in sorted(values, key=lambda value: (len(f"{abs(value):g}"), abs(value))):
        if all(abs(value - other) >= near for other in taken):
            taken.append(value)
    taken.sort()
    texts = []
    for value in taken:
        lower = "<br><br>" if crowded and marks.get(value) == "shown" else ""
        texts.append(f"{lower}<b>{coefficient(value)}<br>{marks[value]}</b>" if value in marks else coefficient(value))
    return taken, texts


def _shares(figure: go.Figure, panel: int, title: str, ends: list[float], places: Sequence[int]) -> None:
    """The upward axis of a panel."""
    shown = [place for place in places if place <= ends[1]]
    figure.update_yaxes(
        title={"text": title, "standoff": 4}, range=ends, fixedrange=True, zeroline=False, tickvals=shown,
        ticktext=[percent(place / 100) for place in shown], row=panel, col=1,
    )  # fmt: skip


def _line(line: Line, first: bool, panel: int) -> go.Scatter:
    color, dash, symbol = line.look.color, line.look.dash, line.look.symbol
    return go.Scatter(
        x=line.doses, y=_percents((line.rate if panel == 1 else line.broken)[0]), mode="lines+markers", name=line.name,
        legendgroup=line.key, legendrank=1 if first else 1000, showlegend=panel == 1,
        line={"color": color, "width": 3.2 if first else 1.4, "dash": dash},
        marker={"symbol": symbol, "size": 9 if first else 5, "color": color}, **WHOLE,
        **palette.tooltips(line.tooltips),
    )  # fmt: skip


def _open_marks(line: Line, shares: Sequence[float | None]) -> go.Scatter:
    marker = {"symbol": f"{line.look.symbol}-open", "size": 14, "color": line.look.color, "line": {"width": 1.6}}
    return go.Scatter(
        x=line.doses, y=_percents(shares), mode="markers", name="… coherent answers only", legendrank=2, marker=marker,
        **WHOLE, **palette.tooltips(line.tooltips),
    )  # fmt: skip


def _band(line: Line, rates: Rates) -> go.Scatter:
    """The interval as a filled outline; a gap where the rate is unknown."""
    x: list[float | None] = []
    y: list[float | None] = []
    for known, group in groupby(zip(line.doses, *rates, strict=True), key=lambda row: row[1] is not None):
        if known:
            run = [(dose, *_percents(interval)) for dose, _, interval in group]
            x += [dose for dose, _, _ in (*run, *reversed(run))] + [None]
            y += [high for _, _, high in run] + [low for _, low, _ in reversed(run)] + [None]
    return go.Scatter(
        x=x, y=y, fill="toself", mode="lines", line={"width": 0}, fillcolor=line.look.color, opacity=0.2,
        hoverinfo="skip", showlegend=False, legendgroup=line.key, name="95 % Wilson interval",
    )  # fmt: skip


def _level(level: Level, ends: tuple[float, float], panel: int) -> go.Scatter:
    value = level.rate if panel == 1 else level.broken
    return go.Scatter(
        x=list(ends), y=_percents([value, value]), mode="lines", name=level.name, legendgroup=level.key, legendrank=900,
        showlegend=panel == 1, line={"color": level.look.color, "width": 1.6, "dash": level.look.dash},
        hovertemplate=f"{level.tooltips[panel - 1]}<extra></extra>",
    )  # fmt: skip


def _shade(figure: go.Figure, start: float, end: float, narrow: bool, below: float) -> None:
    """A stretch in both panels with its name, in the lower panel `below` of its height up, where no line runs."""
    for panel in (1, 2):
        figure.add_vrect(
            x0=start, x1=end, row=panel, col=1, fillcolor=SHADE, line={"width": 1, "dash": "dot", "color": VERMILION},
            layer="below",
        )  # fmt: skip
        axis, height = ("", 0.99) if panel == 1 else ("2", below)
        figure.add_annotation(
            x=(start + end) / 2, xref=f"x{axis}", y=height, yref=f"y{axis} domain", yanchor="top",
            text="<b>broken</b>", textangle=-90 if narrow else 0, showarrow=False, font={"size": 12},
        )  # fmt: skip


def _top(lines: Sequence[Line]) -> float:
    """The end of the lower panel's axis, in per cent: all lines and the first one's intervals fit below it."""
    ends = [high for _, high in lines[0].broken[1]]
    values = _percents([*ends, *(share for line in lines for share in line.broken[0])])
    return min(104.0, max(25.0, 1.08 * max((value for value in values if value is not None), default=0.0)))


def _percents(shares: Sequence[float | None]) -> list[Any]:
    return [None if share is None else 100 * share for share in shares]
