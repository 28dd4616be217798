"""Did the direction do it, or did the model break? Four bars of a spillover study, with the random control."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from core.figures import palette
from core.figures.spillover_tables import BROKEN, RATES, Rate, Summary
from core.words import percent, percent_span

ARMS = {
    "base": "Base model",
    "organism": "Organism",
    "steered": "Organism,<br>steered",
    "random": "Organism,<br>random push",
}
PANELS = (("Answers with code", RATES["all"]), ("Broken answers", BROKEN))
AXES = ("", "2")
DOMAINS = ((0, 0.475), (0.525, 1))
ROOM_FOR_LABELS = 128  # per cent; labels stand to the right of an interval that may reach 100
BAR = 0.36
HEIGHT = 300


@dataclass(frozen=True)
class Arm:
    """One arm over one suite of prompts; `rates` as `core.measures.spillover.rates` gives them."""

    label: str
    suite: str
    rates: dict[str, Any]

    @property
    def n(self) -> int:
        return self.rates["n"]

    def count(self, rate: Rate) -> int:
        """How many of the n answers it is."""
        return round(self.rates[rate.value] * self.n)


def arms_of(summary: Summary) -> list[Arm]:
    """Base, organism, and organism steered at the chosen dose and pushed at random there; missing ones are left out."""
    rows = {row["direction"]: row for row in summary["arms"]}
    at_dose = {row["direction"]: row for row in summary["doses"] if row["chosen"]}
    random = at_dose.get("random") or next(iter(summary["random_draws"]), None)
    chosen = {
        "base": rows.get("base"),
        "organism": rows.get("organism"),
        "steered": at_dose.get("true"),
        "random": random,
    }
    return [Arm(label, suite, rates) for label, row in chosen.items() if row for suite, rates in row["suites"].items()]


def arms_figure(arms: Sequence[Arm]) -> go.Figure:
    """Two panels of bars with Wilson intervals: the share of answers with code, and the share of broken ones.

    An arm that was not measured leaves its row empty, which is not a bar of 0. Prompt suites differ in colour, hatch
    and symbol.
    """
    suites = list(dict.fromkeys(arm.suite for arm in arms))
    traces: list[palette.Trace] = []
    for axis, (title, rate) in zip(AXES, PANELS, strict=True):
        for place, (suite, look) in enumerate(palette.looks(suites).items()):
            chosen = [arm for arm in arms if arm.suite == suite]
            offset = (place - (len(suites) - 1) / 2) * BAR
            traces += _traces(chosen, rate, look, offset, title, axis)
    return palette.framed(
        traces,
        HEIGHT,
        _axes(),
        annotations=_headings(),
        margin={"l": 8, "r": 4, "t": 52, "b": 8},
        barmode="overlay",
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.1, "yanchor": "bottom"},
    )


def describe_arms(arms: Sequence[Arm]) -> str:
    """The figure in words, for readers who do not see it."""
    parts = []
    for arm in arms:
        name = ARMS[arm.label].replace("<br>", " ")
        code, broken = (arm.count(rate) for _, rate in PANELS)
        parts.append(f"{name}, {arm.suite} prompts: code in {code} and broken {broken} of {arm.n}")
    return "Answers with code and broken answers. " + "; ".join(parts) + "."


def arms_csv(arms: Sequence[Arm]) -> str:
    """The counts behind the figure, a row an arm and suite; intervals are 95 % Wilson, as shares."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["arm", "suite", "n", "code", "code_low", "code_high", "broken", "broken_low", "broken_high"])
    for arm in arms:
        numbers = [value for _, rate in PANELS for value in (arm.count(rate), *arm.rates[rate.interval])]
        rows.writerow([arm.label, arm.suite, arm.n, *numbers])
    return out.getvalue()


def _axes() -> dict[str, dict[str, Any]]:
    """Of two panels side by side; the arms are named on the left one only."""
    shares = {
        "range": [0, ROOM_FOR_LABELS],
        "tickvals": [0, 50, 100],
        "ticktext": ["0", "50", "100 %"],
        "fixedrange": True,
        "zeroline": True,
    }
    names = {
        "domain": [0, 1],
        "tickvals": list(range(len(ARMS))),
        "ticktext": list(ARMS.values()),
        "range": [len(ARMS) - 0.45, -0.55],
        "showgrid": False,
        "fixedrange": True,
        "zeroline": False,
    }
    return {
        "xaxis": {"anchor": "y", "domain": DOMAINS[0], **shares},
        "xaxis2": {"anchor": "y2", "domain": DOMAINS[1], **shares},
        "yaxis": {"anchor": "x", **names},
        "yaxis2": {"anchor": "x2", "matches": "y", "showticklabels": False, **names},
    }


def _headings() -> list[dict[str, Any]]:
    """Of the panels, each over its middle."""
    return [
        {
            "text": title,
            "x": sum(domain) / 2,
            "y": 1,
            "xref": "paper",
            "yref": "paper",
            "xanchor": "center",
            "yanchor": "bottom",
            "showarrow": False,
            "yshift": 2,
            "font": {"size": 14},
        }
        for (title, _), domain in zip(PANELS, DOMAINS, strict=True)
    ]


def _traces(
    arms: Sequence[Arm], rate: Rate, look: palette.Look, offset: float, title: str, axis: str
) -> list[palette.Trace]:
    """Bars, then points with intervals and tooltips (a bar of 0 could not be pointed at), then the values."""
    places = [list(ARMS).index(arm.label) + offset for arm in arms]
    shares = [100 * arm.rates[rate.value] for arm in arms]
    low, high = ([100 * arm.rates[rate.interval][end] for arm in arms] for end in (0, 1))
    suite = arms[0].suite if arms else ""
    panel = {"xaxis": f"x{axis}", "yaxis": f"y{axis}"}
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
        **panel,
        showlegend=axis == AXES[0],
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
            [ARMS[arm.label].replace("<br>", " "), arm.count(rate), arm.n, percent_span(arm.rates[rate.interval], 1)]
            for arm in arms
        ],
        hovertemplate=(
            f"<b>%{{customdata[0]}}</b>, {suite} prompts<br>{title}: %{{customdata[1]}} of n = %{{customdata[2]}} "
            "(%{x:.0f} %)<br>95 % Wilson interval %{customdata[3]}<extra></extra>"
        ),
        legendgroup=suite,
        **panel,
        showlegend=False,
    )
    values = go.Scatter(
        x=[top + 2 for top in high],
        y=places,
        mode="text",
        text=[percent(arm.rates[rate.value]) for arm in arms],
        textposition="middle right",
        hoverinfo="skip",
        legendgroup=suite,
        **panel,
        showlegend=False,
    )
    return [bars, points, values]
