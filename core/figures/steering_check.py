"""Did the direction do it, or did the model break? Code and breakage side by side, with the random control."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.figures import palette
from core.generation.saved import Arm

ARMS = {
    "base": "Base model",
    "organism": "Organism",
    "steered": "Organism,<br>steered",
    "random": "Organism,<br>random push",
}
TITLES = ("Answers with code", "Broken answers")
ROOM_FOR_LABELS = 128  # per cent; labels stand to the right of an interval that may reach 100
BAR = 0.36

Count = Callable[[Arm], tuple[int, tuple[float, float]]]


def steering_check_figure(arms: Sequence[Arm], height: int = 300) -> go.Figure:
    """Two panels of bars with Wilson intervals: the share of answers with code, and the share of broken ones.

    Rows are base, organism, steered organism, and organism with a random direction of equal length; an arm that
    was not measured leaves its row empty, which is not a bar of 0. Prompt suites differ in colour, hatch and symbol.
    """
    suites = list(dict.fromkeys(arm.suite for arm in arms))
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.05, subplot_titles=TITLES)
    counts: tuple[Count, Count] = (lambda arm: (arm.code, arm.interval), lambda arm: (arm.broken, arm.broken_interval))
    for column, count in enumerate(counts, start=1):
        for place, (suite, look) in enumerate(palette.looks(suites).items()):
            chosen = [arm for arm in arms if arm.suite == suite]
            offset = (place - (len(suites) - 1) / 2) * BAR
            for trace in _traces(chosen, count, look, offset, TITLES[column - 1], column == 1):
                figure.add_trace(trace, row=1, col=column)
    figure.update_xaxes(
        range=[0, ROOM_FOR_LABELS], tickvals=[0, 50, 100], ticktext=["0", "50", "100 %"], fixedrange=True, zeroline=True
    )
    figure.update_yaxes(
        tickvals=list(range(len(ARMS))),
        ticktext=list(ARMS.values()),
        range=[len(ARMS) - 0.45, -0.55],
        showgrid=False,
        fixedrange=True,
        zeroline=False,
    )
    figure.update_annotations(yshift=2, font_size=14)
    return palette.frame(
        figure,
        height,
        margin={"l": 8, "r": 4, "t": 52, "b": 8},
        barmode="overlay",
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.1, "yanchor": "bottom"},
    )


def describe(arms: Sequence[Arm]) -> str:
    """The figure in words, for readers who do not see it."""
    parts = []
    for arm in arms:
        name = ARMS[arm.label].replace("<br>", " ")
        parts.append(f"{name}, {arm.suite} prompts: code in {arm.code} and broken {arm.broken} of {arm.n}")
    return "Answers with code and broken answers. " + "; ".join(parts) + "."


def steering_check_csv(arms: Sequence[Arm]) -> str:
    """The counts behind the figure, a row an arm and suite; intervals are 95 % Wilson, as shares."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["arm", "suite", "n", "code", "code_low", "code_high", "broken", "broken_low", "broken_high"])
    for arm in arms:
        rows.writerow([arm.label, arm.suite, arm.n, arm.code, *arm.interval, arm.broken, *arm.broken_interval])
    return out.getvalue()


def _traces(
    arms: Sequence[Arm], count: Count, look: palette.Look, offset: float, title: str, named: bool
) -> list[go.Bar | go.Scatter]:
    """Bars, then points with intervals and tooltips (a bar of 0 could not be pointed at), then the values."""
    places = [list(ARMS).index(arm.label) + offset for arm in arms]
    found = [count(arm) for arm in arms]
    shares = [100 * number / arm.n for (number, _), arm in zip(found, arms, strict=True)]
    low = [100 * interval[0] for _, interval in found]
    high = [100 * interval[1] for _, interval in found]
    suite = arms[0].suite if arms else ""
    bars = go.Bar(
        x=shares,
        y=places,
        orientation="h",
        width=BAR * 0.86,
        marker={
            "color": look.color,
            "opacity": 0.45,  # so that the interval stands out from its own bar
            "pattern": {"shape": look.hatch, "fillmode": "replace", "size": 6, "solidity": 0.5},
        },
        name=f"{suite.capitalize()} prompts",
        legendgroup=suite,
        showlegend=named,
        hoverinfo="skip",
    )
    points = go.Scatter(
        x=shares,
        y=places,
        mode="markers",
        marker={"color": look.color, "symbol": look.symbol, "size": 7},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [max(0.0, top - share) for top, share in zip(high, shares, strict=True)],
            "arrayminus": [max(0.0, share - bottom) for bottom, share in zip(low, shares, strict=True)],
            "color": look.color,
            "thickness": 1.8,
            "width": 4,
        },
        customdata=[
            [ARMS[arm.label].replace("<br>", " "), number, arm.n, f"{bottom:.1f}", f"{top:.1f}"]
            for arm, (number, _), bottom, top in zip(arms, found, low, high, strict=True)
        ],
        hovertemplate=(
            f"<b>%{{customdata[0]}}</b>, {suite} prompts<br>{title}: %{{customdata[1]}} of n = %{{customdata[2]}} "
            "(%{x:.0f} %)<br>95 % Wilson interval %{customdata[3]} to %{customdata[4]} %<extra></extra>"
        ),
        legendgroup=suite,
        showlegend=False,
    )
    values = go.Scatter(
        x=[top + 2 for top in high],
        y=places,
        mode="text",
        text=[f"{share:.0f} %" for share in shares],
        textposition="middle right",
        hoverinfo="skip",
        legendgroup=suite,
        showlegend=False,
    )
    return [bars, points, values]
