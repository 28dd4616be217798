"""Runs: every job and every saved result, with what can be done about it. No torch here."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.parts.literal import literal
from pages.parts.runs import ended, running, saved, space, view
from pages.parts.shell import bootstrap

bootstrap("Runs", "Runs")
st.html(Path(__file__).parent / "parts" / "runs" / "runs.css")

now, notes = view.shown()
for note in notes:
    st.html(f'<p class="run-note" role="status">{literal(note)}</p>')
running.show_running()
ended.show_ended(now)
saved.show_saved(now)
space.show_space()
view.write(now)
