"""Who gives and who receives: a point a model, its mean effect on others across and theirs on it upwards."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from core.figures import palette
from core.figures.palette import CATEGORICAL, SLATE
from core.figures.transfer_tables import MEASURES, Summary, models, plain_name, shown_with_interval

HEIGHT = 360
LABEL = (0.36, 0.055)  # of a name, as shares of the plot's width and height
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star")


def scores(summary: Summary) -> go.Figure:
    """Mean change in answers with code, in points, with 95 % intervals: as donor across, as receiver upwards.

    Further left gives more, further down receives more. A model without a score is not drawn.
    """
    figure = go.Figure()
    found = [
        (name, summary["donor_scores"][name], summary["receiver_scores"][name])
        for name in models(summary)
        if None not in (summary["donor_scores"][name]["delta"], summary["receiver_scores"][name]["delta"])
    ]
    low, high = _ends([score for _, *both in found for score in both])
    sides = _sides([(100 * given["delta"], 100 * taken["delta"]) for _, given, taken in found], (low, high))
    for place, (name, given, taken) in enumerate(found):
        color = CATEGORICAL[place % len(CATEGORICAL)]
        x, y = 100 * given["delta"], 100 * taken["delta"]
        told = [f"as {role} {shown_with_interval(score, MEASURES['delta'])}" for role, score in
                (("donor", given), ("receiver", taken))]  # fmt: skip
        hover = "<br>".join([f"<b>{plain_name(name)}</b>", *told, f"mean over k = {given['n']} other models"])
        figure.add_trace(
            go.Scatter(
                x=[x],
                y=[y],
                mode="markers+text",
                name=plain_name(name),
                text=[plain_name(name, 28)],
                textposition=sides[place],
                cliponaxis=False,
                marker={"color": color, "symbol": SYMBOLS[place % len(SYMBOLS)], "size": 13},
                error_x=_error(given, color),
                error_y=_error(taken, color),
                hovertemplate=f"{hover}<extra></extra>",
            )
        )
    figure.add_shape(
        type="line", x0=low, y0=low, x1=high, y1=high, layer="below", line={"color": SLATE, "width": 1, "dash": "dot"}
    )
    ticks = [tick for tick in range(-100, 101, 25) if low <= tick <= high]
    axis: dict[str, Any] = {"range": [low, high], "fixedrange": True, "zeroline": False}
    axis |= palette.ticks_in_points(ticks)
    figure.update_xaxes(**axis, title={"text": "as donor: points in the others (left gives more)", "standoff": 4})
    figure.update_yaxes(**axis, title={"text": "as receiver (down receives more)", "standoff": 4})
    return palette.frame(figure, HEIGHT, showlegend=False, margin={"l": 4, "r": 8, "t": 8, "b": 4})


def _sides(found: list[tuple[float, float]], ends: tuple[float, float]) -> list[str]:
    """Where each point's name stands: in the first corner where it meets no other name or point, on a narrow screen."""
    width, height = (share * (ends[1] - ends[0]) for share in LABEL)
    taken: list[tuple[float, float]] = list(found)
    sides = []
    for x, y in found:
        inward = ("right", "left") if x < sum(ends) / 2 else ("left", "right")
        corners = {
            f"{up} {aside}": (x + (width if aside == "right" else -width) / 2, y + (height if up == "top" else -height))
            for aside in inward
            for up in ("top", "bottom")
        }

        def meets(place: tuple[float, float]) -> int:
            return sum(abs(place[0] - a) < width and abs(place[1] - b) < height for a, b in taken)

        side = min(corners, key=lambda name: meets(corners[name]))
        taken.append(corners[side])
        sides.append(side)
    return sides


def _error(score: dict[str, Any], color: str) -> dict[str, Any]:
    value, interval = score["delta"], score["delta_interval"]
    if not interval or None in interval:
        return {}
    return {
        "type": "data", "symmetric": False, "array": [max(0.0, 100 * (interval[1] - value))],
        "arrayminus": [max(0.0, 100 * (value - interval[0]))], "color": color, "thickness": 1.5, "width": 4,
    }  # fmt: skip


def _ends(found: list[dict[str, Any]]) -> tuple[float, float]:
    """Of both axes alike: all intervals and 0, in steps of 25 points, with room."""
    every = [0.0, *(score["delta"] for score in found)]
    every += [end for score in found for end in score["delta_interval"] or () if end is not None]
    low, high = 25 * (100 * min(every) // 25), -25 * (-100 * max(every) // 25)
    return low - 6, high + 6
