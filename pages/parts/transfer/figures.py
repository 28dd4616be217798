"""The Transfer page's figures, each with its controls, its data and its words for a screen reader."""

from __future__ import annotations

import functools
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from core.figures.transfer import matrix
from core.figures.transfer_scores import scores
from core.figures.transfer_strip import strip
from core.figures.transfer_tables import (
    MEASURES,
    cell,
    cells_csv,
    describe_matrix,
    describe_scores,
    describe_strip,
    draws_csv,
    scores_csv,
)
from core.results import Result
from pages.parts.downloads import show_downloads, toolbar
from pages.parts.literal import literal
from pages.parts.methods import term_html
from pages.parts.transfer.choice import Shown, choose
from pages.parts.transfer.controls import show_cell_choice, show_matrix_choice
from pages.parts.transfer.words import asymmetry_html, parts, scores_note

MATRIX_KEY = "transfer.matrix"
STRIPS = ("delta", "delta_coherent")  # the matrices that a strip has draws for


def show_matrix(now: Shown) -> None:
    """The matrix with its switch and the list of its cells; a click on a cell looks at it."""
    measure, name = MEASURES[now.choice.matrix], "tiller-transfer-matrix"
    figure = _matrix(now.result, measure.key, now.cell)
    with _heading(f"{measure.title}, n = {now.summary['n']} a cell"):
        show_downloads(name, figure, lambda: cells_csv(now.summary), "")
    show_matrix_choice(now)
    st.plotly_chart(
        figure, config=toolbar(name), alt=describe_matrix(now.summary, measure), key=MATRIX_KEY,
        on_select=_choose_cell, selection_mode="points",
    )  # fmt: skip
    show_cell_choice(now)
    st.html(f'<p class="spill-small">{literal(parts(now.summary).get("maps", ""))}</p>')


def show_strip(now: Shown) -> None:
    """The chosen cell's change beside every draw of its controls."""
    measure, name = MEASURES[strip_key(now)], "tiller-transfer-draws"
    figure = _strip(now.result, now.cell, measure.key)
    with _heading("Does a control do as much?"):
        show_downloads(name, figure, lambda: draws_csv(now.row), "")
    st.plotly_chart(figure, config=toolbar(name), alt=describe_strip(now.row, measure), key="transfer.draws")


def show_scores(now: Shown) -> None:
    """Donor score against receiver score, the sentence they come to, and how uneven each pair is."""
    name = "tiller-transfer-scores"
    figure = _scores(now.result)
    with _heading("Who gives, who receives?"):
        show_downloads(name, figure, lambda: scores_csv(now.summary), "")
    drawn, told = st.columns([6, 5], gap="medium")
    with drawn, st.container(key="transfer-panel-scores"):
        st.plotly_chart(figure, config=toolbar(name), alt=describe_scores(now.summary), key="transfer.scores")
    with told:
        st.html(
            f'<p class="spill-small">{literal(parts(now.summary).get("scores", ""))}</p>{asymmetry_html(now.summary)}'
            f'<p class="spill-small">{literal(scores_note(now.summary))} {term_html("givers-and-receivers")}</p>'
        )


def strip_key(now: Shown) -> str:
    """What the strip shows: as the matrix, where there are draws of that."""
    return now.choice.matrix if now.choice.matrix in STRIPS else STRIPS[0]


@functools.lru_cache(maxsize=128)
def _matrix(result: Result, measure: str, chosen: tuple[str, str]) -> go.Figure:
    return matrix(result.summary, MEASURES[measure], chosen)


@functools.lru_cache(maxsize=64)
def _strip(result: Result, place: tuple[str, str], measure: str) -> go.Figure:
    return strip(cell(result.summary, *place), MEASURES[measure])


@functools.lru_cache(maxsize=8)
def _scores(result: Result) -> go.Figure:
    return scores(result.summary)


def _heading(text: str) -> Any:
    """A row with a heading, that takes the figure's download."""
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    with row:
        st.html(f"<h2 class='spill-h'>{literal(text)}</h2>", width="stretch")
    return row


def _choose_cell() -> None:
    points = st.session_state[MATRIX_KEY].selection.points
    if points and points[0].get("customdata"):
        donor, receiver = points[0]["customdata"][:2]
        choose(cell=(donor, receiver))
