"""A figure on a page: heading, controls and downloads in a row, then the chart with its words for a screen reader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import streamlit as st

from core.figures.shown import Shown
from pages.parts.downloads import show_downloads, toolbar
from pages.parts.literal import literal

Controls: TypeAlias = Callable[[], None]
Clicked: TypeAlias = Callable[[list[Any]], None]


def show_figure(shown: Shown, key: str, controls: Controls | None = None, clicked: Clicked | None = None) -> None:
    """Draw it.

    Args:
        key: `page.figure`; downloads are called `tiller-page-figure`.
        controls: drawn between the heading and the downloads.
        clicked: takes the points that someone clicked.
    """
    show_heading(shown, key, controls)
    show_chart(shown, key, clicked)


def show_heading(shown: Shown, key: str, controls: Controls | None = None) -> None:
    """The row above the chart, where something else comes between the two."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f"<h2 class='study-h'>{literal(shown.title)}</h2>", width="stretch")
        if controls is not None:
            controls()
        if shown.table is not None:
            show_downloads(_file(key), shown.figure, shown.csv, "")


def show_chart(shown: Shown, key: str, clicked: Clicked | None = None) -> None:
    """The chart alone."""
    chart: dict[str, Any] = {"config": toolbar(_file(key)), "alt": shown.words, "key": key}
    if clicked is not None:
        chart |= {
            "selection_mode": "points",
            "on_select": lambda: clicked(st.session_state[key].selection.points),
        }
    st.plotly_chart(shown.figure, **chart)


def _file(key: str) -> str:
    return f"tiller-{key.replace('.', '-')}"
