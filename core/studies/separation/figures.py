"""The figures of a separation study at a block: held-out rows on directions, numbers over blocks, and cosines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from core.figures import cloud as shape
from core.figures.labels import literal_tooltip
from core.figures.palette import BLUE, CATEGORICAL, SAGE, SLATE, VERMILION, VIOLET, Look
from core.figures.profile import Band, Line, profile
from core.figures.shown import Shown
from core.results import Result
from core.studies.separation import tables
from core.studies.separation.rows import Cloud, arm_name, classes, clouds, negative_mean, shifted, threshold
from core.studies.separation.summary import best_block
from core.studies.separation.tables import METRICS, Metric, Row, Summary

HEIGHT, TALL = 300, 340  # in pixels
ARMS = {
    "base": Look(BLUE, "", "circle"),
    "organism": Look(VERMILION, "/", "diamond"),
    "secure": Look(VIOLET, "x", "square"),
    "prose": Look(BLUE, "", "circle"),
    "code": Look(VERMILION, "/", "diamond"),
}
OTHER = Look(SAGE, "-", "cross")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up")


def figures(result: Result) -> Iterator[Shown]:
    """The figures of a result, as its page shows them first."""
    summary, block = result.summary, best_block(result.summary)
    yield histogram(result, block)
    for name in ("accuracy", "d"):
        metric = METRICS[name]
        yield replace(over_blocks(summary, metric, block), title=f"{metric.title} over blocks")
    yield replace(cosines(summary, block), title="Directions compared")


def histogram(result: Result, block: int, suite: str | None = None, others: bool = True) -> Shown:
    """The classes' projections on the contrast's own direction, and the third arm as an outline.

    Args:
        others: whether the third arm is drawn.
    """
    summary = result.summary
    axis, (positive, negative) = next(iter(summary["axes"])), classes(summary)
    zero = negative_mean(summary, block)
    limit = threshold(result, axis, block) - zero
    found = [shifted(cloud, zero) for cloud in clouds(result, axis, block, suite=suite)]
    found = [cloud for cloud in found if others or cloud.arm in (positive, negative)]
    title = f"along {summary['axes'][axis]}; 0 = mean of {arm_name(summary, negative)}"
    drawn = [replace(_drawn(cloud), outlined=cloud.arm not in (positive, negative)) for cloud in found]
    return Shown(
        f"Held-out rows at block {block}",
        shape.histogram(drawn, limit, title, HEIGHT),
        tables.describe_rows(found, limit),
        lambda: tables.rows_table(found, title),
    )


def scatter(result: Result, block: int, x: str, y: str, suite: str | None = None) -> Shown:
    """All arms on two directions, counted from each one's threshold."""
    axes = result.summary["axes"]
    limits = [threshold(result, axis, block) for axis in (x, y)]
    found = [shifted(cloud, *limits) for cloud in clouds(result, x, block, y, suite)]
    titles = f"{axes[x]}, from its threshold", f"{axes[y]}, from its threshold"
    return Shown(
        f"On two directions at block {block}" + (f", {suite} prompts" if suite else ""),
        shape.scatter([replace(_drawn(cloud), told=_told(cloud)) for cloud in found], titles, TALL),
        tables.describe_pair(found, axes[x], axes[y]),
        lambda: tables.rows_table(found, *titles),
    )


def over_blocks(summary: Summary, metric: Metric, block: int) -> Shown:
    """One number over blocks with its 95 % interval; for balanced accuracy with nulls, ceiling and secure control.

    Nulls and ceiling were measured as balanced accuracy only, and no other number shows them.
    """
    rows = summary["blocks"]
    secure = _secure(summary, metric)
    drawn = _nulls(rows) if metric.key == "accuracy" else []
    if secure:
        tooltip = f"secure control: {metric.title} %{{y:.{metric.digits}f}}{metric.unit} at block %{{x}}"
        drawn.append(
            Line("secure, own direction", secure, VIOLET, tooltip, dash="dash", symbol="square-open", size=8)
        )  # fmt: skip
    values, ends = _of(rows, metric.value, metric.factor), _of(rows, metric.interval, metric.factor)
    drawn.append(Band(ends, VERMILION, 0.22))
    drawn.append(
        Line(
            "this direction", values, VERMILION, f"<b>block %{{x}}</b><br>{metric.title} %{{customdata}}",
            told=[tables.described(row, metric) for row in rows], width=3, symbol="diamond", size=6, large=13,
            clicked=True,
        )
    )  # fmt: skip
    yaxis = {"range": _range(metric, [*secure, *(end for pair in ends for end in pair)]), "ticksuffix": metric.unit}
    return Shown(
        "Over all blocks",
        profile(drawn, block, len(rows), yaxis, HEIGHT),
        tables.describe_profile(summary, metric, block),
        lambda: tables.blocks_table(summary),
    )


