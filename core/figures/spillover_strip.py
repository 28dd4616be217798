"""The specificity strip: what each random draw changes at the chosen dose, with the direction and controls marked."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.directions.names import label
from core.figures import palette
from core.figures.palette import SLATE
from core.figures.spillover import LOOKS, UNKNOWN_LOOK
from core.figures.spillover_tables import CHANGES, Row, Summary, at_dose, shown_change
from core.words import p_is

HEIGHT = 270
SPREAD = 0.26  # how far draws are moved apart upwards and downwards
LEVELS = {"true": 0.0, "wrong_source": 0.55, "orthogonal": -0.55, "sign_flipped": 0.55, "wrong_layer": -0.55}


def strip(summary: Summary) -> go.Figure:
    """Changes in percentage points at the chosen dose: in clean answers, and in code among coherent answers.

    Each random draw is a dot, the direction a large diamond with its 95 % interval, named controls have marks of
    their own. What is unknown is not drawn.
    """
    among, draws = summary["among_draws"], summary["random_draws"]
    count = f"{among['n']} draws" if among["n"] else "no random draws"
    titles = [
        f"change in {title} · {p_is(among[p])}, {count}" if among["n"] else f"change in {title} · {count}"
        for title, _, p in CHANGES.values()
    ]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.2, subplot_titles=titles)
    for panel, key in enumerate(CHANGES, start=1):
        figure.add_trace(_draws(draws, key, panel == 1), row=panel, col=1)
        for row in at_dose(summary)[::-1]:
            # the draw with the controls' own seed is one of the dots already
            if row["direction"] != "random" or not draws:
                figure.add_trace(_mark(row, key, panel == 1), row=panel, col=1)
        figure.add_vline(x=0, line={"color": SLATE, "width": 1}, layer="below", row=panel, col=1)
    low, high = _range(summary)
    figure.update_xaxes(range=[low, high], fixedrange=True, zeroline=False)
    figure.update_xaxes(**palette.ticks_in_points(range(-100, 101, 25)))
    figure.update_xaxes(title={"text": "percentage points", "standoff": 4}, row=2, col=1)
    figure.update_yaxes(range=[-1, 1], showticklabels=False, showgrid=False, fixedrange=True, zeroline=False)
    figure.update_annotations(font_size=13, x=0, xanchor="left")
    legend = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.16, "yanchor": "bottom"}
    return palette.frame(figure, HEIGHT, legend=legend, margin={"l": 8, "r": 8, "t": 30, "b": 8})


def _draws(draws: list[Row], key: str, named: bool) -> go.Scatter:
    known = [row for row in draws if row[key] is not None]
    return go.Scatter(
        x=[100 * row[key] for row in known],
        # the golden ratio spreads any number of draws evenly, and the same way each time
        y=[SPREAD * (2 * (0.618034 * place % 1) - 1) for place in range(len(known))],
        mode="markers",
        name=f"random ({len(draws)} draws)",
        legendgroup="random",
        showlegend=named and bool(draws),
        marker={"color": SLATE, "symbol": "circle", "size": 8, "opacity": 0.65},
        customdata=[[row["seed"], shown_change(row, key), row["n"]] for row in known],
        hovertemplate="<b>random, seed %{customdata[0]}</b><br>%{customdata[1]}, n = %{customdata[2]}<extra></extra>",
    )


def _mark(row: Row, key: str, named: bool) -> go.Scatter:
    name = row["direction"]
    color, _, symbol = LOOKS.get(name, UNKNOWN_LOOK)
    true = name == "true"
    low, high = row[CHANGES[key][1]]
    known = row[key] is not None
    error: dict[str, Any] = {}
    if true and known and None not in (low, high):
        error = {
            "type": "data", "symmetric": False, "array": [max(0.0, 100 * (high - row[key]))],
            "arrayminus": [max(0.0, 100 * (row[key] - low))], "color": color, "thickness": 2, "width": 5,
        }  # fmt: skip
    return go.Scatter(
        x=[100 * row[key]] if known else [None],
        y=[LEVELS.get(name, 0.0)],
        mode="markers",
        name=label(name),
        legendgroup=name,
        legendrank=1 if true else 1000,
        showlegend=named,
        marker={"color": color, "symbol": symbol, "size": 15 if true else 10},
        error_x=error,
        customdata=[[shown_change(row, key), row["n"]]],
        hovertemplate=f"<b>{label(name)}</b><br>%{{customdata[0]}}, n = %{{customdata[1]}}<extra></extra>",
    )


def _range(summary: Summary) -> tuple[float, float]:
    """All marks and the direction's intervals, in steps of 25 points, with room."""
    ends = [0.0]
    for row in (*summary["random_draws"], *at_dose(summary)):
        for key, (_, interval, _) in CHANGES.items():
            ends += [value for value in (row[key], *(row[interval] if row["direction"] == "true" else ())) if value]
    low, high = 25 * (100 * min(ends) // 25), -25 * (-100 * max(ends) // 25)
    return low - 4, high + 4
