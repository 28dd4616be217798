"""A grid of cells with a text in each, coloured by value; a click on a cell selects it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from core.figures import palette

OUTLINE = 0.47  # half the width of a cell without the gap
BAR = {"orientation": "h", "thickness": 10, "outlinewidth": 0, "len": 0.9, "y": 0, "yanchor": "top"}
UNSEEN = {"marker": {"opacity": 0}}


@dataclass(frozen=True)
class Scale:
    """What a cell's value looks like: `colors` at places from 0 to 1 between `low` and `high`.

    `ticks` (place, text) of its bar; without them it has none.
    """

    low: float
    high: float
    colors: tuple[tuple[float, str], ...]
    ticks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Cell:
    """One cell. `key` is what a click hands on, before the tooltip; a value of None has no colour."""

    row: int
    column: int
    key: tuple[str, ...]
    text: str
    tooltip: str
    value: float | None
    scale: Scale
    outlines: tuple[dict[str, Any], ...] = ()


def grid(
    cells: Sequence[Cell], rows: Sequence[str], columns: Sequence[str], height: int,
    titles: tuple[str | None, str | None] = (None, None), size: int = 12, gap: tuple[int, int] = (4, 4), **layout: Any,
) -> go.Figure:  # fmt: skip
    """The first row is on top. Over each cell lies a mark that cannot be seen; a click selects the nearest one.

    Args:
        titles: of rows and of columns.
        size: of the cells' texts.
        gap: between columns and between rows, in pixels.
    """
    traces: list[palette.Trace] = []
    for scale in dict.fromkeys(cell.scale for cell in cells):
        values: list[list[float | None]] = [[None] * len(columns) for _ in rows]
        for cell in cells:
            if cell.scale == scale:
                values[cell.row][cell.column] = cell.value
        bar = {**BAR, "tickvals": [place for place, _ in scale.ticks], "ticktext": [text for _, text in scale.ticks]}
        traces.append(
            go.Heatmap(
                z=values, x=list(range(len(columns))), y=list(range(len(rows))), zmin=scale.low, zmax=scale.high,
                colorscale=scale.colors, showscale=bool(scale.ticks), colorbar=bar, xgap=gap[0], ygap=gap[1],
                hoverinfo="skip",
            )
        )  # fmt: skip
    traces.append(
        go.Scatter(
            x=[cell.column for cell in cells], y=[cell.row for cell in cells], mode="markers", selected=UNSEEN,
            unselected=UNSEEN, marker={"symbol": "square", "size": 40, "opacity": 0},
            customdata=[[*cell.key, cell.tooltip] for cell in cells],
            hovertemplate=f"%{{customdata[{len(cells[0].key) if cells else 0}]}}<extra></extra>",
        )
    )  # fmt: skip
    texts = [
        {"x": cell.column, "y": cell.row, "text": cell.text, "showarrow": False, "font": {"size": size}}
        for cell in cells
    ]
    axes = {
        "xaxis": {**_axis(columns), "side": "top", "tickangle": 0, "title": {"text": titles[1]}},
        "yaxis": {**_axis(rows), "range": [len(rows) - 0.5, -0.5], "title": {"text": titles[0], "standoff": 4}},
    }
    layout = {"margin": {"l": 4, "r": 4, "t": 4, "b": 4}, **layout}
    return palette.framed(
        traces, height, axes, annotations=texts, showlegend=False,
        shapes=[_outline(cell, line) for cell in cells for line in cell.outlines],
        clickmode="event+select", hoverdistance=-1, **layout,
    )  # fmt: skip


def _axis(names: Sequence[str]) -> dict[str, Any]:
    return {
        "tickvals": list(range(len(names))), "ticktext": list(names), "range": [-0.5, len(names) - 0.5],
        "fixedrange": True, "showgrid": False, "zeroline": False,
    }  # fmt: skip


def _outline(cell: Cell, line: dict[str, Any]) -> dict[str, Any]:
    x, y = cell.column, cell.row
    return {"type": "rect", "x0": x - OUTLINE, "x1": x + OUTLINE, "y0": y - OUTLINE, "y1": y + OUTLINE, "line": line}
