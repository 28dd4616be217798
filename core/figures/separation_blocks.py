"""A separation study over blocks: the profile of what one direction reaches, and cosines between contrasts."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from core.figures import palette
from core.figures.palette import BLUE, SAGE, SLATE, VERMILION, VIOLET
from core.figures.separation_tables import Metric, Row, Summary, described

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up")


def profile(summary: Summary, metric: Metric, block: int, height: int = 320) -> go.Figure:
    """One number over blocks with its 95 % interval; for balanced accuracy with nulls, ceiling and secure control.

    The direction's own points come first, so that a click on one says a block. Nulls and ceiling were measured as
    balanced accuracy only, and no other number shows them.
    """
    rows = summary["blocks"]
    traces = _nulls(rows) if metric.key == "accuracy" else []
    traces += _secure(summary, metric)
    traces.append(_band(_of(rows, metric.interval, metric.factor), VERMILION, 0.22, None))
    traces.append(
        go.Scatter(
            x=_blocks(rows),
            y=_of(rows, metric.value, metric.factor),
            mode="lines+markers",
            name="this direction",
            legendrank=1,
            line={"color": VERMILION, "width": 3},
            marker={"size": [13 if row["block"] == block else 6 for row in rows], "symbol": "diamond"},
            unselected={"marker": {"opacity": 1}},
            selected={"marker": {"opacity": 1}},
            customdata=[[described(row, metric)] for row in rows],
            hovertemplate=f"<b>block %{{x}}</b><br>{metric.title} %{{customdata[0]}}<extra></extra>",
        )
    )
    yaxis = {"range": _range(metric, rows, summary), "ticksuffix": metric.unit, "fixedrange": True, "zeroline": False}
    line, label = _chosen(block, len(rows))
    return palette.framed(
        traces,
        height,
        {"xaxis": _xaxis(len(rows)), "yaxis": yaxis},
        shapes=[line],
        annotations=[label],
        clickmode="event+select",
    )


def cosines(summary: Summary, block: int, height: int = 300) -> go.Figure:
    """Cosine between each two contrasts' directions over blocks, from −1 to 1."""
    traces = [
        go.Scatter(
            x=list(range(len(values))),
            y=values,
            mode="lines+markers",
            name=pair,
            line={"color": palette.CATEGORICAL[place % 5], "width": 2, "dash": DASHES[place % 6]},
            marker={"symbol": SYMBOLS[place % 6], "size": [9 if at == block else 5 for at in range(len(values))]},
            hovertemplate=f"<b>{pair}</b><br>block %{{x}}: cosine %{{y:.2f}}<extra></extra>",
        )
        for place, (pair, values) in enumerate(summary["cosines"].items())
    ]
    yaxis = {
        "range": [-1.08, 1.08],
        "tickvals": [-1, -0.5, 0, 0.5, 1],
        "ticktext": ["−1", "−0.5", "0", "0.5", "1"],
        "fixedrange": True,
        "zeroline": False,
    }
    line, label = _chosen(block, len(summary["blocks"]))
    zero = {
        "type": "line",
        "x0": 0,
        "x1": 1,
        "xref": "x domain",
        "y0": 0,
        "y1": 0,
        "yref": "y",
        "line": {"color": SLATE, "width": 1},
    }
    xaxis = _xaxis(len(summary["blocks"]))
    return palette.framed(traces, height, {"xaxis": xaxis, "yaxis": yaxis}, shapes=[line, zero], annotations=[label])


