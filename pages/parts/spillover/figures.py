"""The Spillover page's figures, each with its controls and what a click does."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

from core.figures import shown
from core.results import Result
from core.studies.moves import moves
from core.studies.spillover.figures import before_and_after, draws, over_doses
from core.studies.spillover.tables import RATES, Site, doses
from core.studies.spillover.words import arm
from pages.parts.spillover.choice import STATE, Shown
from pages.parts.spillover.controls import show_rate, show_site
from pages.parts.spillover.words import steered_words
from pages.parts.study.answers import answers_of
from pages.parts.study.figure import show_figure


def show_doses(now: Shown) -> None:
    """Code over the dose, and broken answers beneath it; a click on a point looks at that dose."""
    assert now.result is not None
    looked_at = None if now.dose == now.summary["dose"]["coefficient"] else now.dose

    def controls() -> None:
        show_site(now)
        show_rate(now)

    show_figure(_doses(now.result, now.site, now.choice.rate, looked_at), "spillover.doses", controls, _choose_dose)


def show_strip(now: Shown) -> None:
    """Random draws, the direction and named controls at the chosen dose."""
    assert now.result is not None
    show_figure(_draws(now.result), "spillover.draws")


def show_moves(now: Shown) -> None:
    """Before and after by prompt at the dose looked at; a click on a cell shows its answers below."""
    assert now.result is not None
    found = answers_of(now.result)
    before, after = found.states(arm(now.summary, "organism")), found.states(now.steered)
    counted = moves(before, after, [prompt.suite for prompt in found.prompts])
    title = f"Prompt by prompt, {steered_words(now)}"
    figure = replace(before_and_after(counted, now.choice.moved), title=title)
    show_figure(figure, "spillover.moves", clicked=_choose_move)


@functools.lru_cache(maxsize=64)
def _doses(result: Result, site: Site, rate: str, dose: float | None) -> shown.Shown:
    return over_doses(result.summary, site, RATES[rate], dose)


@functools.lru_cache(maxsize=8)
def _draws(result: Result) -> shown.Shown:
    return draws(result.summary)


def _choose_dose(points: list[Any]) -> None:
    now = STATE.current()
    if points and now.result is not None:
        there = doses(now.summary, now.site)
        STATE.choose(dose=min(there, key=lambda dose: abs(dose - float(points[0]["x"]))), beside=now.choice.beside)


def _choose_move(points: list[Any]) -> None:
    if points and points[0].get("customdata"):
        key, now = points[0]["customdata"][0], STATE.current().choice.moved
        STATE.choose(moved=None if key == now else key, prompt=1)
