"""Held-out rows on directions: a histogram on one, a scatter on two. What is over blocks is in `separation_blocks`.

Texts come from prompts and models: plotly would interpret a few tags in a tooltip, so they are escaped.
"""

from __future__ import annotations

import csv
import html
import io
import textwrap
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import palette
from core.figures.palette import BLUE, SAGE, SLATE, VERMILION, VIOLET, Look
from core.studies.separation.rows import Cloud
from core.words import number

ARMS = {
    "base": Look(BLUE, "", "circle"),
    "organism": Look(VERMILION, "/", "diamond"),
    "secure": Look(VIOLET, "x", "square"),
    "prose": Look(BLUE, "", "circle"),
    "code": Look(VERMILION, "/", "diamond"),
}
OTHER = Look(SAGE, "-", "cross")
BINS = 44
SHOWN, LINE = 180, 48  # characters of a text in a tooltip, and of one of its lines
HEADROOM = 1.2


def look(arm: str) -> Look:
    """How an arm is drawn everywhere."""
    return ARMS.get(arm, OTHER)


@lru_cache(maxsize=4096)
def literal_tooltip(text: str, shown: int = SHOWN) -> str:
    """`text` for a tooltip: shortened, in lines, and with nothing that plotly would take for a tag."""
    clean = " ".join(text.encode("utf-8", "replace").decode().split())
    short = clean if len(clean) <= shown else clean[: shown - 1] + "…"
    return "<br>".join(html.escape(line, quote=False) for line in textwrap.wrap(short, LINE)) or "(empty)"


def histogram(
    clouds: Sequence[Cloud], threshold: float, title: str, outlined: Sequence[str] = (), height: int = 320
) -> go.Figure:
    """How the rows of each arm are spread along a direction, as shares of the arm's rows.

    Args:
        threshold: in the same units as the clouds' `x`.
        title: of the axis, which says what 0 is.
        outlined: arms drawn as an outline over the filled ones.
    """
    edges = bins(clouds)
    highest = 1.0
    traces: list[palette.Trace] = []
    for cloud in sorted(clouds, key=lambda cloud: cloud.arm in outlined):
        counts = np.histogram(cloud.x, edges)[0]
        shares = 100 * counts / max(1, len(cloud))
        highest = max(highest, float(shares.max()))
        traces += _spread(cloud, edges, counts, shares, cloud.arm in outlined)
    left = threshold > (edges[0] + edges[-1]) / 2  # the label stands on the side with more room
    line = {
        "type": "line", "x0": threshold, "x1": threshold, "y0": 0, "y1": 1, "yref": "paper",
        "line": {"width": 2, "dash": "dash", "color": SLATE},
    }  # fmt: skip
    label = {
        "x": threshold, "y": 1, "yref": "paper", "yanchor": "top", "xanchor": "right" if left else "left",
        "showarrow": False, "text": f"threshold {number(threshold)}", "xshift": -5 if left else 5,
    }  # fmt: skip
    xaxis = {"title": {"text": literal_tooltip(title), "standoff": 6}, "zeroline": False, "fixedrange": True}
    yaxis = {
        "range": [0, HEADROOM * highest], "ticksuffix": " %", "fixedrange": True, "title": {"text": "of the arm’s rows"}
    }  # fmt: skip
    return palette.framed(
        traces,
        height,
        {"xaxis": xaxis, "yaxis": yaxis},
        shapes=[line],
        annotations=[label],
        barmode="overlay",
        bargap=0,
    )


def bins(clouds: Sequence[Cloud]) -> np.ndarray:
    """Edges `[BINS + 1]` shared by all arms."""
    values = np.concatenate([cloud.x for cloud in clouds]) if clouds else np.zeros(1)
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    room = 0.02 * (high - low) or 0.5
    return np.linspace(low - room, high + room, BINS + 1)


def scatter(
    clouds: Sequence[Cloud], x_title: str, y_title: str, thresholds: tuple[float, float] = (0, 0), height: int = 360
) -> go.Figure:
    """Rows on two directions; each direction's threshold is a line."""
    lines = [
        {
            "type": "line", "line": {"width": 1.5, "dash": "dash", "color": SLATE}, "layer": "below",
            **({"x0": place, "x1": place, "y0": 0, "y1": 1, "yref": "paper"} if axis == "x" else
               {"y0": place, "y1": place, "x0": 0, "x1": 1, "xref": "paper"}),
        }
        for place, axis in zip(thresholds, ("x", "y"), strict=True)
    ]  # fmt: skip
    xaxis = {"title": {"text": literal_tooltip(x_title), "standoff": 6}, "zeroline": False}
    yaxis = {"title": {"text": literal_tooltip(y_title), "standoff": 4}, "zeroline": False}
    return palette.framed([_points(cloud) for cloud in clouds], height, {"xaxis": xaxis, "yaxis": yaxis}, shapes=lines)


