"""The donor × receiver matrix of a transfer study: one number a cell, its verdict beside it."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go

from core.directions.names import label
from core.figures import palette
from core.figures.palette import BLUE, VERMILION
from core.figures.transfer_tables import (
    MEASURES,
    Measure,
    Row,
    Summary,
    cell,
    in_lines,
    is_own,
    models,
    plain_name,
    shown,
    shown_with_interval,
)
from core.verdicts import told
from core.words import points, points_span

ROW_HEIGHT, ROOM = 88, 134  # of a row of cells, and of what stands around them
STRONGEST = 0.55  # opacity at the ends of the scale: text in the theme's colour stays legible on it
GAP = 4
OUTLINE = 0.47
ROOMY = 3  # models; with more, words in cells are shortened so that a narrow screen holds them
P_END = 3.0  # decades below 1 at which p has the full colour


def matrix(summary: Summary, measure: Measure = MEASURES["delta"], chosen: tuple[str, str] | None = None) -> go.Figure:
    """Donors are rows, receivers columns. `chosen` (donor, receiver) is outlined, own directions are dotted.

    Colours are transparent at 0 and have fixed ends (one for all differences, R² and cosine), so that matrices compare.
    Over each cell lies a mark that cannot be seen and that a click selects; the nearest one counts.
    """
    names = models(summary)
    places = {name: place for place, name in enumerate(names)}
    rows = [[cell(summary, donor, receiver) for receiver in names] for donor in names]
    figure = go.Figure(
        go.Heatmap(
            z=[[_level(row, measure) for row in line] for line in rows],
            x=list(range(len(names))),
            y=list(range(len(names))),
            hoverinfo="skip",
            xgap=GAP,
            ygap=GAP,
            **_colors(measure),
        )
    )
    flat = [row for line in rows for row in line]
    figure.add_trace(
        go.Scatter(
            x=[places[row["receiver"]] for row in flat],
            y=[places[row["donor"]] for row in flat],
            mode="markers",
            marker={"symbol": "square", "size": 40, "opacity": 0},
            selected={"marker": {"opacity": 0}},
            unselected={"marker": {"opacity": 0}},
            showlegend=False,
            customdata=[[row["donor"], row["receiver"], tooltip(row)] for row in flat],
            hovertemplate="%{customdata[2]}<extra></extra>",
        )
    )
    for row in flat:
        x, y = places[row["receiver"]], places[row["donor"]]
        text = _text(row, measure, len(names) <= ROOMY)
        figure.add_annotation(x=x, y=y, text=text, showarrow=False, font={"size": 12 if len(names) <= ROOMY else 11})
        if is_own(row):
            figure.add_shape(**_outline(x, y), line={"width": 1.5, "dash": "dot", "color": palette.SLATE})
        if chosen == (row["donor"], row["receiver"]):
            figure.add_shape(**_outline(x, y), line={"width": 3.5, "color": palette.VIOLET})
    ends = [-0.5, len(names) - 0.5]
    axis = {"tickvals": list(range(len(names))), "ticktext": [in_lines(name) for name in names], "fixedrange": True}
    axis |= {"showgrid": False, "zeroline": False}
    figure.update_xaxes(
        **axis, side="top", tickangle=0, range=ends, title={"text": "receiver: its organism is steered"}
    )
    figure.update_yaxes(**axis, range=ends[::-1], title={"text": "donor", "standoff": 4})
    return palette.frame(
        figure,
        ROOM + ROW_HEIGHT * len(names),
        clickmode="event+select",
        hoverdistance=-1,
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
    )


def tooltip(row: Row) -> str:
    """All that is known of a cell: differences with intervals, rates, tests, controls, and the map."""
    head = f"own direction of {row['receiver']}" if is_own(row) else f"{row['donor']} → {row['receiver']}"
    verdict = told(row["verdict"])
    lines = [f"<b>{plain_name(head, 90)}</b>: {verdict.sign} {plain_name(verdict.short)}"]
    for key in ("delta", "delta_coherent", "minus_control", "broken"):
        lines.append(f"{MEASURES[key].title}: {shown_with_interval(row, MEASURES[key])}")
    coherent = shown(row["p_coherent_corrected"], "p")
    lines.append(f"n = {row['n']}, corrected p {shown(row['p_corrected'], 'p')} (among coherent {coherent})")
    for kind, found in row["controls"].items():
        ends = f" ({points_span((found['lowest'], found['highest']), unit=False)})" if found["n"] > 1 else ""
        lines.append(f"{label(kind)}, {found['n']} drawn: {points(found['delta'], unit=False)}{ends}")
    if not is_own(row):
        lines.append(f"map: R² {shown_with_interval(row, MEASURES['r2'])}, cosine {shown(row['cosine'], 'plain')}")
    return "<br>".join([*lines, "[ ] = 95 % interval over prompts; differences in points"])


def _text(row: Row, measure: Measure, roomy: bool) -> str:
    verdict = told(row["verdict"])
    word = plain_name(verdict.short, 14)
    number = row[measure.key]
    first = "no map" if number is None and is_own(row) else shown(number, measure.unit)
    own = ["own direction" if roomy else "(own)"] if is_own(row) else []
    return "<br>".join([f"{verdict.sign} <b>{first}</b>", word if roomy else word.replace("-", "-<br>"), *own])


def _level(row: Row, measure: Measure) -> float | None:
    """What the colour stands for; p counts decades below 1."""
    number = row[measure.key]
    if number is None or measure.unit != "p":
        return number
    return min(P_END, -math.log10(max(number, 1e-12)))


def _colors(measure: Measure) -> dict[str, Any]:
    bar: dict[str, Any] = {"orientation": "h", "thickness": 10, "outlinewidth": 0, "len": 0.9, "y": 0, "yanchor": "top"}
    if measure.unit == "p":
        bar |= {"tickvals": [0, 1, -math.log10(0.05), 2, 3], "ticktext": ["1", "0.1", "0.05", "0.01", "≤ 0.001"]}
        return {"zmin": 0, "zmax": P_END, "colorscale": [[0, _faded(BLUE, 0)], [1, _faded(BLUE)]], "colorbar": bar}
    if measure.unit == "percent":
        ticks = {"tickvals": [0, 0.5, 1], "ticktext": ["0 %", "50 %", "100 %"]}
        colors = [[0, _faded(VERMILION, 0)], [1, _faded(VERMILION)]]
        return {"zmin": 0, "zmax": 1, "colorscale": colors, "colorbar": bar | ticks}
    names = ["−100", "−50", "0", "+50", "+100"] if measure.unit == "points" else ["−1", "−0.5", "0", "0.5", "1"]
    # what is wanted is blue: less code, or a map that explains much
    low, high = (BLUE, VERMILION) if measure.unit == "points" else (VERMILION, BLUE)
    colors = [[0, _faded(low)], [0.5, _faded(low, 0)], [0.5, _faded(high, 0)], [1, _faded(high)]]
    bar |= {"tickvals": [-1, -0.5, 0, 0.5, 1], "ticktext": names}
    return {"zmin": -1, "zmax": 1, "colorscale": colors, "colorbar": bar}


def _faded(color: str, opacity: float = STRONGEST) -> str:
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity:g})"


def _outline(x: int, y: int) -> dict[str, Any]:
    return {"type": "rect", "x0": x - OUTLINE, "x1": x + OUTLINE, "y0": y - OUTLINE, "y1": y + OUTLINE}
