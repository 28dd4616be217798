"""Separation: how well one direction tells two kinds of activations apart, and what that proves. No torch here."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.parts.shell import bootstrap, errors

bootstrap("Separation", "Separation")

# Imported once the frame is on its way to the screen: a cold server shows it sooner.
from pages.parts import address  # noqa: E402
from pages.parts.literal import literal  # noqa: E402
from pages.parts.separation import choice, figures, words  # noqa: E402
from pages.parts.separation.controls import note_html, show_bar  # noqa: E402
from pages.parts.separation.directions import show_directions  # noqa: E402
from pages.parts.separation.measure import show_measure  # noqa: E402

st.html(Path(__file__).parent / "parts" / "separation" / "separation.css")

now, notes = choice.shown()
show_bar(now)
if notes:
    st.html(note_html(list(notes)))

if now.result is None:
    missing = (
        f"The {now.choice.contrast} contrast of {now.organism} ({now.model}) has not been measured on this machine. "
        "Measure it below, or choose another contrast or organism."
    )
    st.html(f'<p class="sep-missing" role="status">{literal(missing)}</p>')
else:
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
    words.show_provenance(now)

show_measure(now)
show_directions(now)
address.write(choice.PAGE, choice.parameters(now))
