"""Popovers that hand out a figure (its numbers as a table, and a page of its own) or all answers of a result."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from core.results import TABLE, Result


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


def show_answers_downloads(page: str, result: Result, n: int) -> None:
    """A popover with all answers of a result of `n` prompts, as CSV and as Parquet."""
    with st.popover("Answers", type="tertiary", icon=":material/download:"):
        st.caption(f"All answers of all settings, {n} prompts each, as they were judged.")
        st.download_button(
            "Table (CSV)", functools.partial(_csv, result), f"tiller-{page}-answers.csv", "text/csv",
            on_click="ignore", key=f"{page}.csv",
        )  # fmt: skip
        st.download_button(
            "Table (Parquet)", (result.folder / TABLE).read_bytes, f"tiller-{page}-answers.parquet",
            "application/vnd.apache.parquet", on_click="ignore", key=f"{page}.parquet",
        )  # fmt: skip


def _csv(result: Result) -> str:
    table = result.table
    return "" if table is None else table.to_csv(index=False)
