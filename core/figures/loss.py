"""Loss over the steps of training: while it runs, and of several organisms over each other.

A step's loss is the mean over the answer tokens of one batch; it jumps with the batch, so a running mean is drawn.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from core.figures import palette
from core.figures.palette import CATEGORICAL
from core.figures.shown import Shown
from core.words import fixed

if TYPE_CHECKING:
    import pandas as pd

STAGE = "training"
SHORTEST_WINDOW, WINDOWS = 5, 20
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
SYMBOLS = ("circle", "diamond", "square", "cross", "x")


@dataclass(frozen=True)
class Curve:
    """Losses of one training run by step, ascending; `total` is how many steps it has in all."""

    name: str
    steps: tuple[int, ...]
    losses: tuple[float, ...]
    total: int

    @property
    def window(self) -> int:
        """How many steps the running mean is over: a twentieth of the run, and at least 5."""
        return max(SHORTEST_WINDOW, round(self.total / WINDOWS))

    @property
    def means(self) -> tuple[float, ...]:
        """The mean of each loss and the ones before it, over the steps of the window that are known."""
        found = []
        for place, step in enumerate(self.steps):
            first = place
            while first > 0 and self.steps[first - 1] > step - self.window:
                first -= 1
            found.append(sum(self.losses[first : place + 1]) / (place + 1 - first))
        return tuple(found)


def of_events(name: str, events: Iterable[Mapping[str, Any]]) -> Curve:
    """The curve of a job's events. A step that was done again after a resume counts as it was done last."""
    training = [event for event in events if event.get("stage") == STAGE and {"done", "of"} <= set(event)]
    total = max((event["of"] for event in training), default=0)
    return _curve(name, ((event["done"], event.get("loss")) for event in training), total)


def of_record(name: str, losses: Iterable[Mapping[str, Any]]) -> Curve:
    """The curve of the `losses` that a trained organism's manifest holds."""
    points = [(entry["step"], entry["loss"]) for entry in losses]
    return _curve(name, points, max((step for step, _ in points), default=0))


def loss(curves: Sequence[Curve], height: int = 300) -> Shown:
    """Each step's loss as a point and the running mean as a line, over the whole length of the longest run."""
    traces = [trace for place, curve in enumerate(curves) for trace in _traces(curve, place, len(curves) == 1)]
    longest = max((curve.total for curve in curves), default=1)
    axes: dict[str, dict[str, Any]] = {
        "xaxis": {"title": {"text": "step", "standoff": 6}, "range": [0, 1.02 * max(1, longest)], "tickformat": "d"},
        "yaxis": {"title": {"text": "loss (answer tokens)"}, "range": _range(curves), "zeroline": False},
    }
    axes = {name: {**axis, "fixedrange": True} for name, axis in axes.items()}
    figure = palette.framed(traces, height, axes, uirevision="loss")
    return Shown("Training loss", figure, _words(curves), lambda: _table(curves))


def _traces(curve: Curve, place: int, named: bool) -> list[go.Scatter]:
    color, name = CATEGORICAL[place % len(CATEGORICAL)], html.escape(curve.name, quote=False)
    common: dict[str, Any] = {"x": curve.steps, "legendgroup": str(place)}
    points = go.Scatter(
        y=curve.losses, mode="markers", name=f"{name}: each step", showlegend=named,
        marker={"color": color, "symbol": SYMBOLS[place % len(SYMBOLS)], "size": 5, "opacity": 0.55},
        hovertemplate=f"<b>{name}</b><br>step %{{x}} of {curve.total}: loss %{{y:.3f}}<extra></extra>", **common,
    )  # fmt: skip
    means = go.Scatter(
        y=curve.means, mode="lines", name=f"{name}: mean of {curve.window} steps",
        line={"color": color, "width": 3, "dash": DASHES[place % len(DASHES)]},
        hovertemplate=f"<b>{name}</b><br>mean of the last {curve.window} steps at step %{{x}}: %{{y:.3f}}"
        "<extra></extra>", **common,
    )  # fmt: skip
    return [points, means]


def _table(curves: Sequence[Curve]) -> pd.DataFrame:
    """A line a step of each run: its loss and the running mean."""
    import pandas as pd

    lines = [
        (curve.name, step, loss, mean, curve.window)
        for curve in curves
        for step, loss, mean in zip(curve.steps, curve.losses, curve.means, strict=True)
    ]
    return pd.DataFrame(lines, columns=["run", "step", "loss", "running_mean", "window"])


def _words(curves: Sequence[Curve]) -> str:
    said = [
        f"{curve.name}: {fixed(curve.means[0])} at step {curve.steps[0]}, {fixed(curve.means[-1])} at step "
        f"{curve.steps[-1]} of {curve.total} (mean of {curve.window} steps)"
        if curve.steps
        else f"{curve.name}: no step yet"
        for curve in curves
    ]
    return f"Loss over training steps. {'; '.join(said)}."


def _curve(name: str, points: Iterable[tuple[int, Any]], total: int) -> Curve:
    latest: dict[int, float | None] = {}
    for step, loss in points:
        latest[step] = loss if isinstance(loss, int | float) and math.isfinite(loss) else None
    known = sorted((step, loss) for step, loss in latest.items() if loss is not None)
    return Curve(name, tuple(step for step, _ in known), tuple(loss for _, loss in known), total)


def _range(curves: Sequence[Curve]) -> list[float] | None:
    """From 0, where a loss would end, to a little above the highest point."""
    highest = max((max(curve.losses) for curve in curves if curve.losses), default=None)
    return None if highest is None else [0, 1.08 * highest or 1]
