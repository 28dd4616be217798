"""The popover that hands out a figure: its numbers as a table, and the figure as a page of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import streamlit as st


def toolbar(name: str) -> dict[str, Any]:
    """Plotly's buttons above a figure: only the camera, which saves a PNG under `name`."""
    return {
        "displaylogo": False,
        "modeBarButtonsToRemove": ["zoom", "pan", "select", "lasso", "zoomIn", "zoomOut", "autoScale", "resetScale"],
        "toImageButtonOptions": {"filename": name, "scale": 2},
    }


def show_downloads(name: str, figure: go.Figure, table: str | Callable[[], str], label: str = "Download") -> None:
    """A popover with the table as CSV and the figure as HTML, named `name`."""
    with st.popover(label, type="tertiary", icon=":material/download:", help=None if label else "Download", key=name):
        st.download_button("Table (CSV)", table, f"{name}.csv", "text/csv", on_click="ignore", key=f"{name}-csv")
        page = functools.partial(figure.to_html, include_plotlyjs=True)  # whole, so that it opens without a network
        st.download_button("Figure (HTML)", page, f"{name}.html", "text/html", on_click="ignore", key=f"{name}-html")
        st.caption("As PNG: the camera above the figure.")