def describe_histogram(clouds: Sequence[Cloud], threshold: float) -> str:
    """The histogram in words, for readers who do not see it."""
    parts = [
        f"{cloud.name}: {len(cloud)} rows around {number(float(np.median(cloud.x)))}, "
        f"{int((cloud.x > threshold).sum())} of them above the threshold"
        for cloud in clouds
        if len(cloud)
    ]
    return f"Projections of held-out rows; the threshold is at {number(threshold)}. " + "; ".join(parts) + "."


def describe_scatter(clouds: Sequence[Cloud], x_name: str, y_name: str) -> str:
    """The scatter in words: where each arm's middle lies, 0 being the threshold."""
    parts = [
        f"{cloud.name} (n = {len(cloud)}) around {number(float(np.median(cloud.x)))} on {x_name} and "
        f"{number(float(np.median(cloud.y)))} on {y_name}"
        for cloud in clouds
        if len(cloud) and cloud.y is not None
    ]
    return "Held-out rows on two directions, counted from their thresholds: " + "; ".join(parts) + "."


def clouds_csv(clouds: Sequence[Cloud], x_name: str, y_name: str | None = None) -> str:
    """A line a row: arm, suite, prompt, answer where there is one, projections."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    answered = any(cloud.answers for cloud in clouds)
    lines.writerow(["arm", "suite", "prompt", *(["answer"] if answered else []), x_name, *([y_name] if y_name else [])])
    for cloud in clouds:
        for row in range(len(cloud)):
            answer = [cloud.answers[row] if cloud.answers else ""] if answered else []
            along = [f"{cloud.y[row]:.6g}"] if y_name and cloud.y is not None else []
            lines.writerow([cloud.name, cloud.suites[row], cloud.prompts[row], *answer, f"{cloud.x[row]:.6g}", *along])
    return out.getvalue()


def _points(cloud: Cloud) -> go.Scatter:
    """An arm's rows on two directions, each with its prompt and answer to hover over."""
    drawn = look(cloud.arm)
    told = np.empty((len(cloud), 3), dtype=object)
    for row, (suite, prompt) in enumerate(zip(cloud.suites, cloud.prompts, strict=True)):
        answer = cloud.answers[row] if cloud.answers else ""
        told[row] = suite, literal_tooltip(prompt), f"<br><i>answer:</i> {literal_tooltip(answer)}" if answer else ""
    return go.Scatter(
        x=cloud.x,
        y=cloud.y,
        mode="markers",
        name=cloud.name,
        marker={
            "color": drawn.color,
            "symbol": drawn.symbol,
            "size": 7,
            "opacity": 0.6,
            "line": {"width": 1, "color": drawn.color},
        },
        customdata=told,
        hovertemplate=f"<b>{html.escape(cloud.name, quote=False)}</b> · %{{customdata[0]}}<br>"
        "%{customdata[1]}%{customdata[2]}<br>x %{x:.3g}, y %{y:.3g}<extra></extra>",
    )


def _spread(
    cloud: Cloud, edges: np.ndarray, counts: np.ndarray, shares: np.ndarray, outlined: bool
) -> list[go.Bar | go.Scatter]:
    """Bars, or an outline with points to hover over."""
    drawn, centres = look(cloud.arm), (edges[:-1] + edges[1:]) / 2
    name = f"{cloud.name} (n = {len(cloud)})"
    told: dict[str, Any] = {
        "customdata": np.stack([edges[:-1], edges[1:], counts], axis=1),
        "hovertemplate": f"<b>{html.escape(cloud.name, quote=False)}</b><br>%{{customdata[0]:.3g}} to "
        f"%{{customdata[1]:.3g}}<br>%{{customdata[2]}} of n = {len(cloud)}<extra></extra>",
    }
    if not outlined:
        return [
            go.Bar(
                x=centres,
                y=shares,
                width=np.diff(edges),
                name=name,
                marker={
                    "color": drawn.color,
                    "opacity": 0.75,
                    "line": {"width": 0},
                    "pattern": {"shape": drawn.hatch, "fillmode": "replace", "size": 6, "solidity": 0.5},
                },
                **told,
            )
        ]
    x, y = np.repeat(edges, 2), np.concatenate([[0], np.repeat(shares, 2), [0]])
    line = {"color": drawn.color, "width": 2.2}
    points = {"symbol": drawn.symbol, "size": 9, "color": drawn.color, "opacity": 0}
    return [
        go.Scatter(x=x, y=y, mode="lines", line=line, name=name, legendgroup=cloud.arm, hoverinfo="skip"),
        go.Scatter(
            x=centres[counts > 0], y=shares[counts > 0], mode="markers", marker=points, legendgroup=cloud.arm,
            showlegend=False, **{**told, "customdata": told["customdata"][counts > 0]},
        ),
    ]  # fmt: skip
