"""The dose-response of a spillover study: code over the dose, with controls, and the broken share beneath it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.directions.names import label
from core.figures import palette
from core.figures.palette import BLUE, SAGE, SLATE, VERMILION, VIOLET
from core.figures.spillover_tables import (
    BROKEN,
    RATES,
    Rate,
    Row,
    Site,
    Summary,
    doses,
    lines,
    shown,
    site_of,
    unit,
)
from core.measures.spillover import BROKEN_LIMIT
from core.words import blocks, coefficient, fixed, percent

HEIGHT = 430
# colour, dash, symbol
LOOKS = {
    "true": (VIOLET, "solid", "diamond"),
    "random": (SLATE, "dot", "circle"),
    "orthogonal": (SLATE, "dash", "x"),
    "wrong_source": (SAGE, "dashdot", "square"),
    "sign_flipped": (VERMILION, "longdash", "triangle-down"),
    "wrong_layer": (SAGE, "longdashdot", "triangle-up"),
    "organism": (VERMILION, "dash", "line-ew"),
    "base": (BLUE, "dot", "line-ew"),
}
UNKNOWN_LOOK = (SLATE, "longdash", "cross")
SHADE = "rgba(207, 92, 12, 0.15)"
NARROW = 0.16  # a shaded part narrower than this share of the axis has its name upright
NEAR = 0.11  # ticks nearer to the chosen dose than this share of the axis are left out
ROOM = 0.03
HEADROOM = 116  # per cent; a name stands above the lines


def dose_response(summary: Summary, site: Site, rate: Rate = RATES["all"], dose: float | None = None) -> go.Figure:
    """Two panels on one axis of doses: the rate with its Wilson band, and the share of broken answers.

    Thin lines are controls; the unsteered organism (which is also each line's dose 0) and the base model are level
    lines. Where more than one in ten of the direction's answers are broken, both panels are shaded and say so. With
    the rate over all answers, open marks show the direction's rate among coherent answers.

    Args:
        dose: the one looked at, marked beside the chosen one.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.07, row_heights=[0.66, 0.34])
    found = lines(summary, site)
    low, high = axis_range(found["true"])
    for panel, shown_rate in ((1, rate), (2, BROKEN)):
        for name in ("organism", "base"):
            arm = next(row for row in summary["arms"] if row["direction"] == name)
            figure.add_trace(_level(name, arm, shown_rate, (low, high), panel == 1), row=panel, col=1)
        figure.add_trace(_band(found["true"], shown_rate), row=panel, col=1)
        for name in reversed(found):  # the direction is drawn last, over its controls
            figure.add_trace(_line(summary, name, found[name], shown_rate, panel == 1), row=panel, col=1)
    if rate.key == "all":
        figure.add_trace(_open_marks(summary, found["true"]), row=1, col=1)
    for start, end in broken_regions(found["true"], (low, high)):
        lower = max(row["broken"] for row in found["true"] if start <= row["coefficient"] <= end)
        _shade(figure, start, end, end - start < NARROW * (high - low), 0.98 if 150 * lower < _top(found) else 0.5)
    chosen = summary["dose"]["coefficient"] if site == site_of(summary["dose"]) else None
    _axes(figure, summary, site, rate, found, (low, high), chosen, dose)
    return palette.frame(figure, HEIGHT, clickmode="event+select", margin={"l": 8, "r": 8, "t": 8, "b": 8})


def broken_regions(rows: Sequence[Row], ends: tuple[float, float]) -> list[tuple[float, float]]:
    """Where the drawn line of broken answers lies above one in ten, as stretches of the axis.

    Args:
        rows: by rising coefficient.
        ends: of the axis; a stretch that reaches the outermost dose goes on to the end.
    """
    points = [(row["coefficient"], row["broken"] - BROKEN_LIMIT) for row in rows if row["broken"] is not None]
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


def axis_range(rows: Sequence[Row]) -> tuple[float, float]:
    """The doses with some room on both sides."""
    values = [row["coefficient"] for row in rows]
    room = ROOM * (max(values) - min(values)) or 0.1
    return min(values) - room, max(values) + room


def tooltip(summary: Summary, name: str, row: Row) -> str:
    """All of a row's shares with n and interval."""
    steered = row["direction"] not in ("organism", "base")
    dose = f"{unit(summary)} {coefficient(row['coefficient'])}" if steered else "unsteered"
    norm = f" = {fixed(row['norm_share'])} of the residual norm" if steered and row["norm_share"] is not None else ""
    told = [f"{rate.title}: {shown(row, rate)}" for rate in (*RATES.values(), BROKEN)]
    return "<br>".join([f"<b>{label(name)}</b>, {dose}{norm}", *told, "[ ] = 95 % Wilson interval"])


