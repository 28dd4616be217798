"""Colours and a frame for every figure: told apart by the colour-blind, legible on a light and a dark ground.

Text colours are left unset, so that the page's theme fills them in; grounds are transparent. Colour is never
the only cue: figures pair it with a hatch, a symbol or a label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

# After Okabe and Ito, each shifted until it stands out at least 3 : 1 from white and from near-black.
BLUE, VERMILION, GREEN, PURPLE, OCHRE, GREY = "#2f86c4", "#cf5c0c", "#1c9a76", "#c2568f", "#a87900", "#7f8793"
CATEGORICAL = (BLUE, VERMILION, GREEN, PURPLE, OCHRE, GREY)

FAINT = "rgba(127, 135, 147, 0.28)"  # grid lines
CLEAR = "rgba(0, 0, 0, 0)"


@dataclass(frozen=True)
class Look:
    """How one category is drawn everywhere: `hatch` on bars, `symbol` on points."""

    color: str
    hatch: str
    symbol: str


SUITES = {"everyday": Look(BLUE, "", "circle"), "technical": Look(VERMILION, "/", "diamond")}
_OTHERS = (Look(GREEN, "x", "square"), Look(PURPLE, "-", "cross"), Look(OCHRE, ".", "x"), Look(GREY, "+", "star"))


def looks(names: list[str]) -> dict[str, Look]:
    """A look for each name: a suite's own, else the next one that is free.

    Example: `looks(["everyday", "technical"])["technical"].hatch == "/"`.
    """
    others = [name for name in names if name not in SUITES]
    return {name: SUITES.get(name) or _OTHERS[others.index(name) % len(_OTHERS)] for name in names}


def frame(figure: go.Figure, height: int, **layout: Any) -> go.Figure:
    """`figure` with the layout that all share; `layout` adds to it or overrides it."""
    common = {
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 28, "b": 8},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "hovermode": "closest",
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.06, "yanchor": "bottom"},
    }
    figure.update_layout(**{**common, **layout})
    figure.update_xaxes(gridcolor=FAINT, zerolinecolor=FAINT, automargin=True)
    figure.update_yaxes(gridcolor=FAINT, zerolinecolor=FAINT, automargin=True)
    return figure