def _nulls(rows: list[Row]) -> list[go.Scatter]:
    """Random and shuffled-label directions, and the probe, as balanced accuracy in per cent."""
    n = _blocks(rows)
    edges = [
        go.Scatter(
            x=n,
            y=[value[end] for value in _of(rows, "shuffled_interval", 100)],
            mode="lines",
            line={"color": BLUE, "width": 1.4, "dash": "dot"},
            showlegend=end == 0,
            hoverinfo="skip",
            name="shuffled labels, central 95 %",
        )
        for end in (0, 1)
    ]
    mean = go.Scatter(
        x=n,
        y=_of(rows, "shuffled", 100),
        mode="lines",
        line={"color": BLUE, "width": 2, "dash": "dash"},
        name="shuffled, mean",
        hovertemplate="shuffled labels, mean: %{y:.1f} % at block %{x}<extra></extra>",
    )
    probe = go.Scatter(
        x=n,
        y=_of(rows, "ceiling", 100),
        mode="lines+markers",
        name="probe, all coordinates",
        line={"color": SAGE, "width": 5},
        marker={"symbol": "cross", "size": 5},
        opacity=0.85,
        hovertemplate="probe on all coordinates: %{y:.1f} % at block %{x}<extra></extra>",
    )
    return [_band(_of(rows, "random", 100), SLATE, 0.26, "random, central 95 %"), *edges, mean, probe]


def _secure(summary: Summary, metric: Metric) -> list[go.Scatter]:
    """The secure adapter on its own direction, where it was measured."""
    values = _secure_values(summary, metric)
    if not values:
        return []
    trace = go.Scatter(
        x=_blocks(summary["blocks"]),
        y=values,
        mode="lines+markers",
        name="secure, own direction",
        line={"color": VIOLET, "width": 2, "dash": "dash"},
        marker={"symbol": "square-open", "size": 8},
        hovertemplate=f"secure control: {metric.title} %{{y:.{metric.digits}f}}{metric.unit} at block %{{x}}"
        "<extra></extra>",
    )
    return [trace]


def _secure_values(summary: Summary, metric: Metric) -> list[float | None]:
    secure = summary.get("secure")
    if not secure:
        return []
    if metric.key == "norm":
        return [_times(value, metric.factor) for value in secure["shift_share"]]
    return [_times(row[metric.value], metric.factor) for row in secure["own"]]


def _band(ends: list[Any], color: str, opacity: float, name: str | None) -> go.Scatter:
    """A band between pairs of ends; blocks without both are left out of it."""
    known = [(block, pair) for block, pair in enumerate(ends) if None not in pair]
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return go.Scatter(
        x=[block for block, _ in known] + [block for block, _ in reversed(known)],
        y=[pair[1] for _, pair in known] + [pair[0] for _, pair in reversed(known)],
        fill="toself",
        fillcolor=f"rgba({red}, {green}, {blue}, {opacity})",
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        name=name,
        showlegend=name is not None,
    )


def _chosen(block: int, blocks: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """A line at the chosen block, and its name at its foot."""
    right = block > blocks * 0.8
    line = {
        "type": "line",
        "x0": block,
        "x1": block,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "layer": "below",
        "line": {"color": SLATE, "width": 1.5, "dash": "dash"},
    }
    label = {
        "x": block,
        "y": 0,
        "yref": "paper",
        "yanchor": "bottom",
        "xanchor": "right" if right else "left",
        "showarrow": False,
        "text": f"block {block}",
        "xshift": -4 if right else 4,
        "yshift": 9,
    }
    return line, label


def _xaxis(blocks: int) -> dict[str, Any]:
    return {"title": {"text": "block", "standoff": 6}, "range": [-0.6, blocks - 0.4], "fixedrange": True}


def _range(metric: Metric, rows: list[Row], summary: Summary) -> list[float]:
    """Shares show their whole scale; other numbers start at 0 or below."""
    if metric.key == "accuracy":
        return [-4, 106]
    if metric.key == "auroc":
        return [-0.04, 1.06]
    ends = [end for pair in _of(rows, metric.interval, metric.factor) for end in pair if end is not None]
    ends += [value for value in _secure_values(summary, metric) if value is not None]
    low, high = min([0.0, *ends]), max([0.0, *ends]) or 1.0
    return [low - 0.08 * (high - low), high + 0.08 * (high - low)]


def _blocks(rows: list[Row]) -> list[int]:
    return [row["block"] for row in rows]


def _of(rows: list[Row], key: str, factor: float) -> list[Any]:
    """A number of every block, or its pair of ends, times `factor`; unknown stays None."""
    found = []
    for row in rows:
        value = row[key]
        pair = isinstance(value, list | tuple)
        found.append(tuple(_times(end, factor) for end in value) if pair else _times(value, factor))
    return found


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value