def _line(summary: Summary, name: str, rows: Sequence[Row], rate: Rate, named: bool) -> go.Scatter:
    color, dash, symbol = LOOKS.get(name, UNKNOWN_LOOK)
    true = name == "true"
    return go.Scatter(
        x=[row["coefficient"] for row in rows],
        y=[_percent(row[rate.value]) for row in rows],
        mode="lines+markers",
        name=label(name),
        legendgroup=name,
        legendrank=1 if true else 1000,
        showlegend=named,
        line={"color": color, "width": 3.2 if true else 1.4, "dash": dash},
        marker={"symbol": symbol, "size": 9 if true else 5, "color": color},
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
        customdata=[tooltip(summary, name, row) for row in rows],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _open_marks(summary: Summary, rows: Sequence[Row]) -> go.Scatter:
    return go.Scatter(
        x=[row["coefficient"] for row in rows],
        y=[_percent(row["spillover_coherent"]) for row in rows],
        mode="markers",
        name="… coherent answers only",
        legendrank=2,
        marker={"symbol": "diamond-open", "size": 14, "color": VIOLET, "line": {"width": 1.6}},
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
        customdata=[tooltip(summary, "true", row) for row in rows],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _band(rows: Sequence[Row], rate: Rate) -> go.Scatter:
    """The interval as a filled outline; a gap where the rate is unknown."""
    x: list[float | None] = []
    y: list[float | None] = []
    run: list[Row] = []
    for row in [*rows, None]:
        if row is not None and row[rate.value] is not None:
            run.append(row)
            continue
        if run:
            x += [item["coefficient"] for item in (*run, *reversed(run))]
            y += [100 * item[rate.interval][1] for item in run] + [100 * item[rate.interval][0] for item in run[::-1]]
            x.append(None)
            y.append(None)
        run = []
    return go.Scatter(
        x=x, y=y, fill="toself", mode="lines", line={"width": 0}, fillcolor=VIOLET, opacity=0.2, hoverinfo="skip",
        showlegend=False, legendgroup="true", name="95 % Wilson interval",
    )  # fmt: skip


def _level(name: str, row: Row, rate: Rate, ends: tuple[float, float], named: bool) -> go.Scatter:
    color, dash, _ = LOOKS[name]
    value = _percent(row[rate.value])
    return go.Scatter(
        x=list(ends),
        y=[value, value],
        mode="lines",
        name="unsteered" if name == "organism" else "base model",
        legendgroup=name,
        legendrank=900,
        showlegend=named,
        line={"color": color, "width": 1.6, "dash": dash},
        hovertemplate=f"{label(name)}<br>{rate.title}: {shown(row, rate)}<extra></extra>",
    )


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


def _axes(
    figure: go.Figure,
    summary: Summary,
    site: Site,
    rate: Rate,
    found: dict[str, list[Row]],
    ends: tuple[float, float],
    chosen: float | None,
    dose: float | None,
) -> None:
    marks = {value: word for value, word in ((dose, "shown"), (chosen, "chosen")) if value is not None}
    for value, word in marks.items():
        style = {"color": SLATE, "width": 1.6, "dash": "dash" if word == "chosen" else "dot"}
        figure.add_vline(x=value, line=style, layer="below")
    values, texts = ticks([0.0, *doses(summary, site)], marks, ends)
    title = f"{unit(summary)} at {blocks(*site)}" + (", times the direction" if summary["mode"] == "add" else "")
    figure.update_xaxes(range=list(ends), fixedrange=True, zeroline=False, tickvals=values, ticktext=texts, tickangle=0)
    figure.update_xaxes(title={"text": title, "standoff": 4}, row=2, col=1)
    figure.update_yaxes(fixedrange=True, zeroline=False)
    figure.update_yaxes(range=[-4, HEADROOM], **_percents((0, 25, 50, 75, 100)), row=1, col=1)
    figure.update_yaxes(title={"text": rate.title, "standoff": 4}, row=1, col=1)
    top = _top(found)
    low_ticks = _percents([value for value in (0, 10, 50, 100) if value <= top])
    figure.update_yaxes(range=[-0.04 * top, top], **low_ticks, row=2, col=1)
    figure.update_yaxes(title={"text": "broken", "standoff": 4}, row=2, col=1)


def ticks(values: Sequence[float], marks: dict[float, str], ends: tuple[float, float]) -> tuple[list[float], list[str]]:
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


def _top(found: dict[str, list[Row]]) -> float:
    """The end of the lower panel's axis, in per cent: all lines and the direction's intervals fit below it."""
    highest = max(100 * row["broken_interval"][1] for row in found["true"])
    others = max(100 * row["broken"] for rows in found.values() for row in rows)
    return min(104.0, max(25.0, 1.08 * max(highest, others)))


def _percents(values: Sequence[int]) -> dict[str, Any]:
    return {"tickvals": list(values), "ticktext": [percent(value / 100) for value in values]}


def _percent(share: Any) -> float | None:
    return None if share is None else 100 * share
