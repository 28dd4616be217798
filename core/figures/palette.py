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

Trace: TypeAlias = go.Bar | go.Scatter
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
    """How one category is drawn everywhere: `hatch` on bars, `symbol` on points."""

    color: str
    hatch: str
    symbol: str


SUITES = {"everyday": Look(BLUE, "", "circle"), "technical": Look(VERMILION, "/", "diamond")}
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


def ticks_in_points(ticks: Iterable[int]) -> dict[str, Any]:
    """Ticks of an axis of percentage points."""
    places = list(ticks)
    return {"tickvals": places, "ticktext": [points(tick / 100, unit=False) if tick else "0" for tick in places]}


def framed(traces: Sequence[Trace], height: int, axes: Mapping[str, Mapping[str, Any]], **layout: Any) -> go.Figure:
    """A figure with the layout that all share, made at once: several times faster than `frame`.

    Args:
        axes: by name, such as `xaxis` and `yaxis2`.
    """
    shared = {name: {**axis, **_AXIS} for name, axis in axes.items()}
    return go.Figure(list(traces), {**_LAYOUT, "height": height, **shared, **layout})