def cosines(summary: Summary, block: int) -> Shown:
    """Cosine between each two contrasts' directions over blocks, from −1 to 1."""
    drawn = [
        Line(
            pair, values, CATEGORICAL[place % 5], f"<b>{pair}</b><br>block %{{x}}: cosine %{{y:.2f}}",
            dash=DASHES[place % 6], symbol=SYMBOLS[place % 6], size=5, large=9,
        )
        for place, (pair, values) in enumerate(summary["cosines"].items())
    ]  # fmt: skip
    ticks = {"tickvals": [-1, -0.5, 0, 0.5, 1], "ticktext": ["−1", "−0.5", "0", "0.5", "1"]}
    return Shown(
        "Do the contrasts point the same way?",
        profile(drawn, block, len(summary["blocks"]), {"range": [-1.08, 1.08], **ticks}, TALL, zero=True),
        tables.describe_cosines(summary, block),
        lambda: tables.cosines_table(summary),
    )


def _drawn(cloud: Cloud) -> shape.Cloud:
    return shape.Cloud(cloud.name, ARMS.get(cloud.arm, OTHER), cloud.x, cloud.y)


def _told(cloud: Cloud) -> list[str]:
    """Suite, prompt and answer of each row."""
    answers = cloud.answers or ("",) * len(cloud)
    return [
        f"{suite}<br>{literal_tooltip(prompt)}" + (f"<br><i>answer:</i> {literal_tooltip(answer)}" if answer else "")
        for suite, prompt, answer in zip(cloud.suites, cloud.prompts, answers, strict=True)
    ]


def _nulls(rows: list[Row]) -> list[Line | Band]:
    """Random and shuffled-label directions, and the probe, as balanced accuracy in per cent."""
    shuffled = _of(rows, "shuffled_interval", 100)
    edges = [
        Line(
            "shuffled labels, central 95 %",
            [pair[end] for pair in shuffled],
            BLUE,
            width=1.4,
            dash="dot",
            named=not end,
        )
        for end in (0, 1)
    ]
    mean = "shuffled labels, mean: %{y:.1f} % at block %{x}"
    probe = "probe on all coordinates: %{y:.1f} % at block %{x}"
    return [
        Band(_of(rows, "random", 100), SLATE, 0.26, "random, central 95 %"),
        *edges,
        Line("shuffled, mean", _of(rows, "shuffled", 100), BLUE, mean, dash="dash"),
        Line(
            "probe, all coordinates", _of(rows, "ceiling", 100), SAGE, probe,
            width=5, symbol="cross", size=5, opacity=0.85,
        ),
    ]  # fmt: skip


def _secure(summary: Summary, metric: Metric) -> list[float | None]:
    """The secure adapter on its own direction; empty where it was not measured."""
    secure = summary.get("secure")
    if not secure:
        return []
    values = secure["shift_share"] if metric.key == "norm" else [row[metric.value] for row in secure["own"]]
    return [_times(value, metric.factor) for value in values]


def _range(metric: Metric, drawn: list[float | None]) -> list[float]:
    """Shares show their whole scale; other numbers start at 0 or below."""
    if metric.key == "accuracy":
        return [-4, 106]
    if metric.key == "auroc":
        return [-0.04, 1.06]
    known = [0.0, *(value for value in drawn if value is not None)]
    low, high = min(known), max(known) or 1.0
    return [low - 0.08 * (high - low), high + 0.08 * (high - low)]


def _of(rows: list[Row], key: str, factor: float) -> list[Any]:
    """A number of every block, or its pair of ends, times `factor`; unknown stays None."""
    return [
        tuple(_times(end, factor) for end in row[key])
        if isinstance(row[key], list | tuple)
        else _times(row[key], factor)
        for row in rows
    ]


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value
