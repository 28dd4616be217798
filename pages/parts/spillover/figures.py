"""The Spillover page's figures, each with its controls, its data and its words for a screen reader."""

from __future__ import annotations

import functools
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from core.figures.spillover import dose_response
from core.figures.spillover_changes import describe_moves, matrix, moves, moves_csv
from core.figures.spillover_strip import strip
from core.figures.spillover_tables import RATES, Site, describe_doses, describe_strip, doses, rates_csv
from core.results import Result
from core.studies.spillover_words import arm
from pages.parts.downloads import show_downloads, toolbar
from pages.parts.literal import literal
from pages.parts.spillover.answers import answers_of
from pages.parts.spillover.choice import Shown, choose, current
from pages.parts.spillover.controls import show_rate, show_site
from pages.parts.spillover.words import steered_words

DOSES_KEY, MOVES_KEY = "spillover.doses", "spillover.moves"


def show_doses(now: Shown) -> None:
    """Code over the dose, and broken answers beneath it; a click on a point looks at that dose."""
    summary, rate = now.summary, RATES[now.choice.rate]
    chosen = summary["dose"]["coefficient"]
    assert now.result is not None
    figure = _doses(now.result, now.site, rate.key, None if now.dose == chosen else now.dose)
    with _heading("Does it cure, or break?"):
        show_site(now)
        show_rate(now)
        name = "tiller-spillover-doses"
        show_downloads(name, figure, lambda: rates_csv([*summary["arms"], *summary["doses"]]), "")
    alt = describe_doses(summary, now.site, rate)
    _chart(figure, name, alt, DOSES_KEY, _choose_dose)


def show_strip(now: Shown) -> None:
    """Random draws, the direction and named controls at the chosen dose."""
    summary = now.summary
    assert now.result is not None
    figure = _strip(now.result)
    name = "tiller-spillover-draws"
    with _heading("Is it this direction?"):
        show_downloads(name, figure, lambda: rates_csv([*summary["doses"], *summary["random_draws"]]), "")
    st.plotly_chart(figure, config=toolbar(name), alt=describe_strip(summary), key="spillover.draws")


def show_moves(now: Shown) -> None:
    """Before and after by prompt at the dose looked at; a click on a cell shows its answers below."""
    assert now.result is not None
    found = answers_of(now.result)
    before, after = found.states(arm(now.summary, "organism")), found.states(now.steered)
    counted = moves(before, after, [prompt.suite for prompt in found.prompts])
    figure = matrix(counted, now.choice.moved)
    name = "tiller-spillover-moves"
    with _heading(f"Prompt by prompt, {literal(steered_words(now))}"):
        show_downloads(name, figure, lambda: moves_csv(counted), "")
    _chart(figure, name, describe_moves(counted), MOVES_KEY, _choose_move)


@functools.lru_cache(maxsize=64)
def _doses(result: Result, site: Site, rate: str, dose: float | None) -> go.Figure:
    return dose_response(result.summary, site, RATES[rate], dose)


@functools.lru_cache(maxsize=8)
def _strip(result: Result) -> go.Figure:
    return strip(result.summary)


def _chart(figure: go.Figure, name: str, alt: str, key: str, chosen: Any) -> None:
    st.plotly_chart(figure, config=toolbar(name), alt=alt, key=key, on_select=chosen, selection_mode="points")


def _heading(text: str) -> Any:
    """A row with a heading (HTML), that takes the figure's controls."""
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    with row:
        st.html(f"<h2 class='spill-h'>{text}</h2>", width="stretch")
    return row


def _points(key: str) -> list[Any]:
    return st.session_state[key].selection.points


def _choose_dose() -> None:
    points, now = _points(DOSES_KEY), current()
    if points and now.result is not None:
        there = doses(now.summary, now.site)
        choose(dose=min(there, key=lambda dose: abs(dose - float(points[0]["x"]))), beside=now.choice.beside)


def _choose_move() -> None:
    points = _points(MOVES_KEY)
    if points and points[0].get("customdata"):
        key = points[0]["customdata"][0]
        now = current().choice.moved
        choose(moved=None if key == now else key, prompt=1)
