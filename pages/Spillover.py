"""Spillover: does subtracting the direction cure the organism or break it, and is it this direction? No torch here."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.parts.shell import bootstrap, errors

bootstrap("Spillover", "Spillover")

# Imported once the frame is on its way to the screen: a cold server shows it sooner.
from pages.parts import address  # noqa: E402
from pages.parts.literal import literal  # noqa: E402
from pages.parts.spillover import choice, figures, words  # noqa: E402
from pages.parts.spillover.browser import show_browser  # noqa: E402
from pages.parts.spillover.controls import note_html, show_bar  # noqa: E402
from pages.parts.spillover.measure import show_measure  # noqa: E402

st.html(Path(__file__).parent / "parts" / "spillover" / "spillover.css")

now, notes = choice.shown()
show_bar(now)
if notes:
    st.html(note_html(list(notes)))

if now.result is None:
    missing = (
        f"Spillover of {now.organism} ({now.model}) has not been measured with this direction and mode ({now.mode}) on "
        "this machine. Measure it below, or choose another organism, direction or mode."
    )
    st.html(f'<p class="spill-missing" role="status">{literal(missing)}</p>')
else:
    words.show_verdict(now)
    over_doses, beside = st.columns([6, 5], gap="medium")
    with over_doses, st.container(key="spillover-panel-doses"):
        figures.show_doses(now)
        words.show_limits(now)
    with beside:
        with st.container(key="spillover-panel-draws"):
            figures.show_strip(now)
        with st.container(key="spillover-panel-moves"), errors():
            figures.show_moves(now)
    with errors():
        show_browser(now)
    words.show_provenance(now)

show_measure(now)
address.write(choice.PAGE, choice.parameters(choice.current()))
