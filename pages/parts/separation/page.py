"""The Separation page: what it looks at and says, on the page that all studies share."""

from __future__ import annotations

import streamlit as st

from pages.parts.separation import controls, figures, words
from pages.parts.separation.choice import STATE, Shown
from pages.parts.separation.directions import show_directions
from pages.parts.separation.measure import FORM
from pages.parts.shell import errors
from pages.parts.study.page import StudyPage


def missing(now: Shown) -> str:
    return (
        f"The {now.choice.contrast} contrast of {now.organism} ({now.model}) has not been measured on this machine. "
        "Measure it below, or choose another contrast or organism."
    )


def body(now: Shown) -> None:
    """The headline, its readings, four figures, and the rows on the wrong side."""
    words.show_headline(now)
    words.show_readings(now)
    spread, over_blocks = st.columns(2, gap="medium")
    with spread, st.container(key="separation-panel-spread"), errors():
        figures.show_histogram(now)
    with over_blocks, st.container(key="separation-panel-blocks"):
        figures.show_profile(now)
    plane, alike = st.columns(2, gap="medium")
    with plane, st.container(key="separation-panel-plane"), errors():
        figures.show_scatter(now)
    with alike, st.container(key="separation-panel-alike"):
        figures.show_cosines(now)
    with errors():
        words.show_misses(now)


PAGE = StudyPage(STATE, FORM, controls.show_bar, missing, body, words.facts, below=show_directions, folded=False)
