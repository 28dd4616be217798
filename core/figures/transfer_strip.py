"""One cell of a transfer study beside its controls: every draw a mark, by kind."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from core.directions.names import MAPPED_CONTROLS, label
from core.figures import palette
from core.figures.palette import SAGE, SLATE, VERMILION, VIOLET
from core.figures.transfer_tables import (
    MEASURES,
    Measure,
    Row,
    is_own,
    shown,
    shown_with_interval,
)

HEIGHT = 250
SPREAD = 0.24
# colour, symbol
LOOKS = {
    "random": (SLATE, "circle"),
    "orthogonal": (SLATE, "x"),
    "random_donor": (SAGE, "square"),
    "shuffled_map": (VERMILION, "triangle-up"),
}


def strip(row: Row, measure: Measure = MEASURES["delta"]) -> go.Figure:
    """Changes in percentage points: the direction with its 95 % interval above, then a level for each kind of control.

    A level's short line is the mean of its draws. What is unknown is not drawn.

    Args:
        measure: `delta` or `delta_coherent`.
    """
    figure = go.Figure(_direction(row, measure))
    labels = ["own direction" if is_own(row) else "mapped direction"]
    for kind in MAPPED_CONTROLS:
        if kind in row["controls"]:
            found = row["controls"][kind]
            figure.add_trace(_draws(kind, found["draws"], measure, len(labels), row["n"]))
            if found["n"] > 1 and found[measure.key] is not None:
                at = 100 * found[measure.key]
                level = {"y0": len(labels) - 0.34, "y1": len(labels) + 0.34}
                figure.add_shape(type="line", x0=at, x1=at, **level, line={"width": 2, "color": LOOKS[kind][0]})
            labels.append(f"{label(kind)} ({found['n']})")
    figure.add_vline(x=0, line={"color": SLATE, "width": 1}, layer="below")
    low, high = _ends(row, measure)
    ticks = [tick for tick in range(-100, 101, 25) if low <= tick <= high]
    figure.update_xaxes(
        range=[low, high], **palette.ticks_in_points(ticks), fixedrange=True, zeroline=False,
        title={"text": f"{measure.title.lower()}, points", "standoff": 4},
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(labels))), ticktext=labels, range=[len(labels) - 0.5, -0.5], fixedrange=True,
        showgrid=False, zeroline=False,
    )  # fmt: skip
    return palette.frame(figure, HEIGHT, showlegend=False, margin={"l": 4, "r": 8, "t": 4, "b": 4})


def _direction(row: Row, measure: Measure) -> go.Scatter:
    value, interval = row[measure.key], row[measure.interval or ""]
    error: dict[str, Any] = {}
    if value is not None and interval and None not in interval:
        error = {
            "type": "data", "symmetric": False, "array": [max(0.0, 100 * (interval[1] - value))],
            "arrayminus": [max(0.0, 100 * (value - interval[0]))], "color": VIOLET, "thickness": 2, "width": 6,
        }  # fmt: skip
    return go.Scatter(
        x=[None if value is None else 100 * value],
        y=[0],
        mode="markers",
        marker={"color": VIOLET, "symbol": "diamond", "size": 15},
        error_x=error,
        hovertemplate=f"<b>{'own' if is_own(row) else 'mapped'} direction</b><br>"
        f"{shown_with_interval(row, measure)}, n = {row['n']}<extra></extra>",
    )


def _draws(kind: str, draws: list[Row], measure: Measure, level: int, n: int) -> go.Scatter:
    color, symbol = LOOKS[kind]
    known = [draw for draw in draws if draw[measure.key] is not None]
    # the golden ratio spreads any number of draws evenly, and the same way each time; a single one lies on its line
    spread = [SPREAD * (2 * (0.618034 * place % 1) - 1) if len(known) > 1 else 0.0 for place in range(len(known))]
    return go.Scatter(
        x=[100 * draw[measure.key] for draw in known],
        y=[level + moved for moved in spread],
        mode="markers",
        marker={"color": color, "symbol": symbol, "size": 9, "opacity": 0.75},
        customdata=[
            [draw["seed"], shown(draw[measure.key], "points"), shown(draw["broken"], "percent"),
             shown(draw["p_corrected"], "p")] for draw in known
        ],
        hovertemplate=f"<b>{label(kind)}, draw %{{customdata[0]}}</b><br>%{{customdata[1]}} points, n = {n}<br>"
        "%{customdata[2]} broken, corrected p %{customdata[3]}<extra></extra>",
    )  # fmt: skip


def _ends(row: Row, measure: Measure) -> tuple[float, float]:
    """All marks and the interval, in steps of 25 points, with room."""
    every = [0.0, row[measure.key], *(row[measure.interval or ""] or ())]
    every += [draw[measure.key] for kind in row["controls"].values() for draw in kind["draws"]]
    known = [100 * value for value in every if value is not None]
    return 25 * (min(known) // 25) - 4, -25 * (-max(known) // 25) + 4
