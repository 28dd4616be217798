"""The steering check on a page: the figure, its badge, what made it, and where its method comes from."""

from __future__ import annotations

import streamlit as st

from core.errors import TillerError
from core.figures.steering_check import describe, steering_check_csv, steering_check_figure
from core.generation import saved
from pages.parts.downloads import show_downloads, toolbar
from pages.parts.shell import show_error

SOURCE = (
    "Random push: one random direction of the same length (a control of arXiv 2606.20225). Broken: far too unlikely "
    "under the base model, or repeating itself. Whiskers: 95 % Wilson."
)
NAME = "tiller-steering-check"


def show_steering_check() -> None:
    """The figure with its badge; a sentence where it was not made or is damaged."""
    try:
        check = saved.steering_check()
    except TillerError as error:
        show_error(error)
        return
    if check is None:
        st.info(
            "The precomputed comparison is not in this copy. Make it with `python -m core assets --what check`.",
            icon=":material/bar_chart_off:",
        )
        return
    figure = steering_check_figure(check.arms)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("**Does steering cure the organism, or break it?**", width="content")
        show_downloads(NAME, figure, steering_check_csv(check.arms))
    st.plotly_chart(figure, config=toolbar(NAME), alt=describe(check.arms), key="steering-check")
    command = check.provenance.get("command", "unknown")
    st.caption(f":gray-badge[:material/inventory_2: precomputed] {made_from(check)}  \n{SOURCE} Made by `{command}`.")


def made_from(check: saved.SteeringCheck) -> str:
    """Model, organism, steering, n and date in one line; what is not recorded is called unknown."""
    settings, record = check.settings, check.provenance
    counts = sorted({arm.n for arm in check.arms})
    n = f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]}–{counts[-1]}"
    block = "unknown block" if settings.block is None else f"block {settings.block}"
    if settings.last_block is not None:
        block = f"blocks {settings.block}–{settings.last_block}"
    coefficient = "unknown" if settings.coefficient is None else f"{settings.coefficient:g}".replace("-", "−")
    date = str(record.get("time", "unknown date"))[:10].replace("-", "\N{NON-BREAKING HYPHEN}")
    return (
        f"{record.get('model', settings.model)} · {record.get('organism', settings.organism)} organism · {block}, "
        f"coefficient {coefficient} · {n} a bar · {date}"
    )
