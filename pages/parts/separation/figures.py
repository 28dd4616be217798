"""The Separation page's four figures, each with its controls and what to look at in it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.studies.separation.figures import cosines, histogram, over_blocks, scatter
from core.studies.separation.rows import arm_name, classes, clouds, suites
from core.studies.separation.tables import METRICS
from core.words import fixed, percent_span
from pages.parts.literal import literal
from pages.parts.methods import term_html
from pages.parts.separation.choice import STATE, Shown
from pages.parts.separation.controls import show_axes, show_metric, show_suite, show_switch
from pages.parts.study.figure import show_chart, show_figure, show_heading

WIDE = 0.9  # a shuffled-label band this wide needs a word
LABELS = {"accuracy": "Accuracy", "auroc": "AUROC", "d": "Cohen’s d", "norm": "‖v‖"}
ABOUT = {
    "auroc": "Nulls and probe were measured as balanced accuracy only, so they are not in this view.",
    "d": "Nulls and probe were measured as balanced accuracy only, so they are not in this view.",
    "norm": "Length of the shift over the mean residual norm. A null has no length: nulls and probe are left out.",
}


def show_histogram(now: Shown) -> None:
    """The classes' projections on the contrast's own direction, and the third arm as an outline."""
    assert now.result is not None
    third = [arm for arm in now.summary["rows"] if arm not in classes(now.summary)]

    def controls() -> None:
        if third:
            show_switch(now, f"{arm_name(now.summary, third[0])} too")
        show_suite(now, suites(now.summary))

    show_figure(histogram(now.result, now.block, now.suite, now.choice.others), "separation.histogram", controls)


def show_profile(now: Shown) -> None:
    """One number over all blocks; a click on a point chooses its block."""
    metric = METRICS[now.choice.profile]
    shown = over_blocks(now.summary, metric, now.block)
    show_figure(shown, "separation.profile", lambda: show_metric(now, LABELS), _choose_block)
    about = swing(now.summary["blocks"][now.block]) if metric.key == "accuracy" else ABOUT[metric.key]
    if about:
        _say(about)


def swing(row: dict[str, Any]) -> str:
    """Why shuffled labels reach far to both sides of 50 %, where they do."""
    low, high = row["shuffled_interval"]
    if None in (low, high) or high - low < WIDE:
        return ""
    return (
        f"Shuffled labels swing from {percent_span((low, high))} here: the two clouds lie so far apart that "
        "a direction found by chance puts most of each on one side, the right one or the wrong one."
    )


def show_scatter(now: Shown) -> None:
    """All arms on two directions."""
    assert now.result is not None
    shown = scatter(now.result, now.block, now.x, now.y, now.suite)
    show_heading(shown, "separation.scatter")
    show_axes(now)
    show_chart(shown, "separation.scatter")
    _say(literal(teaching(now)))


def teaching(now: Shown) -> str:
    """What to look at in the scatter: measured middles in units of the spread, in words."""
    assert now.result is not None
    axes = now.summary["axes"]
    if now.x == now.y:
        return "Across and up show the same direction: choose another one to compare."
    found = {cloud.arm: cloud for cloud in clouds(now.result, now.x, now.block, now.y, now.suite)}
    pair = ("organism", "secure") if "secure" in found else classes(now.summary)
    first, other = (found[arm] for arm in pair)
    gaps = [apart(first.x, other.x), apart(first.y, other.y)]
    across, up = (
        f"{fixed(gap, 1)} standard deviations apart on {axes[axis]}"
        for gap, axis in zip(gaps, (now.x, now.y), strict=True)
    )
    said = f"“{first.name}” and “{other.name}” lie {across} and {up}."
    if min(gaps) < 1 <= max(gaps):
        said += " What one direction cannot see, the other can."
    return f"{said} Dashed lines are thresholds."


def apart(first: Any, other: Any) -> float:
    """Distance of two means in standard deviations (the root of the mean variance); 0 where there is no spread."""
    if min(len(first), len(other)) < 2:
        return 0.0
    spread = float((first.var(ddof=1) + other.var(ddof=1)) / 2) ** 0.5
    return abs(float(first.mean() - other.mean())) / spread if spread else 0.0


def show_cosines(now: Shown) -> None:
    """How alike the contrasts' directions are."""
    if not now.summary["cosines"]:
        return
    show_figure(cosines(now.summary, now.block), "separation.cosines")
    axes = "; ".join(f"{name}: {about}" for name, about in now.summary["axes"].items() if name != "random")
    _say(f"Cosine 1: the same direction; 0: unrelated. {literal(axes)}. {term_html('cosine')}")


def _say(html: str) -> None:
    st.html(f'<div class="study-small">{html}</div>')


def _choose_block(points: list[Any]) -> None:
    if points and isinstance(points[0].get("x"), int | float):
        STATE.choose(block=int(points[0]["x"]))
