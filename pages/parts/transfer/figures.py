"""The Transfer page's figures, each with its controls and what a click does."""

from __future__ import annotations

import functools
from typing import Any

import streamlit as st

from core.figures import shown
from core.results import Result
from core.studies.transfer.figures import beside_controls, matrix, scores
from core.studies.transfer.tables import MEASURES, cell
from pages.parts.literal import literal
from pages.parts.methods import term_html
from pages.parts.study.figure import show_chart, show_figure, show_heading
from pages.parts.transfer.choice import STATE, Shown
from pages.parts.transfer.controls import show_cell_choice, show_matrix_choice
from pages.parts.transfer.words import asymmetry_html, parts, scores_note

STRIPS = ("delta", "delta_coherent")  # the matrices that a strip has draws for


def show_matrix(now: Shown) -> None:
    """The matrix with its switch and the list of its cells; a click on a cell looks at it."""
    assert now.result is not None
    drawn = _matrix(now.result, now.choice.matrix, now.cell)
    show_heading(drawn, "transfer.matrix")
    show_matrix_choice(now)
    show_chart(drawn, "transfer.matrix", _choose_cell)
    show_cell_choice(now)
    st.html(f'<p class="study-small">{literal(parts(now.summary).get("maps", ""))}</p>')


def show_strip(now: Shown) -> None:
    """The chosen cell's change beside every draw of its controls."""
    assert now.result is not None
    show_figure(_strip(now.result, now.cell, strip_key(now)), "transfer.draws")


def show_scores(now: Shown) -> None:
    """Donor score against receiver score, the sentence they come to, and how uneven each pair is."""
    assert now.result is not None
    drawn = _scores(now.result)
    show_heading(drawn, "transfer.scores")
    chart, told = st.columns([6, 5], gap="medium")
    with chart, st.container(key="transfer-panel-scores"):
        show_chart(drawn, "transfer.scores")
    with told:
        st.html(
            f'<p class="study-small">{literal(parts(now.summary).get("scores", ""))}</p>{asymmetry_html(now.summary)}'
            f'<p class="study-small">{literal(scores_note(now.summary))} {term_html("givers-and-receivers")}</p>'
        )


def strip_key(now: Shown) -> str:
    """What the strip shows: as the matrix, where there are draws of that."""
    return now.choice.matrix if now.choice.matrix in STRIPS else STRIPS[0]


@functools.lru_cache(maxsize=128)
def _matrix(result: Result, measure: str, chosen: tuple[str, str]) -> shown.Shown:
    return matrix(result.summary, MEASURES[measure], chosen)


@functools.lru_cache(maxsize=64)
def _strip(result: Result, place: tuple[str, str], measure: str) -> shown.Shown:
    return beside_controls(cell(result.summary, *place), MEASURES[measure])


@functools.lru_cache(maxsize=8)
def _scores(result: Result) -> shown.Shown:
    return scores(result.summary)


def _choose_cell(points: list[Any]) -> None:
    if points and points[0].get("customdata"):
        donor, receiver = points[0]["customdata"][:2]
        STATE.choose(cell=(donor, receiver))
