"""Runs: every job and every saved result, with what can be done about it. No torch here."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.parts.shell import bootstrap

bootstrap("Runs", "Runs")

# Imported once the frame is on its way to the screen: a cold server shows it sooner.
from pages.parts.literal import literal  # noqa: E402
from pages.parts.runs import ended, running, saved, space, view  # noqa: E402

st.html(Path(__file__).parent / "parts" / "runs" / "runs.css")

now, notes = view.shown()
for note in notes:
    st.html(f'<p class="run-note" role="status">{literal(note)}</p>')
running.show_running()
ended.show_ended(now)
saved.show_saved(now)
space.show_space()
view.write(now)
