"""The Separation page's four figures, each with its controls, its data and its words for a screen reader."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.figures.separation import clouds_csv, describe_histogram, describe_scatter, histogram, scatter
from core.figures.separation_blocks import cosines, profile
from core.figures.separation_tables import METRICS, cosines_csv, describe_cosines, describe_profile, profile_csv
from core.studies.separation.rows import (
    arm_name,
    classes,
    clouds,
    negative_mean,
    shifted,
    suites,
    threshold,
)
from core.words import fixed, percent_span
from pages.parts.downloads import show_downloads, toolbar
from pages.parts.literal import literal
from pages.parts.methods import term_html
from pages.parts.separation.choice import Shown, choose
from pages.parts.separation.controls import show_axes, show_metric, show_suite, show_switch

MAIN, SECOND = 300, 340  # heights in pixels
WIDE = 0.9  # a shuffled-label band this wide needs a word
PROFILE_KEY = "separation.profile"
LABELS = {"accuracy": "Accuracy", "auroc": "AUROC", "d": "Cohen’s d", "norm": "‖v‖"}
ABOUT = {
    "auroc": "Nulls and probe were measured as balanced accuracy only, so they are not in this view.",
    "d": "Nulls and probe were measured as balanced accuracy only, so they are not in this view.",
    "norm": "Length of the shift over the mean residual norm. A null has no length: nulls and probe are left out.",
}


def show_histogram(now: Shown) -> None:
    """The classes' projections on the contrast's own direction, and the third arm as an outline."""
    assert now.result is not None
    summary, block = now.summary, now.block
    axis = next(iter(summary["axes"]))
    zero = negative_mean(summary, block)
    found = [shifted(cloud, zero) for cloud in clouds(now.result, axis, block, suite=now.suite)]
    third = [cloud for cloud in found if cloud.arm not in classes(summary)]
    drawn = [cloud for cloud in found if cloud not in third or now.choice.others]
    limit = threshold(now.result, axis, block) - zero
    title = f"along {summary['axes'][axis]}; 0 = mean of {_negative(summary)}"
    figure = histogram(drawn, limit, title, [cloud.arm for cloud in third], MAIN)
    with _heading(f"Held-out rows at block {block}"):
        if third:
            show_switch(now, f"{third[0].name} too")
        show_suite(now, suites(summary))
        show_downloads("tiller-separation-histogram", figure, clouds_csv(drawn, title))
    name = "tiller-separation-histogram"
    st.plotly_chart(figure, config=toolbar(name), alt=describe_histogram(drawn, limit), key="separation.histogram")


def show_profile(now: Shown) -> None:
    """One number over all blocks; a click on a point chooses its block."""
    summary, metric = now.summary, METRICS[now.choice.profile]
    figure = profile(summary, metric, now.block, MAIN)
    name = "tiller-separation-profile"
    with _heading("Over all blocks"):
        show_metric(now, LABELS)
        show_downloads(name, figure, profile_csv(summary))
    st.plotly_chart(
        figure, config=toolbar(name), alt=describe_profile(summary, metric, now.block), key=PROFILE_KEY,
        on_select=_choose_block, selection_mode="points",
    )  # fmt: skip
    about = swing(summary["blocks"][now.block]) if metric.key == "accuracy" else ABOUT[metric.key]
    if about:
        st.html(f'<div class="sep-small">{about}</div>')


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
    summary, block = now.summary, now.block
    axes = summary["axes"]
    limits = [threshold(now.result, axis, block) for axis in (now.x, now.y)]
    found = [shifted(cloud, *limits) for cloud in clouds(now.result, now.x, block, now.y, now.suite)]
    across, up = (f"{axes[axis]}, from its threshold" for axis in (now.x, now.y))
    figure = scatter(found, across, up, height=SECOND)
    name = "tiller-separation-scatter"
    with _heading(f"On two directions at block {block}" + (f", {now.suite} prompts" if now.suite else "")):
        show_downloads(name, figure, clouds_csv(found, across, up))
    show_axes(now)
    alt = describe_scatter(found, axes[now.x], axes[now.y])
    st.plotly_chart(figure, config=toolbar(name), alt=alt, key="separation.scatter")
    st.html(f'<div class="sep-small">{literal(teaching(now))}</div>')


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
    figure = cosines(now.summary, now.block, SECOND)
    name = "tiller-separation-cosines"
    with _heading("Do the contrasts point the same way?"):
        show_downloads(name, figure, cosines_csv(now.summary))
    alt = describe_cosines(now.summary, now.block)
    st.plotly_chart(figure, config=toolbar(name), alt=alt, key="separation.cosines")
    axes = "; ".join(f"{name}: {about}" for name, about in now.summary["axes"].items() if name != "random")
    said = f"Cosine 1: the same direction; 0: unrelated. {literal(axes)}. {term_html('cosine')}"
    st.html(f'<div class="sep-small">{said}</div>')


def _heading(text: str) -> Any:
    """A row with a heading, that takes the figure's controls."""
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    with row:
        st.html(f"<h2 class='sep-h'>{literal(text)}</h2>", width="stretch")
    return row


def _negative(summary: dict[str, Any]) -> str:
    return arm_name(summary, classes(summary)[1])


def _choose_block() -> None:
    points = st.session_state[PROFILE_KEY].selection.points
    if points and isinstance(points[0].get("x"), int | float):
        choose(block=int(points[0]["x"]))
