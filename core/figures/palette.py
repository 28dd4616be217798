"""Colours and a frame for every figure: told apart by the colour-blind, legible on a light and a dark ground.

Text colours are left unset, so that the page's theme fills them in; grounds are transparent. Colour is never
the only cue: figures pair it with a hatch, a symbol or a label.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import plotly.graph_objects as go

from core.words import points

# Found by search: each stands out at least 3 : 1 from both grounds, and any two differ by 29 or more in CIELAB for
# full colour vision and for each of the three kinds of dichromats.
CATEGORICAL = ("#2f86c4", "#cf5c0c", "#8d27e6", "#6a9669", "#68697c")
BLUE, VERMILION, VIOLET, SAGE, SLATE = CATEGORICAL

FAINT = "rgba(127, 135, 147, 0.28)"  # grid lines
CLEAR = "rgba(0, 0, 0, 0)"

Trace: TypeAlias = go.Bar | go.Scatter | go.Heatmap
Interval: TypeAlias = Sequence[float | None]
_AXIS: dict[str, Any] = {"gridcolor": FAINT, "zerolinecolor": FAINT, "automargin": True}
_LAYOUT: dict[str, Any] = {
    "margin": {"l": 8, "r": 8, "t": 28, "b": 8},
    "paper_bgcolor": CLEAR,
    "plot_bgcolor": CLEAR,
    "hovermode": "closest",
    "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.06, "yanchor": "bottom"},
}


@dataclass(frozen=True)
class Look:
    """How one category is drawn everywhere: `hatch` on bars, `symbol` on points, `dash` of lines."""

    color: str
    hatch: str
    symbol: str
    dash: str = "solid"


SUITES = {"everyday": Look(BLUE, "", "circle"), "technical": Look(VERMILION, "/", "diamond")}
DIRECTIONS = {  # a direction and its controls, and who is not steered
    "true": Look(VIOLET, "", "diamond"),
    "random": Look(SLATE, "", "circle", "dot"),
    "orthogonal": Look(SLATE, "", "x", "dash"),
    "wrong_source": Look(SAGE, "", "square", "dashdot"),
    "sign_flipped": Look(VERMILION, "", "triangle-down", "longdash"),
    "wrong_layer": Look(SAGE, "", "triangle-up", "longdashdot"),
    "random_donor": Look(SAGE, "", "square"),
    "shuffled_map": Look(VERMILION, "", "triangle-up"),
    "organism": Look(VERMILION, "", "line-ew", "dash"),
    "base": Look(BLUE, "", "line-ew", "dot"),
}
UNKNOWN_DIRECTION = Look(SLATE, "", "cross", "longdash")
_OTHERS = (Look(VIOLET, "x", "square"), Look(SAGE, "-", "cross"), Look(SLATE, ".", "x"))


def looks(names: list[str]) -> dict[str, Look]:
    """A look for each name: a suite's own, else the next one that is free.

    Example: `looks(["everyday", "technical"])["technical"].hatch == "/"`.
    """
    others = [name for name in names if name not in SUITES]
    return {name: SUITES.get(name) or _OTHERS[others.index(name) % len(_OTHERS)] for name in names}


def frame(figure: go.Figure, height: int, **layout: Any) -> go.Figure:
    """`figure` with the layout that all share; `layout` adds to it or overrides it."""
    figure.update_layout(**{**_LAYOUT, "height": height, **layout})
    figure.update_xaxes(**_AXIS)
    figure.update_yaxes(**_AXIS)
    return figure


def faded(color: str, opacity: float) -> str:
    """`#rrggbb` as `rgba(…)`."""
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity:g})"


def tooltips(texts: Sequence[str] | None) -> dict[str, Any]:
    """A text to hover over for each point."""
    return {"customdata": texts, "hovertemplate": "%{customdata}<extra></extra>"}


def whiskers(
    values: Sequence[float | None], intervals: Sequence[Interval | None], color: str, thickness: float, width: float
) -> dict[str, Any]:
    """Error bars in per cent from shares and their intervals; empty where one of them is not known."""
    ends: list[Any] = [(value, *(interval or (None, None))) for value, interval in zip(values, intervals, strict=True)]
    known = [(value, low, high) for value, low, high in ends if value is not None and None not in (low, high)]
    if len(known) < len(ends):
        return {}
    return {
        "type": "data", "symmetric": False, "color": color, "thickness": thickness, "width": width,
        "array": [max(0.0, 100 * (high - value)) for value, _, high in known],
        "arrayminus": [max(0.0, 100 * (value - low)) for value, low, _ in known],
    }  # fmt: skip


def points_range(differences: Iterable[float | None], room: float) -> tuple[float, float]:
    """Ends of an axis of percentage points: all differences of shares and 0, in steps of 25 points, with room."""
    known = [0.0, *(100 * value for value in differences if value is not None)]
    return 25 * (min(known) // 25) - room, -25 * (-max(known) // 25) + room


def points_axis(ends: tuple[float, float]) -> dict[str, Any]:
    """An axis of percentage points with a tick each 25."""
    places = [tick for tick in range(-100, 101, 25) if ends[0] <= tick <= ends[1]]
    texts = [points(tick / 100, unit=False) if tick else "0" for tick in places]
    return {"range": list(ends), "tickvals": places, "ticktext": texts, "fixedrange": True, "zeroline": False}


def framed(traces: Sequence[Trace], height: int, axes: Mapping[str, Mapping[str, Any]], **layout: Any) -> go.Figure:
    """A figure with the layout that all share, made at once: several times faster than `frame`.

    Args:
        axes: by name, such as `xaxis` and `yaxis2`.
    """
    shared = {name: {**axis, **_AXIS} for name, axis in axes.items()}
    return go.Figure(list(traces), {**_LAYOUT, "height": height, **shared, **layout})
